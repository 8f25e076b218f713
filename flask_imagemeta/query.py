"""A search for images, as the search hook receives it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from .access import Identity

SortKey = Literal[
    "name",
    "status",
    "container_format",
    "disk_format",
    "size",
    "id",
    "created_at",
    "updated_at",
]
SortDir = Literal["asc", "desc"]

# The filters of text, and those of numbers; the only other one is protected.
TEXTS = ("name", "status", "disk_format", "container_format")
NUMBERS = ("min_disk", "min_ram")

# How much of a query a search hook gets; the extension checks the rest. Each property is a subquery
# or a join for a database, which has limits for those, and each value is a parameter: SQLite may
# take no more than 999.
MAX_PROPERTIES = 8
MAX_VALUES = 100
# A changes_since that every image meets: its only effect is to find deleted and killed images, too.
ANY_CHANGE = datetime.min  # noqa: DTZ901 - in UTC without a time zone, like every changes_since


@dataclass(frozen=True, slots=True)
class Query:
    """A search for images, as a caller requested it; immutable.

    A store may apply the parts it is good at and ignore the rest: the extension applies all of
    it to the images that come back, and decides which of them the caller may see.

    :param identity: The caller; None for an anonymous one.
    :param filters: Field names, each with the values that match, compared exactly: text for name,
        status, disk_format and container_format, whole numbers for min_disk and min_ram, a bool
        for protected. A field without values matches no image. A missing min_disk or min_ram
        counts as 0, a missing protected as False. A hook gets no filter with more than 100 values.
    :param properties: Property names, each with the text it must have, compared exactly. A hook
        gets the first 8 of them.
    :param size_min: The smallest size in bytes; None for no limit. An image without a size matches
        neither this nor size_max.
    :param size_max: The largest size in bytes; None for no limit.
    :param changes_since: In UTC without a time zone: only images updated later match, including
        deleted and killed ones. If None, deleted and killed images are left out.
    :param is_public: What an admin asked for: True for what the admin's own project would see in
        a list, None for the images of all projects, False for the same without public ones.
        Always True for any other caller.
    :param sort_key: The field to sort by. None sorts first in ascending order, and text by code
        point. Ties are broken by created_at, then id, in the same direction.
    :param sort_dir: ``asc`` or ``desc``.
    :param limit: The maximum number of images on the page, 0 to 1000.
    :param marker: The last image of the previous page; None for the first page.
    """

    identity: Identity | None = None
    filters: Mapping[str, tuple[Any, ...]] = field(default_factory=lambda: MappingProxyType({}))
    properties: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    size_min: int | None = None
    size_max: int | None = None
    changes_since: datetime | None = None
    is_public: bool | None = True
    sort_key: SortKey = "created_at"
    sort_dir: SortDir = "desc"
    limit: int = 25
    marker: Any = None

    def ordered(self, images: Iterable[Any]) -> OrderedImages:
        """Return images with the promise that they are in this query's order and after its marker.

        The extension then stops reading when the page is full, so pass a lazy iterator.

        :param images: Every match after the marker, in order; others among them do no harm.
        """
        return OrderedImages(images)


@dataclass(frozen=True, slots=True)
class OrderedImages:
    """Images in a query's order and after its marker; made by `Query.ordered`."""

    images: Iterable[Any]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.images)
