"""What counts as an image: a mapping, or any object with the fields' names as attributes.

An absent field counts as None. The ready-made stores return an image as an `ImageRecord`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum
from inspect import get_annotations, getattr_static
from sqlite3 import Row
from traceback import walk_tb
from types import TracebackType
from typing import Any

from werkzeug import Response
from werkzeug.exceptions import HTTPException

from .exceptions import InvalidImage, StoreUnavailable

MAX_INTEGER = 2**63 - 1  # the largest size in the Image API, and of the widest integer column
MAX_ID_LENGTH = 255  # characters; Glance's ids have 36, and database indexes are rarely wider

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# The fields that decide who may see an image; a schema must not read them from elsewhere.
ACCESS_FIELDS = frozenset({"deleted", "is_public", "members", "owner", "visibility"})

# What a lazy field of a host's image may raise on purpose: a response, not a fault of the image.
PASS_THROUGH_ERRORS = (StoreUnavailable, HTTPException)


class ReadOnlyProperties(Mapping[str, Any]):
    """The properties of an `ImageRecord`: a mapping that cannot be changed.

    Unlike a `types.MappingProxyType`, it can be pickled and copied; the result is a plain dict.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self._values,)


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image as a ready-made store returns it; immutable.

    Sizes are in bytes, min_disk in GiB, min_ram in MiB, timestamps in UTC without a time zone.
    None means what it means in the Image API: unknown, or not yet set. ``access_granted`` means
    that the store was asked with the caller's own token and showed the image; no other access
    rule applies then.

    A record can be pickled and copied, and works with `dataclasses.replace` and
    `dataclasses.asdict`. A pickle or a copy may outlive the request or reach another caller, so
    its ``access_granted`` is False. Pickling, deep-copying and ``asdict`` fetch members that have
    not been fetched yet.
    """

    id: str
    name: str | None = None
    status: str | None = None
    size: int | None = None
    virtual_size: int | None = None
    disk_format: str | None = None
    container_format: str | None = None
    min_disk: int | None = None
    min_ram: int | None = None
    checksum: str | None = None
    owner: str | None = None
    protected: bool = False
    deleted: bool = False
    created_at: datetime | None = None
    updated_at: datetime | None = None
    deleted_at: datetime | None = None
    visibility: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    members: Iterable[str] = ()
    access_granted: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.properties, Mapping):
            properties = ReadOnlyProperties(self.properties)
            object.__setattr__(self, "properties", properties)

    def __reduce__(self) -> tuple[Any, ...]:
        names = {one.name for one in fields(self) if one.init} - {"access_granted"}
        values = {name: getattr(self, name) for name in names}
        return _restore, (type(self), values)

    @property
    def is_public(self) -> bool:
        """Whether the image's visibility is ``public``, which is how v2 says it."""
        return self.visibility == "public"


def _restore(record: type[ImageRecord], values: dict[str, Any]) -> ImageRecord:
    return record(**values)


# The fields of an image; access_granted is about one answer of a store.
FIELDS = (*(one.name for one in fields(ImageRecord) if one.name != "access_granted"), "is_public")
NUMBERS = ("size", "virtual_size", "min_disk", "min_ram")

_UNDEFINED = object()
_MISSING = re.compile(r"has no attribute '(\w+)'")  # in Python's own words
_NO_FIELD = "no_such_field"
_ACCESS = {"_get_attribute", "__getattr__", "__getattribute__"}  # only look an attribute up


def get_field(image: Any, name: str) -> Any:
    """Return a field of the image, or None if it is absent.

    It raises what the host's object raises: a field that fails is not absent.
    """
    if type(image) is dict:
        return image.get(name)
    if type(image) is not ImageRecord:  # checking for the abstract class is slow
        if isinstance(image, Row):
            return _get_column(image, name)
        if isinstance(image, Mapping):
            return _get_item(image, name)
    return _get_attribute(image, name)


def _get_item(image: Mapping[str, Any], name: str) -> Any:
    try:
        return image[name]
    except KeyError as error:
        # A subclass of KeyError has a message, KeyError itself the missing key.
        is_another = type(error) is KeyError and error.args != (name,)
        if is_another or name in iter(image) or _is_of_class(image, name):
            raise
        return None


def _is_of_class(image: Any, name: str) -> bool:
    """Return whether the class of a mapping defines an attribute, which its keys do not show."""
    # A proxy's own type is another one.
    return getattr_static(image.__class__, name, _UNDEFINED) is not _UNDEFINED


