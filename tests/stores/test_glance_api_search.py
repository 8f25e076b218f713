"""GlanceAPI's search: as over plain images, whatever v2 filters and sorts in its own way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings, strategies as st
from keystoneauth1.session import Session
from keystoneauth1.token_endpoint import Token

from flask_imagemeta import Identity, ImageMeta
from flask_imagemeta.stores import GlanceAPI

from ..lists.recorded import CASES, RECORDED as V1
from ..lists.test_stores import random_cases
from ..recorded import ask, members_of, properties_of
from .glance_list import Caller, GlanceList
from .glance_server import Glance, running_glance

TOKENS = {"of p": Caller("p"), "of q": Caller("q"), "of nobody": Caller()}
ADMIN = Identity("p", ["admin"])


def as_row(record: dict[str, Any]) -> dict[str, Any]:
    """Return a recorded row of v1's database in the form of v2's bodies."""
    row = {k: v for k, v in record.items() if k not in ("properties", "members", "deleted_at")}
    times = {k: v and f"{v.replace(' ', 'T')}Z" for k, v in row.items() if k.endswith("_at")}
    return {**properties_of(record), **row, **times}


def make_row(number: int, **values: Any) -> dict[str, Any]:
    """Return a row of v2's database."""
    return {
        "id": f"{number:08}-0000-4000-8000-000000000000",
        "name": f"name {number}",
        "status": "active",
        "created_at": f"2024-01-01T00:{number // 60:02}:{number % 60:02}Z",
        "updated_at": "2024-01-02T00:00:00Z",
        "visibility": "public",
        "owner": "p",
        "protected": False,
        "min_disk": 0,
        "min_ram": 0,
        "size": None,
        "virtual_size": None,
        "checksum": None,
        "disk_format": None,
        "container_format": None,
        "os_hidden": False,
        **values,
    }


class Service:
    """An application over a Glance, and one over the same images as a plain list.

    :ivar identity: The identity of the next requests.
    :ivar headers: The headers of the next requests.
    """

    def __init__(self, glance: Glance, store: GlanceAPI, walking: GlanceAPI) -> None:
        self.identity: Identity | None = None
        self.headers: dict[str, str] = {}
        self.glance = glance
        self.passes_token = store is not walking
        self._walking = walking
        self._plain: dict[str, Any] = {}
        self.app = Flask("tests")
        self.app.config["PLAIN_URL_PREFIX"] = "/plain/v1"
        ImageMeta(self.app, lookup=store, search=store.search, identity=lambda: self.identity)
        ImageMeta(
            self.app,
            name="plain",
            lookup=store,
            search=lambda query: self._plain.values(),
            identity=lambda: self.identity,
        )

    def serve(self, listed: GlanceList) -> None:
        self.glance.answer = listed
        images = {image.id: image for image in self._walking.walk()}
        if self.passes_token:
            caller = listed.callers.get(self.headers.get("X-Auth-Token", ""), Caller(None, True))
            images = {
                image_id: replace(image, access_granted=True, members=())
                for image_id, image in images.items()
                if listed.lists(image_id, caller)
            }
        self._plain = images
        self.glance.requests.clear()

    def get(self, query: str, prefix: str = "") -> tuple[int, Any]:
        answer = self.app.test_client().get(
            f"{prefix}/v1/images/detail?{query}", headers=self.headers
        )
        return answer.status_code, answer.get_json(silent=True) or answer.text

    def ids(self, query: str = "") -> list[int]:
        """Return the numbers of the images of a list, which is as over plain images."""
        status, body = self.get(query)
        assert (status, body) == self.get(query, "/plain")
        assert status == 200
        return [int(image["id"][:8]) for image in body["images"]]

    def asked(self) -> list[dict[str, str]]:
        """Return the parameters of the lists that the Glance was asked for."""
        urls = [urlsplit(path) for path, _ in self.glance.requests]
        return [dict(parse_qsl(url.query)) for url in urls if url.path == "/v2/images"]


@contextmanager
def running_service(*, passes_token: bool = False) -> Iterator[Service]:
    with running_glance() as glance:
        session = Session(Token(glance.url, "the service's"))
        walking = GlanceAPI(glance.url, session=session)
        store = GlanceAPI(glance.url) if passes_token else walking
        yield Service(glance, store, walking)
        session.session.close()
        if passes_token:
            store._client.get()._adapter.close()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service() as service:
        yield service


@pytest.fixture(scope="module")
def of_tokens() -> Iterator[Service]:
    with running_service(passes_token=True) as service:
        yield service


