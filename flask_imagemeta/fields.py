"""The kinds of field an image has: marshmallow fields that dump to a header's text and back.

Each ``_serialize`` returns text, or None for a field to omit, and raises ValueError or
TypeError for what it cannot send; each ``_deserialize`` takes a header's decoded text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from marshmallow import fields

from . import wire
from .exceptions import InvalidImage, describe
from .image import read_field


class Text(fields.String):
    """One line of text: a string, or a single value that has a text (a UUID, an Enum member)."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        if type(value) is str or value is None:
            return value
        return wire.as_text(value)


class WholeNumber(fields.Integer):
    """A whole number, zero or more, sent in decimal; a string of digits counts as one."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        if value is None:
            return None
        if type(value) is not int:
            value = self._as_int(value)
        if value < 0:
            raise ValueError("not a whole number, zero or more")
        return str(value)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        try:
            return self._as_int(value)
        except ValueError as error:
            raise self.make_error("invalid", input=value) from error

    @staticmethod
    def _as_int(value: Any) -> int:
        if isinstance(value, (str, bool)):
            digits = wire.whole_number(value) if isinstance(value, str) else None
            if digits is None:
                raise ValueError("not a whole number, zero or more")
            return int(digits)
        number = int(value)
        if number != value:
            raise ValueError("not a whole number, zero or more")
        return number


class Flag(fields.Boolean):
    """A truth value, sent as the word True or False; marshmallow's other words for them count."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        if value is None:
            return None
        if value in self.truthy:
            return "True"
        if value in self.falsy:
            return "False"
        raise ValueError("neither true nor false")


class PublicFlag(Flag):
    """Whether everybody may see the image: its own flag, or a visibility of ``public``."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        text = super()._serialize(value, attr, obj, **kwargs)
        if text == "True":
            return text
        return str(read_field(obj, "visibility") == "public")


class Timestamp(fields.NaiveDateTime):
    """A time in UTC, sent with six digits of a second and no zone letter.

    A datetime without a zone is taken for UTC, one with a zone is converted; a string in
    ISO 8601 counts as the time it names.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", timezone=timezone.utc, **kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        if value is None:
            return None
        if isinstance(value, str):
            value = self.deserialize(value)
        if not isinstance(value, datetime):
            raise TypeError("not a date and time")
        if value.tzinfo is not None:
            if value.utcoffset() is not None:  # a zone without an offset counts as none
                value = value.astimezone(timezone.utc)
            value = value.replace(tzinfo=None)
        return str(value.isoformat(timespec="microseconds"))


class Properties(fields.Dict):
    """Named texts, each sent in a header of its own.

    Names are lower-cased. Of two names that then are the same, the one that was lower-case
    goes out, or else the first in code-point order. A value of None counts as absent.

    :param stem: What stands between the schema's prefix and a property's name.
    """

    def __init__(self, *, stem: str = "property-", **kwargs: Any) -> None:
        super().__init__(keys=fields.String(), values=fields.String(), **kwargs)
        self.stem = stem

    def pairs(self, properties: Any) -> Iterator[tuple[str, str]]:
        """Yield header names and values in the order of the properties' names.

        Where two collide, the header comes twice, the one that loses second.

        :raises InvalidImage: naming the property, when a value has no text.
        """
        if not isinstance(properties, (dict, Mapping)):
            raise TypeError("not a mapping")
        named = [
            (name if isinstance(name, str) else wire.as_text(name), value)
            for name, value in properties.items()
            if value is not None
        ]
        for name, value in sorted(named, key=by_name):
            try:
                text = value if type(value) is str else wire.as_any_text(value)
            except Exception as error:
                field = f"properties[{describe(name)}]"
                raise InvalidImage(field, value, f"{error}") from error
            yield f"{self.data_key}{wire.as_name(name)}", wire.as_value(text)


def by_name(item: tuple[str, Any]) -> tuple[str, bool, str]:
    """Sort properties, given as pairs: of names that become the same, the one sent comes first."""
    name = item[0]
    lower = name.lower()
    return lower, name != lower, name


__all__ = ["Flag", "Properties", "PublicFlag", "Text", "Timestamp", "WholeNumber", "by_name"]
