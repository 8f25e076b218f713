"""Real shared caches, with the settings of the caching page, before an application.

Someone tries to leave a wrong answer in the cache for everyone else, or to get a private image
out of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, abort, redirect, request

from flask_imagemeta import Identity, ImageMeta, StoreUnavailable

from ..docs.test_examples import serve
from .programs import blocks, nginx, varnish

pytestmark = pytest.mark.slow

LOCATION, NGINX_CACHE = blocks("caching.md", "nginx")
CACHED_LOCATION = f"{LOCATION.rstrip().removesuffix('}')}{NGINX_CACHE}}}"
(VCL,) = blocks("caching.md", "vcl")
(PARAMETERS,) = blocks("caching.md", "text")

ALL_PUBLIC = {"IMAGEMETA_CACHE_CONTROL": "public, max-age=300", "IMAGEMETA_VARY": "Accept-Encoding"}
SOME_PUBLIC = {"IMAGEMETA_PUBLIC_CACHE_CONTROL": "public, max-age=300"}
OLD = "Thu, 01 Jan 2015 00:00:00 GMT"

numbers = itertools.count()


class Site:
    """An application whose faults a test switches on and off, and a cache in front of it.

    :param port: The cache's.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.port = 0
        self.found: list[str] = []  # each id, as often as it was looked up
        self.lookup_fault: Callable[[], Any] = lambda: None
        self.size_fault: Callable[[], Any] = lambda: None
        self.host_answer: Callable[[], Any] = lambda: None
        self.app = Flask(__name__)
        self.app.config.update(config)
        self.app.before_request(self._answer_first)
        ImageMeta(
            self.app,
            lookup=self._find,
            identity=self._identify,
            stored_size=lambda image: self.size_fault(),
        )

    def _answer_first(self) -> Any:
        return self.host_answer()

    def _identify(self) -> Identity | None:
        token = request.headers.get("X-Auth-Token")
        if token == "refused":
            abort(401)
        return Identity(token) if token else None

    def _find(self, image_id: str) -> dict[str, Any] | None:
        fault = self.lookup_fault()
        if fault is not None:
            return fault if isinstance(fault, dict) else None
        self.found.append(image_id)
        if image_id.startswith("none"):
            return None
        updated_at = "2016-02-25T03:02:05"
        is_public = not image_id.startswith("private")
        image = {"id": image_id, "size": 5, "owner": "owner", "is_public": is_public}
        return {**image, "name": request.host, "updated_at": updated_at}

    def ask(self, image_id: str, *, method: str = "HEAD", **headers: str) -> HTTPResponse:
        """Ask the cache for an image, on its own connection."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, f"/v1/images/{image_id}", headers=named)
            response = connection.getresponse()
            response.read()
            return response
        finally:
            connection.close()


Proxy = Callable[[int, Path], Any]
PROXIES: dict[str, Proxy] = {
    "nginx": lambda port, folder: nginx(CACHED_LOCATION, port, folder),
    "varnish": lambda port, folder: varnish(VCL, PARAMETERS, port, folder),
}


@contextmanager
def cached_site(proxy: str, folder: Path, config: dict[str, Any]) -> Iterator[Site]:
    site = Site(config)
    with serve(site.app) as upstream, PROXIES[proxy](upstream, folder) as port:
        site.port = port
        yield site


@pytest.fixture(scope="module", params=PROXIES)
def proxy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["all public", "some public"])
def site(
    request: pytest.FixtureRequest, proxy: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A cache with public images, in each of the two ways that the page describes."""
    config = ALL_PUBLIC if request.param == "all public" else SOME_PUBLIC
    with cached_site(proxy, tmp_path_factory.mktemp(proxy), config) as site:
        yield site


