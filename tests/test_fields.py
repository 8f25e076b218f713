"""Each kind of field: what it sends, what it takes back, what it refuses."""

from __future__ import annotations

from collections import UserDict
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from time import process_time
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from marshmallow import ValidationError

from flask_imagemeta import ImageMetaSchema, InvalidImage

pytestmark = pytest.mark.core

schema = ImageMetaSchema()


class Visibility(Enum):
    PUBLIC = "public"
    PRIVATE = "private"


def dump(field: str, value: object) -> str | None:
    headers: dict[str, str] = schema.dump({field: value})
    return headers.get(f"X-Image-Meta-{field.capitalize()}")


def load(field: str, value: str) -> Any:
    return schema.load({f"X-Image-Meta-{field}": value})[field]


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("cirros", "cirros"),
        ("", ""),
        (None, None),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Visibility.PUBLIC, "public"),
        (24.04, "24.04"),
        (b"caf\xc3\xa9", "caf\xc3\xa9"),
    ],
)
def test_text_is_sent(value: object, header: str | None) -> None:
    """Text is sent unchanged, the empty text as an empty value; None is omitted."""
    assert dump("name", value) == header


@pytest.mark.parametrize("value", [["a"], {"a": 1}, object()])
def test_text_refuses(value: object) -> None:
    """What has no text, or is more than one value, is refused."""
    with pytest.raises(InvalidImage, match=r"^name = .*has no text"):
        dump("name", value)


@pytest.mark.parametrize(
    ("value", "header"),
    [
        (0, "0"),
        (4979632, "4979632"),
        ("007", "7"),
        (" 7\t", "7"),
        (5.0, "5"),
        (Decimal(7), "7"),
        (Fraction(14, 2), "7"),
        (-5, "-5"),
        ("-5", "-5"),
        ("-0", "0"),
        (Decimal("-5.0"), "-5"),
        (10**4299, "1" + "0" * 4299),
        (None, None),
    ],
)
def test_number_is_sent(value: object, header: str | None) -> None:
    """A whole number, even a negative one, is sent in bare decimal; None is omitted."""
    assert dump("size", value) == header


@pytest.mark.parametrize(
    "value",
    [
        *("abc", "", "-", "--1", "- 1", "+1", "1e3", "1_0", "٣", "9" * 4301, b"5", [1], 5j),
        *(True, 1.5, 10**4300, -(10**4300), 10**5000, UUID(int=5)),
        *map(float, ("nan", "inf", "-inf")),
        *map(Decimal, ("1.5", "nan", "snan", "inf")),
        *map(Decimal, ("1e400", "1e131071", "-1e131071", "1e1000000", "1e-1000000")),
        *(Fraction(1, 3), Fraction(10**5000), Fraction(1, 10**5000)),
    ],
    ids=lambda value: type(value).__name__,  # some are too long for a text
)
def test_number_refuses(value: object) -> None:
    """All but whole numbers of at most 4,300 digits are refused at once, with the field's name."""
    begin = process_time()
    with pytest.raises(InvalidImage, match=r"^size = "):
        dump("size", value)
    assert process_time() - begin < 0.1


@pytest.mark.parametrize("field", ["size", "virtual_size", "min_disk", "min_ram"])
def test_negative_number_comes_back(field: str) -> None:
    """A negative number is loaded as it was sent."""
    assert load(field, dump(field, -5) or "") == -5


@pytest.mark.parametrize("field", ["min_disk", "min_ram"])
def test_minimum_is_zero_without_value(field: str) -> None:
    """A minimum that is None or absent is sent as 0."""
    assert dump(field, None) == "0"
    assert schema.dump({})[f"X-Image-Meta-{field.capitalize()}"] == "0"


def test_number_is_loaded() -> None:
    """A header's digits come back as an int."""
    assert load("size", " 0042 ") == 42


@pytest.mark.parametrize("value", ["abc", "", "-", "1.0", "9" * 5000, "0" * 100_000 + "x"])
def test_number_load_refuses(value: str) -> None:
    """A header that is not a whole number is a ValidationError under the header's name."""
    with pytest.raises(ValidationError) as caught:
        load("size", value)
    assert caught.value.messages == {"X-Image-Meta-Size": ["Not a valid integer."]}


@pytest.mark.parametrize(
    ("value", "header"),
    [
        (True, "True"),
        (False, "False"),
        (1, "True"),
        (0, "False"),
        ("yes", "True"),
        ("off", "False"),
    ],
)
def test_flag_is_sent(value: object, header: str) -> None:
    """A truth value is sent as the word True or False."""
    assert dump("protected", value) == header


@pytest.mark.parametrize("field", ["protected", "deleted", "is_public"])
def test_flag_is_false_without_value(field: str) -> None:
    """A flag that is None or absent is sent as False."""
    assert dump(field, None) == "False"
    assert schema.dump({})[f"X-Image-Meta-{field.capitalize()}"] == "False"


@pytest.mark.parametrize("value", ["maybe", "", 2, [], {}])
@pytest.mark.parametrize("field", ["protected", "is_public"])
def test_flag_refuses(field: str, value: object) -> None:
    """What is neither true nor false is refused with the field's name."""
    with pytest.raises(InvalidImage, match=f"^{field} = "):
        dump(field, value)


@pytest.mark.parametrize(("value", "flag"), [("True", True), ("false", False), ("1", True)])
def test_flag_is_loaded(value: str, flag: bool) -> None:
    """A header's word comes back as a bool."""
    assert load("deleted", value) is flag


