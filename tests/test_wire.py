"""The grammar of header names and values."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum, IntEnum
from uuid import UUID

import pytest

from flask_imagemeta import wire

pytestmark = pytest.mark.core


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("min_disk", "Min_disk"),
        ("kernel-id", "Kernel-Id"),
        ("KERNEL_ID", "Kernel_id"),
        ("x-image-meta-", "X-Image-Meta-"),
        ("key with space", "Key%20with%20space"),
        ("100%", "100%25"),
        ("a:b", "A%3Ab"),
        ("a\r\nb", "A%0D%0Ab"),
        ("é", "%C3%A9"),
        ("É", "%C3%A9"),
        ("\ud800", "%3F"),
        ("!#$&'*+.^_`|~09", "!#$&'*+.^_`|~09"),
        ("", ""),
    ],
)
def test_as_name(text: str, name: str) -> None:
    """Pieces are capitalized, the rest lower-cased, all but token characters percent-encoded."""
    assert wire.as_name(text) == name


@pytest.mark.parametrize(
    ("name", "text"),
    [("Kernel_id", "kernel_id"), ("Key%20with%20space", "key with space"), ("%C3%89", "é")],
)
def test_from_name(name: str, text: str) -> None:
    """A name is decoded to the lower-cased text it was made from."""
    assert wire.from_name(name) == text


@pytest.mark.parametrize("name", ["X-Image-Meta-Id", "a", "!#$%&'*+-.^_`|~"])
def test_is_token(name: str) -> None:
    """Letters, digits and RFC 9110's fifteen signs make a token."""
    assert wire.is_token(name)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\n", "é", "a/b", '"a"', "a(", "a\x00"])
def test_is_no_token(name: str) -> None:
    """Whatever else a name holds, and no character at all, makes no token."""
    assert not wire.is_token(name)


@pytest.mark.parametrize("value", ["a", "a b", "a\tb", "\xe9", "private, no-cache"])
def test_is_value(value: str) -> None:
    """A value holds visible characters, Latin-1, and white space between them."""
    assert wire.is_value(value)


@pytest.mark.parametrize(
    "value", ["", " a", "a ", "a\t", "a\nb", "a\x00b", "a\x7fb", "a\n", "\u0100"]
)
def test_is_no_value(value: str) -> None:
    """Nothing, white space at an end, a control character or U+0100 and up make no value."""
    assert not wire.is_value(value)


@pytest.mark.parametrize("value", ["", "a", "a b", "a\tb", "\xe9"])
def test_safe_headers(value: str) -> None:
    """Text in WSGI's form and an empty value are safe to send."""
    assert wire.are_safe_headers({"A": "b", "X-Note": value})


@pytest.mark.parametrize(
    "value", [" a", "a ", "\ta", "a\t", " ", "a\nb", "\x7f", "\u0100", 5, None]
)
def test_unsafe_headers(value: object) -> None:
    """White space at an end, a control character, U+0100 and up and other types are not."""
    assert not wire.are_safe_headers({"A": "b", "X-Note": value})


@pytest.mark.parametrize("code", [*range(0x09), *range(0x0A, 0x20), *range(0x7F, 0xA0)])
def test_control_characters_become_spaces(code: int) -> None:
    """Every control character but tab leaves as a space, C1's too."""
    assert wire.as_value(f"a{chr(code)}b") == "a b"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        (" trimmed\t", "trimmed"),
        ("trimmed\r\n", "trimmed"),
        ("\x85 trimmed \x00", "trimmed"),
        (" \n\t", ""),
        ("\xa0é\u3000", "\xc2\xa0\xc3\xa9\xe3\x80\x80"),
        ("a\tb", "a\tb"),
        ("é", "\xc3\xa9"),
        ("€", "\xe2\x82\xac"),
        ("\U0001f40d", "\xf0\x9f\x90\x8d"),
        ("\ud800", "?"),
        ("a\r\nSet-Cookie: b", "a  Set-Cookie: b"),
    ],
)
def test_as_value(text: str, value: str) -> None:
    """Text goes out as UTF-8 in WSGI's form, without HTTP's white space at either end."""
    assert wire.as_value(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("\xc3\xa9", "é"),
        (b"\xc3\xa9", "é"),
        ("\xe9", "é"),
        (b"\xe9", "é"),
        ("€", "€"),
        ("plain", "plain"),
    ],
)
def test_from_value(value: str | bytes, text: str) -> None:
    """UTF-8 is decoded, other bytes count as Latin-1, decoded text stays as it is."""
    assert wire.from_value(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (24.04, "24.04"),
        (True, "True"),
        (7, "7"),
        (Decimal("1.50"), "1.50"),
        (b"caf\xc3\xa9", "café"),
        (b"\xff", "\ufffd"),
        (Colour.RED, "red"),
        (Level.HIGH, "3"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_as_text(value: object, text: str) -> None:
    """A single value is sent as its text, an Enum member as its value's, bytes as UTF-8."""
    assert wire.as_text(value) == text


@pytest.mark.parametrize("value", [None, object(), [1], {"a": 1}])
def test_as_text_refuses(value: object) -> None:
    """An object without a text of its own is refused, not sent as its address in memory."""
    with pytest.raises(TypeError, match="has no text"):
        wire.as_text(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, "é", None], '[1,"é",null]'),
        ((1, 2), "[1,2]"),
        ({"a": {"b": [True]}}, '{"a":{"b":[true]}}'),
        ({"b", "a"}, '["a","b"]'),
        ({"a": {"c", "b"}}, '{"a":["b","c"]}'),
        ([Colour.RED, UUID(int=0)], '["red","00000000-0000-0000-0000-000000000000"]'),
        ("a", "a"),
    ],
)
def test_as_any_text(value: object, text: str) -> None:
    """A container is sent as compact JSON, a set in one order always."""
    assert wire.as_any_text(value) == text


def test_as_any_text_refuses_a_container_in_itself() -> None:
    """A list that holds itself is refused."""
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="Circular"):
        wire.as_any_text(endless)


@pytest.mark.parametrize(
    ("value", "number"),
    [("0", "0"), ("007", "7"), ("000", "0"), (" 5\t", "5"), ("9" * 5000, "9" * 5000)],
)
def test_whole_number(value: str, number: str) -> None:
    """Digits make a number in its shortest form, however many they are."""
    assert wire.whole_number(value) == number


@pytest.mark.parametrize(
    "value", ["", " ", "-1", "+1", "1.0", "1e3", "0x1", "1_0", "٣", "²", "1 2", "1\n"]
)
def test_no_whole_number(value: str) -> None:
    """A sign, a point, a letter, another script's digits or a gap make none."""
    assert wire.whole_number(value) is None


def test_header_bytes() -> None:
    """A header takes its name, a colon, a space, its value and CRLF."""
    assert wire.header_bytes({"Name": "value", "A": ""}) == len("Name: value\r\nA: \r\n")


@pytest.mark.parametrize(
    "headers",
    [{"A": "b"}, [("A", "b")], iter([(b"A", "b")]), {b"A": "b"}],
    ids=["mapping", "pairs", "iterator", "bytes"],
)
def test_as_pairs(headers: object) -> None:
    """Headers are a mapping or pairs, with names of str or bytes."""
    assert list(wire.as_pairs(headers)) == [("A", "b")]
