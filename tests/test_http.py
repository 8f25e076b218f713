"""The operation over HTTP: statuses, conditional requests, caching headers, other methods."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask, Response, abort
from flask.testing import FlaskClient
from marshmallow import fields, post_dump
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.http import http_date, parse_date

from flask_imagemeta import Identity, ImageMeta, ImageMetaSchema, StoreUnavailable
from flask_imagemeta.schema import OMITTED

from .apps import EXAMPLE, EXAMPLE_HEADERS, PATH, make_app, make_client, metadata

pytestmark = pytest.mark.core

REQUEST_ID = "X-Openstack-Request-Id"
REQUEST_ID_FORM = r"req-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
VARY = "X-Auth-Token, Authorization, Cookie, X-Image-Meta-Size"
UPDATED = "Thu, 25 Feb 2016 03:02:05 GMT"
BEFORE = "Thu, 25 Feb 2016 03:02:04 GMT"


def without_request_id(response: Any) -> list[tuple[str, str]]:
    return [(name, value) for name, value in response.headers if name != REQUEST_ID]


def fail(error: Exception) -> Any:
    raise error


# 200


def test_documented_example(client: FlaskClient) -> None:
    """The documented image answers 200 with exactly the documented metadata, in its order."""
    response = client.head(PATH)
    assert response.status_code == 200
    assert list(metadata(response).items()) == list(EXAMPLE_HEADERS.items())


def test_no_body(client: FlaskClient) -> None:
    """The answer is empty and says so; its type is one that no client tries to parse."""
    response = client.head(PATH)
    assert response.data == b""
    assert response.headers["Content-Length"] == "0"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


def test_all_other_headers(client: FlaskClient) -> None:
    """Beside metadata an answer has these seven headers, and no cookie or other extra."""
    names = {name for name, _ in client.head(PATH).headers} - set(EXAMPLE_HEADERS)
    assert names == {
        "Content-Length",
        "Content-Type",
        "ETag",
        "Last-Modified",
        "Cache-Control",
        "Vary",
        REQUEST_ID,
    }


STATUSES = """
queued saving active killed deleted pending_delete deactivated importing uploading
"""


@pytest.mark.parametrize("status", STATUSES.split())
def test_every_status_answers(status: str) -> None:
    """The image's status does not matter: each answers 200."""
    response = make_client({**EXAMPLE, "status": status}).head(PATH)
    assert response.status_code == 200
    assert response.headers["X-Image-Meta-Status"] == status


def test_request_body_is_not_parsed(client: FlaskClient) -> None:
    """A content type and a body that is none of it do not matter."""
    response = client.head(PATH, data=b"{", content_type="application/json")
    assert response.status_code == 200


@pytest.mark.parametrize("image_id", ["日本", "é", "a b", "a+b", "%", "A", "a" * 255])
def test_any_id(client: FlaskClient, images: dict[str, Any], image_id: str) -> None:
    """An id is any text, looked up exactly as it was before it was percent-encoded."""
    images[image_id] = {"id": image_id}
    response = client.head(f"/v1/images/{quote(image_id)}")
    assert response.status_code == 200
    assert response.headers["X-Image-Meta-Id"].encode("latin-1").decode() == image_id


# Request ids


def test_request_id_is_fresh(client: FlaskClient) -> None:
    """Each answer has a request id of its own, in OpenStack's form."""
    ids = {client.head(PATH).headers[REQUEST_ID] for _ in range(3)}
    assert len(ids) == 3
    assert all(re.fullmatch(REQUEST_ID_FORM, request_id) for request_id in ids)


