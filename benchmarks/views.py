"""P1, P2, P3 and P7: whole requests in one process, without a server."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import apps
import models
from harness import Call, Figure, in_fresh_process, make_call, ratios, spread, time_rounds
from image import MANY_ID

PROCESSES = 3
MANY_PATH = f"/v1/images/{MANY_ID}"
LABELS = {
    "constant": "view with constant headers",
    "dict": "Flask-ImageMeta, a dict",
    "model": "Flask-ImageMeta, ModelStore",
    "engine": "hand-written, Core on the engine",
    "core": "hand-written, Core in the session",
    "idiomatic": "hand-written, ORM and marshmallow",
}


class Pair(NamedTuple):
    """Two calls, by name, and what their ratio is for."""

    id: str
    compared: str
    of: str
    to: str
    goal: float | None
    is_floor: bool = False


# The calls that are timed turn by turn, and what is compared among them.
GROUPS = {
    ("model", "core", "engine", "idiomatic"): [
        Pair("P1", "ModelStore / Core view", "model", "core", 1.0),
        Pair("P1", "ModelStore / Core view past the session", "model", "engine", None),
        Pair("P3", "idiomatic view / ModelStore", "idiomatic", "model", 2.5, is_floor=True),
    ],
    ("model, 40", "core, 40"): [
        Pair("P1", "40 properties: ModelStore / Core view", "model, 40", "core, 40", None)
    ],
    ("dict", "constant"): [
        Pair("P2", "lookup in a dict / view with constant headers", "dict", "constant", 1.6)
    ],
    ("200", "304", "404"): [
        Pair("P7", "a 304 / a 200", "304", "200", 1.1),
        Pair("P7", "a 404 / a 200", "404", "200", 1.1),
    ],
}


def make_calls(names: tuple[str, ...], url: str) -> list[Call]:
    """Return the calls of these names; the database at url has the image."""
    calls = {
        "model": lambda: make_call(apps.make_model_app(url)),
        "core": lambda: make_call(apps.make_core_app(url)),
        "engine": lambda: make_call(apps.make_engine_app(url)),
        "idiomatic": lambda: make_call(apps.make_idiomatic_app(url)),
        "model, 40": lambda: make_call(apps.make_model_app(url), path=MANY_PATH),
        "core, 40": lambda: make_call(apps.make_core_app(url), path=MANY_PATH),
        "constant": lambda: make_call(apps.make_constant_app()),
        "dict": lambda: make_call(apps.make_dict_app()),
        "200": lambda: make_call(apps.make_dict_app()),
        "304": make_304_call,
        "404": lambda: make_call(apps.make_dict_app(), 404, "/v1/images/no-such-image"),
    }
    return [calls[name]() for name in names]


def make_304_call() -> Call:
    app = apps.make_dict_app()
    etag = app.test_client().head(apps.PATH).headers["ETag"]
    return make_call(app, 304, HTTP_IF_NONE_MATCH=etag)


def compare(names: tuple[str, ...], rounds: int) -> list[list[float]]:
    """Return the seconds that the calls of these names take, round by round."""
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'images.sqlite'}"
        models.create_database(url)
        return time_rounds(make_calls(names, url), rounds)


def measure(quick: bool, only: set[str], say: Callable[[str], None]) -> Iterator[Figure]:
    for names, pairs in GROUPS.items():
        if not any(pair.id in only for pair in pairs):
            continue
        say(f"{', '.join(sorted({pair.id for pair in pairs}))}: {' | '.join(names)}")
        times = []
        for _ in range(1 if quick else PROCESSES):
            times += in_fresh_process(compare, names, 20 if quick else 100)
        taken = {
            name: spread([row[i] for row in times]).median * 1e6 for i, name in enumerate(names)
        }
        for pair in pairs:
            ratio = spread(ratios(times, names.index(pair.of), names.index(pair.to)))
            note = f"{taken[pair.of]:.0f} / {taken[pair.to]:.0f} µs"
            yield Figure(
                pair.id,
                pair.compared,
                ratio,
                pair.goal,
                pair.is_floor,
                note=note,
                microseconds=taken,
            )
