"""Cached: what it keeps and for how long, who asks the store, and what failures cost."""

from __future__ import annotations

import gc
import json
import os
import pickle
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import lru_cache, wraps
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, NoReturn

import pytest
from flask import Flask, abort, request
from werkzeug.exceptions import Unauthorized

from flask_imagemeta import Identity, ImageMeta, Query, StoreUnavailable
from flask_imagemeta.image import ImageRecord
from flask_imagemeta.stores import Cached, GlanceAPI, cached, flights
from flask_imagemeta.stores.plain_data import (
    VERSION,
    NotPlain,
    from_plain_data,
    to_plain_data,
)

from ..needs import needs
from .glance_server import RECORDED, running_glance

dogpile = pytest.importorskip("dogpile.cache", reason="needs dogpile.cache")

RECORD = ImageRecord(
    "a",
    name="größer \ud800",
    size=5,
    owner="p",
    visibility="shared",
    created_at=datetime(2016, 1, 6, 3, 22, 20, 5),
    updated_at=datetime(2026, 2, 1, 12, tzinfo=timezone(timedelta(hours=2))),
    properties=MappingProxyType({"os": "debian", "list": [1, None, {"a": 2.5}]}),
    members=["q"],
)


class Clock:
    """The time that dogpile.cache and Cached see."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.time", clock.time)
    monkeypatch.setattr("time.monotonic", clock.time)
    return clock


class Store:
    """A store that counts its lookups and may be unavailable."""

    def __init__(self, **images: Any) -> None:
        self.images = images
        self.asked: list[str] = []
        self.fault: Exception | None = None

    def __call__(self, image_id: str) -> Any:
        self.asked.append(image_id)
        if self.fault is not None:
            raise self.fault
        return self.images.get(image_id)


IN_JSON = {"serializer": lambda value: json.dumps(value).encode(), "deserializer": json.loads}
PICKLED = {"serializer": pickle.dumps, "deserializer": pickle.loads}


def make_region(**options: Any) -> Any:
    return dogpile.make_region(**options).configure("dogpile.cache.memory", expiration_time=60)


@pytest.fixture
def region() -> Any:
    return make_region()


@pytest.fixture
def store() -> Store:
    return Store(a=RECORD, d={"id": "d", "size": 1, "owner": "p"})


# Plain data


class Colour(Enum):
    RED = "red"


PLAIN = [
    None,
    RECORD,
    ImageRecord("b", members=[]),
    ImageRecord("c", members=[], access_granted=True),
    {"id": "d", "flavor": {"a": [True, None]}, "deleted": 0, "owner": ""},
    {"id": "e", "members": ["q", "r"], "visibility": None, "properties": None},
    {"id": "f", "properties": {"a": [[[[["b"]]]]]}},
]


@pytest.mark.parametrize(
    "image", [*PLAIN, pytest.param({"id": "g", "size": 10**4300 - 1}, id="longest")], ids=str
)
def test_plain_data_gives_the_image_back(image: Any) -> None:
    """An image comes back from plain data as it was, of the same type."""
    back = from_plain_data(to_plain_data(image))
    assert back == image
    assert type(back) is type(image)


def test_plain_data_of_a_row_of_sqlite3() -> None:
    """A column of a row is a field in any case, also when the row comes from the cache."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    row = connection.execute("SELECT 'a' AS id, 'p' AS Owner").fetchone()
    connection.close()
    assert from_plain_data(to_plain_data(row))["owner"] == "p"


def test_plain_data_of_headers_values() -> None:
    """An Enum and a UUID come back as what headers have for them, members as a list."""
    key = uuid.uuid4()
    image = {"id": key, "status": Colour.RED, "members": iter("ab"), "owner": key}
    assert from_plain_data(to_plain_data(image)) == {
        "id": str(key),
        "status": "red",
        "members": ["a", "b"],
        "owner": str(key),
    }


@pytest.mark.parametrize("visibility", ["public", "private", "community"])
def test_members_that_do_not_matter_are_not_fetched(visibility: str) -> None:
    """Only of an image that may be shared are the members fetched."""
    image = {"id": "a", "visibility": visibility, "members": (1 / 0 for _ in "a")}
    assert from_plain_data(to_plain_data(image))["members"] == []


class Text(str):
    __slots__ = ()


ITSELF: list[Any] = []
ITSELF.append(ITSELF)


def nested(levels: int) -> Any:
    value: Any = "a"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", Decimal(5)),
        ("name", b"a"),
        ("name", Text("a")),
        ("owner", object()),
        ("flavor", {1: "a"}),
        ("flavor", (1, 2)),
        ("properties", {"a": Colour.RED}),
        ("properties", {"a": datetime(2026, 1, 1)}),
        ("members", (1 / 0 for _ in "a")),
        ("members", [uuid.uuid4()]),
        ("members", 5.5j),
        pytest.param("size", 10**4300, id="too long"),
        pytest.param("size", -(10**5000), id="too long below zero"),
        pytest.param("properties", {"a": [1, 10**5000]}, id="too long inside"),
        pytest.param("flavor", ITSELF, id="holds itself"),
        pytest.param("flavor", {"a": [ITSELF, ITSELF]}, id="holds what holds itself"),
        pytest.param("properties", {"a": nested(150)}, id="deep"),
        pytest.param("properties", {"a": nested(5000)}, id="too deep for Python"),
    ],
)
def test_what_is_not_plain_data_is_named(field: str, value: Any) -> None:
    """A value that would not come back as it was is refused, with its field."""
    with pytest.raises(NotPlain, match=field):
        to_plain_data({"id": "a", field: value})