@pytest.mark.parametrize(
    ("status", "request_kwargs", "hooks"),
    [
        (200, {}, {}),
        (200, {"method": "OPTIONS"}, {}),
        (304, {"headers": {"If-None-Match": "*"}}, {}),
        (400, {"headers": {"X-Image-Meta-Size": "x"}}, {}),
        (401, {}, {"identity": lambda: abort(401)}),
        (404, {"path": f"/v1/images/{'a' * 256}"}, {}),
        (405, {"method": "GET"}, {}),
        (405, {"method": "DELETE"}, {}),
        (409, {"headers": {"X-Image-Meta-Size": "1"}}, {}),
        (412, {"headers": {"If-Match": '"x"'}}, {}),
        (500, {}, {"identity": lambda: fail(OSError())}),
        (500, {}, {"stored_size": lambda image: "".missing}),  # type: ignore[attr-defined]
        (503, {}, {"stored_size": lambda image: fail(StoreUnavailable())}),
    ],
)
def test_every_answer(status: int, request_kwargs: dict[str, Any], hooks: dict[str, Any]) -> None:
    """Every answer of ours has one request id, a Vary, and caching that fits its status."""
    config = {"PROPAGATE_EXCEPTIONS": False}
    client = make_client(EXAMPLE, config=config, **hooks)
    response = client.open(**{"path": PATH, "method": "HEAD", **request_kwargs})
    assert response.status_code == status
    assert re.fullmatch(REQUEST_ID_FORM, ",".join(response.headers.getlist(REQUEST_ID)))
    method = request_kwargs.get("method", "HEAD")
    control = "private, no-cache" if status in (200, 304, 404) and method == "HEAD" else "no-store"
    assert response.headers.getlist("Cache-Control") == [control]
    assert response.headers.getlist("Vary") == [VARY]
    assert response.data == b""


def test_answers_of_others_are_left_alone() -> None:
    """The host's own routes and missing pages get none of our headers."""
    app = make_app(ImageMeta(lookup=lambda image_id: None))
    app.add_url_rule("/own", view_func=lambda: "own")
    client = app.test_client()
    answers = (
        client.get("/own"),
        client.post("/own"),
        client.get("/none"),
        client.head("/v1/images/"),
    )
    for response in answers:
        assert not {REQUEST_ID, "Cache-Control", "Vary"} & set(response.headers.keys())


# 400 and 409


@pytest.mark.parametrize("size", ["x", "", "-1", "1.5", "1e3", "0x10", "1_000", "+1", "1, 1", "²"])
def test_400_for_a_size_that_is_no_number(client: FlaskClient, size: str) -> None:
    """A request's size that is not a whole number of bytes is a 400 without metadata."""
    response = client.head(PATH, environ_overrides={"HTTP_X_IMAGE_META_SIZE": size})
    assert response.status_code == 400
    assert response.data == b""
    assert metadata(response) == {}


def test_400_comes_before_the_lookup() -> None:
    """A bad size is refused without asking the store."""
    imagemeta = ImageMeta(lookup=lambda image_id: fail(AssertionError()))
    client = make_app(imagemeta).test_client()
    assert client.head(PATH, headers={"X-Image-Meta-Size": "x"}).status_code == 400


@pytest.mark.parametrize("size", ["4979632", "004979632", " 4979632 "])
def test_200_for_the_right_size(client: FlaskClient, size: str) -> None:
    """A request that names the image's size is answered."""
    assert client.head(PATH, headers={"X-Image-Meta-Size": size}).status_code == 200


@pytest.mark.parametrize("size", ["0", "4979631", "9" * 5000])
def test_409_for_another_size(client: FlaskClient, size: str) -> None:
    """A request that names another size is a 409 without metadata."""
    response = client.head(PATH, headers={"X-Image-Meta-Size": size})
    assert response.status_code == 409
    assert metadata(response) == {}


@pytest.mark.parametrize("size", ["0", "7"])
def test_409_for_an_image_without_size(size: str) -> None:
    """An image without a size differs from every number, 0 too."""
    client = make_client({**EXAMPLE, "size": None})
    assert client.head(PATH, headers={"X-Image-Meta-Size": size}).status_code == 409


@pytest.mark.parametrize("size", [7, "7", "007", 7.0])
def test_sizes_compare_as_sent(size: object) -> None:
    """A host's size that is kept as a string or float compares as the number it is sent as."""
    client = make_client({**EXAMPLE, "size": size}, stored_size=lambda image: 7)
    assert client.head(PATH, headers={"X-Image-Meta-Size": "7"}).status_code == 200


