"""HeaderSchema and ImageMetaSchema: images to headers and back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from marshmallow import ValidationError, fields, missing, post_dump, post_load, pre_dump
from werkzeug.datastructures import Headers
from werkzeug.exceptions import Forbidden

from flask_imagemeta import (
    HeaderSchema,
    ImageMeta,
    ImageMetaSchema,
    InvalidImage,
    StoreUnavailable,
)
from flask_imagemeta.fields import Properties, Text
from flask_imagemeta.schema import OMITTED

from .apps import EXAMPLE, EXAMPLE_HEADERS, make_app, make_client

pytestmark = pytest.mark.core

CORE = """
id name status size virtual_size disk_format container_format min_disk min_ram checksum owner
protected is_public deleted created_at updated_at deleted_at
""".split()  # noqa: SIM905


class FirmwareSchema(ImageMetaSchema):
    prefix = "X-Firmware-Meta-"
    signed_by = Text()


def test_documented_example() -> None:
    """The documented image is sent in exactly the documented headers, in their letter case."""
    assert ImageMetaSchema().dump(EXAMPLE) == EXAMPLE_HEADERS


def test_core_fields() -> None:
    """The schema names the reference's 17 fields and properties, and no other."""
    assert set(ImageMetaSchema().fields) == {*CORE, "properties"}


def test_dump_is_ordered() -> None:
    """Core fields come in the order of their names, then properties in the order of theirs."""
    headers = ImageMetaSchema().dump({**EXAMPLE, "properties": {"b": "", "a": ""}})
    properties = ["X-Image-Meta-Property-A", "X-Image-Meta-Property-B"]
    assert list(headers) == [*EXAMPLE_HEADERS, *properties]


def test_image_is_an_object() -> None:
    """An object with the fields' names as attributes is sent like a mapping of them."""
    assert ImageMetaSchema().dump(SimpleNamespace(**EXAMPLE)) == EXAMPLE_HEADERS


@pytest.mark.parametrize("image", [{}, dict.fromkeys([*CORE, "properties"]), SimpleNamespace()])
def test_absent_fields_count_as_none(image: object) -> None:
    """Without a value flags are False and minimums 0, every other field is omitted."""
    assert ImageMetaSchema().dump(image) == {
        "X-Image-Meta-Deleted": "False",
        "X-Image-Meta-Is_public": "False",
        "X-Image-Meta-Min_disk": "0",
        "X-Image-Meta-Min_ram": "0",
        "X-Image-Meta-Protected": "False",
    }


@pytest.mark.parametrize(
    "name", ["location", "locations", "visibility", "tags", "members", "direct_url", "password"]
)
def test_nothing_else_is_sent(name: str) -> None:
    """What the schema does not name is never sent."""
    image = {**EXAMPLE, name: "secret"}
    assert ImageMetaSchema().dump(image) == EXAMPLE_HEADERS
    assert ImageMetaSchema().dump(SimpleNamespace(**image)) == EXAMPLE_HEADERS


def test_load_gives_the_image_back() -> None:
    """What was dumped is loaded as the typed values it was made from, None for what was not."""
    image = {**EXAMPLE, "properties": {"kernel_id": "é", "key with space": ""}}
    schema = ImageMetaSchema()
    absent = {"virtual_size": None, "deleted_at": None}
    assert schema.load(schema.dump(image)) == {**image, **absent}


@pytest.mark.parametrize("change_case", [str.lower, str.upper, str])
@pytest.mark.parametrize("make", [dict, list, Headers], ids=["mapping", "pairs", "werkzeug"])
def test_load_takes_any_headers(make: Any, change_case: Any) -> None:
    """Headers are a mapping or pairs, names in any case; those of others are ignored."""
    pairs = [("X-Image-Meta-Size", "7"), ("X-Image-Meta-Property-Os", "a"), ("Etag", "b")]
    loaded = ImageMetaSchema().load(make([(change_case(k), v) for k, v in pairs]))
    assert (loaded["size"], loaded["properties"]) == (7, {"os": "a"})


def test_load_takes_bytes() -> None:
    """Raw headers of bytes are loaded like text."""
    raw = [(b"x-image-meta-name", "é".encode()), (b"x-image-meta-property-a%20b", b"c")]
    loaded = ImageMetaSchema().load(raw)
    assert (loaded["name"], loaded["properties"]) == ("é", {"a b": "c"})


