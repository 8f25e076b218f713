"""The kinds of fields an image has: marshmallow fields that convert to a header's text and back.

Each ``_serialize`` returns text (that of properties, pairs of name and text), or None to omit the
field, and raises ValueError or TypeError for a value that cannot be sent; each ``_deserialize``
takes a header's decoded text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from marshmallow import fields, missing

from . import wire
from .exceptions import InvalidImage, short_repr
from .image import PASS_THROUGH_ERRORS, read_field

if TYPE_CHECKING:
    AnyField = fields.Field[Any]
else:
    AnyField = fields.Field  # not generic before marshmallow 4

Accessor = Callable[[Any, str, Any], Any]


class Line(NamedTuple):
    """One header line of an image, before its value is encoded.

    :param field: The schema's field that the line carries.
    :param property: The property's name as the image has it; None for a core field.
    :param header: The header's name as it is sent.
    :param text: The value's text as the image has it.
    """

    field: str
    property: str | None
    header: str
    text: str


class HeaderField(AnyField):
    """A field that serializes to a header's value; the base class of the fields here.

    A value of None counts as absent and is replaced with the field's ``dump_default``. Any error
    becomes an InvalidImage that names the field and the value.
    """

    def serialize(
        self, attr: str, obj: Any, accessor: Accessor | None = None, **kwargs: Any
    ) -> Any:
        """Return the header's value in WSGI's form, or ``missing`` to omit the field."""
        text = self.text(attr, obj, accessor)
        return missing if text is None else wire.as_value(text)

    def lines(self, attr: str, image: Any, accessor: Accessor) -> Iterator[Line]:
        """Yield the header lines that carry the field, with texts as the image has them."""
        text = self.text(attr, image, accessor)
        if text is not None:
            yield Line(attr, None, str(self.data_key), text)

    def text(self, attr: str, image: Any, accessor: Accessor | None) -> Any:
        """Return the result of the field's ``_serialize``, or None to omit the field.

        :raises InvalidImage: when the value cannot be read or cannot be sent.
        """
        value = None  # for the message, if reading fails
        try:
            value = self.get_value(image, attr, accessor=accessor, default=None)
            if value is None:
                value = self.dump_default() if callable(self.dump_default) else self.dump_default
            if value is None or value is missing:
                return None
            return self._as_text(self._serialize(value, attr, image))
        except (*PASS_THROUGH_ERRORS, InvalidImage):
            raise
        except Exception as error:
            raise InvalidImage(attr, value, str(error)) from error

    def _as_text(self, serialized: Any) -> Any:
        return None if serialized is None else wire.as_any_text(serialized)


class ForeignField(HeaderField):
    """A header field made from another kind of field, such as marshmallow's own.

    :param field: The field, bound to its schema.
    """

    def __init__(self, field: AnyField) -> None:
        super().__init__(data_key=field.data_key)
        self._field = field

    def text(self, attr: str, image: Any, accessor: Accessor | None) -> Any:
        """Return the result of the field's own ``serialize``, as text."""
        value = None

        def read(obj: Any, name: str, default: Any) -> Any:
            nonlocal value
            value = accessor(obj, name, default) if accessor else None
            return default if value is None else value

        try:
            serialized = self._field.serialize(attr, image, accessor=read)
            return None if serialized is missing else self._as_text(serialized)
        except (*PASS_THROUGH_ERRORS, InvalidImage):
            raise
        except Exception as error:
            raise InvalidImage(attr, value, str(error)) from error


class Text(HeaderField, fields.String):
    """One line of text: a string, or a single value that has a text (a UUID, an Enum member)."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else wire.as_text(value)


class WholeNumber(HeaderField, fields.Integer):
    """A whole number, sent in decimal; a string of digits counts as one.

    It may be negative, and has at most ``wire.MAX_DIGITS`` digits.
    """

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else str(wire.as_int(value))

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        try:
            return wire.as_int(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise self.make_error("invalid", input=value) from error


class Flag(HeaderField, fields.Boolean):
    """A truth value, sent as True or False; marshmallow's other words for them are accepted."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        if value is None:
            return None
        if isinstance(value, Enum):
            value = value.value
        if value in self.truthy:
            return "True"
        if value in self.falsy:
            return "False"
        raise ValueError("neither true nor false")