@pytest.fixture
def serve(service: Service) -> Callable[..., Service]:
    """Serve rows to an admin, who asks for the images of all projects with is_public=None."""

    def serve(*rows: dict[str, Any], **rules: Any) -> Service:
        service.identity, service.headers = ADMIN, {}
        service.serve(GlanceList({row["id"]: row for row in rows}, {}, **rules))
        return service

    return serve


# The recorded cases


def asked_once() -> Iterator[dict[str, Any]]:
    """Yield the recorded cases in which a list was asked for, each request once."""
    seen = set()
    for case in CASES.values():
        key = (str(case["identity"]), case["request"]["path"])
        if key not in seen and case["request"]["method"] == "GET":
            seen.add(key)
            yield case


@pytest.mark.slow
@pytest.mark.parametrize("folds", [False, True])
def test_recorded_cases(service: Service, folds: bool) -> None:
    """Each recorded case, and others, answers as over the plain images of a walk."""
    rows = {image_id: as_row(record) for image_id, record in V1["images"].items()}
    members = {image_id: members_of(record) for image_id, record in V1["images"].items()}
    service.serve(GlanceList(rows, members, folds=folds, nulls_last=folds))
    for case in [*asked_once(), *random_cases(100)] if folds else asked_once():
        caller = case["identity"]
        service.identity = caller and Identity(
            None if caller["project_id"] == "none" else caller["project_id"], caller["roles"]
        )
        expected = ask(service.app, case, "/plain")
        if expected[0] == 200 or folds:  # what is refused is refused before the search
            assert answer(ask(service.app, case)) == answer(expected), case["request"]["path"]


def answer(parts: tuple[int, dict[str, str], bytes]) -> tuple[int, str, bytes]:
    return parts[0], parts[1]["Content-Type"], parts[2]


# What is asked of v2


def test_a_name_costs_two_requests(serve: Callable[..., Service]) -> None:
    """v2 finds images by name, hidden ones in a list of their own; all quirks are escaped."""
    names = ["a", "in:a", "eq:a", "", 'q"uote', "back\\slash", "comma,", " padded ", "ä"]
    service = serve(*(make_row(n, name=name, os_hidden=n % 2 == 0) for n, name in enumerate(names)))
    for number, name in enumerate(names):
        service.glance.requests.clear()
        assert service.ids(urlencode({"name": f"eq:{name}"})) == [number]
        asked = service.asked()
        assert [one["os_hidden"] for one in asked] == ["false", "true"]
        assert {one["name"] for one in asked} == {f"eq:{name}"}


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("name=in:a,%22b,c%22", {"name": 'in:"a","b,c"'}),
        ("status=active&disk_format=raw", {"status": "eq:active", "disk_format": "eq:raw"}),
        ("protected=True", {"protected": "true"}),
        ("size_min=1&size_max=" + "9" * 40, {"size_min": "1", "size_max": str(2**63 - 1)}),
        ("property-os_distro=debian", {"os_distro": "debian"}),
        ("&".join(f"property-p{n}=x" for n in range(999)), {f"p{n}": "x" for n in range(8)}),
        ("sort_dir=asc", {"sort": "created_at:asc"}),
        ("sort_key=name", {"sort": "id:asc"}),
        ("limit=7", {"limit": "8"}),
        ("limit=1000", {"limit": "100"}),
    ],
)
def test_what_v2_filters(serve: Callable[..., Service], query: str, asked: dict[str, str]) -> None:
    """What v2 compares as v1 does is asked of it, in its own words."""
    service = serve(make_row(1))
    service.ids(query)
    default = {"sort": "created_at:desc", "limit": "26", "visibility": "all"}
    if "sort_key" in query:
        default["limit"] = "100"
    expected = {**default, "member_status": "all", "os_hidden": "false", **asked}
    assert service.asked()[0] == expected


@pytest.mark.parametrize(
    "query",
    [
        *("name=%00", "name=%F0%9F%98%80", f"name={'x' * 3000}", "min_ram=0"),
        *(f"property-{name}=x" for name in ("x_min", "properties", "metadata", "sort", "_", "")),
        *("property-x=", "property-x=%00", "property-size=1", "changes-since=2024-01-01"),
    ],
)
def test_what_v2_would_take_amiss(serve: Callable[..., Service], query: str) -> None:
    """What v2 would refuse, or compare otherwise, is left to the extension."""
    service = serve(make_row(1, x=None, metadata="x", sort="x", _="x", x_min="x", name=None))
    service.ids(query)
    known = {"sort", "limit", "visibility", "member_status", "os_hidden"}
    assert {*service.asked()[0]} == known


