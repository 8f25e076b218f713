"""What a ModelStore reads over: the application's session, another one, or an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Dialect, Engine, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, scoped_session

from .engine import fetch_all, host_sqlalchemy
from .errors import all_rows, has_changed_plan, row_errors

T = TypeVar("T")


class ModelConnection:
    """Reads a model's database with a session or over an engine; writes with a session.

    :param model: The model class.
    :param session: Returns the session, None for the application's own.
    :param engine: An engine or a function that returns one; None to read with the session.
    """

    def __init__(
        self,
        model: type[Any],
        session: Callable[[], Session | scoped_session[Session]] | None,
        engine: Engine | Callable[[], Engine] | None,
    ) -> None:
        self._model = model
        self._session = session
        self._engine = engine

    @property
    def dialect(self) -> Dialect:
        """The dialect of the database that has the model's table."""
        bind = self.session().get_bind(self._model) if self._engine is None else self._get_engine()
        return bind.dialect

    def session(self) -> Session:
        """Return the session that the application reads and writes with."""
        return _as_session(self._find_session())

    def _find_session(self) -> Session | scoped_session[Session]:
        return self._session() if self._session else _host_sessions()

    def fetch(
        self, statement: Select[Any], parameters: dict[str, Any] | None = None
    ) -> Sequence[Any]:
        """Return a statement's rows.

        :raises StoreUnavailable: when the database is unreachable, or too busy now.
        :raises InvalidImage: when a row cannot be read.
        :raises ImpossibleValue: when the value searched for cannot exist in this database.
        """
        if self._engine is not None:
            engine = self._get_engine()
            with row_errors():
                return _fetch_over(engine, statement, parameters)
        session = self.session()
        with row_errors():
            return self.ask(
                session, statement, lambda: all_rows(session.execute(statement, parameters))
            )

    def ask(
        self,
        session: Session,
        statement: Select[Any],
        read: Callable[[], T],
        *,
        in_snapshot: bool = False,
    ) -> T:
        """Return what read returns; a transaction that begins here ends here.

        :param in_snapshot: Let everything that is read in such a transaction be of one version of
            the database, even if it takes several statements.
        """
        bind = {"mapper": self._model, "clause": statement}
        prepare = partial(_take_snapshot, session, bind) if in_snapshot else None
        try:
            with reading(session, prepare):
                return read()
        except DBAPIError as error:
            if session.in_transaction() or not has_changed_plan(error):
                raise
        with reading(session, prepare):  # as `fetch_all` does
            session.connection(bind).exec_driver_sql("DEALLOCATE ALL")
            return read()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Yield a new session in a transaction of its own, which ends with the context."""
        # A class of the host's may have begun it already.
        with self._new_session() as session, session.get_transaction() or session.begin():
            yield session

    def _new_session(self) -> Session:
        """Return another session like the application's, which may be in a transaction.

        If that one is bound to a connection, as in tests that undo everything, so is this one.
        """
        found = self._find_session()
        session = _as_session(found)
        options: dict[str, Any] = {
            "bind": session.get_bind(mapper=self._model),
            "join_transaction_mode": session.join_transaction_mode,
        }
        if given := getattr(session, "execution_options", None):  # SQLAlchemy 2.1
            options["execution_options"] = given
        if isinstance(found, scoped_session):
            return found.session_factory(**options)
        try:
            return type(session)(**options)
        except TypeError:  # a class that takes more than a Session does
            return Session(**options)

    def _get_engine(self) -> Engine:
        engine = self._engine if isinstance(self._engine, Engine) else self._engine()  # type: ignore[misc]
        if not isinstance(engine, Engine):
            raise TypeError(
                f"engine= returned {engine!r}, which is not an Engine. To read over a "
                "connection that tests put in an engine's place, leave engine= out."
            )
        return engine


def _as_session(found: Session | scoped_session[Session]) -> Session:
    return found() if isinstance(found, scoped_session) else found


@contextmanager
def reading(session: Session, prepare: Callable[[], None] | None = None) -> Iterator[None]:
    """Read with a session, and end the transaction if it began here.

    If it stayed open until the end of the request, a connection lost meanwhile would turn a
    complete response into an error. Closing only the transaction, not the session, keeps the host's
    objects loaded and an outer transaction of its tests open.

    :param prepare: Called first in a transaction that begins here.
    """
    if session.in_transaction():
        yield
        return
    transaction = session.begin()
    is_lost = False
    try:
        if prepare is not None:
            prepare()
        yield
    except OSError:  # a driver's own, which SQLAlchemy does not recognize as a lost connection
        is_lost = True
        raise
    finally:
        with suppress(DBAPIError, OSError):  # everything has been read already
            transaction.close(invalidate=is_lost)


def _take_snapshot(session: Session, bind: dict[str, Any]) -> None:
    """Make a transaction that has just begun see one version of the database.

    By default, each statement sees the latest version on PostgreSQL, and on SQLite, whose driver
    begins no transaction in order to read. On MariaDB and MySQL, the host may have set that.
    """
    engine = session.get_bind(**bind)
    if not isinstance(engine, Engine):  # a connection whose transaction is the host's
        return
    if engine.dialect.name in ("postgresql", "mysql", "mariadb"):
        session.connection(bind, execution_options={"isolation_level": "REPEATABLE READ"})
    elif engine.dialect.name == "sqlite":
        connection = session.connection(bind)
        driver: Any = connection.connection.driver_connection
        if not driver.in_transaction:  # the host's engine may begin one for every statement
            connection.exec_driver_sql("BEGIN")


def _host_sessions() -> scoped_session[Session]:
    """Return the sessions of the current application's Flask-SQLAlchemy.

    :raises RuntimeError: when the application has none.
    """
    sessions = host_sqlalchemy().session
    if not isinstance(sessions, scoped_session):
        raise RuntimeError(
            "This application's db.session is not Flask-SQLAlchemy's. Say how to get the session: "
            "ModelStore(Image, session=lambda: db.session)."
        )
    return sessions


def _fetch_over(
    engine: Engine, statement: Select[Any], parameters: dict[str, Any] | None
) -> Sequence[Any]:
    """Return a statement's rows, read over a separate connection."""
    connection = engine.connect()
    try:
        if connection.dialect.name == "postgresql":  # which sets it without a round trip
            connection.execution_options(isolation_level="AUTOCOMMIT")
        return fetch_all(connection, statement, parameters)
    except OSError:  # a driver's own, which SQLAlchemy does not recognize as a lost connection
        connection.invalidate()
        raise
    finally:
        with suppress(DBAPIError, OSError):  # everything has been read already
            connection.close()
