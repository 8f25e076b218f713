"""An image as plain data: a line of JSON that any process and any version can read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from enum import Enum
from sqlite3 import Row
from types import MappingProxyType, NoneType
from typing import Any
from uuid import UUID

from ..exceptions import StoreUnavailable, one_line, short_repr
from ..image import FIELDS, ImageRecord, ReadOnlyProperties, get_field
from .unreadable import ImageParts

# Part of every key in a cache. Increase it whenever the format changes, so that two versions of
# this package that share a cache never read each other's data.
VERSION = 1

_PLAIN = (str, int, float, bool, NoneType)
_MAX_DEPTH = 100  # levels of lists and dicts, far less than Python can read; one may hold itself
_WITHOUT_MEMBERS = ("public", "private", "community")  # visibilities


class NotPlain(ValueError):
    """An image has a value that plain data would not restore unchanged.

    :param reason: The field and what is wrong with it; escaped to one printable line.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(one_line(reason))


def to_plain_data(image: Any) -> str:
    """Return an image, or None for no image, as JSON.

    As in headers, an Enum member is written as its value and a UUID as its text. Members are
    fetched if they matter, so that access can be decided for every caller.

    :raises NotPlain: for a value that plain data cannot hold, naming its field.
    :raises StoreUnavailable: when the members cannot be fetched now.
    :raises TypeError: for anything but a dict or an `ImageRecord`, such as a subclass, whose
        fields are not known.
    """
    if image is None:
        return "null"
    values = {name: _field(name, value) for name, value in _values_of(image).items()}
    times = {name: value for name, value in values.items() if isinstance(value, datetime)}
    if "members" in values:
        values["members"] = _members(values)
    for name, value in values.items():
        if name not in times and not _is_plain(value):
            raise NotPlain(f"{name} = {short_repr(value)}")
    return json.dumps(
        {
            "is_record": type(image) is ImageRecord,
            "times": {name: time.isoformat() for name, time in times.items()},
            "values": {name: value for name, value in values.items() if name not in times},
        }
    )


def from_plain_data(data: str) -> Any:
    """Return the image that was written, or None for no image.

    :raises Exception: for any other data.
    """
    kept = json.loads(data)
    if kept is None:
        return None
    values: dict[str, Any] = kept["values"]
    for name, time in kept["times"].items():
        values[name] = datetime.fromisoformat(time)
    return ImageRecord(**values) if kept["is_record"] else values


def _values_of(image: Any) -> dict[str, Any]:
    if type(image) is ImageRecord:  # a subclass may have more fields, or other rules
        return {one.name: getattr(image, one.name) for one in fields(ImageRecord)}
    if type(image) is dict:
        return dict(image)
    if isinstance(image, Row):  # whose column Owner is the field owner
        found = {name: get_field(image, name) for name in FIELDS}
        return dict(image) | {name: value for name, value in found.items() if value is not None}
    if type(image) is ImageParts:
        raise NotPlain("one of its fields cannot be read")
    raise TypeError(
        f"the store returned a {type(image).__name__}, whose fields a cache cannot know: Cached "
        "needs a store that returns dicts or ImageRecords themselves, so no subclass of them, and "
        "ModelStore without entities=True"
    )


def _field(name: str, value: Any) -> Any:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, UUID):
        return str(value)
    if name == "properties" and isinstance(value, (MappingProxyType, ReadOnlyProperties)):
        return dict(value)
    return value


def _members(values: Mapping[str, Any]) -> Any:
    members = values["members"]
    if values.get("visibility") in _WITHOUT_MEMBERS:
        return []
    if isinstance(members, (str, bytes)) or not isinstance(members, Iterable):
        return members
    try:
        return list(members)
    except StoreUnavailable:
        raise
    except Exception as error:
        raise NotPlain(f"members cannot be read: {error!r}") from error


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Return whether JSON restores a value unchanged, which it does not for subclasses."""
    if depth > _MAX_DEPTH:
        return False
    if type(value) is list:
        return all(_is_plain(item, depth + 1) for item in value)
    if type(value) is dict:
        return all(type(k) is str and _is_plain(item, depth + 1) for k, item in value.items())
    return type(value) in _PLAIN and not (type(value) is int and _is_too_long(value))


def _is_too_long(number: int) -> bool:
    """Return whether a number has more digits than Python reads or writes."""
    try:
        str(number)
    except ValueError:
        return True
    return False