def test_load_joins_lines() -> None:
    """Several lines of one name mean the same as one, joined by a comma and a space."""
    pairs = [("X-Image-Meta-Name", "a"), ("x-image-meta-name", "b")]
    assert ImageMetaSchema().load(pairs)["name"] == "a, b"
    pairs = [("X-Image-Meta-Property-Os", "a"), ("x-image-meta-property-os", "b")]
    assert ImageMetaSchema().load(pairs)["properties"] == {"os": "a, b"}


def test_load_of_nothing() -> None:
    """Without headers every field is None, and there are no properties."""
    assert ImageMetaSchema().load({}) == {**dict.fromkeys(CORE), "properties": {}}


def test_load_names_each_bad_header() -> None:
    """Bad headers are a ValidationError that names each."""
    with pytest.raises(ValidationError) as caught:
        ImageMetaSchema().load({"X-Image-Meta-Size": "a", "X-Image-Meta-Deleted": "b"})
    assert set(caught.value.normalized_messages()) == {
        "X-Image-Meta-Size",
        "X-Image-Meta-Deleted",
    }


def test_subclass_adds_a_field_and_a_prefix() -> None:
    """A subclass adds a field in one line and another prefix in one line."""
    schema = FirmwareSchema()
    headers = schema.dump({"id": "a", "signed_by": "b", "properties": {"c": "d"}})
    assert headers["X-Firmware-Meta-Signed_by"] == "b"
    assert headers["X-Firmware-Meta-Property-C"] == "d"
    assert all(header.startswith("X-Firmware-Meta-") for header in headers)
    assert schema.load(headers)["signed_by"] == "b"


def test_subclass_leaves_its_base_alone() -> None:
    """A subclass' prefix and fields do not reach the schema it came from."""
    FirmwareSchema()
    assert ImageMetaSchema().dump(EXAMPLE) == EXAMPLE_HEADERS


def test_field_with_its_own_header() -> None:
    """A data_key replaces prefix and name."""

    class Schema(HeaderSchema):
        size = fields.Integer(data_key="X-Size")

    assert Schema().dump({"size": 1}) == {"X-Size": "1"}
    assert Schema().load({"x-size": "1"}) == {"size": 1}


@pytest.mark.parametrize("header", ["X Size", "X-Größe", "", "X:Size"])
def test_field_with_an_impossible_header(header: str) -> None:
    """A data_key that is not a token is refused when the schema is made."""

    class Schema(HeaderSchema):
        size = fields.Integer(data_key=header)

    with pytest.raises(ValueError, match=r"^Schema\.size: .* cannot be a header's name"):
        Schema()


def test_fields_of_marshmallow() -> None:
    """Marshmallow's own fields work: what they give is sent as its text."""

    class Schema(HeaderSchema):
        count = fields.Integer()
        tags = fields.List(fields.String())
        note = fields.String()

    headers = Schema().dump({"count": 3, "tags": ["a", "b"], "note": "é\n"})
    assert headers == {
        "X-Image-Meta-Count": "3",
        "X-Image-Meta-Tags": '["a","b"]',
        "X-Image-Meta-Note": "\xc3\xa9",
    }


def test_field_with_another_attribute() -> None:
    """A field reads the attribute it names, dots lead into an object of the image's."""

    class Schema(HeaderSchema):
        arch = Text(attribute="architecture")
        vendor = Text(attribute="vendor.name")

    image = {"architecture": "x86_64", "vendor": {"name": "Acme"}}
    assert Schema().dump(image) == {"X-Image-Meta-Arch": "x86_64", "X-Image-Meta-Vendor": "Acme"}


def test_schema_with_its_own_get_attribute() -> None:
    """A schema that overrides marshmallow's get_attribute is asked for every value."""

    class Schema(HeaderSchema):
        name = Text()
        properties = Properties()

        def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
            return obj[f"image_{attr}"]

    image = {"image_name": "a", "image_properties": {"b": "c"}}
    assert Schema().dump(image) == {"X-Image-Meta-Name": "a", "X-Image-Meta-Property-B": "c"}


