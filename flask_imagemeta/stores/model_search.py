"""Searching a model."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from ..image import FIELDS
from ..query import Query
from .model_connection import ModelConnection
from .model_fields import ModelFields
from .model_reader import ModelReader
from .searching import Searching


class ModelSearch:
    """Finds the images that may match a query.

    :param model: The model class.
    :param connection: The connection to read with.
    :param reader: Reads the images that were found.
    """

    def __init__(self, model: type[Any], connection: ModelConnection, reader: ModelReader) -> None:
        self._model = model
        self._reader = reader
        model_fields = ModelFields(model)
        columns: dict[str, Any] = {}
        for name in set(FIELDS) - {"properties", "members"}:
            with suppress(TypeError) if reader.has_code else nullcontext():
                expression = model_fields.expression(name)
                if expression is not None:
                    columns[name] = getattr(expression, "element", expression)
        self._searching = Searching(
            columns, connection.dialect, model_fields.has_property, model_fields.has_member
        )

    def find(self, query: Query) -> Iterable[Any]:
        """Return the images that may match, in the query's order if SQL can sort them.

        :raises StoreUnavailable: while the images are read.
        """
        pushed = replace(query, is_public=None) if self._reader.has_code else query
        ids = select(self._model.id).where(*self._searching.conditions(pushed))
        return self._reader.pages.search(self._searching, query, ids)
