"""Engines that only read: sessions read-only, every wait bounded, connections renewed.

What the database itself can promise is set once for each connection, so that a request costs
no round trip but its statement's: sessions are read-only and in autocommit mode, where a
statement needs neither BEGIN nor ROLLBACK.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

_RECYCLE = 300  # seconds, less than firewalls leave an idle connection
_GRACE = 1  # second more than the server has, after which its silence counts


class Timeouts(NamedTuple):
    """How long one thing may take, in seconds."""

    connect: int
    statement: float
    pool: float


def make_engine(database: str | URL, timeouts: Timeouts, pool_size: int) -> Engine:
    """Return an engine for a database that is only read; it connects when it is used.

    :raises ValueError: for a database or driver whose time-outs are not known here.
    """
    url = make_url(database)
    backend = url.get_backend_name()
    driver, configure = _BACKENDS.get(backend, (None, None))
    if url.drivername == backend and driver is not None:
        url = url.set(drivername=f"{backend}+{driver}")
    if configure is None or url.drivername != f"{backend}+{driver}":
        known = ", ".join(f"{name}+{driver}" for name, (driver, _) in _BACKENDS.items())
        raise ValueError(
            f"the database URL begins with {url.drivername!r}, but must with one of {known}. "
            "For another driver, make an engine and give that."
        )
    url, connect_args, prepare = configure(url, timeouts)
    engine = create_engine(
        url,
        connect_args=connect_args,
        isolation_level="AUTOCOMMIT",
        max_overflow=0,
        pool_size=pool_size,
        pool_timeout=timeouts.pool,
        pool_recycle=_RECYCLE,
    )
    prepare(engine)
    return engine


def begin_read_only(connection: Connection) -> None:
    """Make the transaction to come read-only, on a connection of the host's own engine.

    SQLite has no such transactions.
    """
    if connection.dialect.name == "postgresql":
        connection.execution_options(postgresql_readonly=True)
    elif connection.dialect.name in ("mysql", "mariadb"):
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")


_Configured = tuple[URL, dict[str, Any], Callable[[Engine], None]]


def _sqlite(url: URL, timeouts: Timeouts) -> _Configured:
    # mode=ro also keeps SQLite from making an empty file where there is none.
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
        # Nothing to undo in autocommit mode; PyMySQL would ask the server to all the same.
        # SQLAlchemy has skip_autocommit_rollback for that, but only since 2.0.43.
        engine.dialect.do_rollback = lambda connection: None  # type: ignore[assignment,method-assign]

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
    """Have psycopg give up on a server that stays silent, for which it has no setting."""
    import psycopg  # noqa: PLC0415 - the driver of one database of several

    class Connection(psycopg.Connection[Any]):
        def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            return super().wait(self._bounded(gen), *args, **kwargs)

        def _bounded(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
            # psycopg resumes this generator when the socket is ready, or else with a false
            # value several times a second.
            deadline = monotonic() + limit
            try:
                wanted = next(gen)
                while True:
                    ready = yield wanted
                    if not ready and monotonic() > deadline:
                        self.pgconn.finish()  # the answer may come yet, to the wrong question
                        raise psycopg.OperationalError(f"no answer within {limit} seconds")
                    wanted = gen.send(ready)
            except StopIteration as stop:
                return stop.value

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, args: Any, kwargs: Any) -> Any:
        return Connection.connect(*args, **kwargs)
