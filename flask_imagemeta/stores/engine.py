"""What stores read with: the host's Flask-SQLAlchemy, and read-only engines.

Engines made here are read-only, limit every wait and renew their connections. Whatever the
database itself can enforce is set once for each connection, so that a request costs a single
round trip: sessions are read-only and in autocommit mode, so a statement needs neither BEGIN nor
ROLLBACK.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import quote

from flask import current_app
from sqlalchemy import URL, Connection, Engine, Row, Select, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError

from .errors import all_rows, has_changed_plan

_RECYCLE = 300  # seconds; firewalls usually keep idle connections longer than that
_GRACE = 1  # second to wait for the server's own timeout before giving up on it


def host_sqlalchemy() -> Any:
    """Return the current application's Flask-SQLAlchemy.

    :raises RuntimeError: when the application has none.
    """
    extension = current_app.extensions.get("sqlalchemy")
    if extension is None:
        raise RuntimeError(
            "This application has no Flask-SQLAlchemy. Did you forget db.init_app(app), or to "
            "pass another session to the store: ModelStore(Image, session=...)?"
        )
    return extension


class Timeouts(NamedTuple):
    """How long each step may take, in seconds."""

    connect: int
    statement: float
    pool: float


def make_engine(database: str | URL, timeouts: Timeouts, pool_size: int) -> Engine:
    """Return a read-only engine for a database; it connects on first use.

    :raises ValueError: for a database or driver whose timeouts cannot be set here.
    """
    url = make_url(database)
    backend = url.get_backend_name()
    driver, configure = _BACKENDS.get(backend, (None, None))
    if url.drivername == backend and driver is not None:
        url = url.set(drivername=f"{backend}+{driver}")
    if configure is None or url.drivername != f"{backend}+{driver}":
        known = ", ".join(f"{name}+{driver}" for name, (driver, _) in _BACKENDS.items())
        raise ValueError(
            f"the database URL begins with {url.drivername!r}, but must begin with one of {known}. "
            "For another driver, create an engine and pass that."
        )
    url, connect_args, prepare = configure(url, timeouts)
    engine = create_engine(
        url,
        connect_args=connect_args,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        max_overflow=0,
        pool_size=pool_size,
        pool_timeout=timeouts.pool,
        pool_recycle=_RECYCLE,
    )
    prepare(engine)
    return engine


def begin_read_only(connection: Connection) -> None:
    """Make the next transaction read-only on a connection of the host's engine.

    SQLite has no read-only transactions.
    """
    if connection.dialect.name == "postgresql":
        connection.execution_options(postgresql_readonly=True)
    elif connection.dialect.name in ("mysql", "mariadb"):
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")


def fetch_all(
    connection: Connection, statement: Select[Any], parameters: Mapping[str, Any] | None
) -> Sequence[Row[Any]]:
    """Return a statement's rows; run it again if a column's type changed after it was prepared.

    psycopg prepares statements that are used repeatedly; PostgreSQL then refuses such a statement.
    """
    try:
        return all_rows(connection.execute(statement, parameters))
    except DBAPIError as error:
        if not has_changed_plan(error):
            raise
    connection.exec_driver_sql("DEALLOCATE ALL")
    return all_rows(connection.execute(statement, parameters))


_Configured = tuple[URL, dict[str, Any], Callable[[Engine], None]]


def _sqlite(url: URL, timeouts: Timeouts) -> _Configured:
    # mode=ro also keeps SQLite from creating a missing file.
    path = url.database or ""
    if not path.startswith("file:"):
        url = url.set(database=f"file:{quote(path)}")
    url = url.update_query_dict({"mode": "ro", "uri": "true"})
    return url, {"timeout": timeouts.statement}, lambda engine: None


def _postgresql(url: URL, timeouts: Timeouts) -> _Configured:
    options = [
        *url.normalized_query.get("options", ()),
        "-c default_transaction_read_only=on",
        f"-c statement_timeout={timeouts.statement * 1000:.0f}",
    ]
    connect_args = {"connect_timeout": timeouts.connect, "options": " ".join(options)}
    limit = timeouts.statement + _GRACE
    return url, connect_args, partial(_bound_psycopg, limit)


def _mysql(url: URL, timeouts: Timeouts) -> _Configured:
    limit = timeouts.statement + _GRACE
    connect_args = {
        "connect_timeout": timeouts.connect,
        "read_timeout": limit,
        "write_timeout": limit,
    }

    def prepare(engine: Engine) -> None:
        @event.listens_for(engine, "connect")
        def set_up(connection: Any, record: Any) -> None:
            if engine.dialect.is_mariadb:  # type: ignore[attr-defined]
                limit = f"max_statement_time={timeouts.statement}"
            else:
                limit = f"max_execution_time={timeouts.statement * 1000:.0f}"
            with connection.cursor() as cursor:
                cursor.execute("SET SESSION TRANSACTION READ ONLY")
                cursor.execute(f"SET SESSION {limit}")

    return url, connect_args, prepare


_BACKENDS: dict[str, tuple[str, Callable[[URL, Timeouts], _Configured]]] = {
    "sqlite": ("pysqlite", _sqlite),
    "postgresql": ("psycopg", _postgresql),
    "mysql": ("pymysql", _mysql),
    "mariadb": ("pymysql", _mysql),
}


def _bound_psycopg(limit: float, engine: Engine) -> None:
    """Make psycopg give up on a server that stops responding, for which it has no setting.

    PostgreSQL's ``statement_timeout`` works only while the server runs, and libpq's
    ``tcp_user_timeout`` only if the network fails; a server that hangs acknowledges every packet
    and never answers. So this overrides `psycopg.Connection.wait`, which every wait of a
    connection goes through. A test with a server that stops responding fails if a release of
    psycopg waits elsewhere.
    """
    import psycopg  # noqa: PLC0415 - the driver of one database of several

    class Connection(psycopg.Connection[Any]):
        def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            return super().wait(self._bounded(gen), *args, **kwargs)

        def _bounded(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
            # psycopg resumes this generator when the socket is ready, and otherwise several times
            # a second with a false value.
            deadline = monotonic() + limit
            try:
                wanted = next(gen)
                while True:
                    ready = yield wanted
                    if not ready and monotonic() > deadline:
                        self.pgconn.finish()  # a late response would be taken for the next one
                        raise psycopg.OperationalError(f"no response within {limit} seconds")
                    wanted = gen.send(ready)
            except StopIteration as stop:
                return stop.value

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, args: Any, kwargs: Any) -> Any:
        return Connection.connect(*args, **kwargs)
