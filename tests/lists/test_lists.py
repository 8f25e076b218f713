"""The two lists: when they are served, what is in them, what their answers have besides."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn
from urllib.parse import urlencode

import pytest
from flask import Flask, Response, abort, send_file
from flask.testing import FlaskClient
from marshmallow import ValidationError, fields, post_dump

from flask_imagemeta import (
    Identity,
    ImageMeta,
    ImageMetaSchema,
    Query,
    StoreUnavailable,
    images_listed,
    store_unavailable,
)
from flask_imagemeta.bad_query import BadQuery
from flask_imagemeta.fields import Text, WholeNumber
from flask_imagemeta.parameters import parse

from ..apps import make_app

pytestmark = pytest.mark.core

ADMIN = Identity("p", ["admin"])


def image(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"id-{number}",
        "name": f"name {number}",
        "status": "active",
        "is_public": True,
        "created_at": f"2024-01-{number:02}T00:00:00",
        **fields,
    }


def serve(*images: Any, config: dict[str, Any] | None = None, **hooks: Any) -> FlaskClient:
    """Return a client of an application whose search hook returns these images."""
    by_id = {one["id"]: one for one in images if isinstance(one, dict) and "id" in one}
    hooks = {"lookup": by_id.get, "search": lambda query: images, **hooks}
    return make_app(ImageMeta(**hooks), **(config or {})).test_client()


def ids(client: FlaskClient, query: str = "", path: str = "/v1/images/detail") -> list[str]:
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.get_json()["images"]]


# The hook


def search(query: Query) -> list[dict[str, Any]]:
    return [image(1)]


@pytest.fixture
def host_hooks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("host_hooks")
    monkeypatch.setitem(sys.modules, "host_hooks", module)
    return module


def as_argument(hook: Any) -> Flask:
    return make_app(ImageMeta(lookup=lambda image_id: None, search=hook))


def as_decorator_before(hook: Any) -> Flask:
    imagemeta = ImageMeta(lookup=lambda image_id: None)
    assert imagemeta.search(hook) is hook
    return make_app(imagemeta)


def as_decorator_after(hook: Any) -> Flask:
    imagemeta = ImageMeta(lookup=lambda image_id: None)
    app = make_app(imagemeta)
    assert imagemeta.search(hook) is hook
    return app


def as_configuration(hook: Any) -> Flask:
    sys.modules["host_hooks"].search = hook  # type: ignore[attr-defined]
    imagemeta = ImageMeta(lookup=lambda image_id: None)
    app = make_app(imagemeta, IMAGEMETA_SEARCH="host_hooks:search")
    imagemeta.search(lambda query: pytest.fail("configuration beats code"))
    return app


@pytest.mark.usefixtures("host_hooks")
@pytest.mark.parametrize(
    "set_hook", [as_argument, as_decorator_before, as_decorator_after, as_configuration]
)
@pytest.mark.parametrize("is_coroutine", [False, True])
def test_hook(set_hook: Callable[[Any], Flask], is_coroutine: bool, request: Any) -> None:
    """The search hook is set in three ways, and may be a coroutine function."""
    hook = request.getfixturevalue("as_coroutine")(search) if is_coroutine else search
    client = set_hook(hook).test_client()
    assert ids(client) == ids(client, path="/v1/images") == ["id-1"]


def test_without_the_hook() -> None:
    """Without it there are no lists, and GET of an image is refused without a look."""
    client = make_app(ImageMeta(lookup=pytest.fail)).test_client()
    assert client.get("/v1/images").status_code == 404
    for path in ("/v1/images/detail", "/v1/images/7"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "HEAD, OPTIONS")


def test_a_class_in_the_place_of_the_hook() -> None:
    """A store's class given as the hook is refused, with what was probably meant."""
    with pytest.raises(TypeError, match=r"ModelStore\(Image\)\.search\?"):
        ImageMeta(search=type("Image", (), {}))