@pytest.mark.parametrize(
    ("image", "header"),
    [
        ({"is_public": True}, "True"),
        ({"is_public": False, "visibility": "public"}, "True"),
        ({"visibility": "public"}, "True"),
        ({"visibility": Visibility.PUBLIC}, "True"),
        ({"visibility": Visibility.PRIVATE}, "False"),
        ({"visibility": "private"}, "False"),
        ({"visibility": "shared"}, "False"),
        ({"visibility": "community"}, "False"),
        ({"visibility": None}, "False"),
        ({}, "False"),
    ],
)
def test_public_flag(image: dict[str, object], header: str) -> None:
    """is_public is the image's own flag or a visibility of public, and nothing else."""
    assert schema.dump(image)["X-Image-Meta-Is_public"] == header


@pytest.mark.parametrize(
    ("value", "header"),
    [
        (datetime(2016, 1, 6, 3, 22, 20), "2016-01-06T03:22:20.000000"),
        (datetime(2016, 1, 6, 3, 22, 20, 42), "2016-01-06T03:22:20.000042"),
        (datetime(2016, 1, 6, 3, tzinfo=timezone.utc), "2016-01-06T03:00:00.000000"),
        (
            datetime(2016, 1, 6, 3, tzinfo=timezone(timedelta(hours=2))),
            "2016-01-06T01:00:00.000000",
        ),
        ("2016-01-06 03:22:20", "2016-01-06T03:22:20.000000"),
        ("2016-01-06T03:22:20+02:00", "2016-01-06T01:22:20.000000"),
        (datetime(1, 1, 1), "0001-01-01T00:00:00.000000"),
        (None, None),
    ],
)
def test_timestamp_is_sent(value: object, header: str | None) -> None:
    """A time is sent in UTC with six digits of a second and no zone letter; None is omitted."""
    assert dump("updated_at", value) == header


@pytest.mark.parametrize(
    "value",
    [
        date(2016, 1, 6),
        1452050540,
        "yesterday",
        "",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_timestamp_refuses(value: object) -> None:
    """What names no time that UTC has is refused with the field's name."""
    with pytest.raises(InvalidImage, match=r"^updated_at = "):
        dump("updated_at", value)


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "x"])
def test_timestamp_load_refuses(value: str) -> None:
    """A header with a time that UTC does not have is a ValidationError."""
    with pytest.raises(ValidationError) as caught:
        load("updated_at", value)
    assert caught.value.messages == {"X-Image-Meta-Updated_at": ["Not a valid datetime."]}


@pytest.mark.parametrize(
    "value", ["2016-01-06T03:22:20.000042", "2016-01-06T05:22:20.000042+02:00"]
)
def test_timestamp_is_loaded(value: str) -> None:
    """A header's time comes back as a datetime in UTC, without a zone."""
    assert load("created_at", value) == datetime(2016, 1, 6, 3, 22, 20, 42)


def properties(value: object) -> dict[str, str]:
    prefix = "X-Image-Meta-Property-"
    headers = schema.dump({"properties": value})
    return {k.removeprefix(prefix): v for k, v in headers.items() if k.startswith(prefix)}


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("x86_64", "x86_64"),
        ("", ""),
        (True, "True"),
        (24.04, "24.04"),
        ([1, "a"], '[1,"a"]'),
        ({"a": None}, '{"a":null}'),
        (Visibility.PUBLIC, "public"),
        ("日本", "日本".encode().decode("latin-1")),
    ],
)
def test_property_is_sent(value: object, header: str) -> None:
    """A property's value is sent as its text, a list or object as compact JSON."""
    assert properties({"key": value}) == {"Key": header}


def test_property_of_none_is_omitted() -> None:
    """A property without a value is not sent."""
    assert properties({"a": None, "b": ""}) == {"B": ""}


@pytest.mark.parametrize("make", [dict, MappingProxyType, UserDict])
def test_properties_are_any_mapping(make: Any) -> None:
    """Properties are any mapping, not only a dict."""
    assert properties(make({"a": "1"})) == {"A": "1"}


@pytest.mark.parametrize("value", [["a"], "a=b", 1])
def test_properties_refuse(value: object) -> None:
    """Properties that are not a mapping are refused."""
    with pytest.raises(InvalidImage, match=r"^properties = .*not a mapping"):
        properties(value)


def test_property_refuses() -> None:
    """A value without a text is refused with the property's name."""
    with pytest.raises(InvalidImage, match=r"^properties\['key'\] = .*has no text") as caught:
        properties({"key": object()})
    assert caught.value.field == "properties['key']"


def test_property_names_are_any_single_value() -> None:
    """A name that is not a string counts as its text."""
    assert properties({1: "one", Visibility.PUBLIC: "two"}) == {"1": "one", "Public": "two"}


def test_property_names_are_sorted() -> None:
    """Properties go out in the order of their lower-cased names."""
    assert list(properties({"b": 1, "A": 1, "c": 1, "_": 1})) == ["_", "A", "B", "C"]


@pytest.mark.parametrize("names", [("key", "KEY", "Key"), ("Key", "KEY", "key")])
def test_lower_case_name_wins(names: tuple[str, ...]) -> None:
    """Of names that differ only in case the lower-case one is sent, whatever their order."""
    assert properties({name: name for name in names}) == {"Key": "key"}


@pytest.mark.parametrize("names", [("Key", "KEY"), ("KEY", "Key")])
def test_first_name_wins_without_a_lower_case_one(names: tuple[str, ...]) -> None:
    """Without a lower-case one, the first name in code-point order is sent."""
    assert properties({name: name for name in names}) == {"Key": "KEY"}


def test_a_timestamp_in_a_string_may_end_in_z() -> None:
    """Z, the zone letter of ISO 8601, is read on every Python."""
    image = {"created_at": "2016-01-06T03:22:20Z"}
    headers = ImageMetaSchema().dump(image)
    assert headers["X-Image-Meta-Created_at"] == "2016-01-06T03:22:20.000000"
