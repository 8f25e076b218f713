"""What a host's mistake must not do: show more than it meant to."""

from __future__ import annotations

import enum
import sqlite3
import uuid
from decimal import Decimal
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Response, abort
from marshmallow import post_dump
from werkzeug.exceptions import Forbidden, NotFound

from flask_imagemeta import HeaderSchema, Identity, ImageMeta, ImageMetaSchema
from flask_imagemeta.fields import Flag, Properties, Text
from flask_imagemeta.schema import RESERVED

from .apps import make_app

pytestmark = pytest.mark.core

PATH = "/v1/images/a"


def ask(image: Any, identity: Identity | None = None, **options: Any) -> Any:
    imagemeta = ImageMeta(lookup=lambda image_id: image, identity=lambda: identity, **options)
    return make_app(imagemeta).test_client().head(PATH)


@pytest.mark.parametrize(
    "nonsense", [False, 0, "", "text", [], [{"id": "a"}], ("a",), object(), {}]
)
def test_what_is_no_image_is_not_served(nonsense: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A lookup's result that cannot be an image is a 500, not an image without an owner."""
    assert ask(nonsense).status_code == 500
    assert "image 'a': cannot be sent: image = " in caplog.text


@pytest.mark.parametrize("response", [Response(status=401), Forbidden(), NotFound()])
def test_a_response_is_no_image(response: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A lookup that returns a response, or the error of one, is told to raise it."""
    assert ask(response).status_code == 500
    assert "is a response, which a hook must raise: flask.abort()?" in caplog.text


class Failing:
    id = "a"

    @property
    def owner(self) -> str:
        return self.project.uuid  # type: ignore[attr-defined]  # there is none

    deleted = cached_property(lambda self: self.gone)


@pytest.mark.parametrize("name", ["owner", "deleted"])
def test_a_property_that_fails_is_no_absent_field(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An AttributeError inside a property is a fault of the image, not an image without owner."""
    image = type("Image", (), {"id": "a", name: vars(Failing)[name]})()
    assert ask(image).status_code == 500
    assert f"image 'a': cannot be sent: {name} = " in caplog.text


def test_an_absent_attribute_counts_as_none() -> None:
    """An object has the attributes it has; the rest is None."""
    assert "X-Image-Meta-Name" not in ask(SimpleNamespace(id="a")).headers


@pytest.mark.parametrize("column", ["owner", "Owner", "OWNER"])
def test_a_row_of_sqlite3_is_an_image(column: str) -> None:
    """Rows of sqlite3 are read by their columns, in any case: an owner there hides the image."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    row = connection.execute(f"SELECT 'a' AS id, 'p' AS {column}").fetchone()
    connection.close()
    assert ask(row).status_code == 404
    assert ask(row, Identity("p")).headers["X-Image-Meta-Owner"] == "p"


@pytest.mark.parametrize("name", ["owner", "deleted", "is_public", "visibility", "members"])
def test_a_schema_cannot_move_what_decides_access(name: str) -> None:
    """Headers and access must not read two different fields under one name."""
    schema = type("Schema", (ImageMetaSchema,), {name: Flag(attribute="elsewhere")})
    with pytest.raises(ValueError, match=f"Schema.{name} is read from 'elsewhere'"):
        schema()


@pytest.mark.parametrize(
    "fields",
    [{"properties": Properties(stem="")}, {"note": Text(data_key="X-Image-Meta-Property-Note")}],
)
def test_a_field_cannot_pass_for_a_property(fields: dict[str, Any]) -> None:
    """A core field under the properties' prefix would be hidden and omitted like one."""
    with pytest.raises(ValueError, match="would be a property's"):
        type("Schema", (ImageMetaSchema,), fields)()


@pytest.mark.parametrize("header", ["Content-Length", "transfer-encoding", "ETag"])
def test_a_field_cannot_be_a_header_of_the_answer(header: str) -> None:
    """Metadata that would contradict the response's own headers, or get lost, is refused."""
    with pytest.raises(ValueError, match=f"Schema.note: '{header}' is a header of the response"):
        type("Schema", (ImageMetaSchema,), {"note": Text(data_key=header)})()


@pytest.mark.parametrize(
    "properties",
    [
        Properties(data_key="C"),
        Properties(data_key="c"),
        Properties(data_key="Content-"),
        Properties(data_key="X-Accel-"),
        Properties(data_key="Access-Control-"),
        Properties(data_key="X-Imagemeta-Omitted-"),
        Properties(data_key="X-IMAGEMETA-OMITTED-PROPERTIES"),
        Properties(data_key="X-"),
        Properties(data_key="S", load_only=True),
    ],
    ids=lambda field: field.data_key,
)
def test_a_property_cannot_be_a_header_of_the_answer(properties: Properties) -> None:
    """No property's name can make a reserved header, not even the count of those left out."""
    with pytest.raises(ValueError, match="a header of the response itself"):
        type("Schema", (HeaderSchema,), {"properties": properties})()


@pytest.mark.parametrize(
    ("prefix", "name"),
    [("X-", "sendfile"), ("Set-", "cookie"), ("X-Imagemeta-", "omitted-properties")],
)
def test_a_prefix_cannot_make_a_header_of_the_answer(prefix: str, name: str) -> None:
    """The same holds for properties and fields that begin with the schema's prefix."""
    for fields in ({"properties": Properties(stem="")}, {name: Text()}):
        with pytest.raises(ValueError, match="a header of the response itself"):
            type("Schema", (HeaderSchema,), {"prefix": prefix, **fields})()


def test_a_schema_has_one_field_of_properties() -> None:
    """show_property would hide those of one field only, so a second one is refused."""
    with pytest.raises(ValueError, match=r"Schema\.labels is a second field of properties"):
        type("Schema", (ImageMetaSchema,), {"labels": Properties(stem="label-")})()


def test_every_header_of_the_answer_is_reserved() -> None:
    """No field can take the name of any header that a response has besides metadata."""
    names = {name.lower() for name, _ in ask({"id": "a", "updated_at": "2026-01-02"}).headers}
    assert {name for name in names if not name.startswith("x-image-meta-")} <= RESERVED


def test_a_prefix_ends_with_a_hyphen() -> None:
    """A prefix that would run into the names is refused."""
    with pytest.raises(ValueError, match="prefix 'X-Disk' must end with a hyphen"):
        type("Schema", (ImageMetaSchema,), {"prefix": "X-Disk"})()


@pytest.mark.parametrize(
    "size",
    [
        "large",
        [1],
        object(),
        1.5,
        True,
        float("inf"),
        Decimal("nan"),
        Decimal("1e1000000"),
        10**5000,
    ],
    ids=lambda size: type(size).__name__,
)
def test_stored_size_says_bytes(size: Any) -> None:
    """A stored size that is not a whole number is an error at once, which names the hook."""
    with pytest.raises(TypeError, match="the stored_size hook returned"):
        ask({"id": "a", "size": 1}, stored_size=lambda image: size)


@pytest.mark.parametrize("shown", ["False", 1, None])
def test_show_property_says_true_or_false(shown: Any) -> None:
    """Anything that is not a bool is an error that names it, not a property that is shown."""
    image = {"id": "a", "properties": {"secret": "s"}}
    with pytest.raises(TypeError, match="show_property hook returned"):
        ask(image, show_property=lambda name, identity: shown)


def test_hidden_properties_stay_hidden_in_any_case() -> None:
    """A schema's hook that changes the case of names does not show what is hidden."""

    class Schema(ImageMetaSchema):
        @post_dump
        def lower(self, headers: dict[str, str], **kwargs: Any) -> dict[str, str]:
            return {name.lower(): value for name, value in headers.items()}

    image = {"id": "a", "properties": {"secret": "s", "os": "linux"}}
    answer = ask(image, schema=Schema, show_property=lambda name, identity: name != "secret")
    assert "secret" not in str(answer.headers).lower()
    assert answer.headers["X-Image-Meta-Property-Os"] == "linux"


def test_hidden_properties_are_not_counted() -> None:
    """The count of omitted properties says nothing of properties that are hidden."""
    image = {"id": "a", "properties": {"Secret": "1", "secret": "2"}}
    answer = ask(image, show_property=lambda name, identity: False)
    assert not [name for name, _ in answer.headers if name.startswith("X-Imagemeta-")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Note", "a\0b"),
        ("X-Note", "a\r\nb"),
        ("X-Note", "€"),
        ("X-Note", 5),
        ("X Note", "a"),
        ("", "a"),
        ("cache-control", "public"),
        ("Set-Cookie", "a=b"),
        ("X-Imagemeta-Omitted-Properties", "many"),
        ("x-imagemeta-omitted-properties", "1"),
    ],
)
def test_a_schema_cannot_break_the_wire(
    name: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """What a subclass adds is checked: no header that is none leaves, and the log names it."""

    class Hooked(ImageMetaSchema):
        @post_dump
        def add(self, headers: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
            return {**headers, name: value}

    class Overriding(ImageMetaSchema):
        def dump(self, obj: Any, *, many: bool | None = None) -> Any:
            return {**super().dump(obj, many=many), name: value}

    for schema in (Hooked, Overriding):
        caplog.clear()
        assert ask({"id": "a"}, schema=schema).status_code == 500
        assert f"image 'a': cannot be sent: {name} = " in caplog.text


def test_a_schemas_hook_may_add_a_header() -> None:
    """A header that is one goes out, of one image and of many."""

    class Schema(ImageMetaSchema):
        @post_dump
        def add(self, headers: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
            return {**headers, "X-Note": "caf\xc3\xa9"}

    assert ask({"id": "a"}, schema=Schema).headers["X-Note"] == "caf\xc3\xa9"
    assert [one["X-Note"] for one in Schema().dump([{}, {}], many=True)] == ["caf\xc3\xa9"] * 2


def test_an_owner_is_compared_as_it_is_sent() -> None:
    """An owner that is a UUID belongs to the project of that text, and to no other."""
    owner = uuid.UUID("13cc6052-265b-4152-9e2f-d0fc461fa8ef")
    assert ask({"id": "a", "owner": owner}, Identity(str(owner))).status_code == 200
    assert ask({"id": "a", "owner": owner}, Identity("other")).status_code == 404
    assert ask({"id": "a", "owner": ["x"]}, Identity("['x']")).status_code == 404


def test_a_flag_may_be_an_enum_member() -> None:
    """Access and header agree on a member of an Enum: it counts as its value."""
    public = enum.Enum("Public", {"YES": True}).YES
    answer = ask({"id": "a", "owner": "p", "is_public": public})
    assert answer.headers["X-Image-Meta-Is_public"] == "True"


def test_roles_are_names() -> None:
    """A role that is not text is refused where the identity is made."""
    with pytest.raises(TypeError, match="must be names of roles"):
        Identity("p", [None])  # type: ignore[list-item]


def test_a_hooks_answer_has_our_caching_once() -> None:
    """A hook's own Cache-Control is kept, alone, in any letter case."""
    imagemeta = ImageMeta(
        lookup=lambda image_id: abort(Response(status=401, headers={"cache-control": "public"}))
    )
    answer = make_app(imagemeta).test_client().head(PATH)
    assert answer.status_code == 401
    assert answer.headers.getlist("Cache-Control") == ["public"]


@pytest.mark.parametrize("size", [5, 5.0, "5"])
def test_stored_size_is_a_number(size: Any) -> None:
    """The stored size compares as a number, in whatever form the host has it."""
    assert ask({"id": "a", "size": 5}, stored_size=lambda image: size).status_code == 200
    assert ask({"id": "a", "size": 6}, stored_size=lambda image: size).status_code == 409