@pytest.mark.parametrize("found", [None, 7, "images", {"id": "a"}])
def test_what_is_no_iterable_of_images(found: Any) -> None:
    """A hook that returns no iterable of images is an error that says so."""
    with pytest.raises(TypeError, match=r"search hook returned .* not an iterable of images"):
        serve(search=lambda query: found).get("/v1/images")


def test_the_query() -> None:
    """The hook gets what was asked for, in types, with the marker's image and the caller."""
    seen: list[Query] = []
    marker = image(1)
    client = serve(marker, identity=lambda: ADMIN, search=lambda query: seen.append(query) or [])
    client.get(
        "/v1/images?name=in:a,%22b,c%22&min_ram=64&protected=true&property-os=x&size_min=1"
        "&size_max=9&changes-since=2024-01-01T02:00:00%2B02:00&is_public=None&sort_key=size"
        "&sort_dir=asc&limit=7&marker=id-1"
    )
    [query] = seen
    assert query.identity == ADMIN
    assert query.filters == {"name": ("a", "b,c"), "min_ram": (64,), "protected": (True,)}
    assert query.properties == {"os": "x"}
    assert (query.size_min, query.size_max) == (1, 9)
    assert str(query.changes_since) == "2024-01-01 00:00:00"
    assert query.is_public is None
    assert (query.sort_key, query.sort_dir, query.limit) == ("size", "asc", 7)
    assert query.marker is marker
    with pytest.raises(AttributeError):
        query.limit = 8  # type: ignore[misc]


def test_only_an_admin_asks_for_more() -> None:
    """What anyone but an admin asks of is_public does not reach the hook."""
    seen: list[Query] = []
    client = serve(identity=lambda: Identity("p"), search=lambda q: seen.append(q) or [])
    client.get("/v1/images?is_public=None")
    assert seen[0].is_public is True


# Routes


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2020", datetime(2020, 1, 1)),
        ("2020-3", datetime(2020, 3, 1)),
        ("2020-3-4", datetime(2020, 3, 4)),
        ("20200304", datetime(2020, 3, 4)),
        ("20200304T101112Z", datetime(2020, 3, 4, 10, 11, 12)),
        ("2020-03-04T10", datetime(2020, 3, 4, 10)),
        ("2020-03-04 10:11:12,5", datetime(2020, 3, 4, 10, 11, 12, 500000)),
        ("2020-03-04T10:11:12.1234567-0230", datetime(2020, 3, 4, 12, 41, 12, 123456)),
        ("2020-03-04T01:00+02", datetime(2020, 3, 3, 23)),
    ],
)
def test_forms_of_changes_since(text: str, time: datetime) -> None:
    """The forms of ISO 8601 that the reference accepts are accepted on every version of Python."""
    query, _ = parse(urlencode({"changes-since": text}).encode())
    assert query.changes_since == time


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "202003", "2020-W10-3", "2020-13", "2020-03-04T", "2020-03-04T24:00"),
        *("2020-03-04T10:11:12Z ", "2020-03-04T10+24:00", "0001-01-01T00:00+01", "\uff12020"),
    ],
)
def test_what_is_no_time_for_changes_since(text: str) -> None:
    """Anything else is the reference's 400."""
    with pytest.raises(BadQuery, match="Unrecognized changes-since value"):
        parse(urlencode({"changes-since": text}).encode())


@pytest.mark.parametrize("path", ["/v1/images", "/v1/images/detail"])
def test_methods_of_a_list(path: str) -> None:
    """A list has GET and OPTIONS; HEAD is refused, though Werkzeug adds it to GET."""
    client = serve(image(1))
    for method in ("HEAD", "POST", "PUT", "DELETE", "PATCH"):
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, OPTIONS")
        assert answer.headers["Cache-Control"] == "no-store"
        assert len(answer.headers.getlist("X-Openstack-Request-Id")) == 1
    assert client.options(path).headers["Allow"] == "GET, OPTIONS"
    assert client.get(f"{path}/").status_code == 404


