"""The query string of a list: its parameters, and the reference's error for each bad one.

Checks run in the reference's order. It consists of two servers: the first checks the values of
filters in the order they are given, the second checks everything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any, get_args
from urllib.parse import unquote_to_bytes

import iso8601

from . import wire
from .bad_query import MALFORMED, BadQuery
from .query import NUMBERS, TEXTS, Query, SortDir, SortKey

DEFAULT_LIMIT = 25
MAX_LIMIT = 1000

# The parameters of a list, besides those of properties; all others are ignored.
NAMES = (
    *("name", "status", "disk_format", "container_format", "min_disk", "min_ram", "protected"),
    *("size_min", "size_max", "changes-since", "is_public"),
    *("sort_key", "sort_dir", "limit", "marker"),
)

PROPERTY = "property-"
_FLAGS = {"true": True, "1": True, "false": False, "0": False, "none": None}

# An item of "in:a,b,"c, d""; in quotes, a backslash keeps the character after it.
_ITEM = re.compile(r'"((?:[^"\\]|\\.)*)"|([^",]+)')
_LIST = re.compile(rf"(?:(?:{_ITEM.pattern})?(?:,|$))*")


def parse(query_string: bytes, max_limit: int = MAX_LIMIT) -> tuple[Query, str | None]:
    """Return the query in a query string, still without a caller, and the id of its marker.

    If a name is given several times, the last one counts.

    :param max_limit: The limit that a larger one is reduced to.
    :raises BadQuery: with the reference's answer.
    """
    given = _decode(query_string)
    for name, value in given.items():
        if name in _CHECKS and not _CHECKS[name](value):
            raise BadQuery(MALFORMED, f"Bad value passed to filter {name} got {value}")
    query = Query(
        changes_since=_changes_since(given.get("changes-since")),
        filters=MappingProxyType(_filters(given)),
        properties=MappingProxyType(
            {k[len(PROPERTY) :]: v for k, v in given.items() if k.startswith(PROPERTY)}
        ),
        size_min=_as_number(given.get("size_min", "")),
        size_max=_as_number(given.get("size_max", "")),
        is_public=_FLAGS[given.get("is_public", "true").lower()],
        limit=min(_limit(given.get("limit")), max_limit),
        sort_key=_one_of("sort_key", given.get("sort_key", "created_at"), get_args(SortKey)),
        sort_dir=_one_of("sort_dir", given.get("sort_dir", "desc"), get_args(SortDir)),
    )
    return query, given.get("marker")


def _as_number(text: str) -> int | None:
    """Return a whole number, or None for other text.

    Only the first 30 digits count: still larger than any size, and Python refuses to convert
    thousands of them.
    """
    digits = wire.whole_number(text)
    return None if digits is None else int(digits[:30])


def _as_values(text: str) -> tuple[str, ...]:
    """Return the values that a text filter allows: ``in:a,"b,c"``, ``eq:a``, or plain text."""
    if text.startswith("eq:"):
        return (text[3:],)
    if text.startswith("in:") and _LIST.fullmatch(text, 3):
        return tuple(quoted or plain for quoted, plain in _ITEM.findall(text, 3))
    return (text,)


def _decode(query_string: bytes) -> dict[str, str]:
    """Return the parameters by name; ``;`` separates them as well as ``&``."""
    given: dict[str, str] = {}
    try:
        for part in re.split(rb"[&;]", query_string.replace(b"+", b" ")):
            name, _, value = part.partition(b"=")
            given[unquote_to_bytes(name).decode()] = unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise BadQuery(
            "Error decoding your request. Either the URL or the request body contained "
            "characters that could not be decoded by Glance"
        ) from None
    return given


def _filters(given: Mapping[str, str]) -> dict[str, tuple[Any, ...]]:
    filters: dict[str, tuple[Any, ...]] = {
        name: _as_values(given[name]) for name in TEXTS if name in given
    }
    for name in NUMBERS:
        if name in given:
            number = _as_number(given[name])
            filters[name] = () if number is None else (number,)
    if "protected" in given:
        protected = _FLAGS[given["protected"].lower()]
        if protected is None:
            raise BadQuery.of_second_server(MALFORMED, "protected must be True, or False")
        filters["protected"] = (protected,)
    return filters


def _changes_since(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        # The reference's own library: Python's and marshmallow's accept fewer forms.
        return iso8601.parse_date(text).astimezone(timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError):  # OverflowError: outside the range of UTC dates
        raise BadQuery.of_second_server(MALFORMED, "Unrecognized changes-since value") from None


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    number = _as_number(text.strip().removeprefix("-"))
    if number is None:
        raise BadQuery.of_second_server(MALFORMED, "limit param must be an integer")
    if number and "-" in text:
        raise BadQuery.of_second_server(MALFORMED, "limit param must be positive")
    return number


def _one_of(name: str, value: str, words: tuple[Any, ...]) -> Any:
    if value not in words:
        raise BadQuery.of_second_server(
            f"Unsupported {name}. Acceptable values: {', '.join(words)}"
        )
    return value


def _is_number(text: str) -> bool:
    return wire.whole_number(text) is not None


def _is_flag(text: str) -> bool:
    return text.lower() in _FLAGS


_CHECKS: dict[str, Callable[[str], bool]] = {
    "size_min": _is_number,
    "size_max": _is_number,
    "min_ram": _is_number,
    "is_public": _is_flag,
    "protected": _is_flag,
}