@pytest.fixture(scope="module", params=["some public", "by default"])
def private_site(
    request: pytest.FixtureRequest, proxy: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A cache before an application that has private images."""
    config = SOME_PUBLIC if request.param == "some public" else {}
    with cached_site(proxy, tmp_path_factory.mktemp(proxy), config) as site:
        yield site


def new_id(kind: str = "public") -> str:
    return f"{kind}-{next(numbers)}"


def assert_right(site: Site, image_id: str) -> None:
    """Everyone gets the image, and all but the first of them from the cache."""
    before = site.found.count(image_id)
    answers = [site.ask(image_id) for _ in range(3)]
    assert [answer.status for answer in answers] == [200] * 3
    assert {answer.headers["X-Image-Meta-Size"] for answer in answers} == {"5"}
    assert {answer.headers["X-Image-Meta-Id"] for answer in answers} == {image_id}
    assert site.found.count(image_id) <= before + 1
    assert site.ask(image_id, X_Image_Meta_Size="5").status == 200
    assert site.ask(image_id, X_Image_Meta_Size="6").status == 409
    assert site.ask(image_id, X_Image_Meta_Size="x").status == 400
    assert site.ask(image_id).status == 200


# Varnish takes an asterisk for no tag, and an empty answer for one without a first byte.
REQUESTS: list[tuple[set[int], dict[str, str]]] = [
    ({409}, {"X_Image_Meta_Size": "1"}),
    ({400}, {"X_Image_Meta_Size": "five"}),
    ({400}, {"X_Image_Meta_Size": ""}),
    ({401}, {"X_Auth_Token": "refused"}),
    ({304, 200}, {"If_None_Match": "*"}),
    ({304}, {"If_Modified_Since": "Thu, 25 Feb 2016 03:02:05 GMT"}),
    ({412}, {"If_Match": '"other"'}),
    ({412}, {"If_Unmodified_Since": OLD}),
    ({405}, {"method": "GET"}),
    ({405}, {"method": "DELETE"}),
    ({200}, {"method": "OPTIONS"}),
    ({200, 416}, {"Range": "bytes=0-1"}),
]


def test_each_host_has_images_of_its_own(site: Site) -> None:
    """An application that serves several hosts may have another image under the same id."""
    image_id = new_id()
    hosts = ["a.example", "b.example", "a.example"]
    assert [site.ask(image_id, Host=host).headers["X-Image-Meta-Name"] for host in hosts] == hosts


@pytest.mark.parametrize(("statuses", "options"), REQUESTS, ids=[str(r) for r in REQUESTS])
def test_a_request_leaves_nothing_wrong(
    site: Site, statuses: set[int], options: dict[str, str]
) -> None:
    """After a request with an answer of its own, everyone else gets the image."""
    image_id = new_id()
    assert site.ask(image_id, **options).status in statuses
    assert_right(site, image_id)


@pytest.mark.parametrize(("statuses", "options"), REQUESTS[:2] + REQUESTS[4:9])
def test_a_cached_image_is_no_answer_to_another_request(
    site: Site, statuses: set[int], options: dict[str, str]
) -> None:
    """With the image in the cache, such a request still gets its own answer."""
    image_id = new_id()
    assert_right(site, image_id)
    assert site.ask(image_id, **options).status in statuses
    assert_right(site, image_id)


def fail(error: Exception) -> Any:
    raise error


def answer(status: int, **headers: str) -> Response:
    return Response("closed", status, {k.replace("_", "-"): v for k, v in headers.items()})


FAULTS: list[tuple[int, str, Callable[[], Any]]] = [
    (503, "lookup_fault", lambda: fail(StoreUnavailable("out"))),
    (500, "lookup_fault", lambda: fail(OSError("out"))),
    (500, "lookup_fault", lambda: {"id": "a", "size": "abc", "is_public": True}),
    (503, "lookup_fault", lambda: abort(503)),
    (403, "lookup_fault", lambda: abort(403)),
    (409, "size_fault", lambda: 6),
    (500, "size_fault", lambda: fail(OSError("out"))),
    (503, "host_answer", lambda: answer(503, Retry_After="5")),
    (503, "host_answer", lambda: answer(503, Cache_Control="no-store")),
    (302, "host_answer", lambda: redirect("/login")),
    (302, "host_answer", lambda: answer(302, Location="/login", Cache_Control="no-store")),
    (401, "host_answer", lambda: answer(401, Vary="X-Other")),
    (500, "host_answer", lambda: fail(OSError("out"))),
    (404, "host_answer", lambda: answer(404, Cache_Control="no-store")),
]


@pytest.mark.parametrize(
    ("status", "part", "fault"), FAULTS, ids=[f"{status}-{part}" for status, part, _ in FAULTS]
)
def test_a_fault_ends_when_it_is_over(
    site: Site, status: int, part: str, fault: Callable[[], Any]
) -> None:
    """What is answered during a fault, by us or by the host, is not answered after it."""
    image_id = new_id()
    setattr(site, part, fault)
    try:
        assert site.ask(image_id).status == status
        assert site.ask(image_id).status == status
    finally:
        setattr(site, part, lambda: None)
    assert_right(site, image_id)


def test_a_host_keeps_a_redirect_to_one_caller(site: Site) -> None:
    """A redirect that a host lets caches keep goes to the callers who are alike in our Vary."""
    image_id = new_id()
    kept = answer(302, Location="/login", Cache_Control="public, max-age=300")
    site.host_answer = lambda: kept if request.headers.get("X-Image-Meta-Size") == "1" else None
    try:
        assert site.ask(image_id, X_Image_Meta_Size="1").status == 302
        assert_right(site, image_id)
    finally:
        site.host_answer = lambda: None


# Private images


def assert_hidden(answer: HTTPResponse) -> None:
    assert answer.status in (404, 405)
    assert not any(name.startswith("X-Image-Meta") for name in answer.headers)


TRICKS: list[dict[str, str]] = [
    {},
    {"X_Auth_Token": "stranger"},
    {"X_Auth_Token": ""},
    {"X_Auth_Token": "owner,"},
    {"x_auth_token": "OWNER"},
    {"Cookie": "X-Auth-Token=owner"},
    {"Authorization": "owner"},
    {"If_None_Match": "*"},
    {"If_Modified_Since": "Thu, 25 Feb 2099 03:02:05 GMT"},
    {"X_Image_Meta_Size": "5"},
    {"X_Image_Meta_Size": "6"},
    {"If_Match": "*"},
    {"If_Unmodified_Since": OLD},
    {"Cache_Control": "only-if-cached, max-stale=9999"},
    {"Vary": "*"},
    {"X_Keep_Method": "GET"},
    {"method": "GET"},
    {"Range": "bytes=0-"},
]


@pytest.mark.parametrize("trick", TRICKS, ids=str)
def test_a_private_image_stays_private(private_site: Site, trick: dict[str, str]) -> None:
    """Whatever the owner has asked through the cache, no one else gets any of it."""
    image_id = new_id("private")
    for _ in range(2):
        assert private_site.ask(image_id, X_Auth_Token="owner").status == 200
        assert_hidden(private_site.ask(image_id, **trick))
    etag = private_site.ask(image_id, X_Auth_Token="owner").headers["ETag"]
    assert private_site.ask(image_id, X_Auth_Token="owner", If_None_Match=etag).status == 304
    for headers in ({"If_None_Match": etag}, {"If_Match": etag}):
        assert_hidden(private_site.ask(image_id, **{**trick, **headers}))


@pytest.mark.parametrize("suffix", ["?", "?a=b", "%2F", "/", "#", ";v=1"])
def test_a_private_image_has_no_other_address(private_site: Site, suffix: str) -> None:
    """Nor does an address that is written in another way get any of it."""
    image_id = new_id("private")
    assert private_site.ask(image_id, X_Auth_Token="owner").status == 200
    for address in (image_id + suffix, image_id.replace("p", "%70") + suffix):
        private_site.ask(address, X_Auth_Token="owner")
        assert_hidden(private_site.ask(address))


def test_a_hidden_image_is_not_hidden_from_its_owner(private_site: Site) -> None:
    """A stranger's 404 is not what the owner gets."""
    image_id = new_id("private")
    assert_hidden(private_site.ask(image_id))
    assert_hidden(private_site.ask(image_id, X_Auth_Token="stranger"))
    assert private_site.ask(image_id, X_Auth_Token="owner").status == 200


def test_callers_at_the_same_time(private_site: Site) -> None:
    """Callers who ask at the same time, and may wait for one another, each get their own answer."""
    image_ids = [new_id("private") for _ in range(5)]
    calls = [(i, token) for i in image_ids for token in ("owner", "stranger")] * 4
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda call: private_site.ask(call[0], X_Auth_Token=call[1]), calls)
        )
    for (image_id, token), answer in zip(calls, answers, strict=True):
        assert answer.status == (200 if token == "owner" else 404)
        assert answer.headers["X-Image-Meta-Id"] == (image_id if token == "owner" else None)


