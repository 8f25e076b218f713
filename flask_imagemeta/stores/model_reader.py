"""Images of a model, read one by one, or as a page of a walk or a search."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, select
from sqlalchemy.orm import Mapper

from ..exceptions import InvalidImage
from .model_connection import ModelConnection
from .pages import Pages
from .searching import as_operand
from .unreadable import unreadable_fields


class ModelReader(ABC):
    """Reads images with statements that it works out once from the model.

    :param mapper: The model's mapper.
    :param connection: What to read over.
    :raises TypeError: when a field of the model cannot be read correctly.
    """

    one: Select[Any]  # reads the image image_id

    def __init__(self, mapper: Mapper[Any], connection: ModelConnection) -> None:
        self._model: type[Any] = mapper.class_
        self._connection = connection
        # An expression in polymorphic_on is mapped, too, but is no attribute of the class.
        self._column_attrs = [one for one in mapper.column_attrs if hasattr(self._model, one.key)]
        kind = as_operand(self._model.id.type)
        self._is_image: ColumnElement[bool] = self._model.id == bindparam("image_id", type_=kind)

    def find(self, key: Any) -> Any:
        """Return the image with an id of the column's type, or None.

        If it cannot be read as a whole, the fields that can be read are. So access can still be
        decided, and the error names the field.

        :raises ImpossibleValue: when such an id cannot exist in this database.
        """
        try:
            return next(iter(self._read(self.one, {"image_id": key})), None)
        except InvalidImage:
            fetch = partial(self._connection.fetch, parameters={"image_id": key})
            errors = unreadable_fields(self._parts(), fetch)
            # No image has an id that the database cannot read.
            return None if "id" in errors else self._find_parts(key, errors)

    @abstractmethod
    def _parts(self) -> Mapping[str, Select[Any]]:
        """Return statements that each read one field of the image image_id."""

    @abstractmethod
    def _find_parts(self, key: Any, errors: Mapping[str, InvalidImage]) -> Any:
        """Return an image without the fields that cannot be read, or None.

        The others are read in one statement, so they are of one version.
        """

    @cached_property
    def pages(self) -> Pages:
        """What reads the images page by page."""
        return Pages(self._model.id, self.read_page, self.find, self._connection.fetch)

    def read_page(self, ids: Select[Any], order: Sequence[Any]) -> Sequence[Any]:
        """Return the images whose ids a statement selects.

        :raises InvalidImage: when one of them cannot be read.
        :raises ImpossibleValue: when what the statement looks for cannot exist in this database.
        """
        return self._read(self._page(ids, order), {})

    @abstractmethod
    def _page(self, ids: Select[Any], order: Sequence[Any]) -> Select[Any]:
        """Return the statement that reads the images whose ids a statement selects."""

    @abstractmethod
    def _read(self, statement: Select[Any], parameters: dict[str, Any]) -> Sequence[Any]:
        """Return the images that a statement reads.

        :raises InvalidImage: when one of them cannot be read.
        """

    def _is_of(self, ids: Select[Any]) -> Any:
        """Return the condition that an image is one of those whose ids a statement selects.

        MariaDB allows a LIMIT not directly in an IN, but in a derived table within it.
        """
        table = ids.subquery()
        return self._model.id.in_(select(*table.c))
