"""GlanceDatabase: the images in the database of a Glance, read-only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from time import monotonic
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Engine,
    Integer,
    Row,
    Select,
    String,
    TableClause,
    Text,
    and_,
    bindparam,
    cast,
    column,
    exists,
    false,
    func,
    select,
    table,
)
from sqlalchemy.exc import DBAPIError

from ..exceptions import InvalidImage
from ..image import ImageRecord
from ..query import Query
from .engine import Timeouts, begin_read_only, fetch_all, host_sqlalchemy, make_engine
from .errors import ImpossibleValue, row_errors
from .members import LazyMembers, MembersOfSeveral, of_possible_projects
from .pages import Pages
from .per_process import PerProcess
from .searching import Searching
from .unreadable import ImageParts, unreadable_fields

# Not properties: what a join without properties returns, and what Glance uses internally.
_NO_PROPERTY = {None, "os_glance_stage_host", "os_glance_hash_op_host"}
_AT_ONCE = 1  # second: a connection that the server closed fails sooner than that

# The columns that are the same from 2017 to 2026.1; of the last two tables, those used here.
_images = table(
    "images",
    column("id", String),
    column("name", String),
    column("status", String),
    column("size", BigInteger),
    column("virtual_size", BigInteger),
    column("disk_format", String),
    column("container_format", String),
    column("min_disk", Integer),
    column("min_ram", Integer),
    column("checksum", String),
    column("owner", String),
    column("protected", Boolean),
    column("deleted", Boolean),
    Column("created_at", DateTime, nullable=False),
    column("updated_at", DateTime),
    column("deleted_at", DateTime),
    column("visibility", String),
)
_properties = table(
    "image_properties",
    column("image_id", String),
    column("name", String),
    column("value", Text),
    column("deleted", Boolean),
)
_members = table(
    "image_members",
    column("image_id", String),
    column("member", String),
    column("deleted", Boolean),
)
_FIELDS = tuple(_images.c.keys())


def _is_alive(rows: TableClause) -> ColumnElement[bool]:
    """Return the condition that a row of a table is not deleted.

    With a plain column, SQLite would use the index, which selects nearly all of the rows.
    """
    return func.coalesce(rows.c.deleted, false()) == false()


_IS_OF_IMAGE = and_(_properties.c.image_id == _images.c.id, _is_alive(_properties))
_PROPERTY = (_properties.c.name, _properties.c.value)
_WITH_PROPERTIES = (
    select(_images, *_PROPERTY).select_from(_images).outerjoin(_properties, _IS_OF_IMAGE)
)
_FIND_IMAGE = _WITH_PROPERTIES.where(_images.c.id == bindparam("image_id"))
# Each reads one field, to find out which cannot be read.
_FIND_FIELD = {name: _FIND_IMAGE.with_only_columns(column) for name, column in _images.c.items()}
_FIND_FIELD["properties"] = _FIND_IMAGE.with_only_columns(*_PROPERTY)
_FIND_MEMBERS = select(_members.c.member).where(
    _members.c.image_id == bindparam("image_id"), _is_alive(_members)
)
# With the images' own ids: MariaDB's foreign keys ignore case.
_FIND_MEMBERS_OF_SEVERAL = (
    select(_images.c.id, _members.c.member)
    .join(_members, and_(_members.c.image_id == _images.c.id, _is_alive(_members)))
    .where(_images.c.id.in_(bindparam("image_ids", expanding=True)))
)
# PostgreSQL has a type of its own for visibility.
_SEARCHED = {**_images.c, "visibility": cast(_images.c.visibility, String)}
_FIND_MEMBER = _FIND_MEMBERS.where(_members.c.member == bindparam("project_id"))


class GlanceDatabase:
    """A lookup in a Glance's database: ``ImageMeta(lookup=GlanceDatabase(url))``.

    It reads the schema of 2017 to 2026.1 on SQLite, PostgreSQL and MariaDB or MySQL, and
    writes nothing: its sessions are read-only (on SQLite, the opened file is). An image and
    its properties are one statement; members are another, sent only when the response depends
    on them.

    Instead of a URL, it takes an engine, or a bind key of the application's
    Flask-SQLAlchemy. Then each lookup is a separate read-only transaction on PostgreSQL
    and MariaDB, and the host configures timeouts, pool and forks; the parameters below are
    for a URL.

    A database that does not answer delays a request by at most ``pool_timeout`` +
    ``connect_timeout`` + ``statement_timeout`` + 2 seconds, 8 by default, for each of the two
    statements. Broken connections, for example after a restart of the database, are replaced
    during the request that notices. Each process makes its own, so a server may fork
    before or after the first lookup.

    :param database: A URL that begins with ``sqlite``, ``postgresql`` (psycopg), ``mysql`` or
        ``mariadb`` (both PyMySQL), or a `sqlalchemy.Engine`.
    :param bind_key: A bind key of the application's Flask-SQLAlchemy, instead of database.
    :param connect_timeout: Seconds to connect, at least 2, for each address of the host.
    :param statement_timeout: Seconds for one statement, on SQLite for waiting on a lock.
    :param pool_size: The maximum number of connections of one process.
    :param pool_timeout: Seconds to wait for one of them.
    :raises TypeError: unless exactly one of database and bind_key is given.
    :raises ValueError: when the URL names another database or driver.
    :raises sqlalchemy.exc.ArgumentError: when the URL cannot be parsed.
    :raises ImportError: when the URL's driver is not installed.
    :raises RuntimeError: from a lookup, when the application has no such bind key.
    :raises StoreUnavailable: from a lookup, when the database is unreachable or too slow.
    """

    def __init__(
        self,
        database: str | URL | Engine | None = None,
        *,
        bind_key: str | None = None,
        connect_timeout: int = 2,
        statement_timeout: float = 3,
        pool_size: int = 10,
        pool_timeout: float = 1,
    ) -> None:
        self._is_ours = False
        self._engine: Callable[[], Engine]
        if (database is None) == (bind_key is None):
            raise TypeError("GlanceDatabase takes a URL or an engine, or else bind_key=")
        if database is None:
            self._engine = partial(_bound_engine, bind_key)
        elif isinstance(database, Engine):
            self._engine = lambda: database
        else:
            timeouts = Timeouts(connect_timeout, statement_timeout, pool_timeout)
            self._is_ours = True
            self._engine = PerProcess(partial(make_engine, database, timeouts, pool_size)).get
            self._engine()  # so a wrong URL or a missing driver is an error now, not at a request

    def __call__(self, image_id: str) -> ImageRecord | ImageParts | None:
        """Return the image with exactly this id, deleted ones too, or None."""
        try:
            rows = self._fetch(_FIND_IMAGE, {"image_id": image_id})
        except ImpossibleValue:
            return None
        except InvalidImage:
            return self._find_parts(image_id)
        # MariaDB ignores case, but an id must match exactly.
        if not rows or rows[0].id != image_id:
            return None
        return _as_record(rows, self._lazy_members(image_id))

    def close(self) -> None:
        """Close this process's connections, if the store made them; a lookup opens new ones."""
        if self._is_ours:
            self._engine().dispose()

    def search(self, query: Query) -> Iterable[ImageRecord | ImageParts]:
        """Return the images that may match a query: ``ImageMeta(search=store.search)``.

        A page and its properties are read in one statement, in the query's order. A Glance's
        tables have no index on names, so a search by name reads all images that are not deleted.

        :raises StoreUnavailable: at once, or while the images are read.
        """
        searching = Searching(_SEARCHED, self._engine().dialect, _has_property, _has_member)
        found = select(_images.c.id).where(*searching.conditions(query))
        return self._pages.search(searching, query, found)

    @property
    def _pages(self) -> Pages:
        return Pages(_images.c.id, self._read_page, self, partial(self._fetch, parameters={}))

    def _read_page(self, ids: Select[Any], order: Sequence[Any]) -> Sequence[ImageRecord]:
        """Return the images whose ids a statement selects, in an order."""
        # MariaDB allows a LIMIT not directly in an IN, but in a derived table within it.
        is_of_page = _images.c.id.in_(select(ids.subquery().c.id))
        rows = self._fetch(_WITH_PROPERTIES.where(is_of_page).order_by(*order), {})
        groups = [list(group) for _, group in groupby(rows, key=lambda row: row.id)]
        of_page = [group[0].id for group in groups]
        members = MembersOfSeveral(
            of_possible_projects(partial(self._fetch_members_of_several, of_page))
        )
        return [_as_record(group, members.of(group[0].id)) for group in groups]

    def _fetch_members_of_several(
        self, image_ids: list[str], project_id: str | None
    ) -> list[tuple[str, str]]:
        statement = _FIND_MEMBERS_OF_SEVERAL
        if project_id is not None:
            statement = statement.where(_members.c.member == project_id)
        return [(row.id, row.member) for row in self._fetch(statement, {"image_ids": image_ids})]

    def count(self) -> int:
        """Return how many images there are, deleted ones included."""
        count: int = self._fetch(select(func.count()).select_from(_images), {})[0][0]
        return count

    def walk(self) -> Iterator[ImageRecord | ImageParts]:
        """Yield every image, deleted ones included, in the order of their ids.

        Each is what a lookup of its id returns. They are read a page at a time: the images
        and their properties in one statement, and all their members in another when one is needed.
        So memory use does not grow with the Glance, and the walk blocks no one else.

        :raises StoreUnavailable: when the database is unreachable or too slow.
        """
        return self._pages.by_id(select(_images.c.id))

    def _find_parts(self, image_id: str) -> ImageParts | None:
        """Return an image with fields that cannot be read, or None.

        The fields that can be read are read in one statement, so they are of one version. Access
        can still be decided, and the error names the field.
        """
        fetch = partial(self._fetch, parameters={"image_id": image_id})
        errors = unreadable_fields(_FIND_FIELD, fetch)
        names = [name for name in _FIELDS if name not in errors]
        columns = [_images.c[name] for name in names]
        columns += () if "properties" in errors else _PROPERTY
        rows = fetch(_FIND_IMAGE.with_only_columns(*columns))
        if not rows or "id" in errors or rows[0].id != image_id:
            return None
        parts = errors | dict(zip(names, rows[0], strict=False))
        parts["is_public"] = parts["visibility"] == "public"
        parts["members"] = self._lazy_members(image_id)
        if "properties" not in errors:
            parts["properties"] = _as_properties(row[len(names) :] for row in rows)
        return ImageParts(parts)

    def _lazy_members(self, image_id: str) -> LazyMembers:
        return LazyMembers(of_possible_projects(partial(self._fetch_members, image_id)))

    def _fetch_members(self, image_id: str, project_id: str | None) -> list[str]:
        statement, parameters = _FIND_MEMBERS, {"image_id": image_id}
        if project_id is not None:
            statement, parameters = _FIND_MEMBER, {**parameters, "project_id": project_id}
        return [row.member for row in self._fetch(statement, parameters)]

    def _fetch(self, statement: Select[Any], parameters: dict[str, Any]) -> Sequence[Row[Any]]:
        with row_errors():
            started = monotonic()
            try:
                return self._fetch_once(statement, parameters)
            except DBAPIError as error:
                if not error.connection_invalidated or monotonic() - started > _AT_ONCE:
                    raise
            # The pooled connection was dead. The pool now replaces all that are as old, and a
            # statement that only reads can be sent again.
            return self._fetch_once(statement, parameters)

    def _fetch_once(self, statement: Select[Any], parameters: dict[str, Any]) -> Sequence[Row[Any]]:
        with self._engine().connect() as connection:
            if not self._is_ours:
                begin_read_only(connection)
            return fetch_all(connection, statement, parameters)


