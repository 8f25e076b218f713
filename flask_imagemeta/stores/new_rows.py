"""New rows of a host's model, made from an image's fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Mapper
from sqlalchemy.orm.collections import collection_adapter


def make_row(mapper: Mapper[Any], fields: Mapping[str, Any]) -> Any:
    """Return a new entity of a model with an image's fields; related rows hold properties.

    :param fields: None of them None.
    :raises ValueError: for a field or a visibility that the model cannot keep, naming it.
    """
    columns = dict(fields)
    attributes = {attribute.key for attribute in mapper.attrs}
    model = mapper.class_
    if "visibility" in columns and "is_public" in attributes:
        columns.setdefault("is_public", columns["visibility"] == "public")
        if "visibility" not in attributes and columns.pop("visibility") in ("shared", "community"):
            raise ValueError(
                f"{model.__name__} keeps is_public and no visibility: an image is public or "
                f"private, not {fields['visibility']}"
            )
    related = columns.pop("properties", {}) if "properties" in mapper.relationships else {}
    for name in columns:
        if name not in attributes:
            raise ValueError(f"{model.__name__} has no column named {name}")
    row = model(**columns)
    if related:
        target = mapper.relationships["properties"].mapper.class_
        # The adapter fills a list, a set or a dictionary of rows alike.
        adapter = collection_adapter(row.properties)
        for name, value in related.items():
            adapter.append_with_event(target(name=name, value=value))
    return row