@pytest.mark.parametrize("default", ["none", lambda: "none"])
def test_field_with_a_default(default: Any) -> None:
    """A dump_default stands in for None; a callable one is called."""

    class Schema(HeaderSchema):
        os = Text(dump_default=default)

    assert Schema().dump({"os": None}) == {"X-Image-Meta-Os": "none"}


def test_properties_with_a_default() -> None:
    """A dump_default stands in for properties that are None."""

    class Schema(HeaderSchema):
        properties = Properties(dump_default=lambda: {"os": "none"})

    assert Schema().dump({}) == {"X-Image-Meta-Property-Os": "none"}


def test_required_field() -> None:
    """A required field has no None to stand in for its header."""

    class Schema(HeaderSchema):
        name = Text(required=True)

    with pytest.raises(ValidationError, match="X-Image-Meta-Name"):
        Schema().load({})
    assert Schema().fields["name"].load_default is missing


def test_load_only_and_dump_only() -> None:
    """A field marked load_only is not sent, one marked dump_only is not read; properties too."""

    class Schema(HeaderSchema):
        secret = Text(load_only=True)
        serial = Text(dump_only=True)
        properties = Properties(load_only=True)

    schema = Schema()
    image = {"secret": "a", "serial": "b", "properties": {"c": "d"}}
    assert schema.dump(image) == {"X-Image-Meta-Serial": "b"}
    headers = {
        "X-Image-Meta-Secret": "a",
        "X-Image-Meta-Serial": "b",
        "X-Image-Meta-Property-C": "d",
    }
    assert schema.load(headers) == {"secret": "a", "properties": {"c": "d"}}


def test_dump_only_properties() -> None:
    """Properties that are only sent are not read from headers."""

    class Schema(HeaderSchema):
        properties = Properties(dump_only=True)

    assert Schema().load({"X-Image-Meta-Property-C": "d"}) == {}


def test_properties_with_another_stem() -> None:
    """Properties may travel under another word than property."""

    class Schema(HeaderSchema):
        properties = Properties(stem="tag-")

    headers = Schema().dump({"properties": {"a": "b"}})
    assert headers == {"X-Image-Meta-Tag-A": "b"}
    assert Schema().load(headers) == {"properties": {"a": "b"}}


def test_schema_without_properties() -> None:
    """A schema without properties sends and reads none."""
    schema = ImageMetaSchema(exclude=["properties"])
    assert schema.dump({**EXAMPLE, "properties": {"a": "b"}}) == EXAMPLE_HEADERS
    assert "properties" not in schema.load({"X-Image-Meta-Property-A": "b"})


def test_lost_properties_are_counted() -> None:
    """A property that loses its name to another is counted, never lost silently."""
    headers = ImageMetaSchema().dump({"properties": {"a": "1", "A": "2", "b": "3"}})
    assert headers[OMITTED] == "1"


def test_many() -> None:
    """Several images are dumped to several mappings, and loaded from them."""
    schema = ImageMetaSchema(only=["id"])
    headers = [{"X-Image-Meta-Id": "a"}, {"X-Image-Meta-Id": "b"}]
    assert schema.dump([{"id": "a"}, {"id": "b"}], many=True) == headers
    assert schema.load(headers, many=True) == [{"id": "a"}, {"id": "b"}]


def test_dump_hooks() -> None:
    """A pre_dump hook gets the image, a post_dump hook the headers, one for each property."""
    seen: list[object] = []

    class Schema(ImageMetaSchema):
        @pre_dump
        def unwrap(self, data: Any, **kwargs: Any) -> Any:
            return data["image"]

        @post_dump
        def shout(self, headers: dict[str, str], **kwargs: Any) -> dict[str, str]:
            seen.append({header: type(value) for header, value in headers.items()})
            return {header: value.upper() for header, value in headers.items()}

    image = {"id": "a", "name": "é", "properties": {"os": "b"}}
    headers = Schema(only=["id", "name", "properties"]).dump({"image": image})
    assert headers == {
        "X-Image-Meta-Id": "A",
        "X-Image-Meta-Name": "é".encode().decode("latin-1").upper(),
        "X-Image-Meta-Property-Os": "B",
    }
    assert seen == [dict.fromkeys(headers, str)]


