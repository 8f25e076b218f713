"""P1, P2, P3, P7 and, of Cached, P10: whole requests in one process, without a server."""

from collections.abc import Callable, Iterator
from time import perf_counter, process_time
from typing import NamedTuple

import apps
import models
from databases import new_database, why_not
from harness import Call, Figure, in_fresh_process, make_call, ratios, spread, time_rounds
from image import MANY_ID

PROCESSES = 3
MANY_PATH = f"/v1/images/{MANY_ID}"
LABELS = {
    "constant": "view with constant headers",
    "dict": "Flask-ImageMeta, a dict",
    "model, engine": "Flask-ImageMeta, ModelStore with engine=",
    "engine": "hand-written, Core on the engine",
    "model": "Flask-ImageMeta, ModelStore",
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


class Group(NamedTuple):
    """Calls that are timed turn by turn on one kind of database, and what is compared there."""

    kind: str
    pairs: list[Pair]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for pair in self.pairs for name in (pair.of, pair.to)))


def compare_stores(kind: str, session_goal: float, engine_goal: float) -> Group:
    """Return the group of ModelStore and the views by hand on one kind of database."""
    return Group(
        kind,
        [
            Pair("P1", f"{kind}: ModelStore / Core view", "model", "core", session_goal),
            Pair(
                "P1",
                f"{kind}: ModelStore with engine= / Core view on the engine",
                "model, engine",
                "engine",
                engine_goal,
            ),
            Pair("P3", f"{kind}: idiomatic view / ModelStore", "idiomatic", "model", 2.5, True),
        ],
    )


GROUPS = [
    compare_stores("sqlite", 1.1, 1.0),
    compare_stores("postgresql", 1.0, 0.8),
    compare_stores("mariadb", 1.0, 1.0),
    Group(
        "sqlite",
        [Pair("P1", "40 properties: ModelStore / Core view", "model, 40", "core, 40", None)],
    ),
    Group(
        "sqlite",
        [Pair("P2", "lookup in a dict / view with constant headers", "dict", "constant", 1.6)],
    ),
    Group(
        "postgresql",
        [
            Pair(
                "P10", "postgresql: Cached in memory / ModelStore", "cached, memory", "model", None
            ),
            Pair("P10", "postgresql: Cached in Redis / ModelStore", "cached, redis", "model", None),
        ],
    ),
    Group(
        "sqlite",
        [
            Pair("P7", "a 304 / a 200", "304", "200", 1.1),
            Pair("P7", "a 404 / a 200", "404", "200", 1.1),
        ],
    ),
]


def make_named_call(name: str, url: str) -> Call:
    """Return the call of this name; the database at url has the image."""
    if name == "304":
        app = apps.make_dict_app()
        etag = app.test_client().head(apps.PATH).headers["ETag"]
        return make_call(app, 304, HTTP_IF_NONE_MATCH=etag)
    if name == "404":
        return make_call(apps.make_dict_app(), 404, "/v1/images/no-such-image")
    path = MANY_PATH if name.endswith(", 40") else apps.PATH
    app_name = "dict" if name == "200" else name.removesuffix(", 40")
    return make_call(apps.APPS[app_name](url), path=path)


def compare(kind: str, names: tuple[str, ...], rounds: int) -> list[list[float]]:
    """Return the seconds that the calls of these names take, round by round."""
    with new_database(kind) as url:
        models.create_database(url)
        # A server works in a process of its own, so only the clock on the wall sees it.
        clock = process_time if kind == "sqlite" else perf_counter
        return time_rounds([make_named_call(name, url) for name in names], rounds, clock)


def measure(quick: bool, only: set[str], say: Callable[[str], None]) -> Iterator[Figure]:
    for kind, pairs in GROUPS:
        ids = {pair.id for pair in pairs}
        if not ids & only:
            continue
        names = Group(kind, pairs).names
        needed = [kind, *(["redis"] if any("redis" in name for name in names) else [])]
        if reasons := [reason for one in needed if (reason := why_not(one)) is not None]:
            say(f"{', '.join(sorted(ids))}: skipped: {'; '.join(reasons)}")
            continue
        say(f"{', '.join(sorted(ids))}: {kind}: {' | '.join(names)}")
        times = []
        for _ in range(1 if quick else PROCESSES):
            times += in_fresh_process(compare, kind, names, 20 if quick else 100)
        taken = {
            name: spread([row[i] for row in times]).median * 1e6 for i, name in enumerate(names)
        }
        for pair in pairs:
            ratio = spread(ratios(times, names.index(pair.of), names.index(pair.to)))
            yield Figure(
                pair.id,
                pair.compared,
                ratio,
                pair.goal,
                pair.is_floor,
                note=f"{taken[pair.of]:.0f} / {taken[pair.to]:.0f} µs",
                microseconds=taken if kind == "sqlite" else {},
            )
