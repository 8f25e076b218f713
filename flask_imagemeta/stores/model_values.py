"""What a column can hold: an image's values in the form that it takes, and why one does not fit.

SQLite would store any value in any column, MariaDB changes some without an error, and drivers send
whatever they are given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from enum import Enum as PythonEnum
from typing import Any
from uuid import UUID

from marshmallow import ValidationError, fields
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Enum,
    Integer,
    SmallInteger,
    String,
    Uuid,
)

from ..fields import Timestamp, WholeNumber

_KEPT: tuple[tuple[type[Any], Any, str], ...] = (
    (Boolean, int, "True or False"),
    (Integer, int, "whole numbers"),
    (DateTime, datetime, "times"),
    (String, str, "text"),
)
_PARSERS = ((Integer, WholeNumber()), (DateTime, Timestamp()), (Uuid, fields.UUID()))
_UTC = timezone.utc
_PRECISION = re.compile(r"\((\d)\)")  # of a type such as DATETIME(6)
_MAX_DEPTH = 100  # far less than Python can write as JSON, and read again; a list may hold itself
_SURROGATE = re.compile("[\ud800-\udfff]")


def as_column_value(value: Any, column: Column[Any]) -> Any:
    """Return a value in the form that the column takes."""
    column_type = column.type
    if isinstance(column_type, Enum):
        return _as_member(value, column_type)
    if isinstance(value, PythonEnum):
        value = value.value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list):
        return list(value)  # a copy for this row
    if isinstance(value, str):
        value = _parse(value, column_type)
    if isinstance(value, UUID) and isinstance(column_type, (String, Uuid)):
        return column_type.python_type(str(value))  # a Uuid may be given and returned as text
    if isinstance(column_type, DateTime) and isinstance(value, datetime):
        is_naive = value.tzinfo is None
        value = value.replace(tzinfo=_UTC) if is_naive else value.astimezone(_UTC)
        return value if column_type.timezone else value.replace(tzinfo=None)
    return value


def _as_member(value: Any, column_type: Enum) -> Any:
    """Return the member with a value, which is how headers have it, or else the value."""
    kind = column_type.enum_class
    if kind is not None and isinstance(value, kind):
        return value
    if isinstance(value, PythonEnum):
        value = value.value
    return next((member for member in kind or () if is_same(member.value, value)), value)


def _parse(text: str, column_type: Any) -> Any:
    """Return the value in a text, as in an image made from JSON, or else the text."""
    for kind, field in _PARSERS:
        if isinstance(column_type, kind):
            with suppress(ValidationError):
                return field.deserialize(text)
    return text


def misfit(value: Any, column: Column[Any], dialect: Dialect) -> str | None:
    """Return why a column of this database cannot hold a value; None if it can."""
    column_type = column.type
    if value is None:
        return None
    if isinstance(column_type, Enum):
        return _misfit_enum(value, column, column_type)
    for kind, python_type, kept in _KEPT:
        if isinstance(column_type, kind) and not isinstance(value, python_type):
            return f"the column {column} holds {kept}, not {type(value).__name__}"
    if isinstance(column_type, Integer):
        return _misfit_number(value, column, dialect)
    if isinstance(column_type, DateTime):
        return _misfit_time(value, column, dialect)
    if isinstance(column_type, String):
        return _misfit_text(value, column, dialect)
    if isinstance(column_type, Uuid):
        is_uuid = isinstance(_parse(str(value), column_type), UUID)
        return None if is_uuid else f"the column {column} holds UUIDs"
    return _misfit_structure(value, column, dialect)


def _misfit_enum(value: Any, column: Column[Any], column_type: Enum) -> str | None:
    names, kind = column_type.enums, column_type.enum_class
    if value in names or (kind is not None and isinstance(value, kind)):
        return None
    return f"the column {column} holds one of {', '.join(names)}"


def _misfit_number(value: int, column: Column[Any], dialect: Dialect) -> str | None:
    bits = 63
    if dialect.name != "sqlite" and not isinstance(column.type, BigInteger):
        bits = 15 if isinstance(column.type, SmallInteger) else 31
    if -(2**bits) <= value < 2**bits:
        return None
    return f"the column {column} holds whole numbers below 2**{bits}"


def _misfit_time(value: datetime, column: Column[Any], dialect: Dialect) -> str | None:
    precision = _PRECISION.search(column.type.compile(dialect=dialect))
    default = 0 if dialect.name in ("mysql", "mariadb") else 6
    digits = default if precision is None else int(precision[1])
    if value.microsecond % 10 ** (6 - digits) == 0:
        return None
    kept = f"fractions of a second with {digits} digits" if digits else "whole seconds"
    return f"the column {column} holds {kept}"


def _misfit_text(value: str, column: Column[Any], dialect: Dialect) -> str | None:
    if _SURROGATE.search(value):
        return "no database can hold a lone surrogate"
    if "\0" in value and dialect.name == "postgresql":
        return "PostgreSQL text cannot hold NUL"
    length = getattr(column.type, "length", None)
    if length is not None and len(value) > length and dialect.name != "sqlite":
        return f"the column {column} holds {length} characters, not {len(value)}"
    return None


def _misfit_structure(value: Any, column: Column[Any], dialect: Dialect) -> str | None:
    if _is_too_deep(value):
        return f"lists and mappings are more than {_MAX_DEPTH} levels deep"
    if isinstance(column.type, JSON) and _has_nul(value):
        is_jsonb = column.type.compile(dialect=dialect) == "JSONB"
        return f"the column {column} is JSONB, which cannot hold NUL" if is_jsonb else None
    return None


def _is_too_deep(value: Any, depth: int = 0) -> bool:
    if depth > _MAX_DEPTH:
        return True
    if isinstance(value, Mapping):
        value = [*value.values()]
    return isinstance(value, (list, tuple)) and any(_is_too_deep(one, depth + 1) for one in value)


def _has_nul(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_nul, (*value, *value.values())))
    if isinstance(value, (list, tuple)):
        return any(map(_has_nul, value))
    return isinstance(value, str) and "\0" in value


def is_text_changed(text: Any, kept: Any) -> bool:
    """Return whether a column of numbers or UUIDs keeps a text as another one, such as 007 as 7."""
    return isinstance(text, str) and isinstance(kept, (int, str, UUID)) and str(kept) != text


def is_same(one: Any, other: Any) -> bool:
    """Return whether two values are the same to a client: 1 and True are not."""
    return bool(one == other) and repr(one) == repr(other)