def test_members_that_are_a_text_stay_one() -> None:
    """Members that are not an iterable of ids stay wrong, so that they grant nothing."""
    image = {"id": "a", "owner": "p", "members": "quarrel"}
    assert from_plain_data(to_plain_data(image)) == image


class StricterRecord(ImageRecord):
    """A record with a rule of its own."""

    @property
    def is_public(self) -> bool:
        return False


@pytest.mark.parametrize(
    "image",
    [
        object(),
        MappingProxyType({"id": "a"}),
        [("id", "a")],
        Counter(id="a"),
        StricterRecord("a", visibility="public"),
    ],
    ids=lambda image: type(image).__name__,
)
def test_only_images_whose_fields_are_known(image: Any) -> None:
    """What may have more fields than it lists is refused."""
    with pytest.raises(TypeError, match="dicts or ImageRecords"):
        to_plain_data(image)


def test_the_format_has_a_version() -> None:
    """A change of ImageRecord's fields needs another VERSION, for caches that versions share."""
    names = (
        "id name status size virtual_size disk_format container_format min_disk min_ram checksum"
    )
    names += " owner protected deleted created_at updated_at deleted_at visibility properties"
    assert ([f.name for f in fields(ImageRecord)], VERSION) == (
        [*names.split(), "members", "access_granted"],
        1,
    )


# What is kept


@pytest.mark.parametrize("image_id", ["a", "d"])
def test_a_second_lookup_asks_the_cache(region: Any, store: Store, image_id: str) -> None:
    """The store is asked once; the first answer is the same as the second."""
    lookup = Cached(store, region)
    first, second = lookup(image_id), lookup(image_id)
    assert first == second == store.images[image_id]
    assert store.asked == [image_id]


def test_what_is_kept_is_plain(region: Any, store: Store) -> None:
    """What a region gets is text under a key that every backend takes, for any id."""
    kept: dict[Any, Any] = {}
    region = dogpile.make_region().configure(
        "dogpile.cache.memory", expiration_time=60, arguments={"cache_dict": kept}
    )
    image_id = "ö \ud800" * 80
    store.images[image_id] = {"id": image_id}
    Cached(store, region)(image_id)
    ((key, value),) = kept.items()
    assert key.startswith(f"imagemeta:{VERSION}:")
    assert key.isascii()
    assert key.isprintable()
    assert len(key) < 100
    assert type(value.payload) is str


def test_a_region_of_json(store: Store) -> None:
    """A region that writes JSON rather than pickles keeps images, too."""
    region = make_region(**IN_JSON)
    lookup = Cached(store, region)
    assert lookup("a") == lookup("a") == RECORD


def test_a_caller_cannot_change_what_is_kept(region: Any, store: Store) -> None:
    """What a lookup returns is a copy."""
    lookup = Cached(store, region)
    lookup("d")["owner"] = "mine"
    assert lookup("d")["owner"] == "p"


def test_an_image_expires(region: Any, store: Store, clock: Clock) -> None:
    """After the region's expiration_time the store is asked again."""
    lookup = Cached(store, region)
    lookup("d")
    clock.now += 60
    assert lookup("d")["size"] == 1
    assert store.asked == ["d"]
    store.images["d"] = {"id": "d", "size": 2}
    clock.now += 1
    assert lookup("d")["size"] == 2


def test_a_miss_expires_sooner(region: Any, store: Store, clock: Clock) -> None:
    """A miss is remembered for miss_expiration."""
    lookup = Cached(store, region, miss_expiration=3)
    assert lookup("new") is None
    store.images["new"] = {"id": "new"}
    clock.now += 3
    assert lookup("new") is None
    assert store.asked == ["new"]
    clock.now += 1
    assert lookup("new") == {"id": "new"}


def test_a_miss_that_is_not_kept(region: Any, store: Store) -> None:
    """With a miss_expiration of 0 no miss is remembered, nor does it take any room."""
    lookup = Cached(store, region, miss_expiration=0)
    assert lookup("new") is None
    store.images["new"] = {"id": "new"}
    assert lookup("new") == {"id": "new"}


def test_region_invalidation_holds(region: Any, store: Store) -> None:
    """The region's own invalidate() holds, for stale images, too."""
    lookup = Cached(store, region, stale_if_error=60)
    lookup("d")
    region.invalidate()
    store.fault = StoreUnavailable("down")
    with pytest.raises(StoreUnavailable):
        lookup("d")


