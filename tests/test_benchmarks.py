"""The benchmarks compare like with like."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flask_imagemeta import ImageMetaSchema

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

KEPT = ("results.json", "table.md", "chart.svg", "far.md")
EVERYTHING = [f"P{number}" for number in range(1, 11)]

HEADERS = """
import json, sys
import apps, models
url = sys.argv[1]
models.create_database(url)
made = {
    "model": apps.make_model_app(url),
    "model, engine": apps.make_model_engine_app(url),
    "core": apps.make_core_app(url),
    "engine": apps.make_engine_app(url),
    "idiomatic": apps.make_idiomatic_app(url),
    "dict": apps.make_dict_app(),
    "constant": apps.make_constant_app(),
}
answers = {name: app.test_client().head(apps.PATH) for name, app in made.items()}
print(json.dumps({name: list(answer.headers) for name, answer in answers.items()}))
"""

SPREAD = """
import json
from harness import ratios, spread
print(json.dumps(spread(ratios([[6.0, 2.0], [4.0, 4.0], [4.0, 2.0]]))))
"""


def run(program: str, *arguments: str) -> object:
    """Return what a program prints that imports the benchmarks' modules, which have short names."""
    command = [sys.executable, "-c", program, *arguments]
    return json.loads(
        subprocess.run(command, cwd=BENCHMARKS, capture_output=True, check=True).stdout
    )


@pytest.fixture(scope="module")
def headers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    url = f"sqlite:///{tmp_path_factory.mktemp('benchmarks') / 'images.sqlite'}"
    answers = run(HEADERS, url)
    assert isinstance(answers, dict)
    return {name: dict(pairs) for name, pairs in answers.items()}


VIEWS = ["core", "engine", "idiomatic", "constant", "dict", "model, engine"]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_sends_the_same_metadata(headers: dict[str, dict[str, str]], view: str) -> None:
    """The views that are compared send the same metadata headers, to the letter."""
    prefix = ImageMetaSchema.prefix

    def metadata(name: str) -> dict[str, str]:
        return {header: v for header, v in headers[name].items() if header.startswith(prefix)}

    assert len(metadata("model")) == 15 + 4
    assert metadata(view) == metadata("model")


def test_the_view_with_constant_headers_sends_all_of_ours(
    headers: dict[str, dict[str, str]],
) -> None:
    """The bare view has every header that ours has, request id and validators included."""
    assert headers["constant"].keys() == headers["dict"].keys()


def test_a_ratio_is_taken_in_each_round() -> None:
    """The harness divides times of the same round, and tells the median and the quartiles."""
    assert run(SPREAD) == [1.5, 2.0, 2.5]


FAR = """
import json
from pathlib import Path
import far
results = json.loads(Path("results.json").read_text("utf-8"))
print(json.dumps([far.render(results), Path("far.md").read_text("utf-8")]))
"""


@pytest.mark.slow
def test_the_tables_of_how_far_it_goes_are_of_the_last_run() -> None:
    """The page's tables are computed from the figures that are kept."""
    computed, kept = run(FAR)  # type: ignore[misc]
    assert computed == kept


@pytest.mark.slow
def test_a_quick_run_prints_a_line_for_each_comparison() -> None:
    """All of the benchmarks run, and a quick run leaves the figures that are kept as they are."""
    kept = [BENCHMARKS / name for name in KEPT]
    before = [path.read_bytes() for path in kept]
    command = [sys.executable, "run.py", "--quick"]
    table = subprocess.run(command, cwd=BENCHMARKS, stdout=subprocess.PIPE, check=True, text=True)
    rows = table.stdout.split("\n\n")[0].splitlines()[1:]
    assert {row.split()[0] for row in rows} == set(EVERYTHING)
    assert [path.read_bytes() for path in kept] == before
