"""A Redis or memcached that dies, hangs, is full or forgets, with several clients at work."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest

from ..stores.glance_server import RECORDED, Glance, Handler, as_recorded, running_glance
from . import app
from .load import PATIENCE, Load, serving
from .servers import CacheServer, Memcached, Redis

pytestmark = [pytest.mark.slow, pytest.mark.alone]

IMAGE_ID = "ed4d9afa-f3f5-413b-bc43-690d5368e933"  # a public one
PATH = f"/v1/images/{IMAGE_ID}"
FAILED = "the cache failed"


@pytest.fixture(scope="module", params=[Redis, Memcached], ids=lambda kind: kind.__name__)
def cache(request: pytest.FixtureRequest) -> Iterator[CacheServer]:
    cache = request.param()
    try:
        yield cache
    finally:
        cache.remove()


# Of Redis, a test can list the keys.
in_redis = pytest.mark.parametrize("cache", [Redis], indirect=True, ids=["Redis"], scope="module")


@pytest.fixture(scope="module")
def glance() -> Iterator[Glance]:
    with running_glance() as glance:
        yield glance


@pytest.fixture(scope="module")
def log() -> list[str]:
    return []


@pytest.fixture(scope="module", params=["locks", "no locks"])
def port(
    request: pytest.FixtureRequest, glance: Glance, cache: CacheServer, log: list[str]
) -> Iterator[int]:
    """Two processes with one cache, with locks across them and without."""
    lock = {"lock": "1"} if request.param == "locks" else {}
    with serving("Cached", glance.url, workers=2, log=log, cache=cache.url, **lock) as port:
        yield port


@pytest.fixture
def load(port: int, log: list[str]) -> Iterator[Load]:
    """Clients at work on a service that is well."""
    with Load(port, PATH, {"X-Auth-Token": "x"}) as load:
        load.wait_for(200, 50, since=0)
        log.clear()
        yield load


def check(load: Load, since: float, bound: float) -> None:
    """Wait for more answers, and check that all since the load began were the image, in time."""
    load.wait_for(200, 50, since=since)
    assert {answer.status for answer in load.answers} == {200}
    load.check(since, bound)


def wait_for_line(log: list[str], words: str, load: Load) -> None:
    deadline = time.monotonic() + PATIENCE
    while not any(words in line for line in list(log)):
        assert time.monotonic() < deadline, load.summary(0)
        load.wait_for(200, 1, since=time.monotonic())


def test_killed(cache: CacheServer, load: Load, log: list[str]) -> None:
    """Without its cache the service answers from the store; with it back, from the cache."""
    cache.kill()
    try:
        begun = time.monotonic()
        wait_for_line(log, FAILED, load)
        check(load, begun, app.CACHE * 3)
    finally:
        cache.start()
    check(load, time.monotonic(), app.CACHE * 3)
    deadline = time.monotonic() + PATIENCE
    while not cache.count():
        assert time.monotonic() < deadline, "nothing is kept again"


def test_hanging(cache: CacheServer, load: Load, log: list[str]) -> None:
    """A cache that does not answer costs its timeout once a second."""
    cache.signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        wait_for_line(log, FAILED, load)
        check(load, begun, app.CACHE * 4)
    finally:
        cache.signal(signal.SIGCONT)
    check(load, time.monotonic(), app.CACHE * 4)


def test_slow(cache: CacheServer, load: Load) -> None:
    """A cache that answers late, but within its timeout, only makes answers late."""
    begun = time.monotonic()
    for _ in range(5):
        cache.signal(signal.SIGSTOP)
        time.sleep(app.CACHE * 0.7)
        cache.signal(signal.SIGCONT)
        cache.count()
    check(load, begun, app.CACHE * 4)


def test_full(cache: CacheServer, load: Load, log: list[str]) -> None:
    """A cache that takes nothing more costs lines in the log."""
    with cache.full():
        begun = time.monotonic()
        wait_for_line(log, "an image is not kept", load)
        check(load, begun, app.CACHE * 3)


def test_flushed(cache: CacheServer, load: Load, log: list[str]) -> None:
    """A cache that forgets everything, locks included, costs no answer."""
    begun = time.monotonic()
    for _ in range(20):
        cache.flush()
        load.wait_for(200, 5, since=time.monotonic())
    check(load, begun, app.CACHE * 3)


@in_redis
def test_evil(cache: Redis, load: Load, log: list[str]) -> None:
    """What someone else has written under our keys is not shown."""
    client = cache.client()
    begun = time.monotonic()
    for _ in range(20):
        for key in client.keys("imagemeta:*"):
            client.set(key, b'{"ct": %f, "v": 2}|"{}"' % time.time())
        load.wait_for(200, 5, since=time.monotonic())
    wait_for_line(log, "what the cache has is not an image", load)
    check(load, begun, app.CACHE * 3)


@in_redis
def test_two_versions_share_a_cache(cache: Redis, glance: Glance) -> None:
    """Two versions of the package with formats of their own never read each other's."""
    cache.flush()
    log: list[str] = []
    options = {"log": log, "cache": cache.url, "lock": "1"}
    with (
        serving("Cached", glance.url, **options) as old,  # type: ignore[arg-type]
        serving("Cached", glance.url, version="2", **options) as new,  # type: ignore[arg-type]
        Load(old, PATH, {"X-Auth-Token": "x"}) as one,
        Load(new, PATH, {"X-Auth-Token": "x"}) as other,
    ):
        for load in (one, other):
            check(load, time.monotonic(), app.API_BOUND)
        keys = cache.client().keys("imagemeta:*")
    assert {key.split(b":")[1] for key in keys} == {b"1", b"2"}
    assert "no image" not in "".join(log)