def test_load_hooks() -> None:
    """A post_load hook gets the typed values, and makes of them what it likes."""

    class Schema(HeaderSchema):
        size = fields.Integer()

        @post_load
        def double(self, data: dict[str, Any], **kwargs: Any) -> int:
            return 2 * int(data["size"])

    assert Schema().load({"X-Image-Meta-Size": "4"}) == 8


def test_a_field_is_told_its_own_name() -> None:
    """A field of the host's gets its name and the image, whatever attribute it reads."""

    class Echo(fields.Field):
        def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str:
            return f"{attr} = {value} of {obj['id']}"

    class OwnText(Text):
        def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str:
            return f"{attr} = {value} of {obj['id']}"

    class Schema(HeaderSchema):
        foreign = Echo(attribute="x", dump_only=True)
        own = OwnText(attribute="x")

    assert Schema().dump({"id": "a", "x": 1}) == {
        "X-Image-Meta-Foreign": "foreign = 1 of a",
        "X-Image-Meta-Own": "own = 1 of a",
    }


def test_fields_that_read_no_attribute() -> None:
    """A field that makes its value from the whole image is sent as any other."""

    class Schema(HeaderSchema):
        label = fields.Function(lambda image: f"{image['id']}!")
        count = fields.Method("get_count")

        def get_count(self, image: Any) -> int:
            return len(image)

    assert Schema().dump({"id": "a"}) == {"X-Image-Meta-Label": "a!", "X-Image-Meta-Count": "1"}