@pytest.mark.parametrize(
    ("stored", "status"), [(4979632, 200), (None, 200), (0, 200), (1, 409), (4979633, 409)]
)
def test_stored_size(stored: int | None, status: int) -> None:
    """Another number of stored bytes is a 409; None and 0 mean unknown."""
    assert make_client(EXAMPLE, stored_size=lambda image: stored).head(PATH).status_code == status


def test_size_of_another_prefix() -> None:
    """The request's size header has the schema's prefix, and no other counts."""

    class Schema(ImageMetaSchema):
        prefix = "X-Firmware-Meta-"

    client = make_client(EXAMPLE, schema=Schema)
    assert client.head(PATH, headers={"X-Firmware-Meta-Size": "1"}).status_code == 409
    assert client.head(PATH, headers={"X-Image-Meta-Size": "x"}).status_code == 200


def test_schema_without_size_and_time() -> None:
    """A schema without size checks none, one without updated_at sends no Last-Modified."""
    client = make_client(EXAMPLE, schema=ImageMetaSchema(exclude=["size", "updated_at"]))
    response = client.head(PATH, headers={"X-Image-Meta-Size": "x"})
    assert response.status_code == 200
    assert "Last-Modified" not in response.headers


# 404


def test_404_is_indistinguishable() -> None:
    """A missing, a hidden and a deleted image and an impossible id answer alike, to the byte."""
    private = {**EXAMPLE, "is_public": False, "properties": {"a": "b"}}
    clients = [make_client(None), make_client(private), make_client({**EXAMPLE, "deleted": True})]
    answers = [client.head(PATH) for client in clients]
    answers.append(make_client(EXAMPLE).head("/v1/images/a%0Ab"))
    assert {response.status_code for response in answers} == {404}
    assert {response.data for response in answers} == {b""}
    first, *others = [without_request_id(response) for response in answers]
    assert all(other == first for other in others)


@pytest.mark.parametrize("header", ["X-Image-Meta-Size", "If-None-Match", "If-Match"])
def test_hidden_answers_no_question(header: str) -> None:
    """Neither size nor conditions of a request tell a hidden image from a missing one."""
    value = str(EXAMPLE["size"]) if "Size" in header else "*"
    client = make_client({**EXAMPLE, "is_public": False}, stored_size=lambda image: 1)
    response = client.head(PATH, headers={header: value})
    assert response.status_code == 404
    assert "ETag" not in response.headers


@pytest.mark.parametrize("image_id", ["%00", "a%0Ab", "a%7F", "a%C2%85", "a" * 256, "%09"])
def test_impossible_id_is_not_looked_up(image_id: str) -> None:
    """An id with a control character, or of more than 255 characters, is not looked up."""
    imagemeta = ImageMeta(lookup=lambda image_id: fail(AssertionError()))
    assert make_app(imagemeta).test_client().head(f"/v1/images/{image_id}").status_code == 404


def test_deleted_image_shows_no_properties() -> None:
    """An admin sees a deleted image, without properties and without a count of them."""
    deleted = {**EXAMPLE, "deleted": True, "properties": {"a": "1", "A": "2"}}
    response = make_client(deleted, identity=lambda: Identity(roles=["admin"])).head(PATH)
    assert response.status_code == 200
    assert metadata(response) == {**EXAMPLE_HEADERS, "X-Image-Meta-Deleted": "True"}
    assert OMITTED not in response.headers


# 500 and 503


@pytest.mark.parametrize("seconds", [5, 0, 120])
def test_503_with_retry_after(seconds: int) -> None:
    """An unreachable store is an empty 503 that says when to try again."""
    imagemeta = ImageMeta(lookup=lambda image_id: fail(StoreUnavailable("no route to host")))
    response = make_app(imagemeta, IMAGEMETA_RETRY_AFTER=seconds).test_client().head(PATH)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == str(seconds)
    assert "no route" not in str(response.headers) + response.text


