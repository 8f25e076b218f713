"""What counts as an image: a mapping, or any object with the fields' names as attributes.

A field that is absent counts as None. `ImageRecord` is the ready-made stores' own form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum
from functools import cached_property, partial
from sqlite3 import Row
from types import MappingProxyType
from typing import Any

from werkzeug.exceptions import HTTPException

from .exceptions import InvalidImage, StoreUnavailable

# The fields that decide who may see an image; a schema must not read them from elsewhere.
ACCESS_FIELDS = frozenset({"deleted", "is_public", "owner"})

# What a lazy field of a host's image may raise on purpose: answers, not faults of the image.
ANSWERS = (StoreUnavailable, HTTPException)


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image as a ready-made store hands it out; immutable.

    Sizes are in bytes, min_disk in GiB, min_ram in MiB, timestamps in UTC without a zone.
    None means what it means in the Image API: unknown, or not yet set. ``access_granted``
    says that the store was asked in the caller's own name and showed the image: then no other
    rule of access applies.
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
    properties: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    members: Iterable[str] = ()
    access_granted: bool = False

    @property
    def is_public(self) -> bool:
        """Whether the image's visibility is ``public``; v2 has no other word for it."""
        return self.visibility == "public"


_FIELDS = tuple(one.name for one in fields(ImageRecord))


def getter(image: Any) -> Callable[[str], Any]:
    """Return a function that reads a field of the image by name, None where it is absent."""
    if isinstance(image, (dict, Mapping)):  # a dict is recognised at once, a Mapping asks the ABC
        return image.get
    if isinstance(image, Row):
        return dict(image).get
    return partial(_get_attribute, image)


def _get_attribute(image: Any, name: str) -> Any:
    try:
        return getattr(image, name)
    except AttributeError:
        # A property that fails must not pass for a field that is absent: no owner, not deleted.
        if isinstance(getattr(type(image), name, None), (property, cached_property)):
            raise
        return None


def check_image(image: Any) -> None:
    """Check that what a lookup found can be an image at all.

    Otherwise all its fields would count as absent: it would belong to nobody, so be for all.

    :raises InvalidImage: for what has none of the fields.
    """
    if all(read_field(image, name) is None for name in _FIELDS):
        raise InvalidImage("image", image, "the lookup returned what has none of an image's fields")


def read_field(image: Any, name: str) -> Any:
    """Return one field of an image; an Enum member counts as its value, an absent field as None.

    :raises InvalidImage: when the host's object fails while it is read.
    """
    try:
        value = getter(image)(name)
    except ANSWERS:
        raise
    except Exception as error:
        raise InvalidImage(name, None, f"cannot be read: {error!r}") from error
    return value.value if isinstance(value, Enum) else value