def test_nothing_is_asked_for_no_value(serve: Callable[..., Service]) -> None:
    """A filter that no image matches is not sent."""
    service = serve(make_row(1))
    assert service.ids("name=in:") == service.ids("min_disk=x") == []
    assert service.asked() == []


# Order


def test_images_of_one_second(serve: Callable[..., Service]) -> None:
    """Images that v2 sorts by microseconds, which it does not send, are sorted by id."""
    rows = [
        make_row(n, created_at=f"2024-01-01T00:00:0{n % 2}.{900_000 - n * 1000}Z")
        for n in range(20)
    ]
    service = serve(*rows, limit_max=7)
    for direction in ("asc", "desc"):
        found: list[int] = []
        query = f"sort_dir={direction}&limit=5"
        while page := service.ids(query + (f"&marker={rows[found[-1]]['id']}" if found else "")):
            found += page
        assert sorted(found) == list(range(20))


def test_a_page_reads_no_more_than_it_has(serve: Callable[..., Service]) -> None:
    """A page of many images in the default order is one page of each of v2's lists."""
    service = serve(*(make_row(n) for n in range(300)))
    assert service.ids() == [*range(299, 274, -1)]
    service.glance.requests.clear()
    assert service.get(f"marker={make_row(150)['id']}&limit=3")[0] == 200
    assert [one["limit"] for one in service.asked()] == ["5", "5"]


def test_a_marker_that_v2_does_not_list(serve: Callable[..., Service]) -> None:
    """A page goes on after an image that is hidden from v2's lists."""
    service = serve(*(make_row(n, os_hidden=n == 5) for n in range(9)))
    assert service.ids(f"marker={make_row(5)['id']}") == [4, 3, 2, 1, 0]


def test_an_unknown_marker(serve: Callable[..., Service]) -> None:
    """A marker that is not there is v1's 400, and v2 is asked for no list."""
    service = serve(make_row(1))
    status, text = service.get("marker=nope")
    assert (status, "Invalid marker" in text) == (400, True)
    assert service.asked() == []


def test_an_image_that_is_hidden_meanwhile(serve: Callable[..., Service]) -> None:
    """An image that is in both of v2's lists is listed once."""
    rows = [make_row(n) for n in range(3)]
    service = serve(*rows)
    listed: Any = service.glance.answer
    listed.on_page = lambda ids: rows[1].update(os_hidden=True)
    for query in ("", "sort_key=name"):
        rows[1]["os_hidden"] = False
        body = service.get(query)[1]
        assert [int(one["id"][:8]) for one in body["images"]] == [2, 1, 0]


def test_a_list_in_another_order(serve: Callable[..., Service]) -> None:
    """A Glance that does not sort is an error of the store, 503."""
    service = serve(make_row(1))
    pages = iter([[make_row(1), make_row(2)], []])
    listed: Any = service.glance.answer
    listed.list = lambda parameters, caller: (200, {"images": next(pages)})
    assert service.get("")[0] == 503


# Who is listed what


def test_an_anonymous_caller_is_listed_what_is_public(serve: Callable[..., Service]) -> None:
    """Where nothing but public images can be listed, v2 is asked for no others."""
    service = serve(
        make_row(1), make_row(2, visibility="shared"), make_row(3, visibility="community")
    )
    service.identity = None
    assert service.ids() == [1]
    assert {one["visibility"] for one in service.asked()} == {"public"}


@pytest.mark.parametrize("token", [*TOKENS, "an admin's"])
def test_callers_tokens(of_tokens: Service, token: str) -> None:
    """With the callers' tokens, each is listed what its Glance lists by v1's defaults."""
    rows = [
        make_row(4 * n + m, visibility=visibility, owner=owner, os_hidden=n == 1)
        for n, owner in enumerate(("p", "q", None))
        for m, visibility in enumerate(("public", "private", "shared", "community"))
    ]
    images = {row["id"]: row for row in rows}
    of_tokens.identity, of_tokens.headers = None, {"X-Auth-Token": token}
    of_tokens.serve(GlanceList(images, {rows[2]["id"]: ["q"]}, callers=TOKENS))
    found = {query: of_tokens.ids(query) for query in ("", "sort_dir=asc", "sort_key=name")}
    assert found[""][::-1] == found["sort_dir=asc"]
    expected = {
        "of p": [0, 1, 2, 3, 4, 8],
        "of q": [0, 2, 4, 5, 6, 7, 8],
        "of nobody": [0, 4, 8],
        "an admin's": [0, 1, 2, 4, 5, 6, 8, 9, 10],
    }
    assert found["sort_dir=asc"] == expected[token]
    assert {headers["X-Auth-Token"] for _, headers in of_tokens.glance.requests} == {token}


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token(of_tokens: Service, status: int) -> None:
    """What the Glance answers to the caller's token is passed on."""
    of_tokens.glance.answer = lambda handler: handler.send(status)
    assert of_tokens.get("")[0] == status