def test_store_that_comes_back(images: dict[str, Any]) -> None:
    """The next request tries the store again."""
    answers = iter([StoreUnavailable(), None])

    def lookup(image_id: str) -> Any:
        error = next(answers)
        return fail(error) if error else images[image_id]

    client = make_app(ImageMeta(lookup=lookup)).test_client()
    assert [client.head(PATH).status_code for _ in range(2)] == [503, 200]


def test_500_for_an_image_that_does_not_fit() -> None:
    """An image that cannot be sent is an empty 500 that tells the client nothing of it."""
    response = make_client({**EXAMPLE, "size": "abc"}).head(PATH)
    assert response.status_code == 500
    assert response.data == b""
    assert metadata(response) == {}
    assert response.headers["Content-Length"] == "0"


def test_control_characters_do_not_split_the_response() -> None:
    """Line breaks in a value or a property's name never make a header of their own."""
    image = {"name": "a\r\nX-Evil: 1", "properties": {"b\r\nX-Evil: 1": "c\r\nX-Evil: 1\x00"}}
    response = make_client(image).head(PATH)
    assert response.headers["X-Image-Meta-Name"] == "a  X-Evil: 1"
    name = "X-Image-Meta-Property-B%0D%0Ax-Evil%3A%201"
    assert response.headers[name] == "c  X-Evil: 1"
    assert "X-Evil" not in response.headers


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "-"])
def test_time_in_a_field_of_another_kind(time: str) -> None:
    """If a schema's updated_at is text, any is sent; without a time in UTC no answer is dated."""
    schema = type("Schema", (ImageMetaSchema,), {"updated_at": fields.String()})
    response = make_client({"id": "a", "updated_at": time}, schema=schema).head(PATH)
    assert response.headers["X-Image-Meta-Updated_at"] == time
    assert "Last-Modified" not in response.headers


@pytest.mark.parametrize("value", ["name\n", " name", "\x00name\t", "name\x85"])
def test_no_value_has_white_space_at_an_end(value: str) -> None:
    """No value begins or ends with white space, which ends a stream of HTTP/2."""
    image = {"name": value, "properties": {"a": value}}
    response = make_client(image).head(PATH)
    assert response.headers["X-Image-Meta-Name"] == "name"
    assert response.headers["X-Image-Meta-Property-A"] == "name"
    assert all(value == value.strip(" \t") for value in response.headers.values())


def test_line_break_of_a_schemas_hook() -> None:
    """A line break that a schema's own hook brings in makes no answer at all."""

    class Schema(ImageMetaSchema):
        @post_dump
        def add_header(self, headers: dict[str, str], **kwargs: Any) -> dict[str, str]:
            return headers | {"X-Image-Meta-Note": "a\r\nX-Evil: 1"}

    response = make_client(EXAMPLE, schema=Schema).head(PATH)
    assert response.status_code == 500
    assert "X-Evil" not in str(response.headers)


def test_a_header_that_the_host_adds() -> None:
    """A location that an application adds afterwards goes out as a URL, not as it is."""
    app = make_app(ImageMeta(lookup=lambda image_id: EXAMPLE))

    @app.after_request
    def add(response: Response) -> Response:
        response.headers["Content-Location"] = "/é b"
        return response

    response = app.test_client().head(PATH)
    assert response.headers["Content-Location"] == "/%C3%A9%20b"
    assert response.headers["X-Image-Meta-Id"] == EXAMPLE["id"]


def test_status_that_the_host_changes() -> None:
    """An application may change an answer's status afterwards; its headers then fit the new one."""
    app = make_app(ImageMeta(lookup=lambda image_id: EXAMPLE))

    @app.after_request
    def change(response: Response) -> Response:
        response.status_code = 204
        return response

    response = app.test_client().head(PATH)
    assert response.status_code == 204
    assert "Content-Length" not in response.headers


# Answers that a hook gives with abort()