def test_get_of_an_image() -> None:
    """GET of an image is 404 where the caller sees none, and 405 where it sees one."""
    client = serve(image(1), image(2, is_public=False, owner="p"))
    found = client.get("/v1/images/id-1")
    assert (found.status_code, found.headers["Allow"]) == (405, "HEAD, OPTIONS")
    assert client.get("/v1/images/id-2").status_code == 404
    assert client.get("/v1/images/nope").status_code == 404
    assert client.options("/v1/images/id-1").headers["Allow"] == "HEAD, OPTIONS"
    assert client.delete("/v1/images/id-1").headers["Allow"] == "HEAD, OPTIONS"
    assert client.head("/v1/images/id-1").status_code == 200


@pytest.mark.parametrize("is_host_first", [True, False])
@pytest.mark.parametrize(
    ("rule", "mine", "ours"),
    [
        ("/v1/images", ["/v1/images"], ["/v1/images/detail"]),
        ("/v1/<any(images):x>", ["/v1/images"], ["/v1/images/detail"]),
        ("/v1/images/detail", ["/v1/images/detail"], ["/v1/images"]),
        ("/v1/images/<x>", ["/v1/images/id-1"], ["/v1/images", "/v1/images/detail"]),
        ("/v1/images/<path:x>", ["/v1/images/id-1"], ["/v1/images", "/v1/images/detail"]),
        ("/v1/<path:x>", ["/v1/images", "/v1/images/id-1"], ["/v1/images/detail"]),
        ("/v1/<x>/<y>", ["/v1/images/id-1"], ["/v1/images", "/v1/images/detail"]),
        ("/<path:x>", ["/v1/other"], ["/v1/images", "/v1/images/detail"]),
    ],
)
def test_a_host_keeps_its_get(
    rule: str, mine: list[str], ours: list[str], is_host_first: bool
) -> None:
    """A host's own GET wins in any order of registration; HEAD of an image stays ours."""
    app = Flask("tests")
    imagemeta = ImageMeta(lookup={"id-1": image(1)}.get, search=search)
    if not is_host_first:
        imagemeta.init_app(app)
    app.add_url_rule(rule, view_func=lambda **parts: "host")
    if is_host_first:
        imagemeta.init_app(app)
    client = app.test_client()
    assert {client.get(path).text for path in mine} == {"host"}
    assert {client.get(path).content_type for path in ours} == {"application/json"}
    assert client.head("/v1/images/id-1").headers["X-Image-Meta-Id"] == "id-1"


def test_a_host_keeps_its_post() -> None:
    """Methods of the host's at the same address are in Allow, and answered by the host."""
    app = make_app(ImageMeta(lookup=lambda image_id: None, search=search))
    app.add_url_rule("/v1/images", view_func=lambda: "host", methods=["POST"])
    client = app.test_client()
    assert client.post("/v1/images").text == "host"
    assert client.head("/v1/images").headers["Allow"] == "GET, OPTIONS, POST"
    assert ids(client, path="/v1/images") == ["id-1"]


def test_several_objects_and_hosts() -> None:
    """Each of several objects lists its own images, where it has a search hook."""
    app = make_app(
        ImageMeta(search=search),
        ImageMeta(name="firmware", search=lambda query: [image(2)]),
        ImageMeta(name="other"),
        FIRMWARE_URL_PREFIX="/firmware",
        OTHER_URL_PREFIX="/other",
    )
    client = app.test_client()
    assert ids(client) == ["id-1"]
    assert ids(client, path="/firmware/images") == ["id-2"]
    assert client.get("/other/images").status_code == 404


# Who is listed what


