"""A search in SQL: its filters, the rule of lists, its order, and where a page starts.

Where a database compares differently than the extension, the extension does the work: a statement
may find more than the matches, but never fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

from sqlalchemy import (
    CHAR,
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    Dialect,
    Enum,
    Integer,
    LargeBinary,
    Select,
    String,
    Uuid,
    and_,
    cast,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

from ..image import MAX_INTEGER, read_field
from ..query import ANY_CHANGE, NUMBERS, TEXTS, Query
from . import sqlite_times

_EXACT = ("postgresql", "sqlite")  # compare ids as their texts

# The types by which SQL sorts a field as the extension does.
_SORTED: dict[str, type[Any]] = {
    **dict.fromkeys(TEXTS, String),
    "size": Integer,
    **dict.fromkeys(("created_at", "updated_at"), DateTime),
}

Condition = ColumnElement[bool]

_MORE_THAN_ANY_ZONE = timedelta(days=2)


def as_operand(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type of a value that is compared with a column of a type.

    PostgreSQL refuses a number outside the range of its type, instead of finding nothing. So a
    number is always of the widest type.
    """
    return BigInteger() if isinstance(kind, Integer) else kind


def is_false(column: ColumnElement[Any]) -> Condition | None:
    """Return the condition that a column is false, 0 or NULL; None for any type but these two."""
    kind = column.type
    stored = kind.impl if isinstance(kind, TypeDecorator) else kind
    if isinstance(stored, Boolean):
        no = false() if stored is kind else literal(False, kind)
    elif isinstance(stored, Integer):
        no = literal(0, kind)
    else:
        return None
    return func.coalesce(column, no) == no


def _number(value: int) -> ColumnElement[int]:
    return literal(value, BigInteger())


