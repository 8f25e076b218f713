"""What a database's errors mean for a request, by the database's own codes.

An error means one of five things:

- The database is unreachable or too busy, perhaps only for a moment: StoreUnavailable.
- A row cannot be read: InvalidImage.
- The value searched for cannot exist in this database, such as an emoji in a column of three-byte
  UTF-8: ImpossibleValue, so nothing is found.
- An image that is written is refused, by a constraint or a trigger: ValueError.
- The set-up is wrong, for example because a column or a privilege is missing. Trying again would
  not help, so the error is left as it is.

Exception classes do not tell these apart: PyMySQL raises OperationalError for a missing column as
well as for a lost connection. Classes count only if an error has no code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Result, ScalarResult
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
    TimeoutError as PoolTimeout,
)

from ..exceptions import InvalidImage, StoreUnavailable
from ..image import PASS_THROUGH_ERRORS

# PostgreSQL's SQLSTATEs, or their first characters: connections, resources, shutdowns, timeouts,
# serialization failures, deadlocks, locks that are not available.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_UNAVAILABLE_STATES = ("08", "53", "57", "58", "25P03", "25P04", "40001", "40P01", "55P03")
_IMPOSSIBLE_STATES = ("22021", "22P05")  # a character that the database's encoding lacks
_UNREADABLE_STATES = ("22",)
# Constraints, an unhandled condition of SQL's, a view's check, generated columns, an index that the
# value is too long for, and a trigger's RAISE and ASSERT.
_REFUSED_STATES = ("22", "23", "45", "44000", "428C9", "54000", "P0001", "P0004")

# Numbers of MariaDB, MySQL and their clients: https://mariadb.com/kb/en/mariadb-error-codes/
_UNAVAILABLE_NUMBERS = {
    0,  # PyMySQL's for a closed connection
    *(3, 5, 20, 23),  # temporary files: no space, memory or file handle
    *(1021, 1037, 1038, 1041, 1135),  # no disk space, memory or thread
    *(1114, 1637),  # no space for a temporary table, too many transactions at once
    *(1026, 1030),  # the disk, or a storage engine that fails
    *(1040, 1203, 1226),  # too many connections
    *(1042, 1043, 1129),  # the connection fails, or failed so often that the host is blocked
    *(1047, 9001),  # a Galera node that is not ready, ProxySQL without a server that is
    *(1053, 1077, 1079, 1152, 1184),  # shutting down, connection aborted
    *(1158, 1159, 1160, 1161),  # the network
    *(1205, 1213),  # lock timeout, deadlock
    *(1020, 1412),  # a row, or a table's definition, is newer than the transaction's snapshot
    *(1317, 1927, 1969, 3024, 4031),  # killed, or out of time
    *(2002, 2003, 2006, 2013, 2055),  # the client's: cannot connect, or connection lost
    *(2005, 2012, 2026),  # the client's: no name service, a failing handshake, or TLS
}
_IMPOSSIBLE_NUMBERS = {  # characters that the column's charset lacks
    *(1267, 1270, 1271),  # compared with one value, two, or more
    *(1300, 1366, 1977, 3854, 3988),
}
_REFUSED_NUMBERS = {
    *(1048, 1364),  # NULL, or no value at all
    *(1022, 1062, 1169, 1586, 1859),  # there already
    *(1216, 1217, 1451, 1452, 1761, 1762),  # foreign keys
    *(1264, 1265, 1292, 1366, 1406, 1411, 1690),  # out of range, of another type, too long
    *(1118, 1526, 1748),  # a row that is too large, or that no partition takes
    *(1369, 3819, 4025),  # checks
    *(1644, 1906, 3105),  # a trigger's SIGNAL, and generated columns
    *(3140, 3141, 3143, 3144, 3156),  # JSON
}

# SQLite's primary result codes: https://www.sqlite.org/rescode.html
_UNAVAILABLE_NAMES = re.compile(
    "SQLITE_(BUSY|LOCKED|CANTOPEN|IOERR|FULL|NOMEM|PROTOCOL|INTERRUPT|SCHEMA)"
)
_REFUSED_NAMES = re.compile("SQLITE_(CONSTRAINT|MISMATCH|TOOBIG)")
_UNDECODED = re.compile("Could not decode to UTF-8")  # raised by Python, without a code
_MISSING = re.compile("no such ")  # Python 3.10 has no codes

# What types raise for a value that they do not accept; an Enum's is a LookupError.
_REFUSED = (ValueError, TypeError, AttributeError, OverflowError, LookupError)


UNREACHABLE_ERRORS = (PoolTimeout, TimeoutError, ConnectionError)


class ImpossibleValue(Exception):
    """The database's character set or type cannot express the value searched for."""


@contextmanager
def store_errors() -> Iterator[None]:
    """Convert a database's errors to what they mean for a request; leave others as they are.

    :raises StoreUnavailable: when the database is unreachable, or too busy now.
    :raises InvalidImage: when a row cannot be read.
    :raises ImpossibleValue: when the value searched for cannot exist in this database.
    """
    try:
        yield
    except UNREACHABLE_ERRORS as error:
        raise StoreUnavailable(str(error) or repr(error)) from error
    except DBAPIError as error:
        if _is_impossible(error):
            raise ImpossibleValue from error
        if is_unreadable(error):
            raise unreadable(error.orig) from error
        if _is_unavailable(error):
            raise StoreUnavailable(str(error.orig)) from error
        raise
    except (UnicodeEncodeError, StatementError) as error:
        # From a driver that encodes text itself, or a type that does not accept the value.
        cause = error.orig if isinstance(error, StatementError) else error
        if not isinstance(cause, _REFUSED):
            raise
        raise ImpossibleValue from error


