"""Which images a query lists, and in what order: filters, sorts and cuts what a search found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from heapq import nlargest, nsmallest
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

from .access import is_deleted, may_be_listed
from .documents import Document, as_document
from .exceptions import InvalidImage, short_repr
from .fields import Properties
from .hooks import Hooks, as_candidates, as_shown, property_filter
from .image import check_image, read_field
from .query import ANY_CHANGE, MAX_PROPERTIES, MAX_VALUES, OrderedImages, Query
from .request_id import logger
from .schema import HeaderSchema, ImageMetaSchema

_PLAIN = ImageMetaSchema()
_TIES = ImageMetaSchema(only=("created_at", "id"))


class Match(NamedTuple):
    """An image that a query lists.

    :param key: Its sort key.
    """

    key: tuple[Any, ...]
    image: Any
    document: Document


class _OutOfOrder(Exception):
    """Images that a store has sorted are not in the query's order."""


class Listing:
    """One page of the images that a query lists for its caller.

    Filters and sorting use only what the caller is sent, so they cannot reveal anything else: a
    property or field that is not sent never matches.
    """

    def __init__(self, schema: HeaderSchema, hooks: Hooks, query: Query) -> None:
        if query.sort_key not in schema.dump_fields:
            query = replace(query, sort_key="created_at")
        self._schema = schema
        self._hooks = hooks
        self._query = query
        self._properties = next(
            (name for name, field in schema.dump_fields.items() if isinstance(field, Properties)),
            None,
        )
        self._marker = self._marker_key()

    def page(self) -> list[Match]:
        """Return the images of the page: the matches that follow the marker.

        :raises TypeError: when the search hook does not return an iterable of images.
        :raises Exception: whatever the search hook raises.
        """
        limit = self._query.limit
        if limit == 0 or not self._can_match():
            return []
        has_order = all(map(self._is_plain, (self._query.sort_key, "created_at", "id")))
        found = self._search(has_order=has_order)
        if isinstance(found, OrderedImages) and has_order:
            try:
                return list(islice(self._checked(self._matches_in(found)), limit))
            except _OutOfOrder as error:
                logger.error("list: %s; so all images are read and sorted", error)
                found = self._search(has_order=False)
        nearest = nlargest if self._query.sort_dir == "desc" else nsmallest
        following = filter(self._is_after_marker, self._matches_in(found))
        return nearest(limit, following, key=attrgetter("key"))

    def _search(self, *, has_order: bool) -> Iterable[Any]:
        """Return the images that may match.

        :param has_order: Whether the store may sort them, and leave out those before the marker.
        """
        assert self._hooks.search is not None  # without it, nothing leads here
        return as_candidates(self._hooks.search(self._for_store(has_order)))

    def _marker_key(self) -> tuple[Any, ...] | None:
        marker = self._query.marker
        if marker is None:
            return None
        try:
            return self._key(as_document(self._schema, marker), marker)
        except InvalidImage as error:
            reason = f"of the marker {_name(marker)}: {error.reason}"
            raise InvalidImage(error.field, error.value, reason) from error

    # The query for the store

    def _for_store(self, has_order: bool) -> Query:
        """Return the query without the parts that a store would apply differently than the schema.

        If a schema reads a field from another attribute or changes its text, only the extension
        can filter or sort by it. It also applies what would be too much for a store.
        """
        query, is_plain = self._query, self._is_plain
        filters = {
            name: values
            for name, values in query.filters.items()
            if is_plain(name) and len(values) <= MAX_VALUES
        }
        properties = dict(islice(query.properties.items(), MAX_PROPERTIES))
        is_any_change = query.changes_since is not None and not is_plain("updated_at")
        return replace(
            query,
            filters=filters,
            properties=properties if is_plain("properties") else {},
            changes_since=ANY_CHANGE if is_any_change else query.changes_since,
            size_min=query.size_min if is_plain("size") else None,
            size_max=query.size_max if is_plain("size") else None,
            marker=query.marker if has_order else None,
        )

    def _is_plain(self, name: str) -> bool:
        """Return whether the schema sends a field as the image has it, or does not send it."""
        field, plain = self._schema.fields.get(name), _PLAIN.fields[name]
        return not self._schema.has_own_code and (
            field is None
            or (
                type(field) is type(plain)
                and field.attribute in (None, name)
                and field.dump_default == plain.dump_default
            )
        )

    # Matching

    def _can_match(self) -> bool:
        """Return whether any image could match.

        If none can, there is no search, because its duration could reveal what is not sent.
        """
        query, sent = self._query, self._schema.dump_fields
        needed = set(query.filters)
        if query.size_min is not None or query.size_max is not None:
            needed.add("size")
        if query.changes_since is not None:
            needed.add("updated_at")
        if not needed <= sent.keys():
            return False
        show = self._hooks.show_property
        return not query.properties or (
            self._properties is not None
            and (
                show is None
                or all(as_shown(show(name.lower(), query.identity)) for name in query.properties)
            )
        )

    def _matches_in(self, images: Iterable[Any]) -> Iterator[Match]:
        return (match for match in map(self._match, images) if match is not None)

    def _match(self, image: Any) -> Match | None:
        """Return an image as it is listed, or None if it is not.

        An image that cannot be read is left out, so that it does not break the whole list.
        """
        try:
            check_image(image)
            if not self._may_be_listed(image):
                return None
            document = as_document(self._schema, image)
            self._hide_properties(image, document)
            if not self._matches(document):
                return None
            return Match(self._key(document, image), image, document)
        except InvalidImage as error:
            logger.error("image %s: left out of a list: %s", _name(image), error)
            return None

    def _may_be_listed(self, image: Any) -> bool:
        query = self._query
        if not may_be_listed(image, query.identity, is_public=query.is_public):
            return False
        return query.changes_since is not None or not (
            is_deleted(image) or read_field(image, "status") == "killed"
        )

    def _hide_properties(self, image: Any, document: Document) -> None:
        is_shown = property_filter(self._hooks, image, self._query.identity)
        if self._properties is not None and is_shown is not None:
            shown = {k: v for k, v in document[self._properties].items() if is_shown(k.lower())}
            document[self._properties] = shown

    def _matches(self, document: Document) -> bool:
        query = self._query
        if not all(document[name] in values for name, values in query.filters.items()):
            return False
        if self._properties is not None:
            properties = document[self._properties]
            if any(properties.get(k) != v for k, v in query.properties.items()):
                return False
        return self._is_of_size(document) and self._is_changed(document)

    def _is_of_size(self, document: Document) -> bool:
        low, high = self._query.size_min, self._query.size_max
        if low is None and high is None:
            return True
        size = document["size"]
        if not isinstance(size, int):
            return False
        return (low is None or low <= size) and (high is None or size <= high)

    def _is_changed(self, document: Document) -> bool:
        since = self._query.changes_since
        if since is None:
            return True
        updated_at = document["updated_at"]  # times sort as text
        return updated_at is not None and updated_at > since.isoformat(timespec="microseconds")

    # Sorting

    def _key(self, document: Document, image: Any) -> tuple[Any, ...]:
        """Return an image's sort key: its values as sent, or its own if they are not sent."""
        if not document.keys() >= _TIES.dump_fields.keys():
            document = as_document(_TIES, image) | document
        return tuple(_part(document[name]) for name in (self._query.sort_key, "created_at", "id"))

    def _is_after(self, key: tuple[Any, ...], other: tuple[Any, ...] | None) -> bool:
        return other is None or (key < other if self._query.sort_dir == "desc" else key > other)

    def _is_after_marker(self, match: Match) -> bool:
        return self._is_after(match.key, self._marker)

    def _checked(self, matches: Iterable[Match]) -> Iterator[Match]:
        """Yield matches that the store has sorted, each image once.

        An image that changes while the store is read may come again, in its new place.

        :raises _OutOfOrder: when they are out of order.
        """
        last, ids = self._marker, set()
        for match in matches:
            if (image_id := match.key[-1]) in ids:
                continue
            ids.add(image_id)
            if not self._is_after(match.key, last):
                raise _OutOfOrder(
                    f"the search hook returned query.ordered(...), but image {_name(match.image)} "
                    f"does not come after the one before it, or after the marker, by "
                    f"{self._query.sort_key}, created_at and id, {self._query.sort_dir}"
                )
            last = match.key
            yield match


def _part(value: Any) -> tuple[int, Any]:
    """Return a sort key that puts None before numbers, and numbers before text."""
    if value is None:
        return 0, 0
    return (1, value) if isinstance(value, (int, float)) else (2, str(value))


def _name(image: Any) -> str:
    try:
        return short_repr(read_field(image, "id"))
    except Exception:
        return short_repr(image)