def test_an_image_that_is_not_plain_is_not_kept(
    region: Any, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """An image with a value that is not plain data is shown as it is, with a line in the log."""
    store.images["x"] = {"id": "x", "size": Decimal(5)}
    lookup = Cached(store, region)
    assert lookup("x") == lookup("x") == {"id": "x", "size": Decimal(5)}
    assert store.asked == ["x", "x"]
    assert "image 'x': not kept in the cache: size = Decimal('5')" in caplog.text


class Endless:
    def __iter__(self) -> NoReturn:
        raise ValueError("y" * 10_000)


@pytest.mark.parametrize("field", ["members", "x\nERROR forged\x1b[31m"])
def test_why_an_image_is_not_kept_is_one_short_line(
    field: str, region: Any, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the name of a field nor an error's text makes a line of its own, or a long one."""
    store.images["x"] = {"id": "x", field: Endless()}
    Cached(store, region)("x")
    (record,) = caplog.records
    assert record.getMessage().isprintable()
    assert len(record.getMessage()) < 500


def test_what_the_store_raises_is_raised(region: Any, store: Store) -> None:
    """An error of the store's is the caller's, and not kept."""
    lookup = Cached(store, region, stale_if_error=60)
    for fault in (StoreUnavailable("down"), ValueError("x"), Unauthorized()):
        store.fault = fault
        with pytest.raises(type(fault)):
            lookup("d")
    store.fault = None
    assert lookup("d")["id"] == "d"


# invalidate


def test_invalidate(region: Any, store: Store) -> None:
    """After invalidate() the next lookup asks the store; an id that is not kept does not matter."""
    lookup = Cached(store, region)
    lookup("d")
    store.images["d"] = {"id": "d", "size": 2}
    lookup.invalidate("d")
    lookup.invalidate("none")
    assert lookup("d")["size"] == 2


@pytest.mark.parametrize("image_id", [7, uuid.UUID(int=7)], ids=repr)
def test_invalidate_by_an_id_of_another_type(region: Any, store: Store, image_id: object) -> None:
    """A model's id, such as an int or a UUID, removes what a lookup of its text has found."""
    lookup = Cached(store, region)
    assert lookup(str(image_id)) is None
    lookup.invalidate(image_id)
    store.images[str(image_id)] = {"id": str(image_id)}
    assert lookup(str(image_id)) == {"id": str(image_id)}


def test_invalidate_during_a_lookup(region: Any) -> None:
    """What a lookup read before an invalidation is not kept after it."""

    def find(image_id: str) -> dict[str, Any]:
        found.append(image_id)
        if len(found) == 1:
            lookup.invalidate(image_id)
        return {"id": image_id, "size": len(found)}

    found: list[str] = []
    lookup = Cached(find, region)
    assert lookup("d")["size"] == 1
    assert lookup("d")["size"] == 2
    assert lookup("d")["size"] == 2


def test_invalidate_while_an_image_is_kept(store: Store) -> None:
    """An invalidation at the moment of keeping holds, too."""
    region = make_region()
    lookup = Cached(store, region)
    keep = region.set

    def invalidate_first(key: str, value: Any) -> None:
        region.set = keep
        lookup.invalidate("d")
        keep(key, value)

    region.set = invalidate_first
    lookup("d")
    lookup("d")
    assert store.asked == ["d", "d"]


def test_writes_invalidate(region: Any, store: Store) -> None:
    """The store's add and put are there, and forget what they have written."""

    def add(images: Any) -> list[str]:
        """Add images."""
        for image in images:
            store.images[image["id"]] = image
        return [image["id"] for image in images]

    store.add = store.put = add  # type: ignore[attr-defined]
    lookup = Cached(store, region)
    assert lookup("new") is None
    assert lookup.add([{"id": "new", "size": 1}]) == ["new"]
    assert lookup("new")["size"] == 1
    lookup.put([{"id": "new", "size": 2}])
    assert lookup("new")["size"] == 2
    assert lookup.add.__doc__ == "Add images."


def test_the_store_is_there(region: Any, store: Store) -> None:
    """What else the store has is there; what it has not is not, nor is what is private."""
    store.walk = lambda: iter("ab")  # type: ignore[attr-defined]
    store.search = lambda query: query.ordered([query.limit])  # type: ignore[attr-defined]
    lookup = Cached(store, region)
    assert list(lookup.walk()) == ["a", "b"]
    assert lookup.search(Query(limit=7)) == Query().ordered([7])
    assert not hasattr(lookup, "count")
    assert not hasattr(lookup, "_missing")

    @wraps(store)
    def find(image_id: str) -> Any:
        return store(image_id)

    assert list(Cached(find, region, namespace="other").walk()) == ["a", "b"]


def test_lists_of_a_cached_store(region: Any) -> None:
    """A list is searched in the store and not cached, while lookups of its images are."""
    images = {"a": {"id": "a", "is_public": True}, "b": {"id": "b", "is_public": True}}
    store = Store(**images)
    store.search = lambda query: images.values()  # type: ignore[attr-defined]
    lookup = Cached(store, region)
    app = Flask("tests")
    ImageMeta(app, lookup=lookup, search=lookup.search)
    client = app.test_client()

    def ids() -> list[str]:
        return [one["id"] for one in client.get("/v1/images").get_json()["images"]]

    assert client.head("/v1/images/b").status_code == 200
    assert ids() == ["b", "a"]
    del images["b"]
    assert ids() == ["a"]
    assert client.head("/v1/images/b").status_code == 200


def test_two_stores_in_a_region(region: Any, store: Store) -> None:
    """Stores that share a region have a namespace each, or one could show the other's images."""
    other = Store(a={"id": "a", "is_public": True})
    lookup = Cached(store, region)
    with pytest.raises(ValueError, match="give each store its own region or namespace="):
        Cached(other, region)
    assert Cached(store, region)("a") == lookup("a")
    assert Cached(other, region, namespace="other")("a") == {"id": "a", "is_public": True}
    assert lookup("a") == RECORD


def test_a_region_remembers_its_stores(region: Any, store: Store) -> None:
    """What a store has left in a region is not shown for another, even when the first is gone."""
    Cached(store, region)("a")
    gc.collect()
    with pytest.raises(ValueError, match="another store uses the namespace 'imagemeta'"):
        Cached(Store(), region)


def test_two_stores_at_the_same_time(region: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of stores made by threads at the same time, one gets the namespace."""

    class Slow(dict[str, Any]):
        def setdefault(self, key: Any, default: Any = None) -> Any:
            time.sleep(0.05)
            found = self.get(key, default)
            time.sleep(0.05)
            self[key] = found
            return found

    monkeypatch.setattr(cached, "_stores", Slow({region: Slow()}))

    def make(number: int) -> bool:
        try:
            Cached(Store(), region)
        except ValueError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(make, range(4))) == 1


def test_an_application_factory(store: Store) -> None:
    """A factory makes the region with the store, or uses a store made outside it."""
    region = dogpile.make_region().configure("dogpile.cache.memory", expiration_time=60)
    shared = Cached(store, region)

    def create_app(lookup: Callable[[str], Any]) -> Flask:
        app = Flask(__name__)
        ImageMeta(app, lookup=lookup)
        return app

    def create_store() -> Cached:
        own = dogpile.make_region().configure("dogpile.cache.memory", expiration_time=60)
        return Cached(lambda image_id: {"id": image_id}, own)

    lookups = (shared, shared, create_store(), create_store())
    clients = [create_app(lookup).test_client() for lookup in lookups]
    found = [client.head("/v1/images/a").status_code for client in clients]
    assert found == [404, 404, 200, 200]  # the shared store has no images
    with pytest.raises(ValueError, match="let it make the region, too, or make the store outside"):
        Cached(lambda image_id: None, region)


# One lookup for all


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released once for each request that begins to wait for another one's lookup."""
    semaphore = threading.Semaphore(0)
    wait = flights.wait

    def counted(*args: Any) -> Any:
        semaphore.release()
        return wait(*args)

    monkeypatch.setattr(flights, "wait", counted)
    return semaphore


def together(count: int, ask: Callable[[], Any]) -> list[Any]:
    """Ask in so many threads at the same time, and return the answers or errors."""
    barrier = threading.Barrier(count)

    def work(number: int) -> Any:
        barrier.wait(10)
        try:
            return ask()
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


@pytest.mark.parametrize("image_id", ["a", "none"])
def test_a_stampede_is_one_lookup(region: Any, store: Store, image_id: str) -> None:
    """Of 64 requests for an image that is not in the cache, one asks the store."""
    lookup = Cached(store, region)
    assert together(64, lambda: lookup(image_id)) == [store.images.get(image_id)] * 64
    assert store.asked == [image_id]


def test_a_stampede_on_a_store_that_is_down(
    region: Any, store: Store, waiting: threading.Semaphore
) -> None:
    """Of requests that come while one asks, all get the answer that the store gave it."""
    asked, go_on = threading.Event(), threading.Event()

    def find(image_id: str) -> Any:
        store.asked.append(image_id)
        asked.set()
        assert go_on.wait(10)
        raise StoreUnavailable("down")

    lookup = Cached(find, region)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(lookup, "a")
        assert asked.wait(10)
        others = [pool.submit(lookup, "a") for _ in range(7)]
        assert all(waiting.acquire(timeout=10) for _ in others)
        go_on.set()
        errors = [call.exception(10) for call in (first, *others)]
    assert {str(error) for error in errors} == {"down"}
    assert store.asked == ["a"]


class Hang:
    """A store whose images have the number of their lookup as size, and whose first one hangs."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.asked = 0
        self.go_on = threading.Event()
        self._pool = pool
        self._begun = threading.Event()

    def __call__(self, image_id: str) -> dict[str, Any]:
        self.asked += 1
        size = self.asked
        if size == 1:
            self._begun.set()
            assert self.go_on.wait(10)
        return {"id": image_id, "size": size}

    def overdue(self, lookup: Cached) -> Future[Any]:
        """Return a lookup under way for which another request has waited too long."""
        first = self._pool.submit(lookup, "a")
        assert self._begun.wait(10)
        with pytest.raises(StoreUnavailable, match=r"more than 0\.05 seconds"):
            lookup("a")
        return first


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hang]:
    """A store whose first lookup hangs; a request waits 50 ms for it."""
    monkeypatch.setattr(flights, "_WAIT", 0.05)
    with ThreadPoolExecutor(1) as pool:
        hang = Hang(pool)
        yield hang
        hang.go_on.set()


def test_a_wait_has_a_bound(region: Any, hang: Hang) -> None:
    """A request does not wait longer than stated for another one's lookup, which goes on."""
    lookup = Cached(hang, region, stale_if_error=60)
    first = hang.overdue(lookup)
    hang.go_on.set()
    assert first.result(10)["size"] == 1


def test_after_a_wait_the_store_is_asked_again(region: Any, hang: Hang) -> None:
    """A lookup that hangs does not keep later requests from asking."""
    lookup = Cached(hang, region)
    hang.overdue(lookup)
    assert lookup("a")["size"] == 2


def test_a_late_answer_is_not_kept_over_a_newer_one(region: Any, hang: Hang) -> None:
    """Of lookups that overlap, what the one that began last has found is kept."""
    lookup = Cached(hang, region)
    first = hang.overdue(lookup)
    lookup("a")
    hang.go_on.set()
    assert first.result(10)["size"] == 1
    assert lookup("a")["size"] == 2


def test_a_late_answer_is_kept_where_there_is_no_newer_one(region: Any, hang: Hang) -> None:
    """A store that is slower than any request waits is cached nonetheless."""
    lookup = Cached(hang, region)
    first = hang.overdue(lookup)
    hang.go_on.set()
    first.result(10)
    assert (lookup("a")["size"], hang.asked) == (1, 1)


def test_a_fork_during_a_lookup() -> None:
    """A process forked during a lookup, which never ends there, makes its own."""
    script = """
import os, threading
from dogpile.cache import make_region
from flask_imagemeta.stores import Cached

def find(image_id):
    if os.getpid() == parent:
        begun.set()
        assert go_on.wait(10)
    return {"id": image_id}

parent = os.getpid()
begun, go_on = threading.Event(), threading.Event()
lookup = Cached(find, make_region().configure("dogpile.cache.memory", expiration_time=60))
thread = threading.Thread(target=lookup, args=("a",))
thread.start()
assert begun.wait(10)
child = os.fork()
if child == 0:
    try:
        assert lookup("a") == {"id": "a"}
        os._exit(0)
    finally:
        os._exit(1)
status = os.waitpid(child, 0)[1]
go_on.set()
thread.join()
assert status == 0
"""
    environ = os.environ | {"PYTHONWARNINGS": ""}  # newer Pythons warn of forks with threads
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, env=environ)


def test_a_thread_that_ends_does_not_end_others(region: Any, waiting: threading.Semaphore) -> None:
    """Where the request that asks is ended by its server, the others get a 503."""
    asked, go_on = threading.Event(), threading.Event()

    def find(image_id: str) -> Any:
        asked.set()
        assert go_on.wait(10)
        raise SystemExit

    lookup = Cached(find, region)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lookup, "a")
        assert asked.wait(10)
        other = pool.submit(lookup, "a")
        assert waiting.acquire(timeout=10)
        go_on.set()
        assert isinstance(first.exception(10), SystemExit)
        with pytest.raises(StoreUnavailable, match="was ended"):
            other.result(10)


# Locks across processes


class Lock:
    """A lock that another process holds, until this one has asked for it so often."""

    def __init__(self, tries: float) -> None:
        self.tries = tries
        self.calls: list[str] = []
        self.between: Callable[[], None] = lambda: None

    def acquire(self, wait: bool = True) -> bool:
        assert not wait
        self.calls.append("acquire")
        self.tries -= 1
        self.between()
        return self.tries < 0

    def release(self) -> None:
        self.calls.append("release")


def locking_region(lock: Any) -> Any:
    region = make_region()
    region.backend.get_mutex = lambda key: lock
    return region


def test_another_process_asks(store: Store) -> None:
    """While another process asks, this one waits, and finds what that has kept."""
    lock = Lock(tries=float("inf"))
    region = locking_region(lock)
    theirs = make_region()
    theirs.backend = region.backend
    lock.between = lambda: theirs.set(mine._key("a"), to_plain_data(RECORD))
    mine = Cached(store, region)
    assert mine("a") == RECORD
    assert store.asked == []
    assert lock.calls == ["acquire"]


def test_another_process_has_asked_in_vain(store: Store) -> None:
    """When another process ends without an image in the cache, this one asks, and unlocks."""
    lock = Lock(tries=2)
    assert Cached(store, locking_region(lock))("a") == RECORD
    assert store.asked == ["a"]
    assert lock.calls == ["acquire"] * 3 + ["release"]


def test_another_process_hangs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that is not let go of in time is passed by."""
    monkeypatch.setattr(cached, "_WAIT_FOR_PROCESS", 0.05)
    lock = Lock(tries=float("inf"))
    assert Cached(store, locking_region(lock))("a") == RECORD
    assert store.asked == ["a"]
    assert "release" not in lock.calls


@pytest.mark.parametrize("method", ["acquire", "release"])
def test_a_lock_that_fails(store: Store, method: str, caplog: pytest.LogCaptureFixture) -> None:
    """A lock that fails costs a line in the log."""

    def fail(*args: Any) -> None:
        raise OSError("no lock")

    lock = Lock(tries=0)
    setattr(lock, method, fail)
    lookup = Cached(store, locking_region(lock))
    assert lookup("a") == lookup("a") == RECORD
    assert store.asked == ["a"]
    assert "OSError: no lock" in caplog.text


# A store that is unavailable


def test_stale_if_error(
    region: Any, store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """While the store is unavailable, an image is used for stale_if_error seconds more."""
    lookup = Cached(store, region, stale_if_error=40)
    lookup("d")
    store.fault = StoreUnavailable("down\x1b")
    clock.now += 100
    assert lookup("d")["size"] == 1
    assert "image 'd': store unavailable, so an old one is used: down\\x1b" in caplog.text
    clock.now += 1
    with pytest.raises(StoreUnavailable):
        lookup("d")
    store.fault = None
    assert lookup("d")["size"] == 1


@pytest.mark.parametrize("stale_if_error", [0, 40])
def test_what_is_not_used_stale(
    region: Any, store: Store, clock: Clock, stale_if_error: float
) -> None:
    """Without stale_if_error nothing is used stale; a miss never is."""
    lookup = Cached(store, region, stale_if_error=stale_if_error)
    lookup("new")
    lookup("d")
    store.fault = StoreUnavailable("down")
    clock.now += 61
    with pytest.raises(StoreUnavailable):
        lookup("new")
    if not stale_if_error:
        with pytest.raises(StoreUnavailable):
            lookup("d")


def test_the_line_of_a_stale_image_is_short(
    region: Any, store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """However long the store's error is, the line in the log has a bound."""
    lookup = Cached(store, region, stale_if_error=40)
    lookup("a")
    clock.now += 61
    store.fault = StoreUnavailable("x\n" * 100_000)
    assert lookup("a") == RECORD
    assert len(caplog.messages[-1]) < 500


def say_missing(store: Store, region: Any) -> None:
    del store.images["d"]


def say_what_is_not_plain(store: Store, region: Any) -> None:
    store.images["d"] = {"id": "d", "size": Decimal(5)}


def say_what_no_cache_takes(store: Store, region: Any) -> None:
    store.images["d"] = {"id": "d", "size": 2}
    break_methods(region, "set")


def raise_an_error(store: Store, region: Any) -> None:
    store.fault = ValueError("unreadable")


@pytest.mark.parametrize(
    "change", [say_missing, say_what_is_not_plain, say_what_no_cache_takes, raise_an_error]
)
def test_what_the_store_said_last_holds(
    region: Any, store: Store, clock: Clock, change: Callable[[Store, Any], None]
) -> None:
    """An image is not used stale once the store has said something else, whether kept or not."""
    lookup = Cached(store, region, miss_expiration=0, stale_if_error=600)
    lookup("d")
    clock.now += 61
    change(store, region)
    with suppress(ValueError):
        assert lookup("d") == store.images.get("d")
    store.fault = StoreUnavailable("down")
    with pytest.raises(StoreUnavailable):
        lookup("d")


def test_a_failure_keeps_the_stale_image(region: Any, store: Store, clock: Clock) -> None:
    """However often the store is unavailable, the old image remains until its time is over."""
    lookup = Cached(store, region, stale_if_error=600)
    lookup("d")
    store.fault = StoreUnavailable("down")
    for _ in range(3):
        clock.now += 100
        assert lookup("d")["size"] == 1


def test_another_error_does_not_use_a_stale_image(region: Any, store: Store, clock: Clock) -> None:
    """Only StoreUnavailable means that an old image may be used."""
    lookup = Cached(store, region, stale_if_error=40)
    lookup("d")
    store.fault = ValueError("bad")
    clock.now += 61
    with pytest.raises(ValueError, match="bad"):
        lookup("d")


def test_a_wait_that_ends_uses_a_stale_image(
    region: Any,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A request that waits too long uses an old image, too, and says so in the log."""
    monkeypatch.setattr(flights, "_WAIT", 0.05)
    asked, go_on = threading.Event(), threading.Event()

    def find(image_id: str) -> Any:
        if region.get(lookup._key(image_id), ignore_expiration=True):
            asked.set()
            assert go_on.wait(10)
        return store(image_id)

    lookup = Cached(find, region, stale_if_error=600)
    lookup("a")
    region.expiration_time = 0
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lookup, "a")
        assert asked.wait(10)
        assert lookup("a") == RECORD
        go_on.set()
        first.result(10)
    assert "image 'a': store unavailable, so an old one is used: another request's" in caplog.text


@pytest.mark.parametrize("fault", [StoreUnavailable("down"), SystemExit()], ids=repr)
def test_requests_that_wait_use_a_stale_image(
    region: Any,
    store: Store,
    waiting: threading.Semaphore,
    caplog: pytest.LogCaptureFixture,
    fault: BaseException,
) -> None:
    """When the lookup that they wait for fails, each uses an old image, and says so in the log."""
    asked, go_on = threading.Event(), threading.Event()

    def find(image_id: str) -> Any:
        if store.asked:
            asked.set()
            assert go_on.wait(10)
            raise fault
        return store(image_id)

    lookup = Cached(find, region, stale_if_error=600)
    lookup("a")
    region.expiration_time = 0
    with ThreadPoolExecutor(8) as pool:
        pool.submit(lookup, "a")
        assert asked.wait(10)
        others = [pool.submit(lookup, "a") for _ in range(7)]
        assert all(waiting.acquire(timeout=10) for _ in others)
        go_on.set()
        assert [call.result(10) for call in others] == [RECORD] * 7
    lines = [line for line in caplog.messages if "so an old one is used" in line]
    assert len(lines) == (8 if isinstance(fault, StoreUnavailable) else 7)


@pytest.mark.parametrize("name", ["miss_expiration", "stale_if_error"])
@pytest.mark.parametrize("value", [None, "5", -1, float("nan"), timedelta(5)])
def test_seconds(region: Any, store: Store, name: str, value: Any) -> None:
    """Seconds are numbers; another setting is refused when the store is made."""
    with pytest.raises(ValueError, match=f"{name} is .*, but must be a number of seconds"):
        Cached(store, region, **{name: value})


def test_without_an_expiration_time(store: Store) -> None:
    """A region that keeps images for good is refused at a lookup, for it may be configured late."""
    region = dogpile.make_region()
    lookup = Cached(store, region, stale_if_error=40)
    for _ in range(2):
        with pytest.raises(ValueError, match="the region's expiration_time is None"):
            lookup("d")
        if not region.is_configured:
            region.configure("dogpile.cache.memory")
    assert store.asked == []
    region.expiration_time = 60
    assert lookup("d")["id"] == "d"


def test_a_negative_expiration_time(region: Any, store: Store) -> None:
    """The -1 that some of dogpile.cache takes for "never" and the rest for "always" is refused."""
    region.expiration_time = -1
    with pytest.raises(ValueError, match="the region's expiration_time is -1"):
        Cached(store, region)("d")


# A cache that fails


def break_methods(region: Any, *methods: str) -> Callable[[], None]:
    """Make methods of a region's backend fail; return a function that repairs them."""

    def fail(*args: Any) -> None:
        raise ConnectionError("cache down\n")

    for method in methods:
        setattr(region.backend, method, fail)
        setattr(region.backend, f"{method}_serialized", fail)

    def mend() -> None:
        for method in methods:
            delattr(region.backend, method)
            delattr(region.backend, f"{method}_serialized")

    return mend


@pytest.mark.parametrize("methods", [("get",), ("set",), ("get", "set", "delete")])
def test_a_cache_that_fails_costs_a_line(
    region: Any, store: Store, methods: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """While the cache fails the store answers, and the log says so."""
    break_methods(region, *methods)
    lookup = Cached(store, region)
    assert lookup("a") == lookup("a") == RECORD
    assert store.asked == ["a", "a"]
    assert "ConnectionError: cache down\\n" in caplog.text


def test_a_cache_that_failed_rests(
    region: Any, store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A cache that failed is not asked for a second, and is used again after it."""
    lookup = Cached(store, region)
    lookup("a")
    mend = break_methods(region, "get")
    for _ in range(5):
        lookup("a")
    assert len(caplog.records) == 1
    mend()
    clock.now += 1
    lookup("a")
    assert len(store.asked) == 6


def test_invalidate_when_the_cache_fails(
    region: Any, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """An invalidation that fails is logged."""
    break_methods(region, "delete")
    Cached(store, region).invalidate("a")
    assert "image 'a': not removed from the cache" in caplog.text


@pytest.mark.parametrize("kept", ["", "garbage", "[]", '{"values": {}}', 5, None, b"\x80"])
def test_what_is_no_image_is_replaced(
    region: Any, store: Store, kept: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """What the cache has that is not an image counts as nothing, and is replaced."""
    lookup = Cached(store, region)
    region.set(lookup._key("a"), kept)
    assert lookup("a") == lookup("a") == RECORD
    assert store.asked == ["a"]
    assert "what the cache has is not an image" in caplog.text


@pytest.mark.parametrize(("ours", "theirs"), [(IN_JSON, PICKLED), (PICKLED, IN_JSON)])
def test_what_cannot_be_decoded_is_replaced(
    ours: Any, theirs: Any, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """An entry that the region's deserializer refuses counts as none, for its image alone."""
    region, other = make_region(**ours), make_region(**theirs)
    other.backend = region.backend
    lookup = Cached(store, region)
    lookup("d")
    other.set(lookup._key("a"), to_plain_data(RECORD))
    for image_id in ("a", "d") * 2:
        assert lookup(image_id) == store.images[image_id]
    assert store.asked == ["d", "a"]
    assert "what the cache has is not an image" in caplog.text


# In an application


@pytest.fixture
def site(region: Any, store: Store) -> Flask:
    """An application whose identity is what the token says."""
    app = Flask(__name__)

    def identify() -> Identity | None:
        project_id = request.headers.get("X-Auth-Token")
        return Identity(project_id) if project_id else None

    ImageMeta(app, lookup=Cached(store, region, stale_if_error=40), identity=identify)
    return app


def test_access_is_decided_for_every_caller(site: Flask, store: Store) -> None:
    """One kept image is shown to its owner and its members, and to no one else."""
    client = site.test_client()
    for _ in range(2):
        for token, status in (("p", 200), (None, 404), ("q", 200), ("stranger", 404)):
            headers = {} if token is None else {"X-Auth-Token": token}
            assert client.head("/v1/images/a", headers=headers).status_code == status
    assert store.asked == ["a"]


def test_age(site: Flask, store: Store, clock: Clock) -> None:
    """An image from the cache has its age in seconds, in a 304, too; one just found has none."""
    client = site.test_client()
    owner = {"X-Auth-Token": "p"}
    first = client.head("/v1/images/d", headers=owner)
    assert "Age" not in first.headers
    clock.now += 7.9
    assert client.head("/v1/images/d", headers=owner).headers["Age"] == "7"
    etag = {"If-None-Match": first.headers["ETag"]}
    not_modified = client.head("/v1/images/d", headers=owner | etag)
    assert (not_modified.status_code, not_modified.headers["Age"]) == (304, "7")
    store.fault = StoreUnavailable("down")
    clock.now += 90
    stale = client.head("/v1/images/d", headers=owner)
    assert (stale.status_code, stale.headers["Age"]) == (200, "97")
    store.fault = None
    assert "Age" not in client.head("/v1/images/d", headers=owner).headers


def test_a_clock_that_runs_behind(site: Flask, clock: Clock) -> None:
    """An age is never negative."""
    client = site.test_client()
    client.head("/v1/images/d")
    clock.now -= 5
    assert client.head("/v1/images/d", headers={"X-Auth-Token": "p"}).headers["Age"] == "0"


def test_no_age_tells_a_hidden_image_from_a_missing_one(site: Flask, clock: Clock) -> None:
    """Neither a hidden image nor a missing one has an age, nor any other difference."""
    client = site.test_client()
    answers = []
    for image_id in ("d", "none"):
        client.head(f"/v1/images/{image_id}")
        clock.now += 2
        response = client.head(f"/v1/images/{image_id}")
        assert response.status_code == 404
        headers = dict(response.headers)
        headers.pop("X-Openstack-Request-Id")
        answers.append(headers)
    assert answers[0] == answers[1]
    assert "Age" not in answers[0]


def test_a_missing_image_has_no_age(region: Any, store: Store, clock: Clock) -> None:
    """The age of what the cache did not have is not that of the image that another store has."""
    cache = Cached(store, region)
    app = Flask(__name__)
    ImageMeta(app, lookup=lambda image_id: cache(image_id) or {"id": image_id})
    client = app.test_client()
    client.head("/v1/images/new")
    clock.now += 2
    response = client.head("/v1/images/new")
    assert (response.status_code, response.headers.get("Age")) == (200, None)
    assert store.asked == ["new"]


def test_what_is_cached_is_not_cached_again(region: Any, store: Store) -> None:
    """A cache of a cache, whose ages would be wrong, is refused, in a wrapper, too."""
    cache = Cached(store, region)

    @wraps(cache)
    def find(image_id: str) -> Any:
        return cache(image_id)

    for lookup in (cache, find):
        with pytest.raises(TypeError, match="the store is already Cached"):
            Cached(lookup, make_region())


def test_the_same_headers_from_the_cache(site: Flask, store: Store) -> None:
    """An answer from the cache has the same metadata and ETag, however large the image is."""
    store.images["big"] = {
        "id": "big",
        "properties": {f"note{n:03}": "x" for n in range(100)},
    }
    client = site.test_client()
    fresh, kept = (dict(client.head("/v1/images/big").headers) for _ in range(2))
    assert kept.pop("Age") == "0"
    for headers in (fresh, kept):
        del headers["X-Openstack-Request-Id"]
    assert fresh == kept


# A Glance that is asked in the callers' own names

IMAGE_ID = next(i["id"] for i in RECORDED.values() if i["http_status"] == 200)


@pytest.fixture
def glance() -> Iterator[Any]:
    if find_spec("keystoneauth1") is None:
        needs("keystoneauth1")
    with running_glance() as glance:
        yield glance


def per_token(handler: Any) -> None:
    """Show the image to the owner's token alone."""
    token = handler.headers.get("X-Auth-Token")
    if token == "refused":
        return handler.send(401)
    if token != "owner":
        return handler.send(404)
    image = next(i for i in RECORDED.values() if i["id"] == IMAGE_ID)
    return handler.send(200, json.dumps(image["v2"]).encode())


def test_a_plain_cache_shows_a_private_image_to_anyone(glance: Any) -> None:
    """The page on the shared cache warns of ``lru_cache`` around a GlanceAPI: this is why."""
    glance.answer = per_token
    app = Flask(__name__)
    ImageMeta(app, lookup=lru_cache(GlanceAPI(glance.url)))
    client = app.test_client()
    answers = [
        client.head(f"/v1/images/{IMAGE_ID}", headers={"X-Auth-Token": token})
        for token in ("owner", "stranger")
    ]
    assert [answer.status_code for answer in answers] == [200, 200]


def test_each_token_has_a_cache_of_its_own(glance: Any, region: Any) -> None:
    """What a Glance showed to one token is never shown to another, and is kept for that one."""
    glance.answer = per_token
    app = Flask(__name__)
    ImageMeta(app, lookup=Cached(GlanceAPI(glance.url), region))
    client = app.test_client()
    for _ in range(2):
        for token, status in (
            ("owner", 200),
            (None, 404),
            ("stranger", 404),
            ("", 404),
            ("refused", 401),
        ):
            headers = {} if token is None else {"X-Auth-Token": token}
            response = client.head(f"/v1/images/{IMAGE_ID}", headers=headers)
            assert response.status_code == status, token
    # No token and an empty one are the same to a Glance; a refusal is not kept.
    assert len(glance.requests) == 3 + 2


def test_callers_of_a_glance_who_come_at_once(glance: Any, region: Any) -> None:
    """Requests with different tokens never wait for one another's answer."""
    glance.answer = per_token
    app = Flask(__name__)
    ImageMeta(app, lookup=Cached(GlanceAPI(glance.url), region))
    tokens = iter(["owner", "stranger"] * 16)

    def ask() -> tuple[str, int]:
        token = next(tokens)
        response = app.test_client().head(f"/v1/images/{IMAGE_ID}", headers={"X-Auth-Token": token})
        return token, response.status_code

    assert set(together(32, ask)) == {("owner", 200), ("stranger", 404)}
    assert len(glance.requests) == 2


def test_invalidate_for_a_caller(glance: Any, region: Any) -> None:
    """In a request, invalidate() forgets what its caller was shown."""
    glance.answer = per_token
    app = Flask(__name__)
    lookup = Cached(GlanceAPI(glance.url), region)
    with app.test_request_context(headers={"X-Auth-Token": "owner"}):
        lookup(IMAGE_ID)
        lookup.invalidate(IMAGE_ID)
        lookup(IMAGE_ID)
    assert len(glance.requests) == 2


def test_invalidate_outside_a_request(region: Any) -> None:
    """Where there is no caller, what callers' own tokens were shown cannot be removed."""
    with pytest.raises(RuntimeError, match="request context"):
        Cached(GlanceAPI("http://127.0.0.1:1"), region).invalidate("a")


def test_a_token_is_not_in_the_key(glance: Any, region: Any) -> None:
    """No key has the token in it."""
    app = Flask(__name__)
    lookup = Cached(GlanceAPI(glance.url), region)
    with app.test_request_context(headers={"X-Auth-Token": "secret"}):
        assert "secret" not in lookup._key("a")


def test_a_glance_that_cannot_be_seen(region: Any) -> None:
    """A store that asks in the callers' names, hidden in a function, is refused at once."""
    granted = replace(RECORD, access_granted=True)
    lookup = Cached(lambda image_id: granted, region)
    errors = together(4, lambda: lookup("a"))
    assert {type(error) for error in errors} == {TypeError}
    assert "functools.wraps" in str(errors[0])


def test_a_hooks_refusal_is_raised(region: Any) -> None:
    """An answer that a lookup ends the request with is the answer."""
    app = Flask(__name__)
    ImageMeta(app, lookup=Cached(lambda image_id: abort(403), region))
    assert app.test_client().head("/v1/images/a").status_code == 403
