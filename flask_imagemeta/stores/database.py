"""What the stores that read a database share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from flask import current_app
from sqlalchemy import Engine, Select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError as PoolTimeout
from sqlalchemy.orm import Mapper, Session

from ..exceptions import StoreUnavailable


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn errors of a database that is out of reach, too busy or too slow into StoreUnavailable.

    A table or column that is missing is none of these: to try again would not help.

    :raises StoreUnavailable: with the driver's own message.
    """
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        if str(error.orig).startswith("no such "):  # SQLite's; others have a ProgrammingError
            raise
        raise StoreUnavailable(str(error.orig)) from error
    except PoolTimeout as error:
        raise StoreUnavailable(str(error)) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailable(str(error.orig)) from error
        raise


def host_sqlalchemy() -> Any:
    """Return the current application's Flask-SQLAlchemy.

    :raises RuntimeError: when the application has none.
    """
    extension = current_app.extensions.get("sqlalchemy")
    if extension is None:
        raise RuntimeError(
            "This application has no Flask-SQLAlchemy. Did you forget db.init_app(app)?"
        )
    return extension


def get_session() -> Session:
    """Return the current application's Flask-SQLAlchemy session.

    :raises RuntimeError: when the application has no Flask-SQLAlchemy.
    """
    session: Session = host_sqlalchemy().session()
    return session


@contextmanager
def reading(session: Session) -> Iterator[None]:
    """Read with a session, and end the transaction that this began, if it did.

    Left to the end of the request, a connection that breaks in between would turn an answer
    that is complete into an error of the server's. Tests that put a connection in an engine's
    place, to undo all at their end, would have it undone here: they keep the transaction.
    """
    began = not session.in_transaction()
    try:
        yield
    finally:
        if began and all(isinstance(bind, Engine) for bind in host_sqlalchemy().engines.values()):
            try:
                session.rollback()
            except DBAPIError:
                session.invalidate()


def select_columns(
    mapper: Mapper[Any], statement: Select[Any], values: dict[str, Any]
) -> Sequence[Any]:
    """Return the rows of a statement that selects columns of a model, as the session sees them.

    `Session.execute` makes rows for entities, which takes 135 µs more than to ask an engine. So
    that is left to sessions for which the host has changed what execute does. Others lend the
    connection of their transaction, 70 µs more, where they have begun one or the host prepares
    each, and where not, their engine.
    """
    session = get_session()
    is_plain = not (
        session.dispatch.do_orm_execute
        or getattr(session, "execution_options", None)  # since SQLAlchemy 2.1
        or type(session).execute is not Session.execute
    )
    if not is_plain:
        with reading(session):
            return session.execute(statement, values).all()
    bind = session.get_bind(mapper=mapper, clause=statement)
    is_prepared = session.dispatch.after_begin or session.dispatch.after_transaction_create
    if session.in_transaction() or is_prepared or not isinstance(bind, Engine):
        with reading(session):
            if session.autoflush:
                session.flush()
            connection = session.connection({"mapper": mapper, "clause": statement})
            return connection.execute(statement, values).all()
    connection = bind.connect()
    try:
        return connection.execute(statement, values).all()
    finally:
        with suppress(DBAPIError):  # what was read is read
            connection.close()
