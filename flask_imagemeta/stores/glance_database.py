"""GlanceDatabase: the images in the database of a Glance, read-only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import monotonic
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    Boolean,
    DateTime,
    Engine,
    Integer,
    Row,
    Select,
    String,
    Text,
    and_,
    bindparam,
    column,
    false,
    select,
    table,
)
from sqlalchemy.exc import DBAPIError

from ..image import ImageRecord
from .database import host_sqlalchemy, store_errors
from .engine import Timeouts, begin_read_only, make_engine
from .lazy import LazyMembers, PerProcess

# Names that are none: what a join without properties gives, and what Glance keeps for itself.
_NO_PROPERTY = {None, "os_glance_stage_host", "os_glance_hash_op_host"}
_ID_LENGTH = 36  # of the column
_AT_ONCE = 1  # second: connections that a dead server closed say so sooner

# The columns that are the same from 2017 to 2026.1. The last two tables' are those used here.
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
    column("created_at", DateTime),
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
_FIND_IMAGE = (
    select(_images, _properties.c.name, _properties.c.value)
    .select_from(_images)
    .outerjoin(
        _properties,
        and_(_properties.c.image_id == _images.c.id, _properties.c.deleted == false()),
    )
    .where(_images.c.id == bindparam("image_id"))
)
_FIND_MEMBERS = select(_members.c.member).where(
    _members.c.image_id == bindparam("image_id"), _members.c.deleted == false()
)
_FIND_MEMBER = _FIND_MEMBERS.where(_members.c.member == bindparam("project_id"))


class GlanceDatabase:
    """A lookup in a Glance's database: ``ImageMeta(lookup=GlanceDatabase(url))``.

    It reads the schema of 2017 to 2026.1 on SQLite, PostgreSQL and MariaDB or MySQL, and
    writes nothing: its sessions are read-only (SQLite: the file is opened so). An image and
    its properties are one statement; members are another, sent only when the answer depends
    on them.

    Instead of a URL it takes an engine, or the bind key of one of the application's
    Flask-SQLAlchemy. There, each lookup is a read-only transaction of its own on PostgreSQL
    and MariaDB, and time-outs, pool and forks are the host's to look after; the parameters
    below are for a URL.

    A database that does not answer costs a request at most ``pool_timeout`` +
    ``connect_timeout`` + ``statement_timeout`` + 2 seconds, 8 by default, for each of the two
    statements. Connections that died, such as in a restart of the database, are replaced
    during the request that finds out. Each process makes its own, so a server may fork
    before or after the first lookup.

    :param database: A URL that begins with ``sqlite``, ``postgresql`` (psycopg), ``mysql`` or
        ``mariadb`` (both PyMySQL), or a `sqlalchemy.Engine`.
    :param bind_key: A bind key of the application's Flask-SQLAlchemy, instead of database.
    :param connect_timeout: Seconds until a connection stands, 2 or more; for each address
        that the host's name has.
    :param statement_timeout: Seconds for one statement, on SQLite for waiting on a lock.
    :param pool_size: The most connections of one process.
    :param pool_timeout: Seconds to wait for one of them.
    :raises TypeError: when there is not exactly one of database and bind_key.
    :raises ValueError: when the URL names another database or driver.
    :raises StoreUnavailable: from a lookup, when the database is out of reach or too slow.
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
            self._engine()  # a wrong URL or a missing driver shows now, not at a request

    def __call__(self, image_id: str) -> ImageRecord | None:
        """Return the image with exactly this id, deleted ones too, or None."""
        if len(image_id) > _ID_LENGTH:
            return None
        rows = self._fetch(_FIND_IMAGE, {"image_id": image_id})
        # MariaDB compares without case; an id has to be the same to the letter.
        if not rows or rows[0].id != image_id:
            return None
        pairs = (row[len(_FIELDS) :] for row in rows)
        properties = {name: value for name, value in pairs if name not in _NO_PROPERTY}
        return ImageRecord(
            **dict(zip(_FIELDS, rows[0], strict=False)),
            properties=MappingProxyType(properties),
            members=LazyMembers(partial(self._fetch_members, image_id)),
        )

    def _fetch_members(self, image_id: str, project_id: str | None) -> list[str]:
        if project_id is None:
            rows = self._fetch(_FIND_MEMBERS, {"image_id": image_id})
        else:
            rows = self._fetch(_FIND_MEMBER, {"image_id": image_id, "project_id": project_id})
        return [row.member for row in rows]

    def _fetch(self, statement: Select[Any], parameters: dict[str, str]) -> list[Row[Any]]:
        with store_errors():
            started = monotonic()
            try:
                return self._fetch_once(statement, parameters)
            except DBAPIError as error:
                if not error.connection_invalidated or monotonic() - started > _AT_ONCE:
                    raise
            # A connection of the pool turned out dead. The pool now replaces all that are as
            # old, and what only reads may be asked again.
            return self._fetch_once(statement, parameters)

    def _fetch_once(self, statement: Select[Any], parameters: dict[str, str]) -> list[Row[Any]]:
        with self._engine().connect() as connection:
            if not self._is_ours:
                begin_read_only(connection)
            return list(connection.execute(statement, parameters))


def _bound_engine(bind_key: str | None) -> Engine:
    engines: dict[str | None, Engine] = host_sqlalchemy().engines
    if bind_key not in engines:
        raise RuntimeError(
            f"This application's Flask-SQLAlchemy has no bind key {bind_key!r}. "
            f'Set it: SQLALCHEMY_BINDS = {{"{bind_key}": url}}.'
        )
    return engines[bind_key]
