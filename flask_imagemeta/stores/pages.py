"""The images of a walk or a search, read page by page, however many of them cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, select

from ..exceptions import InvalidImage
from ..image import FIELDS, read_field
from ..query import Query
from .errors import ImpossibleValue, words_of
from .searching import Condition, Searching
from .unreadable import ImageParts

PAGE = 500  # images read at once: SQLite takes 999 variables in a statement

_First = Callable[[Condition | None, int], Select[Any]]


class Pages(NamedTuple):
    """What reads the images of a table.

    Where a function meets a row that it cannot read, it raises InvalidImage.

    :param id_column: The column of the ids.
    :param read: Returns the images whose ids a statement selects, in an order.
    :param find: Returns the image with an id, None if there is none; it reads a broken one field
        by field.
    :param fetch: Returns the rows of a statement.
    """

    id_column: ColumnElement[Any]
    read: Callable[[Select[Any], Sequence[Any]], Sequence[Any]]
    find: Callable[[Any], Any]
    fetch: Callable[[Select[Any]], Sequence[Any]]

    def by_id(self, ids: Select[Any]) -> Iterator[Any]:
        """Yield the images whose ids a statement selects, in the order of their ids."""
        column = self.id_column

        def first(after: Condition | None, size: int) -> Select[Any]:
            return (ids if after is None else ids.where(after)).order_by(column).limit(size)

        return self._walk(first, [column], lambda image: column > read_field(image, "id"))

    def search(self, searching: Searching, query: Query, ids: Select[Any]) -> Iterable[Any]:
        """Return the images that may match a query, in its order if SQL can sort them.

        :param ids: Selects the ids of all of them.
        """
        keys = searching.order(query)
        if keys is None or self._has_odd_times(searching, query, ids):
            return self.by_id(ids)
        try:
            start = None if query.marker is None else searching.after(query, query.marker)
        except TypeError:  # the marker comes from another store and has values of other types
            return self.by_id(ids)
        first = partial(searching.page, ids, query, keys)
        order, after = searching.order_by(query, keys), partial(searching.after, query)
        size = min(max(query.limit, 1), PAGE)
        return query.ordered(self._walk(first, order, after, start, size))

    def _has_odd_times(self, searching: Searching, query: Query, ids: Select[Any]) -> bool:
        """Return whether the database has times that SQL sorts wrong."""
        statement = searching.unsorted(query, ids)
        try:
            return statement is not None and bool(self.fetch(statement))
        except ImpossibleValue:  # the query looks for a value that no image can have
            return False

    def _walk(
        self,
        first: _First,
        order: Sequence[Any],
        after: Callable[[Any], Condition],
        start: Condition | None = None,
        size: int = PAGE,
    ) -> Iterator[Any]:
        """Yield images, those of a page in one statement.

        :param first: Returns the statement for the first ids that meet a condition.
        :param order: The order of the images within a page, the same as that of the ids.
        :param after: Returns the condition that an image comes after another one; it raises
            InvalidImage or TypeError if a value that the order depends on cannot be used.
        :param start: The condition that the first page meets.
        :param size: The size of the first page.
        """
        beginning, total = start, 0
        skipped = 0  # images after the start that were read before
        while True:
            ids = first(start, skipped + size)
            try:
                rows = self._read(ids, order, size, skipped)
            except ImpossibleValue:
                if not total:  # the query looks for a value that no image can have
                    return
                if start is beginning:
                    raise
                # The last image has a value that its own column's type does not accept.
                start, skipped = beginning, total
                continue
            images = [image for image in rows if image is not None]
            yield from images
            if len(rows) < size:
                return
            total += len(images)
            skipped += len(images)
            # Go on after the last image that says where it is sorted.
            for count, image in enumerate(reversed(images)):
                with suppress(InvalidImage, TypeError):
                    start, skipped = after(image), count
                    break
            size = PAGE

    def _read(
        self, ids: Select[Any], order: Sequence[Any], size: int, skipped: int
    ) -> Sequence[Any]:
        """Return the images of a page, None for one that is gone."""
        page = ids.limit(size).offset(skipped or None)
        try:
            return self.read(page, order)
        except InvalidImage:  # one of them; the others can be read
            # Unless they can at least be counted, it is the statement that is at fault.
            count = self.fetch(select(func.count()).select_from(page.subquery()))[0][0]
            rows = self._fetch_ids(ids, count, skipped) if count else ()
            return [self._find(row) for row in rows]

    def _fetch_ids(self, ids: Select[Any], size: int, skipped: int) -> list[Any]:
        """Return the rows of the ids of a page, the error for an id that cannot be read."""
        try:
            return [*self.fetch(ids.limit(size).offset(skipped or None))]
        except InvalidImage as error:
            if size == 1:
                return [error]
        half = size // 2
        rows = self._fetch_ids(ids, half, skipped)
        if len(rows) == half:
            rows += self._fetch_ids(ids, size - half, skipped + half)
        return rows

    def _find(self, row: Any) -> Any:
        """Return the image of an id's row; each field that cannot be read raises when asked for."""
        known: dict[str, Any] = {}
        try:
            if isinstance(row, InvalidImage):
                raise row
            known["id"] = row[0]
            return self.find(row[0])
        except ImpossibleValue as error:
            reason = f"cannot be looked up: {words_of(error.__cause__)}"
            return ImageParts(
                {**dict.fromkeys(FIELDS, InvalidImage("id", row[0], reason)), **known}
            )
        except InvalidImage as error:
            return ImageParts({**dict.fromkeys(FIELDS, error), **known})
