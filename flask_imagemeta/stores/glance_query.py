"""A query as parameters of the list in Glance's API v2, as far as v2 can filter and sort by it.

Where v2 compares differently than the extension, the extension does the work: v2 may list more than
the matches, but never fewer. The rules are those of Glance 2026.1, in ``api/v2/images.py`` and
``db/sqlalchemy/api.py``:

- A value with a colon starts with an operator: ``eq:`` or ``in:`` for text, ``gt:`` and others
  for times. Quoted items keep their backslashes, so an item with a backslash cannot be sent.
- A parameter that v2 does not know is a property, unless its database model has an attribute of
  that name. A name that ends in ``_min`` or ``_max`` is a range of a column. A NULL property is
  sent as empty text, but empty text does not find it.
- Times have microseconds, but are sent in whole seconds. A NULL updated_at is sent as the current
  time, but no time finds it. ``changes-since`` is refused.
- The database's collation compares and sorts text; NULL comes first or last.
- A marker that is deleted, or hidden from the caller, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import MAXYEAR, datetime, timedelta
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from ..exceptions import StoreUnavailable
from ..image import MAX_INTEGER, ImageRecord, read_field
from ..query import TEXTS, Query

_MAX_QUERY = 2000  # characters; servers limit the length of URLs
# Text that every database can compare: PostgreSQL refuses NUL, and MariaDB's utf8mb3 lacks
# characters beyond U+FFFF.
_TEXT = re.compile("[\x01-\ud7ff\ue000-\uffff]*")
# Names that v2 does not take for properties: the list's parameters and the model's attributes.
_NO_PROPERTY = re.compile(
    "_.*|.*_(min|max)|limit|marker|sort|sort_key|sort_dir|tags?|properties|changes-since|"
    "visibility|member_status|os_hidden|os_hash_algo|os_hash_value|id|name|status|size|"
    "virtual_size|disk_format|container_format|checksum|owner|min_disk|min_ram|protected|"
    "deleted|(created|updated|deleted)_at|locations|members|metadata|registry|save|delete|"
    "update|get|keys|values|items|iteritems|to_dict",
    re.DOTALL,
)

_Key = tuple[datetime, str]


def can_match(query: Query) -> bool:
    """Return whether v2 could list a match at all."""
    return all(query.filters.values())


def as_parameters(query: Query, *, passes_token: bool) -> dict[str, str]:
    """Return the parameters that make v2 list every match of a query, still without an order.

    :param passes_token: Whether v2 gets the caller's token and decides itself what to list. By
        default it leaves out other projects' community images, like v1.
    """
    parameters = {"member_status": "all"}  # v1 lists shared images whatever the status
    if not passes_token:
        has_project = query.identity is not None and query.identity.project_id is not None
        is_public = query.is_public is True and not has_project
        parameters["visibility"] = "public" if is_public else "all"
    for name, value in _filters(query):
        longer = {**parameters, name: value}
        if _TEXT.fullmatch(name + value) and len(urlencode(longer)) <= _MAX_QUERY:
            parameters = longer
    return parameters


def _filters(query: Query) -> Iterator[tuple[str, str]]:
    for name in TEXTS:
        values = query.filters.get(name, ())
        if len(values) == 1:
            yield name, f"eq:{values[0]}"
        elif values and not any('"' in value or "\\" in value for value in values):
            yield name, "in:" + ",".join(f'"{value}"' for value in values)
    if len(protected := query.filters.get("protected", ())) == 1:
        yield "protected", "true" if protected[0] else "false"
    for name, size in (("size_min", query.size_min), ("size_max", query.size_max)):
        if size is not None:
            yield name, str(min(size, MAX_INTEGER))
    for name, value in query.properties.items():
        if name and value and not _NO_PROPERTY.fullmatch(name):
            yield name, value


class ByTime:
    """A query's order by created_at, which v2 can sort by except within one second.

    :ivar is_desc: Whether the newest images come first.
    :raises ValueError: when the query is sorted by another field, or its marker has no time that
        can be compared.
    """

    def __init__(self, query: Query) -> None:
        if query.sort_key != "created_at":
            raise ValueError(f"v2 sorts by {query.sort_key} as its database does")
        self.is_desc: bool = query.sort_dir == "desc"
        self._marker = None if query.marker is None else self._key_of_marker(query.marker)

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters for the order, and for starting at the marker's second."""
        parameters = {"sort": f"created_at:{'desc' if self.is_desc else 'asc'}"}
        if self._marker is not None:
            second = self._marker[0].replace(microsecond=0)
            if not self.is_desc:
                parameters["created_at"] = f"gte:{second.isoformat()}Z"
            elif second.year < MAXYEAR:
                parameters["created_at"] = f"lt:{(second + timedelta(seconds=1)).isoformat()}Z"
        return parameters

    def key(self, image: ImageRecord) -> _Key:
        """Return an image's sort key.

        :raises StoreUnavailable: when it has no created_at; v2 always sends one.
        """
        if image.created_at is None:
            raise StoreUnavailable(f"image {image.id} has no created_at")
        return image.created_at, image.id

    def sort(self, images: Iterable[ImageRecord]) -> Iterator[ImageRecord]:
        """Yield the images of one of v2's lists in the query's order.

        :raises StoreUnavailable: when v2 did not sort them.
        """
        last: datetime | None = None
        for second, group in groupby(images, key=lambda image: self.key(image)[0]):
            if last is not None and (second > last if self.is_desc else second < last):
                raise StoreUnavailable("the list is not sorted by created_at")
            yield from sorted(group, key=self.key, reverse=self.is_desc)
            last = second

    def is_after_marker(self, image: ImageRecord) -> bool:
        """Return whether an image comes after the query's marker."""
        if self._marker is None:
            return True
        key = self.key(image)
        return key < self._marker if self.is_desc else key > self._marker

    def _key_of_marker(self, marker: Any) -> _Key:
        created_at = read_field(marker, "created_at")
        if not isinstance(created_at, datetime) or created_at.tzinfo is not None:
            raise ValueError("the marker has no time in UTC")
        return created_at, str(read_field(marker, "id"))
