"""An entity of a host's model, read as an image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .database import store_errors


class Entity:
    """An entity whose related rows read as the fields they stand for."""

    def __init__(self, entity: Any) -> None:
        self._entity = entity

    def __getattr__(self, name: str) -> Any:
        with store_errors():
            value = getattr(self._entity, name)
            if name == "properties":
                return {row.name: row.value for row in _rows(value)}
            if name == "members":
                return [row.member for row in _rows(value)]
            return value


def _rows(related: Any) -> Iterable[Any]:
    rows = related.values() if isinstance(related, Mapping) else related
    return (row for row in rows if not getattr(row, "deleted", False))
