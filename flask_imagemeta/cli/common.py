"""What the commands share: finding the store, options and errors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from ..exceptions import ImageMetaError, InvalidImage, printable, short_repr
from ..image import read_field
from ..stores.errors import words_of
from .losses import Loss
from .output import CommandError, as_json, has_terminal, remark, say

if TYPE_CHECKING:
    from ..state import State

_ERASE_LINE = "\r\x1b[K"

name_option: Callable[[Any], Any] = click.option(
    "--name",
    default="imagemeta",
    show_default=True,
    metavar="NAME",
    help="The name of the ImageMeta object, if the application has several.",
)


def find_state(name: str) -> State:
    """Return the state of the current application's ImageMeta object with this name.

    :raises CommandError: when there is none, naming the others, or when it has no lookup.
    """
    states: dict[str, State] = current_app.extensions["imagemeta"]
    if name not in states:
        raise CommandError(
            f"This application has no ImageMeta named {short_repr(name)}, only {', '.join(states)}."
        )
    state = states[name]
    if state.store is None:
        raise CommandError(f"ImageMeta {name!r} has no lookup hook, so it has no images.")
    return state


def get_store(state: State, to_be: str, protocol: type[Any], *methods: str) -> Any:
    """Return the lookup of an ImageMeta object if it has these methods of a protocol.

    :param to_be: What the command does with it, for the message: "listed", "added to".
    :raises CommandError: when it does not have them.
    """
    check_store(state.store, f"This lookup cannot be {to_be}", protocol, *methods)
    return state.store


def check_store(store: Any, refusal: str, protocol: type[Any], *methods: str) -> None:
    """Check that a store has some methods of a protocol.

    :param refusal: How the message begins.
    :raises CommandError: when it does not have them, naming the store and the protocol.
    """
    missing = [f"{method}()" for method in methods if not hasattr(store, method)]
    if missing:
        name = getattr(store, "__qualname__", type(store).__qualname__)
        raise CommandError(
            f"{refusal}: {printable(name)} is not {protocol.__name__}, it has no "
            f"{' and no '.join(missing)}. See the page 'Write a store' of the documentation."
        )


@contextmanager
def progress(store: Any, label: str) -> Iterator[Iterable[Any]]:
    """Yield the images of a store; on a terminal, show a progress bar and the time left."""
    if not has_terminal():
        yield store.walk()
        return
    count = None
    with suppress(Exception):  # too many to be counted in time, say; the walk may go well
        count = store.count() if hasattr(store, "count") else None
    with click.progressbar(
        store.walk(), length=count, label=label, file=sys.stderr, update_min_steps=100
    ) as images:
        yield images


def _report(line: str) -> None:
    """Write a line to standard output, in place of the progress bar."""
    if has_terminal():
        remark(_ERASE_LINE, nl=False)
    say(line)


def report_losses(image: Any, losses: Iterable[Loss], *, is_json: bool) -> None:
    """Report an image's losses: each on a line, or all in one line of JSON."""
    image_id = read_id(image)
    if is_json:
        _report(as_json({"id": image_id, "losses": [loss._asdict() for loss in losses]}))
        return
    for loss in losses:
        _report(printable(f"{image_id}: {loss.kind}: {loss.field}: {loss.reason}"))


def read_id(image: Any) -> str:
    """Return the id of an image that is reported, or ``?`` if it has none that can be read."""
    try:
        image_id = read_field(image, "id")
    except InvalidImage:
        return "?"
    return "?" if image_id is None else str(image_id)


@contextmanager
def command_errors() -> Iterator[None]:
    """Turn a store's errors into a CommandError: it cannot answer, or refuses an image."""
    try:
        yield
    except (SQLAlchemyError, ImageMetaError) as error:
        raise CommandError(reason_of(error)) from error


def reason_of(error: Exception) -> str:
    """Return in one line what an error says."""
    if isinstance(error, SQLAlchemyError):
        return f"The database says: {printable(words_of(error))}"
    return f"{type(error).__name__}: {printable(str(error))}"