def test_abort_of_a_hook() -> None:
    """A hook's abort is the answer's status, with its headers and without its body."""
    challenge = WWWAuthenticate("keystone", {"uri": "http://keystone"})
    client = make_client(EXAMPLE, identity=lambda: abort(401, www_authenticate=challenge))
    response = client.head(PATH)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == str(challenge)
    assert response.headers["Content-Length"] == "0"
    assert metadata(response) == {}


def test_abort_with_several_challenges() -> None:
    """Several headers of one name all go out."""
    challenges = [WWWAuthenticate("basic", {"realm": "a"}), WWWAuthenticate("bearer")]
    client = make_client(EXAMPLE, identity=lambda: abort(401, www_authenticate=challenges))
    assert len(client.head(PATH).headers.getlist("WWW-Authenticate")) == 2


def test_abort_with_a_response() -> None:
    """A hook may abort with a whole response: its status and headers hold, its body does not."""
    answer = Response("body", status=429, headers={"Retry-After": "7"}, mimetype="application/json")
    response = make_client(EXAMPLE, stored_size=lambda image: abort(answer)).head(PATH)
    assert response.status_code == 429
    assert response.headers["Retry-After"] == "7"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Content-Length"] == "0"


def test_crash_of_a_hook() -> None:
    """An unexpected error of a hook's is Flask's to handle, as in any view."""
    app = make_app(ImageMeta(lookup=lambda image_id: fail(ZeroDivisionError())))
    app.register_error_handler(ZeroDivisionError, lambda error: ("", 418))
    assert app.test_client().head(PATH).status_code == 418


# ETag, Last-Modified and conditional requests


def test_etag_is_strong_and_quoted(client: FlaskClient) -> None:
    """The entity tag is strong, quoted, the same for the same metadata, and not the checksum."""
    etags = {client.head(PATH).headers["ETag"] for _ in range(2)}
    assert len(etags) == 1
    assert re.fullmatch(r'"[0-9a-f]{32}"', etags.pop())
    assert EXAMPLE["checksum"] not in client.head(PATH).headers["ETag"]


@pytest.mark.parametrize(
    "change", [{"name": "other"}, {"properties": {"a": ""}}, {"min_disk": 1}, {"owner": None}]
)
def test_etag_changes_with_the_metadata(
    client: FlaskClient, images: dict[str, Any], change: dict[str, Any]
) -> None:
    """Another value of any field makes another entity tag, though the checksum stays."""
    before = client.head(PATH).headers["ETag"]
    images[EXAMPLE["id"]].update(change)
    assert client.head(PATH).headers["ETag"] != before


def test_etag_is_of_what_is_sent() -> None:
    """Who is shown other properties gets another entity tag."""
    image = {**EXAMPLE, "properties": {"a": "1"}}
    clients = [
        make_client(image, show_property=lambda name, identity: True),
        make_client(image, show_property=lambda name, identity: False),
    ]
    tags = {client.head(PATH).headers["ETag"] for client in clients}
    assert len(tags) == 2


def test_last_modified(client: FlaskClient) -> None:
    """Last-Modified is the image's updated_at in whole seconds."""
    assert client.head(PATH).headers["Last-Modified"] == UPDATED


def test_last_modified_is_never_to_come() -> None:
    """A time in the future is sent as now."""
    future = datetime.now(timezone.utc) + timedelta(days=2)
    response = make_client({**EXAMPLE, "updated_at": future}).head(PATH)
    sent = parse_date(response.headers["Last-Modified"])
    assert sent is not None
    assert sent <= datetime.now(timezone.utc)


def test_last_modified_of_an_image_without_time() -> None:
    """An image without updated_at has no Last-Modified."""
    assert "Last-Modified" not in make_client({**EXAMPLE, "updated_at": None}).head(PATH).headers