class DeletedFlag(Flag):
    """Whether the image is deleted; any number but 0 says so, as in the rows of oslo.db."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        is_number = isinstance(value, int)
        return super()._serialize(bool(value) if is_number else value, attr, obj, **kwargs)


class PublicFlag(Flag):
    """Whether the image is public: its own flag, or a visibility of ``public``."""

    def __init__(self, **kwargs: Any) -> None:
        # Without a flag of its own, the image's visibility decides.
        super().__init__(**{"dump_default": False, **kwargs})

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        text = super()._serialize(value, attr, obj, **kwargs)
        if text == "True":
            return text
        return str(read_field(obj, "visibility") == "public")


class Timestamp(HeaderField, fields.NaiveDateTime):
    """A time in UTC, sent with microseconds and without a time zone.

    A datetime without a time zone is taken as UTC; one with a time zone is converted. A string in
    ISO 8601 format is accepted.
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
            if value.utcoffset() is not None:  # a zone without an offset doesn't count
                value = value.astimezone(timezone.utc)
            value = value.replace(tzinfo=None)
        return str(value.isoformat(timespec="microseconds"))

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        if isinstance(value, str) and value.endswith("Z"):
            value = f"{value[:-1]}+00:00"  # Python 3.10 does not accept Z
        elif isinstance(value, str) and len(value) == len("2026-01-02"):
            value = f"{value}T00:00:00"  # marshmallow 3 does not accept a date alone
        try:
            return super()._deserialize(value, attr, data, **kwargs)
        except OverflowError as error:  # outside the range of UTC dates
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from error


class PropertyLines(list[Line]):
    """The header lines of all properties, on their way into the headers."""


class Properties(HeaderField, fields.Dict):
    """Named texts, each sent in a separate header.

    Names are lower-cased. If two names then are the same, the one that was already lower-case is
    sent, or else the first in code-point order. A value of None counts as absent.

    :param stem: The part of the header's name between the schema's prefix and a property's name.
    """

    def __init__(self, *, stem: str = "property-", **kwargs: Any) -> None:
        super().__init__(keys=fields.String(), values=fields.String(), **kwargs)
        self.stem = stem

    def serialize(
        self, attr: str, obj: Any, accessor: Accessor | None = None, **kwargs: Any
    ) -> Any:
        """Return the header lines of all properties, or ``missing`` if there are none."""
        return PropertyLines(self.lines(attr, obj, accessor)) or missing

    def lines(self, attr: str, image: Any, accessor: Accessor | None) -> Iterator[Line]:
        """Yield a line for each property, in the order of their names.

        Of several properties with the same header, the one that is sent comes first.
        """
        for name, text in self.text(attr, image, accessor) or ():
            yield Line(attr, name, f"{self.data_key}{wire.as_name(name)}", text)

    def _serialize(
        self, value: Any, attr: str | None, obj: Any, **kwargs: Any
    ) -> list[tuple[str, str]] | None:
        """Return names and texts in the order of the names.

        Of several names for the same header, the one that is sent comes first.

        :raises InvalidImage: naming the property, when a value cannot be converted to text.
        """
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise TypeError("not a mapping")
        named = [
            (wire.as_text(name), property_value)
            for name, property_value in value.items()
            if property_value is not None
        ]
        return [_as_texts(attr, *pair) for pair in sorted(named, key=_by_name)]

    def _as_text(self, serialized: Any) -> Any:
        return serialized


def _as_texts(attr: str | None, name: str, value: Any) -> tuple[str, str]:
    try:
        return name, wire.as_any_text(value)
    except Exception as error:
        raise InvalidImage(f"{attr}[{short_repr(name)}]", value, str(error)) from error


def _by_name(item: tuple[str, Any]) -> tuple[str, bool, str]:
    """Return a sort key for a property, given as a pair; of equal names, the one sent is first."""
    name = item[0]
    lower = name.lower()
    return lower, name != lower, name


__all__ = [
    "DeletedFlag",
    "Flag",
    "HeaderField",
    "Properties",
    "PublicFlag",
    "Text",
    "Timestamp",
    "WholeNumber",
]