class Searching:
    """How the images of one table are searched.

    :param columns: The columns of the fields, by name; fields without a column are not compared.
    :param dialect: The database's dialect.
    :param has_property: Returns the condition that an image has a property with this name and
        text; None if SQL cannot express it.
    :param has_member: Returns the condition that an image is shared with a project; None if SQL
        cannot express it.
    """

    def __init__(
        self,
        columns: Mapping[str, ColumnElement[Any]],
        dialect: Dialect,
        has_property: Callable[[str, str], Condition | None],
        has_member: Callable[[str], Condition | None],
    ) -> None:
        self._columns = columns
        self._dialect = dialect.name
        self._is_standard = partial(sqlite_times.is_standard, dialect=dialect)
        self._has_property = has_property
        self._has_member = has_member
        self._refuses_nul = dialect.name == "postgresql"  # where no text can contain NUL

    def conditions(self, query: Query) -> list[Condition]:
        """Return the conditions that every match of a query meets."""
        found: list[Condition | None]
        found = [self._filter(name, values) for name, values in query.filters.items()]
        for name, text in query.properties.items():
            has_nul = self._refuses_nul and "\0" in name + text
            found.append(false() if has_nul else self._has_property(name, text))
        size = self._column("size", Integer)
        if size is not None and query.size_min is not None:
            is_possible = query.size_min <= MAX_INTEGER
            found.append(size >= _number(query.size_min) if is_possible else false())
        if size is not None and query.size_max is not None:
            found.append(size <= _number(min(query.size_max, MAX_INTEGER)))
        found += self._lives() if query.changes_since is None else []
        found.append(self._changed(query.changes_since))
        found.append(self._may_be_listed(query))
        return [condition for condition in found if condition is not None]

    def order(self, query: Query) -> list[ColumnElement[Any]] | None:
        """Return the expressions to sort by; None if SQL cannot sort by them."""
        keys = [self._sorted(name, None) for name in self._keys(query)]
        known = [key for key in keys if key is not None]
        return known if len(known) == len(keys) else None

    def unsorted(self, query: Query, ids: Select[Any]) -> Select[Any] | None:
        """Return a statement that finds a row if SQL would sort images wrong by their times.

        It reads all images that match, or the index on the times: SQLite reads a million of those
        in a fifth of a second. None if no times can be sorted wrong.

        :param ids: Selects the ids of all matches.
        """
        times = [self._columns[name] for name in self._keys(query)]
        odd = [sqlite_times.is_odd(column) for column in times if self._is_text(column)]
        if not odd:
            return None
        # Without the other conditions, the index is enough, unless names have one.
        has_index = query.sort_key == "created_at" and "name" not in query.filters
        found = select(literal(1)).select_from(*ids.get_final_froms()) if has_index else ids
        return found.where(or_(*odd)).limit(1)

    def order_by(self, query: Query, keys: Sequence[ColumnElement[Any]]) -> list[Any]:
        """Return the ORDER BY of a statement; NULL comes first in ascending order."""
        is_desc = query.sort_dir == "desc"
        directed = [key.desc() if is_desc else key.asc() for key in keys]
        if self._dialect != "postgresql":  # the other databases do so by default
            return directed
        return [
            (key.nulls_last() if is_desc else key.nulls_first())
            if self._has_nulls(name)
            else key  # with NULLS FIRST, PostgreSQL would not use the index
            for key, name in zip(directed, self._keys(query), strict=True)
        ]

    def page(
        self,
        ids: Select[Any],
        query: Query,
        keys: Sequence[ColumnElement[Any]],
        after: Condition | None,
        size: int,
    ) -> Select[Any]:
        """Return a statement for the first ids, in order, of those that another one selects.

        :param after: The condition that an image comes after the previous page.
        """
        rest = ids if after is None else ids.where(after)
        first, is_desc = self._keys(query)[0], query.sort_dir == "desc"
        is_fast = self._dialect == "postgresql" or "name" in query.filters
        if is_fast or first != "created_at" or self._has_nulls(first):
            return rest.order_by(*self.order_by(query, keys)).limit(size)
        # MariaDB sorts all matches if they are also sorted by the id's code points, and SQLite by
        # the fraction of the time. So first find the times of the page with the index on
        # created_at, then sort only the images of those.
        column = self._columns[first]
        times = rest.with_only_columns(column.label("time")).limit(size)
        found = times.order_by(column.desc() if is_desc else column).subquery()
        ends = select(func.min(found.c.time).label("a"), func.max(found.c.time).label("z"))
        bounds = ends.subquery()
        a, z = bounds.c.a, bounds.c.z
        if self._is_text(column):
            is_of_page = column.between(sqlite_times.shortest(a), sqlite_times.longest(z))
        else:
            is_of_page = column.between(a, z)
        page = ids.join(bounds, is_of_page)
        if after is not None:  # in a function, or the index would be used to read all that follow
            page = page.where(func.coalesce(after, false()))
        return page.order_by(*self.order_by(query, keys)).limit(size)

    def after(self, query: Query, image: Any) -> Condition:
        """Return the condition that an image comes after another one in a query's order.

        :raises TypeError: when the other image's values do not have the columns' types.
        """
        is_desc = query.sort_dir == "desc"
        conditions: list[Condition] = []
        equal: list[Condition] = []
        for name in self._keys(query):
            value = self._value(name, image)
            key, other = self._sorted(name, None), self._sorted(name, value)
            if key is None or other is None:
                raise TypeError(f"SQL cannot sort by {name}")
            is_after: Condition
            is_same: Condition
            reached: Condition
            if value is None:
                is_after = false() if is_desc else key.is_not(None)
                is_same = key.is_(None)
                reached = key.is_(None) if is_desc else true()
            else:
                is_after = key < other if is_desc else key > other
                is_same = key == other
                reached = self._reached(name, key, other, is_desc=is_desc)
                if is_desc and self._has_nulls(name):
                    is_after, reached = (or_(one, key.is_(None)) for one in (is_after, reached))
            if not conditions:
                first = reached  # can use an index, unlike the whole condition
            conditions.append(and_(*equal, is_after))
            equal.append(is_same)
        return and_(first, or_(*conditions))

    def _reached(
        self, name: str, key: ColumnElement[Any], other: ColumnElement[Any], *, is_desc: bool
    ) -> Condition:
        """Return a condition on a column that all images with a value, or after it, meet."""
        column = self._columns[name]
        if self._is_text(column):
            return column <= other if is_desc else column >= sqlite_times.shortest(other)
        return key <= other if is_desc else key >= other

    def _is_text(self, column: ColumnElement[Any]) -> bool:
        """Return whether a column holds times as text."""
        return self._dialect == "sqlite" and isinstance(column.type, DateTime)

    def _keys(self, query: Query) -> list[str]:
        """Return the names of the fields to sort by, up to the id, which is unique."""
        names: list[str] = list(dict.fromkeys([query.sort_key, "created_at", "id"]))
        return names[: names.index("id") + 1]

    def _has_nulls(self, name: str) -> bool:
        return bool(getattr(self._columns[name], "nullable", True))

    def _sorted(self, name: str, value: Any) -> ColumnElement[Any] | None:
        """Return a column, or a value of it, such that SQL sorts it like the extension.

        Text is sorted by code point, an id as text. None if SQL cannot.
        """
        column = self._columns.get(name)
        if column is None:
            return None
        kind = column.type
        if isinstance(kind, Enum) or not isinstance(kind, _SORTED.get(name, object)):
            return None  # a size that is text, for one
        expression = column if value is None else literal(value, as_operand(kind))
        if isinstance(kind, String):
            return self._by_code_point(self._as_read(expression, kind))
        if isinstance(kind, Uuid) and self._dialect in _EXACT:
            return expression  # sorts as its text does
        if name == "id" and isinstance(kind, (Integer, Uuid)):
            return self._by_code_point(cast(expression, String(36)))
        if self._is_text(column):
            is_value = value is not None
            whole = expression if is_value else sqlite_times.longest(column)
            return whole if self._is_standard(kind) else None
        return expression if isinstance(kind, (Integer, DateTime)) else None

    def _as_read(self, text: ColumnElement[Any], kind: String) -> ColumnElement[Any]:
        """Return text with the spaces that fill a column of type CHAR.

        PostgreSQL returns them, but ignores them in all but a few functions.
        """
        if self._dialect != "postgresql" or not isinstance(kind, CHAR):
            return text
        return func.rpad(text, kind.length or 1)

    def _by_code_point(self, text: ColumnElement[Any]) -> ColumnElement[Any]:
        # UTF-8's bytes sort by code point. In Windows-1252, which MariaDB calls latin1, the euro
        # sign comes before letters; and MariaDB's collations ignore trailing spaces.
        if self._dialect == "postgresql":
            return func.convert_to(text, literal_column("'UTF8'"), type_=LargeBinary)
        if self._dialect == "sqlite":
            return text.collate("BINARY")
        return cast(cast(text, mysql.CHAR(charset="utf8mb4")), LargeBinary)

    def _value(self, name: str, image: Any) -> Any:
        value = read_field(image, name)
        expected = self._columns[name].type.python_type
        is_huge = isinstance(value, int) and abs(value) > MAX_INTEGER
        if value is None or (isinstance(value, expected) and not is_huge):
            return value
        raise TypeError(f"{name} is {value!r}, not of the column's type")

    def _column(self, name: str, *kinds: type[Any]) -> ColumnElement[Any] | None:
        """Return a column if it has such a type, so that SQL compares it like the extension."""
        column = self._columns.get(name)
        if column is None or isinstance(column.type, Enum) or not isinstance(column.type, kinds):
            return None
        return column

    def _filter(self, name: str, values: Sequence[Any]) -> Condition | None:
        if name in TEXTS:
            column = self._column(name, String)
            if len(values) > 1 and not all(map(str.isascii, values)):
                return None  # a value that the character set lacks would find nothing at all
            kept = [value for value in values if not (self._refuses_nul and "\0" in value)]
            return None if column is None else column.in_(kept)
        if name in NUMBERS:
            column = self._column(name, Integer)
            numbers = [_number(value) for value in values if value <= MAX_INTEGER]
            return None if column is None else func.coalesce(column, 0).in_(numbers)
        column = self._column(name, Boolean)
        return None if column is None else or_(*(self._is(column, value) for value in values))

    def _is(self, column: ColumnElement[Any], value: bool) -> Condition:
        is_no = func.coalesce(column, false()) == false()  # any number but 0 is true
        return not_(is_no) if value else is_no

    def _lives(self) -> list[Condition]:
        """Return the conditions for an image that is neither deleted nor killed."""
        deleted, status = self._column("deleted", Boolean, Integer), self._column("status", String)
        is_alive = None if deleted is None else is_false(deleted)
        found = [] if is_alive is None else [is_alive]
        if status is not None:
            killed = self._by_code_point(literal("killed", String))
            found.append(or_(status.is_(None), self._by_code_point(status) != killed))
        return found

    def _changed(self, since: datetime | None) -> Condition | None:
        updated_at = self._column("updated_at", DateTime)
        if since in (None, ANY_CHANGE) or updated_at is None:
            return None
        if self._is_text(updated_at):
            if not self._is_standard(updated_at.type):
                return None
            # A text may be in another zone, and name another day.
            since = max(since, ANY_CHANGE + _MORE_THAN_ANY_ZONE) - _MORE_THAN_ANY_ZONE
        if getattr(updated_at.type, "timezone", False):
            since = since.replace(tzinfo=timezone.utc)
        return updated_at > since

    def _may_be_listed(self, query: Query) -> Condition | None:
        """Return the rule of lists as far as columns allow; see ``access.may_be_listed``."""
        identity = query.identity
        if query.is_public is not True:
            return None
        found: list[Condition | None] = []
        if "visibility" in self._columns:
            column = self._column("visibility", String)
            found.append(None if column is None else column == "public")
        if "is_public" in self._columns:
            column = self._column("is_public", Boolean)
            found.append(None if column is None else self._is(column, True))
        if identity is not None and identity.project_id is not None:
            project_id = identity.project_id
            if not project_id.isascii():  # which the database's character set may lack
                return None
            owner = self._column("owner", String)
            found.append(None if owner is None or "\0" in project_id else owner == project_id)
            found.append(self._has_member(project_id))
        known = [condition for condition in found if condition is not None]
        return or_(false(), *known) if len(known) == len(found) else None