@pytest.mark.parametrize(
    ("field", "expected"),
    [(fields.AwareDateTime(), BEFORE), (fields.DateTime(format="rfc"), None)],
    ids=["zone", "another form"],
)
def test_last_modified_of_another_field(field: Any, expected: str | None) -> None:
    """A schema's own updated_at counts in the zone that it names, or is ignored."""
    schema = ImageMetaSchema.from_dict({"updated_at": field})
    zone = timezone(timedelta(hours=2))
    image = {**EXAMPLE, "updated_at": datetime(2016, 2, 25, 5, 2, 4, tzinfo=zone)}
    assert make_client(image, schema=schema).head(PATH).headers.get("Last-Modified") == expected


ETAG = "the image's own"  # stands for the entity tag, which a test looks up first
OTHER = '"another"'
NO_DATE = "Thu, 25 Feb 99999999999 00:00:00 GMT"  # a year that no parser of dates holds
NEVER = http_date(0)


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ({"If-None-Match": ETAG}, 304),
        ({"If-None-Match": f"W/{ETAG}"}, 304),
        ({"If-None-Match": f"{OTHER}, {ETAG}"}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": OTHER}, 200),
        ({"If-Modified-Since": UPDATED}, 304),
        ({"If-Modified-Since": BEFORE}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Modified-Since": NO_DATE}, 200),
        ({"If-Unmodified-Since": NO_DATE}, 200),
        ({"If-Match": ETAG}, 200),
        ({"If-Match": f"{OTHER}, {ETAG}"}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": OTHER}, 412),
        ({"If-Match": f"W/{ETAG}"}, 412),
        ({"If-Unmodified-Since": UPDATED}, 200),
        ({"If-Unmodified-Since": BEFORE}, 412),
        ({"If-Unmodified-Since": "yesterday"}, 200),
        # RFC 9110, 13.2.2: If-Match, or else If-Unmodified-Since, comes first ...
        ({"If-Match": OTHER, "If-None-Match": ETAG}, 412),
        ({"If-Match": ETAG, "If-None-Match": ETAG}, 304),
        ({"If-Match": ETAG, "If-Unmodified-Since": BEFORE}, 200),
        ({"If-Match": OTHER, "If-Unmodified-Since": UPDATED}, 412),
        ({"If-Unmodified-Since": BEFORE, "If-None-Match": ETAG}, 412),
        ({"If-Unmodified-Since": UPDATED, "If-Modified-Since": UPDATED}, 304),
        # ... then If-None-Match, or else If-Modified-Since.
        ({"If-None-Match": OTHER, "If-Modified-Since": UPDATED}, 200),
        ({"If-None-Match": ETAG, "If-Modified-Since": BEFORE}, 304),
    ],
    ids=str,
)
def test_conditions(client: FlaskClient, conditions: dict[str, str], status: int) -> None:
    """Conditions are evaluated in RFC 9110's order."""
    etag = client.head(PATH).headers["ETag"]
    headers = {name: value.replace(ETAG, etag) for name, value in conditions.items()}
    assert client.head(PATH, headers=headers).status_code == status


@pytest.mark.parametrize("header", ["If-Modified-Since", "If-Unmodified-Since"])
def test_dates_are_void_without_a_time(header: str) -> None:
    """Conditions on dates mean nothing for an image without updated_at."""
    client = make_client({**EXAMPLE, "updated_at": None})
    for date in (NEVER, http_date()):
        assert client.head(PATH, headers={header: date}).status_code == 200


def test_304_has_validators_and_no_metadata(client: FlaskClient) -> None:
    """A 304 keeps the entity tag and sends neither metadata nor a length."""
    etag = client.head(PATH).headers["ETag"]
    response = client.head(PATH, headers={"If-None-Match": etag})
    assert response.headers["ETag"] == etag
    assert metadata(response) == {}
    assert "Content-Length" not in response.headers


@pytest.mark.parametrize("is_changed", [False, True])
def test_304_has_no_last_modified(is_changed: bool) -> None:
    """A 304 has no Last-Modified, whether or not the host has added a header to it."""
    app = make_app(ImageMeta(lookup=lambda image_id: EXAMPLE))

    @app.after_request
    def add(response: Response) -> Response:
        if is_changed:
            response.headers["X-Host"] = "a"
        return response

    assert "Last-Modified" in app.test_client().head(PATH).headers
    response = app.test_client().head(PATH, headers={"If-None-Match": "*"})
    assert response.status_code == 304
    assert "Last-Modified" not in response.headers


def test_412_has_no_metadata(client: FlaskClient) -> None:
    """A 412 is empty and tells nothing of the image."""
    response = client.head(PATH, headers={"If-Match": OTHER})
    assert metadata(response) == {}
    assert "ETag" not in response.headers
    assert response.headers["Content-Length"] == "0"


@pytest.mark.parametrize(
    ("status", "image", "headers"),
    [
        (404, None, {}),
        (409, EXAMPLE, {"X-Image-Meta-Size": "1"}),
        (400, EXAMPLE, {"X-Image-Meta-Size": "x"}),
        (500, {"size": "abc"}, {}),
    ],
)
@pytest.mark.parametrize("condition", [{"If-None-Match": "*"}, {"If-Match": OTHER}])
def test_conditions_count_only_for_a_200(
    status: int, image: Any, headers: dict[str, str], condition: dict[str, str]
) -> None:
    """What would not be a 200 stays what it is, whatever the conditions."""
    assert make_client(image).head(PATH, headers=headers | condition).status_code == status


# Other methods


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "TRACE"])
def test_405(client: FlaskClient, method: str) -> None:
    """Another method is an empty 405 that names those allowed, whether or not the image exists."""
    for path in (PATH, "/v1/images/none"):
        response = client.open(path, method=method)
        assert response.status_code == 405
        assert response.headers["Allow"] == "HEAD, OPTIONS"
        assert response.data == b""
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"


