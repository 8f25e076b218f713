"""What caches may keep: Cache-Control and Vary, by status, setting and image."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Response, abort, session

from flask_imagemeta import Identity, ImageMeta, StoreUnavailable
from flask_imagemeta.image import ImageRecord

from .apps import EXAMPLE, PATH, make_app, make_client

pytestmark = pytest.mark.core

DEFAULT = "private, no-cache"
PUBLIC = "public, max-age=300"
BOTH = {"IMAGEMETA_CACHE_CONTROL": "private, max-age=9", "IMAGEMETA_PUBLIC_CACHE_CONTROL": PUBLIC}
VARY = "X-Auth-Token, Authorization, Cookie, X-Image-Meta-Size"


def refuse(status: int, **headers: str) -> Any:
    """Return a hook that ends every request with an answer of its own."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda *args: abort(Response(status=status, headers=named))


def fail(error: Exception) -> Any:
    """Return a hook that raises."""

    def hook(*args: Any) -> Any:
        raise error

    return hook


ANSWERS: list[tuple[int, dict[str, Any], dict[str, Any]]] = [
    (200, {}, {}),
    (304, {"headers": {"If-None-Match": "*"}}, {}),
    (400, {"headers": {"X-Image-Meta-Size": "x"}}, {}),
    (401, {}, {"identity": refuse(401)}),
    (403, {}, {"lookup": refuse(403)}),
    (404, {}, {"lookup": lambda image_id: None}),
    (404, {}, {"lookup": refuse(404)}),
    (405, {"method": "GET"}, {}),
    (405, {"method": "PUT"}, {}),
    (409, {"headers": {"X-Image-Meta-Size": "1"}}, {}),
    (409, {}, {"stored_size": lambda image: 1}),
    (410, {}, {"lookup": refuse(410)}),
    (412, {"headers": {"If-Match": '"other"'}}, {}),
    (302, {}, {"identity": refuse(302, Location="/login")}),
    (500, {}, {"lookup": lambda image_id: {"id": image_id, "size": "abc"}}),
    (500, {}, {"lookup": fail(OSError())}),
    (500, {}, {"show_property": fail(OSError())}),
    (502, {}, {"lookup": refuse(502)}),
    (503, {}, {"lookup": fail(StoreUnavailable())}),
    (503, {}, {"identity": refuse(503, Retry_After="9")}),
    (200, {"method": "OPTIONS"}, {}),
]


@pytest.mark.parametrize("configured", [DEFAULT, "no-cache", PUBLIC])
@pytest.mark.parametrize(("status", "request_kwargs", "hooks"), ANSWERS)
def test_by_status(
    status: int, request_kwargs: dict[str, Any], hooks: dict[str, Any], configured: str
) -> None:
    """The configured Cache-Control is on 200, 304 and 404; any other answer is no-store."""
    image = {**EXAMPLE, "properties": {"a": "b"}}
    imagemeta = ImageMeta(**{"lookup": lambda image_id: image, **hooks})
    config = {"IMAGEMETA_CACHE_CONTROL": configured, "PROPAGATE_EXCEPTIONS": False}
    client = make_app(imagemeta, **config).test_client()
    response = client.open(**{"path": PATH, "method": "HEAD", **request_kwargs})
    assert response.status_code == status
    may_keep = status in (200, 304, 404) and request_kwargs.get("method") != "OPTIONS"
    assert response.headers.getlist("Cache-Control") == [configured if may_keep else "no-store"]
    assert response.headers.getlist("Vary") == [VARY]