def _get_column(row: Row, name: str) -> Any:
    try:
        return row[name]  # in any case: Owner is a column named owner
    except IndexError:
        if _is_of_class(row, name):
            raise
        return None


def _get_attribute(image: Any, name: str) -> Any:
    try:
        return getattr(image, name)
    except AttributeError as error:
        if _is_absent(error, image, name):
            return None
        raise


def _is_absent(error: AttributeError, image: Any, name: str) -> bool:
    """Return whether an image lacks an attribute, rather than failed to compute it.

    The attribute is absent if neither the image nor the object that raised the error, such as one
    behind a wrapper, defines it. A property or a slot that fails is defined, so its error is a
    fault. Behind a wrapper, the error must come straight from attribute access: if another
    function raised it, the cause may be ``self.project.owner`` without a project.
    """
    if error.name != name or _is_about_another(error, name):
        return False
    if _defines(image, name) or (error.obj is not image and _defines(error.obj, name)):
        return False
    if isinstance(error.__context__, AttributeError):  # a wrapper raised its own instead
        return _is_absent(error.__context__, image, name)
    if error.obj is image:
        return True
    # None is not an image behind a wrapper, but a step on the way to the value.
    if error.obj is None or not _functions(error.__traceback__) <= _ACCESS:
        return False
    return _object_behind(image) is error.obj


def _object_behind(wrapper: Any) -> Any:
    """Return the object in which a wrapper looks for an attribute that no object has."""
    try:
        getattr(wrapper, _NO_FIELD)
    except AttributeError as error:
        # The wrapper may have raised its own error; a context may also be another attribute's.
        first = error
        while isinstance(first.__context__, AttributeError) and first.__context__.name == _NO_FIELD:
            first = first.__context__
        return first.obj
    return None


def _defines(obj: Any, name: str) -> bool:
    """Return whether an object has an attribute, or its class says so, as a dataclass does."""
    if getattr_static(obj, name, _UNDEFINED) is not _UNDEFINED:
        return True
    return is_declared(type(obj), name)


def is_declared(cls: type[Any], name: str) -> bool:
    """Return whether a class says, as a dataclass does, that its objects have an attribute."""
    try:
        return any(name in get_annotations(one) for one in cls.__mro__)
    except Exception:  # since Python 3.14, annotations may fail
        return True


def _is_about_another(error: AttributeError, name: str) -> bool:
    """Return whether an error says that another attribute is missing.

    If it was raised anew with the words of the first, its own name says nothing.
    """
    missing = _MISSING.search(str(error))
    return missing is not None and missing[1] != name


def _functions(traceback: TracebackType | None) -> set[str]:
    return {frame.f_code.co_name for frame, _ in walk_tb(traceback)}


def can_be_asked_for(image_id: str) -> bool:
    """Return whether a request can ask for this id.

    An id is one segment of a path: no control characters, and at most `MAX_ID_LENGTH` characters.
    """
    if image_id in ("", ".", "..") or "/" in image_id:
        return False
    return len(image_id) <= MAX_ID_LENGTH and not _CONTROL.search(image_id)


def check_image(image: Any) -> None:
    """Check that what a lookup returned can be an image at all.

    Otherwise all its fields would count as absent, and anyone could see it for want of an owner.

    :raises InvalidImage: for an object without any of the fields, and for a response or an HTTP
        exception, whose status or name looks like one.
    """
    if isinstance(image, (Response, HTTPException)):
        reason = "what the lookup returned is a response, which a hook must raise: flask.abort()?"
        raise InvalidImage("image", image, reason)
    if not any(_has_field(image, name) for name in FIELDS):
        raise InvalidImage("image", image, "what the lookup returned has none of an image's fields")


def _has_field(image: Any, name: str) -> bool:
    try:
        return read_field(image, name) is not None
    except InvalidImage:  # whether the caller learns of it depends on the access rule
        return True


def read_field(image: Any, name: str) -> Any:
    """Return one field of an image; an Enum member counts as its value, an absent field as None.

    :raises InvalidImage: when reading the host's object fails.
    """
    try:
        value = get_field(image, name)
    except (*PASS_THROUGH_ERRORS, InvalidImage):
        raise
    except Exception as error:
        raise InvalidImage(name, None, f"cannot be read: {error!r}") from error
    return value.value if isinstance(value, Enum) else value
