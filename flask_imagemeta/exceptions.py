"""The errors of Flask-ImageMeta, each with the data it was raised for."""

from __future__ import annotations

import re
import reprlib

MAX_LENGTH = 300  # characters of each part of a message: enough to recognize a value

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class _Repr(reprlib.Repr):
    """A repr that is short, and the same in every process and on every version of Python."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = 120

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to format much larger ones, and words the error differently by version.
        return super().repr_int(x, level) if x.bit_length() <= 10_000 else "<int>"

    def repr_instance(self, x: object, level: int) -> str:
        try:
            return one_line(repr(x))
        except Exception:
            return f"<{type(x).__name__}>"


_short = _Repr()


def short_repr(value: object) -> str:
    """Return a short, one-line, printable form of any value, for messages and log lines.

    Control characters come out escaped, so that a value cannot forge a log line; an address in
    memory is left out. A value whose own ``repr`` fails is named by its type.
    """
    try:
        return _cut(printable(_short.repr(value)))
    except Exception:
        return one_line(f"<{type(value).__name__}>")


def one_line(text: str) -> str:
    """Return text as one printable line of at most `MAX_LENGTH` characters.

    Addresses in memory are left out: they say nothing to a reader, and help an attacker.
    """
    return _cut(printable(_ADDRESS.sub("", text)))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 3]}..."


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
    """A configuration value cannot be used; raised by ``init_app``.

    :param key: The configuration key.
    :param value: Its value.
    :param expected: What would be right, to complete the sentence "must be ...".
    """

    def __init__(self, key: str, value: object, expected: str) -> None:
        super().__init__(f"{key} is {short_repr(value)}, but must be {expected}")
        self.key = key
        self.value = value


class StoreUnavailable(ImageMetaError):
    """The image store cannot answer now, but may soon; the client gets a 503 and may retry.

    A lookup raises it for everything that means "try again": no connection, a timeout, an
    exhausted pool. Its message goes to the log, never to the client.
    """


class InvalidImage(ImageMetaError, ValueError):
    """The host's image cannot be sent as headers; the client gets an empty 500.

    :param field: The field at fault, as the schema names it. The attribute ``field`` is escaped
        to one printable line, since it goes to logs and terminals.
    :param value: The value of that field, or None if reading it failed.
    :param reason: What is wrong with the value. The attribute ``reason`` is escaped likewise.
    """

    def __init__(self, field: str, value: object, reason: str) -> None:
        self.field: str = one_line(field)
        self.value = value
        self.reason: str = one_line(reason)
        super().__init__(f"{self.field} = {short_repr(value)}: {self.reason}")