# Conditions, where nothing may be stored


@pytest.mark.parametrize("kind", ["private", "public"])
def test_conditions_hold_through_a_cache(private_site: Site, kind: str) -> None:
    """304 and 412 come through a cache for answers that it may store, and for those it may not."""
    image_id = new_id(kind)
    first = private_site.ask(image_id, X_Auth_Token="owner")
    etag, modified = first.headers["ETag"], first.headers["Last-Modified"]
    for status, headers in [
        (304, {"If_None_Match": etag}),
        (304, {"If_None_Match": f"W/{etag}"}),
        (304, {"If_Modified_Since": modified}),
        (412, {"If_Match": '"x"'}),
        (412, {"If_Unmodified_Since": OLD}),
        (200, {"If_None_Match": '"x"'}),
        (200, {"If_Modified_Since": OLD}),
        (200, {"If_Match": etag}),
        (200, {"If_Unmodified_Since": modified}),
    ]:
        for _ in range(2):
            answer = private_site.ask(image_id, X_Auth_Token="owner", **headers)
            assert answer.status == status, headers
            # A cache's own 304 has the headers of the 200 that it stored.
            if status != 304:
                assert answer.headers["X-Image-Meta-Size"] == ("5" if status == 200 else None)
    if kind == "private":
        assert_hidden(private_site.ask(image_id))