def test_405_with_a_handler_of_the_hosts() -> None:
    """A host's error handler for 405 does not take away the methods that are allowed."""
    app = make_app(ImageMeta(lookup={EXAMPLE["id"]: EXAMPLE}.get))
    app.register_error_handler(405, lambda error: ("no such method", 405))
    response = app.test_client().get(PATH)
    assert (response.status_code, response.data) == (405, b"")
    assert response.headers["Allow"] == "HEAD, OPTIONS"


def test_options(client: FlaskClient) -> None:
    """OPTIONS names the methods allowed."""
    response = client.options(PATH)
    assert response.status_code == 200
    assert set(response.allow) == {"HEAD", "OPTIONS"}
    assert response.data == b""


def test_get_of_the_hosts_own() -> None:
    """A host may serve GET on the same path; other methods then are its business and ours."""
    app = make_app(ImageMeta(lookup={EXAMPLE["id"]: EXAMPLE}.get))
    app.add_url_rule("/v1/images/<image_id>", view_func=lambda image_id: "data", methods=["GET"])
    client = app.test_client()
    assert client.get(PATH).data == b"data"
    assert client.head(PATH).headers["X-Image-Meta-Size"] == "4979632"
    assert client.post(PATH).headers["Allow"] == "GET, HEAD, OPTIONS"


def redirecting(app: Flask) -> None:
    app.add_url_rule("/own", endpoint="own", redirect_to="/new", methods=["GET"])


def read_only(app: Flask) -> None:
    app.add_url_rule("/own", view_func=lambda: "own")


def write_only(app: Flask) -> None:
    app.add_url_rule("/own", view_func=lambda: "own", methods=["PUT"])


@pytest.mark.parametrize("add_route", [redirecting, read_only, write_only])
def test_405_of_the_hosts_own(add_route: Any) -> None:
    """A 405 of another route is left as Flask made it, even where its HEAD redirects."""
    plain = Flask("plain")
    add_route(plain)
    app = make_app(ImageMeta(lookup=lambda image_id: None))
    add_route(app)
    expected, response = plain.test_client().post("/own"), app.test_client().post("/own")
    assert response.status_code == 405
    assert response.data == expected.data
    assert set(response.headers) == set(expected.headers)