@pytest.mark.parametrize("status", [200, 302, 401, 403, 404, 429, 503])
@pytest.mark.parametrize("hook", ["identity", "lookup", "stored_size", "show_property"])
def test_a_hooks_own_caching_stands(hook: str, status: int) -> None:
    """An answer that a hook gives keeps its Cache-Control, and its Vary gets our names."""
    answer = refuse(status, Cache_Control="private, max-age=1", Vary="X-Mine, Cookie")
    image = {**EXAMPLE, "properties": {"a": "b"}}
    imagemeta = ImageMeta(**{"lookup": lambda image_id: image, hook: answer})
    client = make_app(imagemeta, **BOTH).test_client()
    response = client.head(PATH)
    assert response.status_code == status
    assert response.headers.getlist("Cache-Control") == ["private, max-age=1"]
    ours = "X-Auth-Token, Authorization, X-Image-Meta-Size"
    assert response.headers.getlist("Vary") == [f"X-Mine, Cookie, {ours}"]


# IMAGEMETA_PUBLIC_CACHE_CONTROL

OWNED: dict[str, Any] = {"id": "a", "size": 5, "owner": "p", "properties": {"a": "b"}}
OWNER, ADMIN = Identity("p"), Identity("other", ["admin"])


@pytest.mark.parametrize("headers", [{}, {"If-None-Match": "*"}], ids=["200", "304"])
@pytest.mark.parametrize("identity", [None, OWNER, ADMIN, Identity("stranger")])
@pytest.mark.parametrize(
    "image",
    [
        {**OWNED, "is_public": True},
        {**OWNED, "visibility": "public"},
        {**OWNED, "visibility": "community"},
        {**OWNED, "owner": None},
        ImageRecord("a", owner="p", visibility="public"),
    ],
)
def test_an_image_for_everyone(
    image: Any, identity: Identity | None, headers: dict[str, str]
) -> None:
    """Of an image that everyone may see, 200 and 304 have the public Cache-Control."""
    response = make_client(image, config=BOTH, identity=lambda: identity).head(
        PATH, headers=headers
    )
    assert response.status_code == (304 if headers else 200)
    assert response.headers.getlist("Cache-Control") == [PUBLIC]
    assert response.headers.getlist("Vary") == [VARY]


@pytest.mark.parametrize("headers", [{}, {"If-None-Match": "*"}], ids=["200", "304"])
@pytest.mark.parametrize(
    ("image", "identity", "hooks"),
    [
        (OWNED, OWNER, {}),
        ({**OWNED, "visibility": "private"}, ADMIN, {}),
        ({**OWNED, "visibility": "shared", "members": ["q"]}, Identity("q"), {}),
        ({**OWNED, "owner": ""}, ADMIN, {}),
        ({**OWNED, "is_public": True, "deleted": True}, ADMIN, {}),
        ({**OWNED, "owner": None, "deleted": True}, ADMIN, {}),
        ({**OWNED, "is_public": True}, None, {"show_property": lambda name, identity: True}),
        (ImageRecord("a", visibility="public", access_granted=True), None, {}),
        (ImageRecord("a", owner="p", visibility="public", access_granted=True), OWNER, {}),
    ],
    ids=[
        *("owner", "admin", "member", "empty-owner", "deleted", "deleted-unowned"),
        *("show_property", "granted", "granted-to-owner"),
    ],
)
def test_an_image_for_some(
    image: Any, identity: Identity | None, hooks: dict[str, Any], headers: dict[str, str]
) -> None:
    """Any other 200 or 304 has the Cache-Control that is for all answers."""
    response = make_client(image, config=BOTH, identity=lambda: identity, **hooks).head(
        PATH, headers=headers
    )
    assert response.status_code == (304 if headers else 200)
    assert response.headers.getlist("Cache-Control") == ["private, max-age=9"]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (400, {"X-Image-Meta-Size": "x"}),
        (409, {"X-Image-Meta-Size": "6"}),
        (412, {"If-Match": '"other"'}),
    ],
)
def test_an_error_for_a_public_image(status: int, headers: dict[str, str]) -> None:
    """A public image's errors are no-store, too."""
    response = make_client({**OWNED, "is_public": True}, config=BOTH).head(PATH, headers=headers)
    assert response.status_code == status
    assert response.headers.getlist("Cache-Control") == ["no-store"]