def answer_late(handler: Handler) -> None:
    handler.server.over.wait(0.5)
    as_recorded(handler)


@pytest.mark.parametrize("lock", [{}, {"lock": "1"}], ids=["no locks", "locks"])
def test_stampede(cache: CacheServer, glance: Glance, lock: dict[str, str]) -> None:
    """Of 64 requests for a cold image, one in each process asks, or one in all with locks."""
    cache.flush()
    options = {"cache": cache.url, "fresh": "60", **lock}
    with serving("Cached", glance.url, workers=2, threads=64, **options) as port:  # type: ignore[arg-type]
        glance.answer = answer_late
        try:
            glance.requests.clear()
            with ThreadPoolExecutor(64) as pool:
                statuses = list(pool.map(lambda n: ask(port), range(64)))
        finally:
            glance.answer = as_recorded
    assert set(statuses) == {200}
    assert 1 <= len(glance.requests) <= (1 if lock else 2)


def ask(port: int, token: str = "x") -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("HEAD", PATH, headers={"X-Auth-Token": token})
        return connection.getresponse().status
    finally:
        connection.close()


def answer_owner(handler: Handler) -> None:
    """Show the image to the owner's token alone."""
    if handler.headers.get("X-Auth-Token") != "owner":
        return handler.send(404)
    image = next(i for i in RECORDED.values() if i["id"] == IMAGE_ID)
    return handler.send(200, json.dumps(image["v2"]).encode())


def test_nobody_gets_what_is_anothers(cache: CacheServer, glance: Glance, port: int) -> None:
    """While the cache is flushed and stopped, each token gets only what it was shown."""
    glance.answer = answer_owner
    tokens = ["owner", "stranger"] * 4
    try:
        with ThreadPoolExecutor(8) as pool:
            for fault in ("none", "flush", "stop", "none"):
                if fault == "flush":
                    cache.flush()
                if fault == "stop":
                    cache.signal(signal.SIGSTOP)
                calls = [(token, pool.submit(ask, port, token)) for token in tokens * 5]
                seen = {(token, call.result(PATIENCE)) for token, call in calls}
                cache.signal(signal.SIGCONT)
                assert seen == {("owner", 200), ("stranger", 404)}
    finally:
        cache.signal(signal.SIGCONT)
        glance.answer = as_recorded


def fail(handler: Handler) -> None:
    handler.send(500, b"<html>oops</html>")


def test_stale_while_the_store_is_down(cache: CacheServer, glance: Glance) -> None:
    """While the store is down, an image from the cache is served, with its age."""
    cache.flush()
    options = {"cache": cache.url, "stale": str(app.STALE)}
    log: list[str] = []
    with (
        serving("Cached", glance.url, workers=2, log=log, **options) as port,  # type: ignore[arg-type]
        Load(port, PATH, {"X-Auth-Token": "x"}) as load,
    ):
        load.wait_for(200, 50, since=0)
        glance.answer = fail
        try:
            begun = time.monotonic()
            wait_for_line(log, "an old one is used", load)
            while "1" not in {a.headers.get("Age") for a in load.answers if a.started > begun}:
                load.wait_for(200, 1, since=time.monotonic())
        finally:
            glance.answer = as_recorded
        check(load, time.monotonic(), app.API_BOUND)