def test_lists_are_stricter_than_head() -> None:
    """An image without an owner and another's community image are shown, but not listed."""
    hidden = [
        image(1, is_public=False, visibility="private", owner=None),
        image(2, is_public=False, visibility="community", owner="q"),
    ]
    for caller in (None, Identity("p"), Identity(None)):
        client = serve(*hidden, identity=lambda caller=caller: caller)
        assert ids(client) == []
        assert client.head("/v1/images/id-1").status_code == 200
        assert client.head("/v1/images/id-2").status_code == 200


def test_a_search_that_forgets_the_rules() -> None:
    """Whatever the hook returns, in an order or not, each caller is listed its own."""
    images = [image(2, is_public=False, owner="p"), image(1, deleted=True), image(1)]
    for found in (lambda query: images, lambda query: query.ordered(images)):
        assert ids(serve(*images, search=found)) == ["id-1"]
        mine = serve(*images, search=found, identity=lambda: Identity("p"))
        assert ids(mine) == ["id-2", "id-1"]


class Failing:
    """An image one of whose fields fails."""

    def __init__(self, field: str) -> None:
        self.id, self.name, self.is_public = "bad", "bad", True
        self.field = field

    def __getattr__(self, name: str) -> Any:
        if name == self.field:
            raise RuntimeError("broken")
        raise AttributeError(name=name, obj=self)


