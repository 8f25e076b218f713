"""The errors of Flask-ImageMeta, each with the data it was raised for."""

from __future__ import annotations

import reprlib

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 120  # enough to recognise a value in a log line


def describe(value: object) -> str:
    """Return a short, one-line, printable form of any value, for messages and log lines.

    Control characters come out escaped, so that a value cannot forge a log line, and a
    value whose own ``repr`` fails is named by its type.
    """
    try:
        return printable(_short.repr(value))
    except Exception:
        return f"<{type(value).__name__}>"


def printable(text: str) -> str:
    r"""Return text with every character that is not printable escaped as ``\xNN`` or ``\uNNNN``."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


class ImageMetaError(Exception):
    """The root of this package's errors."""


class ConfigurationError(ImageMetaError, ValueError):
    """A configuration value is not usable; raised by ``init_app``.

    :param key: The configuration key.
    :param value: What the key holds.
    :param expected: What would be right, as the end of the sentence "must be ...".
    """

    def __init__(self, key: str, value: object, expected: str) -> None:
        super().__init__(f"{key} is {describe(value)}, but must be {expected}")
        self.key = key
        self.value = value


class StoreUnavailable(ImageMetaError):
    """The image store cannot answer now, but may soon; the client gets a 503 and may retry.

    A lookup raises it for everything that means "try again": no connection, a time-out, an
    exhausted pool. Its text goes to the log, never to the client.
    """


class InvalidImage(ImageMetaError, ValueError):
    """The host's image cannot be sent as headers; the client gets an empty 500.

    :param field: The field at fault, in the schema's words.
    :param value: The value found there, or None if reading it failed.
    :param reason: What is wrong with it.
    """

    def __init__(self, field: str, value: object, reason: str) -> None:
        super().__init__(f"{field} = {describe(value)}: {printable(reason)}")
        self.field = field
        self.value = value