def _as_record(rows: Sequence[Row[Any]], members: Iterable[str]) -> ImageRecord:
    """Return the image in rows that differ only in its properties."""
    return ImageRecord(
        **dict(zip(_FIELDS, rows[0], strict=False)),
        properties=_as_properties(row[len(_FIELDS) :] for row in rows),
        members=members,
    )


def _as_properties(pairs: Iterable[Any]) -> dict[str, Any]:
    return {name: value for name, value in pairs if name not in _NO_PROPERTY}


def _has_property(name: str, text: str) -> ColumnElement[bool]:
    return exists().where(
        _properties.c.image_id == _images.c.id,
        _properties.c.name == name,
        _properties.c.value == text,
        _is_alive(_properties),
    )


def _has_member(project_id: str) -> ColumnElement[bool]:
    return exists().where(
        _members.c.image_id == _images.c.id,
        _members.c.member == project_id,
        _is_alive(_members),
    )


def _bound_engine(bind_key: str | None) -> Engine:
    engines: dict[str | None, Engine] = host_sqlalchemy().engines
    if bind_key not in engines:
        raise RuntimeError(
            f"This application's Flask-SQLAlchemy has no bind key {bind_key!r}. "
            f'Set it: SQLALCHEMY_BINDS = {{"{bind_key}": url}}.'
        )
    return engines[bind_key]