# Any combination


TEXTS = st.sampled_from([None, "", "a", "A", "b ", "b", "ä", "in:a", "a,b", 'a"', "\U0001f600"])
MOMENTS = st.sampled_from(
    [f"2024-01-0{day}T00:00:00{end}Z" for day in (1, 2) for end in ("", ".000001", ".5", ".75")]
)
MOMENTS = MOMENTS.map(lambda text: text.replace(".5Z", ".500000Z").replace(".75Z", ".750000Z"))
TOKEN = st.sampled_from([*TOKENS, "an admin's"])
CALLER = st.sampled_from([None, Identity("p"), ADMIN, Identity(None)])


@st.composite
def glances(draw: st.DrawFn) -> GlanceList:
    """Draw a Glance of few values, so that many are equal in what they are sorted by."""
    rows = [
        make_row(
            number,
            name=draw(TEXTS),
            status=draw(st.sampled_from(["active", "killed", "queued"])),
            size=draw(st.sampled_from([None, 0, 5, 10])),
            disk_format=draw(st.sampled_from([None, "raw", "RAW"])),
            min_ram=draw(st.sampled_from([0, 64])),
            protected=draw(st.booleans()),
            visibility=draw(st.sampled_from(["public", "private", "shared", "community"])),
            owner=draw(st.sampled_from([None, "p", "q"])),
            os_hidden=draw(st.booleans()),
            deleted=draw(st.sampled_from([False, False, True])),
            created_at=draw(MOMENTS),
            updated_at=draw(st.none() | MOMENTS),
            **draw(st.dictionaries(st.sampled_from(["x", "y_min", "save"]), TEXTS, max_size=2)),
        )
        for number in range(draw(st.integers(0, 12)))
    ]
    members = {row["id"]: draw(st.sampled_from([[], ["p"], ["q"]])) for row in rows}
    return GlanceList(
        {row["id"]: row for row in rows},
        members,
        callers=TOKENS,
        folds=draw(st.booleans()),
        nulls_last=draw(st.booleans()),
        limit_max=draw(st.sampled_from([1, 2, 1000])),
    )


QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "name": TEXTS.map(lambda text: text or "") | st.sampled_from(["in:a,b", 'in:"a,b",a']),
        "status": st.sampled_from(["active", "killed"]),
        "disk_format": st.sampled_from(["raw", "in:raw,qcow2"]),
        "size_min": st.sampled_from(["0", "5", "9" * 40]),
        "size_max": st.sampled_from(["5", "9" * 40]),
        "min_ram": st.sampled_from(["0", "64"]),
        "protected": st.sampled_from(["false", "True"]),
        "is_public": st.sampled_from(["None", "True", "False"]),
        "changes-since": st.sampled_from(["2024-01-01", "2024-01-01T00:00:00.6Z"]),
        "property-x": TEXTS.map(lambda text: text or ""),
        "property-y_min": st.just("a"),
        "property-save": st.just("a"),
        "sort_key": st.sampled_from(["name", "status", "size", "id", "created_at", "updated_at"]),
        "sort_dir": st.sampled_from(["asc", "desc"]),
        "limit": st.sampled_from(["1", "2", "3"]),
    },
)


def check_pages(service: Service, query: dict[str, str]) -> None:
    """Check that each page of a list is as over plain images."""
    parameters = dict(query)
    while True:
        status, body = service.get(urlencode(parameters))
        assert (status, body) == service.get(urlencode(parameters), "/plain")
        assert status == 200
        if len(body["images"]) < int(query.get("limit", "25")):
            return
        parameters["marker"] = body["images"][-1]["id"]


SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.slow
@SETTINGS
@given(glances(), CALLER, QUERIES)
def test_any_query(
    service: Service, listed: GlanceList, caller: Identity | None, query: dict[str, str]
) -> None:
    """Whatever is asked, in pages, of whichever Glance: each page is as over plain images."""
    service.identity, service.headers = caller, {}
    service.serve(listed)
    check_pages(service, query)


@pytest.mark.slow
@SETTINGS
@given(glances(), TOKEN, QUERIES)
def test_any_query_with_a_token(
    of_tokens: Service, listed: GlanceList, token: str, query: dict[str, str]
) -> None:
    """The same with callers' tokens, where the Glance says whose images are listed."""
    of_tokens.identity, of_tokens.headers = ADMIN, {"X-Auth-Token": token}
    of_tokens.serve(listed)
    check_pages(of_tokens, query)