def test_a_missing_image_is_not_public() -> None:
    """A 404 never has the public Cache-Control: the image may be hidden from this caller alone."""
    for image in (None, OWNED):
        response = make_client(image, config=BOTH).head(PATH)
        assert response.status_code == 404
        assert response.headers.getlist("Cache-Control") == ["private, max-age=9"]


@pytest.mark.parametrize(
    ("own", "sent"), [(None, "private, max-age=9"), ("public, max-age=1", "public, max-age=1")]
)
def test_a_cookie_is_not_shared(own: str | None, sent: str) -> None:
    """With a new session, an image that anyone may see is private, unless the host says more."""
    imagemeta = ImageMeta(lookup=lambda image_id: {**OWNED, "is_public": True})
    app = make_app(imagemeta, **BOTH, SECRET_KEY="a")

    @app.after_request
    def greet(response: Response) -> Response:
        session["greeted"] = True
        if own:
            response.headers["Cache-Control"] = own
        return response

    response = app.test_client().head(PATH)
    assert "Set-Cookie" in response.headers
    assert response.headers.getlist("Cache-Control") == [sent]


def test_an_image_that_cannot_be_judged_is_not_shown() -> None:
    """Where an image's owner cannot be read, an admin's answer is an error that no one keeps."""

    class Broken:
        id, is_public, size = "a", False, 5

        @property
        def owner(self) -> str:
            raise OSError("gone")

    response = make_client(Broken(), config=BOTH, identity=lambda: ADMIN).head(PATH)
    assert response.status_code == 500
    assert response.headers.getlist("Cache-Control") == ["no-store"]


# Answers that the host makes


@pytest.mark.parametrize(
    ("configured", "sent", "vary"),
    [
        ("Cookie", ["Accept", "Origin"], "Accept, Origin, Cookie, X-Image-Meta-Size"),
        ("Cookie", ["*"], "*"),
        ("Cookie", ["Accept", "*, Origin"], "*"),
        ("*", ["Accept"], "*"),
        ("Cookie, *", [], "*"),
    ],
)
def test_vary_of_the_hosts_answers(configured: str, sent: list[str], vary: str) -> None:
    """A host's Vary is kept whole, on however many lines; an asterisk then stands alone."""
    app = make_app(ImageMeta(lookup=lambda image_id: EXAMPLE), IMAGEMETA_VARY=configured)

    @app.before_request
    def refuse() -> Response:
        response = Response("closed", status=503)
        for line in sent:
            response.headers.add("Vary", line)
        return response

    assert app.test_client().head(PATH).headers.getlist("Vary") == [vary]


def test_vary_asterisk_of_ours() -> None:
    """An asterisk among the configured names stands alone in our own answers, too."""
    response = make_client(EXAMPLE, config={"IMAGEMETA_VARY": "Cookie, *"}).head(PATH)
    assert response.headers.getlist("Vary") == ["*"]


def test_vary_asterisk_with_a_session() -> None:
    """An asterisk still stands alone after Flask has saved the session, which adds Cookie."""
    imagemeta = ImageMeta(lookup=lambda image_id: EXAMPLE, identity=lambda: session.get("user"))
    app = make_app(imagemeta, IMAGEMETA_VARY="*", SECRET_KEY="k")
    assert app.test_client().head(PATH).headers.getlist("Vary") == ["*"]


def test_the_hosts_own_error_handler() -> None:
    """What a host's handler makes of a crash is no-store unless the handler says otherwise."""
    for own, control in ({}, "no-store"), ({"Cache-Control": "private"}, "private"):
        app = make_app(ImageMeta(lookup=fail(KeyError("x"))), **BOTH)
        app.register_error_handler(KeyError, lambda error, own=own: ("sorry", 503, own))
        response = app.test_client().head(PATH)
        assert response.status_code == 503
        assert response.headers.getlist("Cache-Control") == [control]
        assert response.headers.getlist("Vary") == [VARY]