@contextmanager
def row_errors() -> Iterator[None]:
    """Convert errors like `store_errors`, and those of a driver or a type that converts values.

    :raises InvalidImage: when a row cannot be read.
    """
    try:
        with store_errors():
            yield
    except InvalidImage:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise unreadable(error) from error


@contextmanager
def write_errors() -> Iterator[None]:
    """Convert a database's errors to what they mean for an image being written.

    :raises ValueError: when the database refuses to store it.
    :raises StoreUnavailable: when the database is unreachable, or too busy now.
    """
    try:
        with store_errors():
            yield
    except ImpossibleValue as error:
        raise ValueError(f"the database cannot store it: {words_of(error.__cause__)}") from error
    except StatementError as error:
        if not _is_refused(error):
            raise
        raise ValueError(f"the database says: {words_of(error)}") from error
    except InvalidImage as error:
        if error.__cause__ is None:  # one of ours, or of the image itself
            raise
        raise ValueError(f"the database says: {words_of(error.__cause__)}") from error


def all_rows(result: Result[Any] | ScalarResult[Any]) -> Sequence[Any]:
    """Return the rows of a result.

    :raises InvalidImage: when a type cannot convert a value. It may raise anything: an Enum raises
        LookupError, and a type of the host's whatever its code does.
    """
    try:
        return result.all()
    except (SQLAlchemyError, OSError, InvalidImage, *PASS_THROUGH_ERRORS):
        raise
    except Exception as error:
        raise unreadable(error) from error


def words_of(error: BaseException | None) -> str:
    """Return what an error says, without SQLAlchemy's statement, parameters and link."""
    said = getattr(error, "orig", None)
    if said is None:
        said = error.args[0] if isinstance(error, SQLAlchemyError) and error.args else error
    return str(said).strip() or repr(said)


def unreadable(error: BaseException | None, field: str = "image") -> InvalidImage:
    """Return the error of a row, or of one field of it, that cannot be read."""
    return InvalidImage(field, None, f"its row cannot be read: {words_of(error)}")


def has_changed_plan(error: DBAPIError) -> bool:
    """Return whether PostgreSQL may have refused a prepared statement because columns changed.

    The state is feature_not_supported, which a plain SELECT otherwise never causes.
    """
    return _code(error) == "0A000"


def _code(error: DBAPIError) -> str | int | None:
    """Return the database's own code for an error; None if the driver raised it by itself."""
    orig: Any = error.orig
    first = orig.args[0] if orig is not None and orig.args else None
    codes = (
        first if isinstance(first, int) else None,  # PyMySQL, mysqlclient
        getattr(orig, "sqlstate", None),  # psycopg
        getattr(orig, "pgcode", None),  # psycopg2
        first.get("C") if isinstance(first, Mapping) else None,  # pg8000
        getattr(orig, "sqlite_errorname", None),  # since Python 3.11
    )
    return next((code for code in codes if code is not None), None)


def _is_impossible(error: DBAPIError) -> bool:
    code = _code(error)
    if isinstance(code, int):
        is_about_characters = code in _IMPOSSIBLE_NUMBERS
    else:
        is_about_characters = code in _IMPOSSIBLE_STATES
    # With only ASCII values, the same number means that tables of different charsets are joined.
    return is_about_characters and any(
        isinstance(value, str) and not value.isascii() for value in _values(error.params)
    )


def _values(parameters: Any) -> Iterable[Any]:
    if isinstance(parameters, Mapping):
        return parameters.values()
    return parameters if isinstance(parameters, (list, tuple)) else ()


def is_unreadable(error: DBAPIError) -> bool:
    """Return whether an error is about a value in a row, which cannot be read."""
    code = _code(error)
    if code is None:
        return isinstance(error, DataError) or bool(_UNDECODED.match(str(error.orig)))
    return isinstance(code, str) and code.startswith(_UNREADABLE_STATES)


def _is_refused(error: StatementError) -> bool:
    """Return whether a statement failed because of the values that it writes."""
    if not isinstance(error, DBAPIError):  # a type of the host's, unless the statement is wrong
        return not isinstance(error.orig, SQLAlchemyError)
    code = _code(error)
    if isinstance(code, int) and code in _REFUSED_NUMBERS:
        return True
    if isinstance(code, str) and (code.startswith(_REFUSED_STATES) or _REFUSED_NAMES.match(code)):
        return True
    return isinstance(error, (DataError, IntegrityError))


def _is_unavailable(error: DBAPIError) -> bool:
    code = _code(error)
    if error.connection_invalidated:
        return True
    if isinstance(code, int):
        return code in _UNAVAILABLE_NUMBERS
    if code is None:
        # The driver's own, such as psycopg's when it cannot connect.
        is_set_up = bool(_MISSING.match(str(error.orig)))
        return isinstance(error, (OperationalError, InterfaceError)) and not is_set_up
    return code.startswith(_UNAVAILABLE_STATES) or bool(_UNAVAILABLE_NAMES.match(code))
