"""What the commands write, and how they end."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from io import StringIO
from typing import IO, Any

import click

from ..exceptions import printable

_FAILED = 2
_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class CommandError(click.ClickException):
    """The command cannot do its work: exit status 2, as for a wrong option."""

    exit_code = _FAILED


def say(line: str) -> None:
    """Write a line to standard output; characters that its encoding lacks are escaped.

    :raises CommandError: when it cannot be written.
    """
    if sys.stdout is None:
        raise CommandError("Standard output is closed.")
    if not line.isascii():
        encoding = sys.stdout.encoding or "ascii"
        line = line.encode(encoding, "backslashreplace").decode(encoding)
    with _output_errors():
        sys.stdout.write(f"{line}\n")


def remark(text: str, *, nl: bool = True) -> None:
    """Write to standard error, after what was written to standard output so far."""
    flush_output()
    click.echo(text, nl=nl, err=True)


def flush_output() -> None:
    """Write what standard output still holds.

    :raises CommandError: when it cannot be written.
    """
    if sys.stdout is not None:
        with _output_errors():
            sys.stdout.flush()


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


_ENCODER = json.JSONEncoder(default=_plain)


def as_json(value: object) -> str:
    """Return a value as one line of JSON in ASCII: times in ISO 8601, other types as text."""
    return _ENCODER.encode(value)


def has_terminal() -> bool:
    """Return whether standard error, where progress is shown, is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def documented_exit_status() -> Iterator[None]:
    """End a command with one of the documented exit statuses, whatever happens in it.

    Click and Python exit with 1 after a crash, an interrupt or a broken pipe, but 1 is what
    ``show`` and ``check`` use for their findings.

    :raises click.exceptions.Exit: instead of every other exception, which has been reported.
    """
    try:
        try:
            yield
        finally:
            flush_output()
    except click.exceptions.Exit:
        raise
    except (KeyboardInterrupt, EOFError, click.Abort) as error:
        _discard(sys.stdout)  # its reader may have stopped
        _report("Interrupted.")
        raise click.exceptions.Exit(_INTERRUPTED) from error
    except Exception as error:
        if isinstance(error, OSError):
            _discard(sys.stdout)
        _report(error)
        raise click.exceptions.Exit(_FAILED) from error


def _report(what: str | Exception) -> None:
    """Write to standard error what ended a command, if anyone can still read it."""
    if isinstance(what, click.ClickException):
        shown = StringIO()
        what.show(shown)
        text = shown.getvalue()
    elif isinstance(what, OSError):
        text = f"Error: {what}"
    elif isinstance(what, Exception):
        text = "".join(traceback.format_exception(what))
    else:
        text = what
    try:
        for line in text.rstrip("\n").split("\n"):
            click.echo(printable(line), err=True)
    except OSError:
        _discard(sys.stderr)


@contextmanager
def _output_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _discard(sys.stdout)
        raise CommandError(f"Standard output cannot be written: {error.strerror}.") from error


def _discard(stream: IO[Any] | None) -> None:
    """Drop what a stream still holds: Python would try to write it once more when it exits.

    A stream that is closed, or has no file behind it, is left alone.
    """
    with suppress(OSError, AttributeError), open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), stream.fileno())  # type: ignore[union-attr]