@pytest.mark.parametrize("bad", [*map(Failing, ("owner", "deleted", "size")), {"size": "a"}, {}, 7])
def test_an_image_that_cannot_be_read(bad: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It costs itself and a line in the log, not the list."""
    if isinstance(bad, dict) and bad:
        bad = image(3, **bad)
    if isinstance(bad, Failing) and bad.field == "owner":
        bad.is_public = False
    with caplog.at_level(logging.ERROR):
        client = serve(image(2), bad, image(1), identity=lambda: Identity("p"))
        assert ids(client) == ["id-2", "id-1"]
    assert "left out of a list" in caplog.text


def test_a_marker_that_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """It is a 500, with a line in the log that names the marker and the field."""
    answer = serve(image(1), image(2, size="abc")).get("/v1/images?marker=id-2")
    assert (answer.status_code, answer.data) == (500, b"")
    assert "size = 'abc': of the marker 'id-2': " in caplog.text


# What a filter tells


def test_a_property_that_is_not_shown_matches_nothing() -> None:
    """A filter on a property that show_property hides finds nothing, and the hook is not asked."""
    one = image(1, properties={"os": "x", "secret": "y"})
    client = serve(one, show_property=lambda name, identity: name == "os")
    assert client.get("/v1/images/detail").get_json()["images"][0]["properties"] == {"os": "x"}
    assert ids(client, "property-os=x") == ["id-1"]
    assert ids(client, "property-secret=y") == []
    silent = serve(search=pytest.fail, show_property=lambda name, identity: name == "os")
    assert ids(silent, "property-secret=y") == []


def test_property_names_that_differ_only_in_case() -> None:
    """A list has both, as JSON names keep their case, and finds an image by either."""
    client = serve(image(1, properties={"A": "1", "a": "2"}))
    [listed] = client.get("/v1/images/detail").get_json()["images"]
    assert listed["properties"] == {"A": "1", "a": "2"}
    for query, found in {
        "A=1": ["id-1"],
        "a=2": ["id-1"],
        "A=2": [],
        "A=1&property-a=1": [],
    }.items():
        assert ids(client, f"property-{query}") == found


def test_a_deleted_image_has_no_properties() -> None:
    """A deleted image is listed without properties, and found by none."""
    gone = image(1, deleted=True, updated_at="2024-02-01T00:00:00", properties={"os": "x"})
    since = "changes-since=2024-01-01"
    answer = serve(gone).get(f"/v1/images/detail?{since}")
    assert answer.get_json()["images"][0]["properties"] == {}
    assert ids(serve(gone), f"{since}&property-os=x") == []


@pytest.mark.parametrize(
    ("field", "query"),
    [
        ("name", "name=name%201"),
        ("size", "size_min=1"),
        ("size", "size_max=9"),
        ("min_disk", "min_disk=0"),
        ("updated_at", "changes-since=2000-01-01"),
        ("protected", "protected=False"),
        ("properties", "property-os=x"),
    ],
)
def test_a_field_that_is_not_sent_matches_nothing(field: str, query: str) -> None:
    """A filter on a field that is not sent finds nothing, and the hook is not asked."""
    one = image(1, size=5, updated_at="2024-02-01", properties={"os": "x"})
    assert ids(serve(one), query) == ["id-1"]
    schema = ImageMetaSchema(exclude=[field])
    assert ids(serve(one, schema=schema), query) == []
    assert ids(serve(search=pytest.fail, schema=schema), query) == []


def test_an_order_that_is_not_sent() -> None:
    """A list is not sorted by a field that the schema does not send."""
    images = [image(1, size=3), image(2, size=1), image(3, size=2)]
    assert ids(serve(*images), "sort_key=size&sort_dir=asc") == ["id-2", "id-3", "id-1"]
    schema = ImageMetaSchema(exclude=["size"])
    assert ids(serve(*images, schema=schema), "sort_key=size&sort_dir=asc") == [
        "id-1",
        "id-2",
        "id-3",
    ]


# The JSON


class FirmwareSchema(ImageMetaSchema):
    prefix = "X-Firmware-Meta-"
    board = Text()
    slots = WholeNumber()
    name = Text(attribute="title")


def test_a_subclass_of_the_schema() -> None:
    """Its fields come last, under their own names whatever the prefix, in JSON's types."""
    one = {**image(1), "title": "t", "board": "b-1", "slots": 2}
    client = serve(one, schema=FirmwareSchema)
    [document] = client.get("/v1/images/detail").get_json()["images"]
    assert list(document)[-2:] == ["board", "slots"]
    assert (document["name"], document["board"], document["slots"]) == ("t", "b-1", 2)
    [short] = client.get("/v1/images").get_json()["images"]
    assert list(short) == ["name", "container_format", "disk_format", "checksum", "id", "size"]


class PriceSchema(ImageMetaSchema):
    price = fields.Decimal()


@pytest.mark.parametrize("price", ["1e400", "-1e400"])
def test_a_number_beyond_those_of_json(price: str) -> None:
    """A number that JSON's readers would take for infinity is sent as text."""
    answer = serve(image(1, price=Decimal(price)), schema=PriceSchema).get("/v1/images/detail")
    [document] = json.loads(answer.data, parse_constant=pytest.fail)["images"]
    assert Decimal(document["price"]) == Decimal(price)


def test_a_field_that_is_read_from_elsewhere() -> None:
    """A store that cannot know where the schema reads a field is not asked to filter or sort by it.

    The extension does.
    """
    images = [{**image(n), "name": "x", "title": f"t{n}"} for n in (2, 3, 1)]
    seen: list[Query] = []

    def search(query: Query) -> Any:
        seen.append(query)
        return query.ordered(images)

    client = serve(*images, schema=FirmwareSchema, search=search)
    assert ids(client, "name=t1") == ["id-1"]
    assert ids(client, "sort_key=name&sort_dir=asc&marker=id-1") == ["id-2", "id-3"]
    assert (seen[0].filters, seen[1].marker) == ({}, None)


class ChangingSchema(ImageMetaSchema):
    @post_dump
    def change(self, headers: dict[str, str], **kwargs: Any) -> dict[str, str]:
        """Put a prefix before names, and send no time but one."""
        changed = {"X-Image-Meta-Updated_at": "2030-01-01T00:00:00.000000"}
        changed["X-Image-Meta-Created_at"] = "2020-01-01T00:00:00.000000"
        changed["X-Image-Meta-Name"] = "corp-" + headers["X-Image-Meta-Name"]
        return {**headers, **changed}


def test_a_schema_that_changes_headers() -> None:
    """No filter, and no order, is left to a store if a hook of the schema changes what is sent."""
    images = [image(n, updated_at="2024-01-01T00:00:00") for n in (2, 3, 1)]
    seen: list[Query] = []

    def search(query: Query) -> Any:
        seen.append(query)
        return query.ordered(images)

    client = serve(*images, schema=ChangingSchema, search=search)
    assert ids(client, "name=corp-name%201&changes-since=2029-01-01") == ["id-1"]
    assert ids(client) == ["id-3", "id-2", "id-1"]
    assert (seen[0].filters, seen[0].changes_since) == ({}, datetime(1, 1, 1))


def test_more_than_a_store_takes() -> None:
    """A store gets the first few properties, and no list of very many values; all of them count."""
    properties = {f"p{number}": "x" for number in range(1000)}
    images = [image(1, properties={**properties, "p999": "y"}), image(2, properties=properties)]
    seen: list[Query] = []

    def search(query: Query) -> Any:
        seen.append(query)
        return images

    client = serve(search=search)
    asked = "&".join(f"property-{name}={text}" for name, text in properties.items())
    assert ids(client, asked) == ["id-2"]
    assert seen[-1].properties == {f"p{number}": "x" for number in range(8)}
    for number, is_passed in ((100, True), (101, False)):
        assert ids(client, "name=in:" + "name 1," * number) == ["id-1"]
        assert ("name" in seen[-1].filters) == is_passed


def test_odd_text() -> None:
    """Texts and the names of properties are in JSON as the image has them."""
    name, properties = " a\nb\x00 ü \ud800", {"Mixed Case": "x\ty", "n": None, "l": [1]}
    answer = serve(image(1, name=name, properties=properties)).get("/v1/images/detail")
    [document] = answer.get_json()["images"]
    assert document["name"] == name
    assert document["properties"] == {"Mixed Case": "x\ty", "n": None, "l": "[1]"}


class TypedSchema(FirmwareSchema):
    signed = fields.Boolean()
    boards = fields.List(fields.String())
    seen_at = fields.AwareDateTime()
    weight = fields.Float()


@pytest.mark.parametrize("schema", [ImageMetaSchema, TypedSchema])
def test_load(schema: type[ImageMetaSchema]) -> None:
    """A schema loads an image of a list as it loads the image's headers, with all its types."""
    values = {"title": "\u00fc", "size": 5, "protected": True, "board": "b-1", "slots": 2}
    more = {"signed": True, "seen_at": datetime(2024, 1, 1, tzinfo=timezone.utc), "weight": 2.5}
    one = image(1, **values, **more, properties={"os": "\u00fc", "n": None})
    client = serve(one, schema=schema)
    headers = schema().load(client.head("/v1/images/id-1").headers)
    [listed] = schema().load(client.get("/v1/images/detail").get_json()["images"], many=True)
    assert listed == headers
    assert (listed["size"], listed["properties"]) == (5, {"os": "\u00fc"})
    [short] = schema().load(client.get("/v1/images").get_json()["images"], many=True)
    assert (short["id"], short["size"], short["status"]) == ("id-1", 5, None)
    assert short["properties"] == {}


def test_load_of_what_headers_do_not_load() -> None:
    """A list of values is JSON in a header, which no field takes; from a list it is loaded."""
    client = serve(image(1, boards=["a", "b"]), schema=TypedSchema)
    [listed] = TypedSchema().load(client.get("/v1/images/detail").get_json()["images"], many=True)
    assert listed["boards"] == ["a", "b"]


def test_load_of_text_alone() -> None:
    """An image of a list is told from headers by its keys where its values are all text."""
    assert ImageMetaSchema(only=["id", "name"]).load({"id": "a", "name": "\u00fc"}) == {
        "id": "a",
        "name": "\u00fc",
    }
    with pytest.raises(ValidationError):
        ImageMetaSchema().load({"id": "a", "size": "x"})


# The order


def test_ordered_is_read_until_the_page_is_full() -> None:
    """Of an ordered iterator, no more is read than the page takes."""
    read: list[int] = []

    def found() -> Iterator[Any]:
        for number in range(9, 0, -1):
            read.append(number)
            yield image(number, is_public=number % 2 == 1)

    client = serve(search=lambda query: query.ordered(found()))
    assert ids(client, "limit=2") == ["id-9", "id-7"]
    assert read == [9, 8, 7]


def test_an_order_that_is_none(caplog: pytest.LogCaptureFixture) -> None:
    """Images that a store has promised to sort, but has not, are sorted, and the log names one."""
    images = [image(1), image(3), image(2)]
    client = serve(search=lambda query: query.ordered(images))
    assert ids(client) == ["id-3", "id-2", "id-1"]
    assert "list: the search hook returned query.ordered(...), but image 'id-3'" in caplog.text
    assert "so all images are read and sorted" in caplog.text


def test_ordered_before_the_marker(caplog: pytest.LogCaptureFixture) -> None:
    """What a store returns from before the marker is left out, and the log says so."""
    images = [image(3), image(2), image(1)]
    client = serve(*images, search=lambda query: query.ordered(images))
    assert ids(client, "marker=id-2") == ["id-1"]
    assert "or after the marker" in caplog.text


def test_a_broken_order_loses_no_image() -> None:
    """Images that a store's order would leave out are asked for again, without the marker."""
    images = [image(1), image(2), image(3)]

    def search(query: Query) -> Any:
        start = 0 if query.marker is None else 1 + images.index(query.marker)
        return query.ordered(images[start:])

    client = serve(*images, search=search)
    assert ids(client, "marker=id-2") == ["id-1"]


def test_an_image_that_changes_while_a_store_is_read() -> None:
    """An image that a store finds again, in its new place, is listed once."""
    moved = image(3) | {"created_at": image(1)["created_at"]}
    older = image(4) | {"created_at": "2023-12-31T00:00:00"}
    client = serve(search=lambda query: query.ordered([image(3), image(2), moved, older]))
    assert ids(client, "limit=3") == ["id-3", "id-2", "id-4"]


def test_none_comes_first_and_empty_text_is_a_value() -> None:
    """Ascending, None is before the empty text, and text is sorted by code point."""
    names = [None, "", "B", "a", "b", "ä", "\ud7ff", "\U0001f600"]
    images = [image(n + 1, name=name) for n, name in enumerate(names)]
    expected = [one["id"] for one in images]
    assert ids(serve(*reversed(images)), "sort_key=name&sort_dir=asc") == expected
    assert ids(serve(*images), "sort_key=name") == expected[::-1]


# Markers


@pytest.mark.parametrize("marker", ["nope", "", "id-2", "a%0Ab", "x" * 300, "..", "a/b"])
def test_a_marker_that_is_no_image_of_the_callers(marker: str) -> None:
    """An unknown marker and a hidden one are the same 400."""
    client = serve(image(1), image(2, is_public=False, owner="q"))
    answer = client.get(f"/v1/images?marker={marker}")
    assert answer.status_code == 400
    assert "Invalid marker. Image could not be found." in answer.text


def test_a_deleted_marker() -> None:
    """A deleted image is a marker for those who were listed it."""
    gone = [image(n, deleted=True, updated_at="2024-02-01") for n in (1, 2)]
    client = serve(*gone)
    assert ids(client, "changes-since=2024-01-01&marker=id-2") == ["id-1"]
    assert client.get("/v1/images?marker=id-2").status_code == 400


# The rest of an answer


def test_headers_of_an_answer() -> None:
    """A list has a request id, the caching of every answer, and no ETag."""
    answer = serve(image(1)).get("/v1/images")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["Vary"].startswith("X-Auth-Token, Authorization, Cookie")
    assert answer.headers["X-Openstack-Request-Id"].startswith("req-")
    assert answer.content_length == len(answer.data)
    assert "ETag" not in answer.headers


def test_a_list_is_not_shared_by_caches() -> None:
    """The caching of public images does not hold for lists, of public images alone or not."""
    config = {"IMAGEMETA_PUBLIC_CACHE_CONTROL": "public, max-age=300"}
    client = serve(image(1), config=config)
    assert client.head("/v1/images/id-1").headers["Cache-Control"] == "public, max-age=300"
    assert client.get("/v1/images").headers["Cache-Control"] == "private, no-cache"
    assert client.get("/v1/images?limit=x").headers["Cache-Control"] == "no-store"


def test_a_value_in_an_html_page() -> None:
    """What the caller sent is escaped in a page of HTML."""
    answer = serve().get("/v1/images?is_public=<script>", headers={"Accept": "*/*"})
    assert answer.mimetype == "text/html"
    assert "&lt;script&gt;" in answer.text
    assert "<script" not in answer.text


def refuse() -> NoReturn:
    abort(Response("who are you?", 401, {"WWW-Authenticate": "Keystone"}))


def test_an_answer_of_a_hook() -> None:
    """A hook's own answer keeps its status, its headers and its body, and comes first."""
    answer = serve(identity=refuse).get("/v1/images?limit=x")
    assert (answer.status_code, answer.text) == (401, "who are you?")
    assert answer.headers["WWW-Authenticate"] == "Keystone"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "X-Openstack-Request-Id" in answer.headers


def test_a_file_as_an_answer_of_a_hook(tmp_path: Path) -> None:
    """A hook may end a request with a file; an answer to HEAD has none of it."""
    page = tmp_path / "login.txt"
    page.write_text("who are you?")
    client = serve(image(1), identity=lambda: abort(send_file(page)))
    assert client.get("/v1/images").text == "who are you?"
    assert client.head("/v1/images/id-1").data == b""


def unavailable(query: Query) -> Iterator[Any]:
    yield image(1)
    raise StoreUnavailable("down")


def test_a_store_that_is_down(caplog: pytest.LogCaptureFixture) -> None:
    """A search that fails on its way is a 503, with a signal and a line in the log."""
    sent: list[dict[str, Any]] = []

    def receive(sender: Any, **data: Any) -> None:
        sent.append(data)

    with store_unavailable.connected_to(receive):
        answer = serve(search=unavailable).get("/v1/images")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    request_id = answer.headers["X-Openstack-Request-Id"]
    assert sent == [{"image_id": None, "identity": None, "request_id": request_id}]
    assert f"{request_id}: list: store unavailable: down" in caplog.text


def test_a_hook_that_crashes(caplog: pytest.LogCaptureFixture) -> None:
    """A crash of the hook goes to Flask, after a line of ours."""
    client = serve(search=lambda query: 1 / 0, config={"PROPAGATE_EXCEPTIONS": False})
    answer = client.get("/v1/images")
    assert (answer.status_code, answer.data) == (500, b"")
    assert "list: a hook raised ZeroDivisionError" in caplog.text


def test_signal() -> None:
    """A list that was sent says so, with the query and what it listed."""
    sent: list[dict[str, Any]] = []

    def receive(sender: Any, **data: Any) -> None:
        sent.append({**data, "sender": sender})

    client = serve(image(1), image(2), identity=lambda: ADMIN)
    with images_listed.connected_to(receive):
        answer = client.get("/v1/images?limit=1")
        client.get("/v1/images?limit=x")
    [data] = sent
    assert data["sender"] is client.application
    assert data["image_ids"] == ("id-2",)
    assert (data["query"].limit, data["identity"]) == (1, ADMIN)
    assert data["request_id"] == answer.headers["X-Openstack-Request-Id"]
