"""P1, P2, P3 and P7: whole requests in one process, without a server."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import apps
import models
from harness import Call, Figure, in_fresh_process, make_call, ratios, spread, time_rounds

PROCESSES = 3
LABELS = {
    "constant": "view with constant headers",
    "dict": "Flask-ImageMeta, a dict",
    "model": "Flask-ImageMeta, ModelStore",
    "core": "hand-written, SQLAlchemy Core",
    "idiomatic": "hand-written, ORM and marshmallow",
}

# id, what is compared, the two calls by name, the goal, whether it is a floor
PAIRS = [
    ("P1", "ModelStore / hand-written Core view", "model", "core", 1.0, False),
    ("P2", "lookup in a dict / view with constant headers", "dict", "constant", 1.6, False),
    ("P3", "idiomatic view / ModelStore", "idiomatic", "model", 2.5, True),
    ("P7", "a 304 / a 200", "304", "dict", 1.1, False),
    ("P7", "a 404 / a 200", "404", "dict", 1.1, False),
]


def make_calls(url: str, names: list[str]) -> list[Call]:
    """Return the calls of these names; the database at url has the image."""
    calls = {
        "model": lambda: make_call(apps.make_model_app(url)),
        "core": lambda: make_call(apps.make_core_app(url)),
        "idiomatic": lambda: make_call(apps.make_idiomatic_app(url)),
        "constant": lambda: make_call(apps.make_constant_app()),
        "dict": lambda: make_call(apps.make_dict_app()),
        "304": make_304_call,
        "404": lambda: make_call(apps.make_dict_app(), 404, "/v1/images/no-such-image"),
    }
    return [calls[name]() for name in names]


def make_304_call() -> Call:
    app = apps.make_dict_app()
    etag = app.test_client().head(apps.PATH).headers["ETag"]
    return make_call(app, 304, HTTP_IF_NONE_MATCH=etag)


def compare(names: list[str], rounds: int) -> list[list[float]]:
    """Return the seconds that the calls of these names take, round by round."""
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'images.sqlite'}"
        models.create_database(url)
        return time_rounds(make_calls(url, names), rounds)


def measure(quick: bool, only: set[str], say: Callable[[str], None]) -> Iterator[Figure]:
    rounds = 20 if quick else 100
    for figure_id, compared, of, to, goal, is_floor in PAIRS:
        if figure_id not in only:
            continue
        say(compared)
        times = [
            row
            for _ in range(1 if quick else PROCESSES)
            for row in in_fresh_process(compare, [of, to], rounds)
        ]
        taken = {
            name: spread([row[i] for row in times]).median * 1e6 for i, name in enumerate((of, to))
        }
        note = f"{taken[of]:.0f} / {taken[to]:.0f} µs"
        ratio = spread(ratios(times))
        yield Figure(figure_id, compared, ratio, goal, is_floor, note=note, microseconds=taken)
