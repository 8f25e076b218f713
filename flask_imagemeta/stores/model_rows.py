"""Rows of a model, made from images: where each field goes, and what does not fit.

A value that the database would change without an error is refused here, with the field's name. For
other values that it refuses, the database's own error is passed on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cached_property
from typing import Any, NoReturn

from sqlalchemy import Column, null, select
from sqlalchemy.orm import Mapper, RelationshipProperty, Session, selectinload, with_parent
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.orm.collections import collection_adapter

from ..exceptions import InvalidImage, short_repr
from ..image import FIELDS, NUMBERS, read_field
from .errors import all_rows, row_errors
from .model_fields import ModelFields, as_key
from .model_values import as_column_value, is_same, is_text_changed, misfit
from .pages import PAGE

# Stored instead of None in a column that cannot be NULL: clients cannot tell them apart.
_SAME_AS_NONE: dict[str, Any] = {
    "min_disk": 0,
    "min_ram": 0,
    "protected": False,
    "deleted": False,
    "is_public": False,
    "visibility": "shared",
    "properties": {},
    "members": [],
}
_UNLOADED = ("write_only", "dynamic")  # relationships whose rows are never loaded as a whole
# The columns that identify a row among those of its image.
_ROW_KEYS = {"properties": "name", "members": "member"}


def as_fields(image: Any) -> dict[str, Any]:
    """Return the fields of an image from a walk, with its members fetched.

    :raises InvalidImage: when one of them cannot be read.
    """
    if isinstance(image, Mapping):
        found = dict(image)
    else:
        found = {name: read_field(image, name) for name in FIELDS}
    members = found.get("members")
    if members is not None:
        if isinstance(members, (str, bytes)) or not isinstance(members, Iterable):
            raise InvalidImage("members", members, "must be an iterable of project ids")
        found["members"] = list(members)
    return found


class ModelRows:
    """Writes images into a model with a session, which the caller begins and ends.

    :param mapper: The model's mapper.
    :param session: The session.
    """

    def __init__(self, mapper: Mapper[Any], session: Session) -> None:
        self._mapper = mapper
        self._model: type[Any] = mapper.class_
        self._fields = ModelFields(self._model)
        self._session = session
        self._dialect = session.get_bind(mapper).dialect
        self._relationships = {
            name: mapper.relationships[name] for name in _ROW_KEYS if name in mapper.relationships
        }
        self._made_by_database = _made_by_database(mapper)

    def add(self, images: Iterable[dict[str, Any]]) -> list[str]:
        """Insert images, each as returned by `as_fields`, and return their ids.

        :raises ValueError: for a value that does not fit, naming it.
        """
        rows = [self._make(self._place(fields)) for fields in images]
        self._session.add_all(rows)
        self._flush()
        return [str(row.id) for row in rows]

    def put(self, images: Iterable[dict[str, Any]]) -> list[str]:
        """Insert images, replacing those with the same ids, and return their ids.

        :raises ValueError: for a value that does not fit, naming it.
        """
        placed = [self._place(self._complete(fields)) for fields in images]
        # A walk may give an image twice, if it changes meanwhile: the last one counts.
        keys = [columns.get("id", object()) for columns in placed]
        last = dict(zip(keys, placed, strict=True))
        rows = self._find([key for key, columns in last.items() if "id" in columns])
        missing = []
        for key, columns in last.items():
            if key in rows:
                missing.append((rows[key], self._replace(rows[key], columns)))
            else:
                rows[key] = self._make(columns)
                self._session.add(rows[key])
        # Rows that go must be gone before others take their place: MariaDB ignores case.
        self._flush()
        for row, related in missing:
            for name, new in related.items():
                self._append(row, name, new)
        self._flush()
        return [str(rows[key].id) for key in keys]

    def _flush(self) -> None:
        try:
            self._session.flush()
        except TypeError as error:  # from JSON; with psycopg, SQLAlchemy does not convert it
            raise ValueError(f"the database cannot store it: {error}") from error

    def _find(self, keys: list[Any]) -> dict[Any, Any]:
        related = [
            relationship.class_attribute
            for relationship in self._relationships.values()
            if relationship.lazy not in _UNLOADED
        ]
        found: dict[Any, Any] = {}
        for start in range(0, len(keys), PAGE):
            statement = (
                select(self._model)
                .where(self._model.id.in_(keys[start : start + PAGE]))
                .options(*map(selectinload, related))
                .execution_options(populate_existing=True)
            )
            with row_errors():
                # By the exact id: MariaDB ignores case.
                found |= {row.id: row for row in all_rows(self._session.scalars(statement))}
        return found

    # What goes where

    def _complete(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return an image's fields, with None for those that it lacks."""
        absent: dict[str, Any] = {"properties": {}, "members": []}
        for name in set(FIELDS) - absent.keys() - {"id"}:
            column = self._column(name)
            if column is not None and (column.nullable or name in _SAME_AS_NONE):
                absent[name] = None
        return absent | fields

    def _place(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes of a row for an image's fields, each of the column's type.

        Properties and members that are rows become a dict from their key to their columns.
        """
        placed: dict[str, Any] = {}
        image_id = fields.pop("id", None)
        if image_id is not None:
            placed["id"] = self._fit("id", self._key_of(image_id), self._column("id"))
        self._settle_access(fields)
        for name in _ROW_KEYS:
            if self._relates(name) and name in fields:
                placed[name] = self._as_rows(name, fields.pop(name))
        for name, value in fields.items():
            if self._fields.key(name) in self._made_by_database:
                continue
            column = self._column(name)
            if column is not None:
                placed[name] = self._fit(name, value, column)
            elif value and value != _SAME_AS_NONE.get(name):
                reason = f"{self._model.__name__} has no column named {name}"
                raise InvalidImage(name, value, reason)
        return placed

    def _key_of(self, image_id: Any) -> Any:
        key = as_key(self._mapper, str(image_id))
        if key is None:
            raise InvalidImage("id", image_id, f"cannot be an id of {self._model.__name__}")
        if str(key) != str(image_id):  # a lookup would not find it, and it may be another image's
            reason = f"{self._model.__name__} would keep it as {str(key)!r}"
            raise InvalidImage("id", image_id, reason)
        return key

    def _settle_access(self, fields: dict[str, Any]) -> None:
        """Express who may see an image in what the model has: visibility, is_public, members.

        :raises InvalidImage: when the model lacks them.
        """
        visibility, is_public = fields.get("visibility"), fields.get("is_public")
        if isinstance(visibility, Enum):
            visibility = fields["visibility"] = visibility.value
        if is_public not in (None, False, True):
            raise InvalidImage("is_public", is_public, "is neither true nor false")
        is_public = bool(is_public) or visibility == "public"
        is_shared = visibility in (None, "shared") and not is_public
        if self._column("visibility") is None and not is_shared:
            fields["members"] = []  # or they would see an image whose visibility is private
        if not self._has("members"):
            self._do_without_members(fields, is_shared=is_shared)
        self._settle_visibility(fields, is_public=is_public)

    def _settle_visibility(self, fields: dict[str, Any], *, is_public: bool) -> None:
        visibility = fields.get("visibility")
        if self._column("is_public") is not None:
            if "is_public" in fields or visibility is not None:
                fields["is_public"] = is_public
        else:
            fields.pop("is_public", None)
        if self._column("visibility") is not None:
            if is_public and "is_public" not in fields:
                fields["visibility"] = "public"
            return
        fields.pop("visibility", None)
        if visibility == "community" or (is_public and "is_public" not in fields):
            self._refuse_visibility("public" if is_public else visibility)

    def _do_without_members(self, fields: dict[str, Any], *, is_shared: bool) -> None:
        """Remove the members of an image, which the model cannot store."""
        members = fields.pop("members", None)
        if members and is_shared:
            reason = f"{self._model.__name__} has no members, so it cannot share an image"
            raise InvalidImage("members", members, reason)
        is_unknown = members is None and fields.get("visibility") == "shared"
        if is_unknown and self._column("visibility") is None:
            self._refuse_visibility("shared")

    def _refuse_visibility(self, visibility: Any) -> NoReturn:
        name = self._model.__name__
        kept = "is_public and no" if self._column("is_public") is not None else "no is_public or"
        reason = f"{name} has {kept} visibility: an image is public or private, not {visibility}"
        raise InvalidImage("visibility", visibility, reason)

    def _as_rows(self, name: str, values: Any) -> dict[str, dict[str, Any]]:
        target = self._targets[name]
        key = _ROW_KEYS[name]
        values = values or {}
        if name == "properties" and not isinstance(values, Mapping):
            raise InvalidImage(name, values, "must be a mapping of names to values")
        items = values.items() if name == "properties" else ((value, None) for value in values)
        rows = {}
        for item, value in items:
            label = f"{name}[{short_repr(item)}]"
            columns = {key: target._fit(label, item, target._column(key))}
            if name == "properties":
                columns["value"] = target._fit(label, value, target._column("value"))
            rows[columns[key]] = columns
        return rows

    def _fit(self, name: str, value: Any, column: Column[Any] | None) -> Any:
        """Return a value for a column.

        :raises InvalidImage: when the column cannot hold it.
        """
        if column is None:
            return value
        if value is None and not column.nullable:
            value = _SAME_AS_NONE.get(name)
            if value is None:
                raise InvalidImage(name, None, f"the column {column} cannot be NULL")
        kept = as_column_value(value, column)
        reason = misfit(kept, column, self._dialect)
        if reason is None and name not in NUMBERS and is_text_changed(value, kept):
            reason = f"the column {column} would keep it as {str(kept)!r}"
        if reason is not None:
            raise InvalidImage(name, value, reason)
        return kept

    def _column(self, name: str) -> Column[Any] | None:
        """Return the column to write a field to; None if the model has none."""
        key = self._fields.key(name)
        attribute = self._mapper.column_attrs.get(key)
        if attribute is None or key in self._made_by_database:
            return None
        column = attribute.columns[0]
        return column if isinstance(column, Column) else None

    def _relates(self, name: str) -> bool:
        return name in self._relationships

    @cached_property
    def _targets(self) -> dict[str, ModelRows]:
        """What writes the rows of each field that is a relationship."""
        return {
            name: ModelRows(relationship.mapper, self._session)
            for name, relationship in self._relationships.items()
        }

    def _has(self, name: str) -> bool:
        return self._relates(name) or self._column(name) is not None

    # Rows

    def _make(self, placed: Mapping[str, Any]) -> Any:
        """Return a new row."""
        columns = {name: value for name, value in placed.items() if not self._relates(name)}
        for name, value in columns.items():
            column = self._column(name)
            if value is None and column is not None and _has_default(column):
                columns[name] = null()  # a default would take the place of a plain None
        row = self._model(**columns)
        for name in placed.keys() - columns.keys():
            self._append(row, name, placed[name].values())
        return row

    def _append(self, row: Any, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        new = [self._targets[name]._make(columns) for columns in rows]
        if new:
            self._check_writable(name)
        collection = getattr(row, name)
        if self._relationships[name].lazy in _UNLOADED:
            collection.add_all(new)
            return
        # The adapter fills a list, a set or a dictionary of rows alike.
        adapter = collection_adapter(collection)
        for one in new:
            adapter.append_with_event(one)

    def _replace(self, row: Any, placed: Mapping[str, Any]) -> dict[str, Iterable[Any]]:
        """Change an existing row to what a new one would be, and return the related rows to add."""
        missing = {}
        is_changed = False
        for name, value in placed.items():
            if self._relates(name):
                missing[name] = self._replace_rows(row, name, dict(value))
            elif not is_same(getattr(row, name), value):
                setattr(row, name, value)
                is_changed = True
        if is_changed:
            # Otherwise an onupdate would replace an updated_at that stays the same. A flagged key
            # would be looked for by its new value.
            for key in {self._fields.key(name) for name in placed} - _primary_key(self._mapper):
                if key in self._mapper.column_attrs:
                    flag_modified(row, key)
        return missing

    def _replace_rows(
        self, row: Any, name: str, wanted: dict[str, dict[str, Any]]
    ) -> Iterable[Any]:
        """Change an image's rows to the wanted ones, and return those that it lacks."""
        for old in self._related_rows(row, name):
            columns = wanted.pop(getattr(old, _ROW_KEYS[name]), None)
            if columns is None:
                self._check_writable(name)
                self._session.delete(old)
                continue
            if getattr(old, "deleted", False):
                columns = {**columns, "deleted": False}
            for column, value in columns.items():
                if not is_same(getattr(old, column), value):
                    self._check_writable(name)
                    setattr(old, column, value)
        return wanted.values()

    def _related_rows(self, row: Any, name: str) -> list[Any]:
        relationship = self._relationships[name]
        if relationship.lazy not in _UNLOADED:
            return list(collection_adapter(getattr(row, name)))
        target = relationship.mapper.class_
        rows = select(target).where(with_parent(row, relationship.class_attribute))
        with row_errors(), self._session.no_autoflush:
            return [*all_rows(self._session.scalars(rows))]

    def _check_writable(self, name: str) -> None:
        """Check that a relationship's rows can be changed.

        :raises InvalidImage: when SQLAlchemy would not write them, or they may be other images'.
        """
        relationship = self._relationships[name]
        reason = None
        if relationship.viewonly:
            reason = "is viewonly"
        elif not self._is_of_one_image(relationship):
            reason = "may have rows in common with other images"
        if reason is not None:
            model = self._model.__name__
            raise InvalidImage(name, None, f"{model}.{name} {reason}, so they cannot be changed")

    def _is_of_one_image(self, relationship: RelationshipProperty[Any]) -> bool:
        """Return whether related rows belong to one image: they refer to it by a key of its own."""
        key = self._mapper.column_attrs.get("id")
        local, ids = relationship.local_columns, () if key is None else key.columns
        refers = not local.isdisjoint(ids) or local.issuperset(self._mapper.primary_key)
        return relationship.secondary is None and refers


def _made_by_database(mapper: Mapper[Any]) -> frozenset[str]:
    """Return the attributes, other than the id, that only the database gives a value.

    They are generated columns, and a key of its own that a table has beside the images' ids.
    """
    made = {
        attribute.key
        for attribute in mapper.column_attrs
        for column in attribute.columns
        if isinstance(column, Column) and _is_generated(column)
    }
    keys = _primary_key(mapper)
    # An id that is an expression is made of the key's columns.
    if "id" not in keys and isinstance(mapper.columns.get("id"), Column):
        made |= keys - set(FIELDS)
    return frozenset(made - {"id"})


def _primary_key(mapper: Mapper[Any]) -> set[str]:
    return {mapper.get_property_by_column(column).key for column in mapper.primary_key}


def _is_generated(column: Column[Any]) -> bool:
    identity = column.identity
    return column.computed is not None or (identity is not None and bool(identity.always))


def _has_default(column: Column[Any]) -> bool:
    return column.default is not None or column.server_default is not None
