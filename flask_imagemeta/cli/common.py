"""What the commands share: finding the store, options, errors and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from ..exceptions import ImageMetaError, describe, printable

if TYPE_CHECKING:
    from ..extension import State

name_option: Callable[[Any], Any] = click.option(
    "--name",
    default="imagemeta",
    show_default=True,
    metavar="NAME",
    help="The name of the ImageMeta object, where an application has several.",
)


class Trouble(click.ClickException):
    """The command cannot do its work: exit status 2, as for a wrong option."""

    exit_code = 2


def get_state(name: str) -> State:
    """Return what the current application keeps for its ImageMeta object of a name.

    :raises Trouble: when there is none, naming those there are.
    """
    states: dict[str, State] = current_app.extensions["imagemeta"]
    if name not in states:
        raise Trouble(
            f"This application has no ImageMeta named {name!r}, only {', '.join(states)}."
        )
    return states[name]


def get_store(state: State, to_be: str, *methods: str) -> Any:
    """Return the lookup of an ImageMeta object, which has to have some methods.

    :param to_be: What the methods let it be, for the message: "listed", "added to".
    :raises Trouble: when it does not have them.
    """
    store = state.store
    missing = [f"{method}()" for method in methods if not hasattr(store, method)]
    if missing:
        raise Trouble(
            f"This lookup cannot be {to_be}: {describe(store)} has no {' and no '.join(missing)}. "
            "A ModelStore has, and a lookup written as a class can have."
        )
    return store


@contextmanager
def store_troubles() -> Iterator[None]:
    """Turn what a store raises when it cannot answer, or refuses to keep something, to Trouble."""
    try:
        yield
    except SQLAlchemyError as error:
        raise Trouble(f"The database says: {getattr(error, 'orig', None) or error}") from error
    except ImageMetaError as error:
        raise Trouble(f"{type(error).__name__}: {printable(str(error))}") from error


def as_json(value: object) -> str:
    """Return a value as one line of JSON in ASCII; times in ISO 8601, what JSON lacks as text."""
    return json.dumps(value, default=_plain)


def has_terminal() -> bool:
    """Tell whether somebody watches standard error, where progress is shown."""
    return sys.stderr.isatty()


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
