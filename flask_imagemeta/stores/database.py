"""What the stores that read a database share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from flask import current_app
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, scoped_session

from ..exceptions import StoreUnavailable


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn errors of a database that is out of reach, too busy or too slow into StoreUnavailable.

    :raises StoreUnavailable: with the driver's own message.
    """
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise StoreUnavailable(str(error.orig)) from error
    except PoolTimeout as error:
        raise StoreUnavailable(str(error)) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailable(str(error.orig)) from error
        raise


class LazyMembers(Iterable[str]):
    """The project ids that an image is shared with, fetched only when an answer depends on them.

    :param fetch: Returns the members that may equal the given project id, or all for None.
    """

    def __init__(self, fetch: Callable[[str | None], Iterable[str]]) -> None:
        self._fetch = fetch

    def __contains__(self, project_id: object) -> bool:
        return isinstance(project_id, str) and project_id in self._fetch(project_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._fetch(None))


def get_session() -> Session:
    """Return the current application's Flask-SQLAlchemy session.

    :raises RuntimeError: when the application has no Flask-SQLAlchemy.
    """
    return get_sessions()()


def get_sessions() -> scoped_session[Session]:
    """Return what holds the current application's sessions, and makes new ones.

    :raises RuntimeError: when the application has no Flask-SQLAlchemy.
    """
    extension = current_app.extensions.get("sqlalchemy")
    if extension is None:
        raise RuntimeError(
            "This application has no Flask-SQLAlchemy. Did you forget db.init_app(app)?"
        )
    sessions: scoped_session[Session] = extension.session
    return sessions
