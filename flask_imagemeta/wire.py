"""The grammar of header names and values, both ways. It depends on neither Flask nor images.

RFC 9110, section 5, on fields:

- 5.1, 5.6.2: a name is a token, one or more of the letters, the digits and
  ``!#$%&'*+-.^_`|~``; it is compared without regard to case.
- 5.5: a value consists of visible characters, space, tab and the bytes 0x80-0xFF. CR, LF
  and NUL are invalid and dangerous; other control characters are invalid. White space at
  either end is not part of the value: a recipient drops it.
- 5.3: several lines of one name mean the same as one line, joined by a comma and a space.

RFC 9113, section 8.2.1, on fields in HTTP/2:

- A value must not start or end with white space, nor hold NUL, CR or LF; a message with such a
  value is malformed, which ends the stream.

PEP 3333 on header strings: each is a native str whose characters stand for bytes, so none
lies beyond U+00FF. Text therefore travels as its UTF-8 bytes, each written as the character
of the same number. The same holds for received headers.

What follows from this:

- Every control character but tab becomes a space, C1's too (a terminal obeys those);
  a lone surrogate, which UTF-8 cannot carry, becomes ``?``.
- White space at either end of a value is dropped, after control characters were replaced.
- In a name, ``%`` and every byte that is not a token character are percent-encoded, so that a
  name can be decoded again.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Set as AbstractSet
from enum import Enum
from typing import Any
from urllib.parse import quote, unquote

# Node and h11 refuse a message whose headers take more than 16 KiB in all.
CLIENT_MAX_BYTES = 16_384

# The longest number that Python converts from or to text by default.
MAX_DIGITS = 4300
_TOO_LARGE = 10**MAX_DIGITS

_CONTROLS = {code: " " for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x09}
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_VALUE = re.compile(r"[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?")
_WSGI_TEXT = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_INTEGER = re.compile(rf"-?[0-9]{{1,{MAX_DIGITS}}}", re.ASCII)
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_SAFE_IN_NAME = "!#$&'*+^`|"  # with quote()'s own letters, digits and "_.-~": a token without "%"


def is_token(name: str) -> bool:
    """Return whether name is valid as a header's name."""
    return _TOKEN.fullmatch(name) is not None


def is_value(value: str) -> bool:
    """Return whether value is valid as a header's value: not empty, and trimmed."""
    return _VALUE.fullmatch(value) is not None


def are_safe_headers(headers: Mapping[Any, Any]) -> bool:
    """Return whether each name is a token and each value text in WSGI's form, safe to send."""
    try:
        are_valid = all(map(is_token, headers)) and all(map(_WSGI_TEXT.fullmatch, headers.values()))
    except TypeError:  # one of them is not a str
        return False
    return are_valid and all(value.strip(" \t") == value for value in headers.values())


def as_name(text: str) -> str:
    """Return text as a header name, or a part of one.

    Each piece between hyphens is capitalized and the rest lower-cased, as the first servers
    did; some clients compare by exact case.
    """
    if text.isascii() and text.isidentifier():  # most are; 0.1 µs where the rest takes 2 µs
        return text.capitalize()
    pieces = text.lower().encode("utf-8", "replace").split(b"-")
    return quote(b"-".join(piece.capitalize() for piece in pieces), safe=_SAFE_IN_NAME)


def from_name(name: str) -> str:
    """Return the text that `as_name` made a name from, in lower case."""
    return unquote(name).lower()


def as_value(text: str) -> str:
    """Return text as a header value: UTF-8 in WSGI's form, no control character but tab.

    White space at either end is dropped.
    """
    if text.isascii() and text.isprintable():
        return text.strip(" ")
    text = text.translate(_CONTROLS).strip(" \t")
    return text.encode("utf-8", "replace").decode("latin-1")


def from_value(value: str | bytes) -> str:
    """Return a received header value as text.

    Bytes that are not UTF-8 are read as Latin-1, the older convention; text that was decoded
    already (it has a character beyond U+00FF) is returned as it is.
    """
    try:
        raw = value if isinstance(value, bytes) else value.encode("latin-1")
        return raw.decode("utf-8")
    except UnicodeEncodeError:
        return str(value)
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def as_text(value: Any) -> str:
    """Return a single value as text: a string, a number, or an object with its own ``__str__``.

    An Enum member counts as its value, bytes are read as UTF-8.

    :raises TypeError: for a container or an object without a text.
    :raises ValueError: for an int of more than `MAX_DIGITS` digits.
    """
    if type(value) is str:
        return value
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    own_text = getattr(type(value), "__str__", None) is not object.__str__
    if own_text or isinstance(value, (bool, int, float)):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no text")


def as_any_text(value: Any) -> str:
    """Return a value as text like `as_text`, a mapping, list, tuple or set as compact JSON.

    :raises TypeError: for an object without a text.
    :raises ValueError: for a container that holds itself, or an int of more than `MAX_DIGITS`
        digits.
    :raises RecursionError: for a container that is nested too deep.
    """
    if type(value) is str:  # most are, and checking the abstract classes is slow
        return value
    if isinstance(value, (Mapping, list, tuple, AbstractSet)):
        return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), default=_plain)
    return as_text(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, AbstractSet):
        return sorted(value, key=repr)  # a set has no order: the same set, the same text
    return value if isinstance(value, (list, tuple)) else as_text(value)


def whole_number(value: str) -> str | None:
    """Return a decimal whole number in its shortest form, or None if value is anything else.

    Any number of ASCII digits counts, with optional white space around them. The number stays
    text because a client may send more digits than Python converts to an int.
    """
    digits = value.strip(" \t")
    return (digits.lstrip("0") or "0") if _DIGITS.fullmatch(digits) else None


def as_int(value: Any) -> int:
    """Return a number of any type, or a decimal text, as an int; it may be negative.

    A number that is not an int must be within the range of a float.

    :raises TypeError: for a value that is not a number.
    :raises ValueError: for a number that is not whole, or has more than `MAX_DIGITS` digits.
    :raises OverflowError: for a number beyond every float.
    """
    if isinstance(value, str):
        text = value.strip(" \t")
        if not _INTEGER.fullmatch(text):
            raise ValueError("not a whole number")
        return int(text)
    # int() would take a minute for Decimal("1e1000000"); float() returns infinity at once.
    if isinstance(value, bool) or not (isinstance(value, int) or math.isfinite(value)):
        raise ValueError("not a whole number")
    number = int(value)
    if number != value or abs(number) >= _TOO_LARGE:
        raise ValueError("not a whole number")
    return number


def header_bytes(headers: Mapping[str, str]) -> int:
    """Return the bytes that headers take on the wire, each with a colon, a space and CRLF."""
    return sum(map(len, headers)) + sum(map(len, headers.values())) + 4 * len(headers)


def as_pairs(headers: Any) -> Iterable[tuple[str, str | bytes]]:
    """Yield headers as pairs, names as str; headers is a mapping or pairs, of str or of bytes."""
    items = headers.items() if hasattr(headers, "items") else headers
    for name, value in items:
        yield (name.decode("latin-1") if isinstance(name, bytes) else name), value
