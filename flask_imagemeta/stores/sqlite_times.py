"""Times in SQLite: text, with a fraction of a second from SQLAlchemy, without one from SQLite.

CURRENT_TIMESTAMP, as in ``server_default=func.now()``, is ``2024-05-17 12:00:00``. SQLAlchemy reads
that, but writes ``2024-05-17 12:00:00.000000``, which SQLite takes for a later time.

Other programs that share the file may write other forms, which SQLAlchemy reads, too: with a ``T``,
with a time zone, or a date alone. The text of such a time does not say where it is sorted.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Dialect, String, and_, cast, func, or_, type_coerce
from sqlalchemy.types import TypeEngine

_FRACTION = ".000000"
_WITH_FRACTION = "????-??-?? ??:??:??." + "[0-9]" * 6
_SECONDS = 19  # characters of a time without a fraction
_TIME, _WRITTEN = datetime(1, 2, 3, 4, 5, 6, 7), "0001-02-03 04:05:06.000007"  # noqa: DTZ001


def is_standard(kind: TypeEngine[Any], dialect: Dialect) -> bool:
    """Return whether a type writes times as SQLAlchemy does by default, such that they sort."""
    write = kind.dialect_impl(dialect).bind_processor(dialect)
    return write is not None and write(_TIME) == _WRITTEN


def is_odd(time: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that a time is in a form whose text does not sort as the time does."""
    text = type_coerce(time, String)
    return and_(
        text.op("NOT GLOB")(_WITH_FRACTION),  # true for few, and faster than the rest
        text.op("GLOB")("[0-9][0-9][0-9][0-9]*"),  # or it is no time, and its image not listed
        or_(
            text.op("NOT GLOB")("????-??-?? ??:??:??*"),
            func.length(text) > _SECONDS + len(_FRACTION),  # SQLAlchemy drops more digits
            func.substr(text, _SECONDS + 1).op("GLOB")("*[^.0-9]*"),
        ),
    )


def longest(time: ColumnElement[Any]) -> ColumnElement[str]:
    """Return the text of a time with all digits of its fraction, as SQLAlchemy writes it."""
    missing = func.substr(_FRACTION, func.length(time) - _SECONDS + 1)
    return cast(time, String) + missing


def shortest(time: ColumnElement[Any]) -> ColumnElement[str]:
    """Return the shortest text of a time, which sorts before its others."""
    return func.rtrim(func.rtrim(longest(time), "0"), ".", type_=String)