@pytest.mark.parametrize("proxy", PROXIES)
def test_the_largest_answer_passes(proxy: str, tmp_path: Path) -> None:
    """All the headers and bytes that are sent by default pass a cache with the page's settings."""
    app = Flask(__name__)
    images = {
        "many": {"id": "many", "properties": {f"note{n:02}": "x" * 100 for n in range(100)}},
        "full": {"id": "full", "properties": {f"note{n}": "x" * 500 for n in range(40)}},
        "long": {"id": "long", "name": "x" * 15_000},
    }
    ImageMeta(app, lookup=images.get)
    site = Site({})
    with serve(app) as upstream, PROXIES[proxy](upstream, tmp_path) as site.port:
        answers = {image_id: site.ask(image_id) for image_id in images}
    assert [answer.status for answer in answers.values()] == [200] * 3
    assert int(answers["many"].headers["X-Imagemeta-Omitted-Properties"]) > 0
    assert len(answers["many"].getheaders()) > 90
    assert sum(len(k) + len(v) + 4 for k, v in answers["full"].getheaders()) > 15_000
    assert len(answers["long"].headers["X-Image-Meta-Name"]) == 15_000


def test_varnish_as_it_comes_asks_with_get(tmp_path: Path) -> None:
    """Without the page's lines, Varnish gets a 405 for every image."""
    site = Site(ALL_PUBLIC)
    plain = VCL[: VCL.index("sub ")]
    with serve(site.app) as upstream, varnish(plain, "", upstream, tmp_path) as site.port:
        assert site.ask("public").status == 405


def test_nginx_as_it_comes_asks_with_get(tmp_path: Path) -> None:
    """Nor does nginx get anything else without them, once it has a cache."""
    site = Site(ALL_PUBLIC)
    plain = f"{LOCATION.rstrip().removesuffix('}')}proxy_cache images;}}"
    with serve(site.app) as upstream, nginx(plain, upstream, tmp_path) as site.port:
        assert site.ask("public").status == 405