def test_a_field_with_its_own_get_value() -> None:
    """A field that overrides get_value, as marshmallow documents it, reads what it likes."""

    class Reading:
        def get_value(self, obj: Any, attr: str, **kwargs: Any) -> Any:
            return obj["nested"][attr]

    own = type("Own", (Reading, Text), {})
    foreign = type("Foreign", (Reading, fields.String), {})
    schema = type("Schema", (HeaderSchema,), {"a": own(), "b": foreign()})()
    headers = schema.dump({"nested": {"a": "1", "b": "2"}})
    assert headers == {"X-Image-Meta-A": "1", "X-Image-Meta-B": "2"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (fields.Integer(), "many"),
        (fields.DateTime(), "yesterday"),
        (fields.Raw(), object()),
        (fields.Function(lambda image: image["none"]), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_foreign_field_that_fails_is_named(field: Any, value: object) -> None:
    """What a field of marshmallow's cannot serialize is an InvalidImage that names it."""
    schema = type("Schema", (HeaderSchema,), {"release": field})()
    with pytest.raises(InvalidImage) as caught:
        schema.dump({"release": value})
    assert (caught.value.field, caught.value.value) == ("release", value)


@pytest.mark.parametrize("name", ["properties", "vendor", "name"])
def test_attribute_error_of_a_property(name: str) -> None:
    """A property of the image's class that raises AttributeError is an error, not absent."""

    def fail(self: object) -> None:
        raise AttributeError("no such column")

    class Schema(ImageMetaSchema):
        vendor = Text(attribute="vendor.name")

    image = type("Image", (), {name: property(fail)})()
    with pytest.raises(InvalidImage, match="no such column") as caught:
        Schema().dump(image)
    assert caught.value.field == name


def test_dotted_attribute_fails_closed() -> None:
    """A dotted attribute is absent where a step of it is, and an error where reading fails."""

    class Vendor:
        @property
        def name(self) -> str:
            raise AttributeError("no such column")

    class Schema(HeaderSchema):
        vendor = Text(attribute="vendor.name")

    for image in ({}, {"vendor": None}, {"vendor": {}}, SimpleNamespace(vendor=SimpleNamespace())):
        assert Schema().dump(image) == {}
    with pytest.raises(InvalidImage, match=r"^vendor = None: no such column"):
        Schema().dump({"vendor": Vendor()})


def test_lines() -> None:
    """The lines are those of a dump in its order, as the image has them, with those that lose."""
    image = {"name": "a\nb", "size": 7, "properties": {"Os": "1", "os": "é\n"}}
    schema = ImageMetaSchema(only=["name", "size", "properties"])
    assert list(map(tuple, schema.lines(image))) == [
        ("name", None, "X-Image-Meta-Name", "a\nb"),
        ("size", None, "X-Image-Meta-Size", "7"),
        ("properties", "os", "X-Image-Meta-Property-Os", "é\n"),
        ("properties", "Os", "X-Image-Meta-Property-Os", "1"),
    ]


@pytest.mark.parametrize("field", ["name", "properties"])
def test_field_that_fails_is_named(field: str) -> None:
    """An attribute that raises is an InvalidImage that names the field."""

    class Image:
        def __getattr__(self, name: str) -> Any:
            if name == field:
                raise OSError("disk on fire")
            return None

    with pytest.raises(InvalidImage, match="disk on fire") as caught:
        ImageMetaSchema().dump(Image())
    assert caught.value.field == field


@pytest.mark.parametrize("answer", [StoreUnavailable("down"), Forbidden()])
@pytest.mark.parametrize("field", ["name", "visibility", "properties"])
def test_answers_of_lazy_fields_pass(field: str, answer: Exception) -> None:
    """What a lazy field raises as an answer is not a fault of the image."""

    class Image:
        def __getattr__(self, name: str) -> Any:
            if name == field:
                raise answer
            return None

    with pytest.raises(type(answer)):
        ImageMetaSchema().dump(Image())


def test_header_of() -> None:
    """The schema tells which header carries a field, None for a field it does not send."""
    schema = FirmwareSchema(exclude=["size"])
    assert schema.header_of("signed_by") == "X-Firmware-Meta-Signed_by"
    assert schema.header_of("size") is None


def test_field_of() -> None:
    """The schema tells which field a header carries, the header itself where none does."""
    assert ImageMetaSchema().field_of("X-Image-Meta-Min_disk") == "min_disk"
    assert ImageMetaSchema().field_of("Etag") == "Etag"


class Mixin:
    firmware_revision = Text()


class MixedSchema(ImageMetaSchema, Mixin):
    """Adds a field, and sets options."""

    prefix = "X-Mixed-"
    revision: Text = Text()

    class Meta(ImageMetaSchema.Meta):
        exclude = ("checksum",)


def test_a_hook_may_return_the_same_headers_each_time() -> None:
    """An answer's own headers are not added to a mapping that a post_dump hook keeps."""
    kept = {"X-Image-Meta-Id": "a"}

    class Schema(ImageMetaSchema):
        @post_dump
        def replace(self, headers: dict[str, str], **kwargs: Any) -> dict[str, str]:
            return kept

    client = make_app(ImageMeta(lookup=lambda image_id: {"id": "a"}, schema=Schema)).test_client()
    assert [client.head("/v1/images/a").status_code for _ in range(2)] == [200, 200]
    assert kept == {"X-Image-Meta-Id": "a"}


class MixinWithCode:
    @post_dump
    def leave(self, headers: dict[str, str], **kwargs: Any) -> dict[str, str]:
        return headers


class InitSchema(ImageMetaSchema):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)


@pytest.mark.parametrize("schema", [HeaderSchema, ImageMetaSchema, FirmwareSchema, MixedSchema])
def test_a_schema_without_code_of_its_own(schema: type[HeaderSchema]) -> None:
    """Fields, a prefix and options are no code, in the class itself or in a mixin."""
    assert not schema().has_own_code


@pytest.mark.parametrize(
    "schema",
    [
        InitSchema,
        type("HookSchema", (MixinWithCode, ImageMetaSchema), {}),
        type("LateHookSchema", (ImageMetaSchema, MixinWithCode), {}),
        type("LaterSchema", (InitSchema,), {}),
        type("DictSchema", (HeaderSchema,), {"dict_class": dict}),
    ],
)
def test_a_schema_with_code_of_its_own(schema: type[HeaderSchema]) -> None:
    """Whatever else a class has may change what is sent, wherever it inherits it from."""
    assert schema().has_own_code


def test_an_image_without_headers_is_shown() -> None:
    """An image that has none of the fields of a schema of one's own is a 200 without metadata."""

    class NameSchema(HeaderSchema):
        name = Text()

    client = make_client({"id": "a"}, schema=NameSchema)
    assert client.head("/v1/images/a").status_code == 200
