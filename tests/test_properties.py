"""What holds for every image, whatever is in it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from flask_imagemeta import ImageMetaSchema, wire
from flask_imagemeta.schema import OMITTED

from .apps import EXAMPLE, EXAMPLE_HEADERS, PATH, make_client, metadata

pytestmark = pytest.mark.core

settings.register_profile("suite", deadline=None, max_examples=50)
settings.load_profile("suite")

CONTROLS = "".join(map(chr, (*range(0x09), *range(0x0A, 0x20), *range(0x7F, 0xA0))))
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
FIELD_CONTENT = re.compile(r"(?![\t ])[\t\x20-\x7e\x80-\xff]*(?<![\t ])")

# What a header can carry: text without surrogates, control characters, white space at the ends.
texts = st.text(st.characters(codec="utf-8", exclude_characters=CONTROLS)).map(
    lambda text: text.strip(" \t")
)
names = st.text(st.characters(codec="utf-8")).map(str.lower)
numbers = st.integers()
representable = st.fixed_dictionaries(
    {
        **dict.fromkeys(("id", "name", "status", "disk_format", "container_format"), texts),
        **dict.fromkeys(("checksum", "owner"), st.none() | texts),
        **dict.fromkeys(("size", "virtual_size"), st.none() | numbers),
        **dict.fromkeys(("min_disk", "min_ram"), numbers),
        **dict.fromkeys(("protected", "is_public", "deleted"), st.booleans()),
        **dict.fromkeys(("created_at", "updated_at", "deleted_at"), st.none() | st.datetimes()),
        "properties": st.dictionaries(names, texts),
    }
)

# What a host may keep: every character there is, and values that are no text.
any_text = st.text(st.characters())
scalars = st.booleans() | st.integers() | st.floats() | any_text
nested = st.recursive(
    st.none() | scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=5,
)
anything = st.fixed_dictionaries(
    {
        **dict.fromkeys(("id", "name", "owner", "checksum"), scalars | st.binary() | st.uuids()),
        "size": st.none() | numbers | numbers.map(str),
        "updated_at": st.none() | st.datetimes().map(datetime.isoformat) | st.datetimes(),
        "properties": st.dictionaries(
            any_text | st.integers(), nested | st.binary() | st.sets(any_text), max_size=8
        ),
    }
)


@given(representable)
def test_load_gives_back_what_was_dumped(image: dict[str, Any]) -> None:
    """load(dump(image)) is the image, for everything that headers can carry."""
    schema = ImageMetaSchema()
    assert schema.load(schema.dump(image)) == image


@given(anything)
def test_headers_keep_to_the_grammar(image: dict[str, Any]) -> None:
    """Every name is a token and every value field-content of RFC 9110, in well-formed UTF-8."""
    for name, value in ImageMetaSchema().dump(image).items():
        assert TOKEN.fullmatch(name)
        assert FIELD_CONTENT.fullmatch(value)
        assert not set(value.encode("latin-1").decode("utf-8")) & set(CONTROLS)


@given(anything)
def test_names_are_canonical(image: dict[str, Any]) -> None:
    """Every name is in the letter case that the first servers used, and stays so when remade."""
    for name in ImageMetaSchema().dump(image):
        assert name.startswith("X-Image")
        assert wire.as_name(wire.from_name(name)) == name


@given(anything)
def test_no_property_is_lost_silently(image: dict[str, Any]) -> None:
    """Every property is sent or counted, unless it is None."""
    headers = ImageMetaSchema().dump(image)
    sent = sum(name.startswith("X-Image-Meta-Property-") for name in headers)
    wanted = sum(value is not None for value in image["properties"].values())
    assert sent + int(headers.get(OMITTED, 0)) == wanted


@given(anything, st.randoms())
def test_dump_knows_no_order(image: dict[str, Any], random: Any) -> None:
    """The same properties in another order make the same headers, in the same order."""
    items = list(image["properties"].items())
    random.shuffle(items)
    schema = ImageMetaSchema()
    shuffled = schema.dump({**image, "properties": dict(items)})
    assert list(shuffled.items()) == list(schema.dump(image).items())


@given(
    st.dictionaries(names, st.text("aé日", max_size=300), max_size=60),
    st.integers(1, 100),
    st.integers(1, 20_000),
)
def test_limits_hold(properties: dict[str, str], most: int, most_bytes: int) -> None:
    """An answer keeps to both limits or sends no property; what it leaves out is counted."""
    config = {"IMAGEMETA_MAX_HEADERS": most, "IMAGEMETA_MAX_HEADER_BYTES": most_bytes}
    response = make_client({**EXAMPLE, "properties": properties}, config=config).head(PATH)
    sent = len(metadata(response)) - len(EXAMPLE_HEADERS)
    if sent:
        assert len(response.headers) <= most
        assert sum(len(k) + len(v) + 4 for k, v in response.headers) <= most_bytes
    assert sent + int(response.headers.get(OMITTED, 0)) == len(properties)


@given(st.lists(st.tuples(st.sampled_from([*EXAMPLE_HEADERS]) | any_text, any_text | st.binary())))
def test_load_refuses_only_with_a_validation_error(headers: list[tuple[str, str | bytes]]) -> None:
    """Whatever comes in is loaded, or refused as a ValidationError."""
    refused = ImageMetaSchema().validate(headers)
    assert set(refused) <= set(EXAMPLE_HEADERS)


@given(st.integers(min_value=0), st.integers(0, 3))
def test_whole_numbers(number: int, zeros: int) -> None:
    """A whole number is the same with and without zeros before it."""
    assert wire.whole_number("0" * zeros + str(number)) == str(number)


@given(any_text)
def test_whole_number_is_none_or_a_number(text: str) -> None:
    """Any other text is not a number, or one that int() reads in the same way."""
    number = wire.whole_number(text)
    assert number is None or str(int(text)) == number
