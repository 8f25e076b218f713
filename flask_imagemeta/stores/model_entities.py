"""Images read as entities of their model, for fields that are Python properties."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from itertools import groupby
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    CompoundSelect,
    Select,
    false,
    inspect,
    null,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapper, defer, lazyload, object_session, undefer

from ..exceptions import InvalidImage
from ..image import FIELDS, PASS_THROUGH_ERRORS, get_field
from .errors import (
    UNREACHABLE_ERRORS,
    all_rows,
    is_unreadable,
    row_errors,
    store_errors,
    unreadable,
)
from .model_connection import ModelConnection, reading
from .model_fields import ModelFields, RelatedRows
from .model_reader import ModelReader
from .unreadable import ImageParts

_RELATED = ("name", "value", "member")  # the columns of related rows


class EntityImage(ImageParts):
    """An entity of a model, read as an image: a mapping of its attributes.

    The fields of an image are read at once, in one transaction; other attributes, which only a
    custom schema reads, are read on demand.

    :param entity: The entity.
    :param names: The attributes to read.
    :param related: What is read from related rows instead.
    """

    def __init__(self, entity: Any, names: Iterable[str], related: Mapping[str, Any]) -> None:
        super().__init__({**{name: _read_attribute(entity, name) for name in names}, **related})
        self.entity = entity

    def __getitem__(self, name: str) -> Any:
        if name in self._values:
            return super().__getitem__(name)
        session = object_session(self.entity)
        with store_errors(), nullcontext() if session is None else reading(session):
            value = _read_attribute(self.entity, name)
        if isinstance(value, InvalidImage):
            raise value
        return value


class EntityReader(ModelReader):
    """Loads entities of a model, and their related rows in the same statement."""

    def __init__(self, mapper: Mapper[Any], connection: ModelConnection) -> None:
        super().__init__(mapper, connection)
        model_fields = ModelFields(self._model)
        found = {name: model_fields.related_rows(name) for name in ("properties", "members")}
        self._related = {name: rows for name, rows in found.items() if rows is not None}
        names = set(FIELDS) - self._related.keys()
        for name in names:
            model_fields.check(name)
        read = {model_fields.key(name) for name in names}
        self._columns = {
            attribute.key: attribute.class_attribute
            for attribute in self._column_attrs
            if attribute.key in read or not attribute.deferred
        }
        self._options = [
            *(rows.option for rows in self._related.values() if rows.option is not None),
            # Unloaded, such a relationship reads as None, and what depends on it as absent.
            *(lazyload(r.class_attribute) for r in mapper.relationships if r.lazy == "noload"),
        ]
        self._names = names.union(self._columns)
        self.one: Select[Any] = self._load(self._is_image)

    def _page(self, ids: Select[Any], order: Sequence[Any]) -> Select[Any]:
        return self._load(self._is_of(ids)).order_by(None).order_by(*order)

    def _find_parts(self, key: Any, errors: Mapping[str, InvalidImage]) -> EntityImage | None:
        statement = self._load(self._is_image, errors)
        return next(iter(self._read(statement, {"image_id": key}, errors)), None)

    def _parts(self) -> Mapping[str, Select[Any]]:
        model, is_image = self._model, self._is_image
        columns = {name: select(column) for name, column in self._columns.items()}
        rows = {
            name: select(*rows.columns).select_from(model).join(rows.join)
            for name, rows in self._related.items()
        }
        return {name: statement.where(is_image) for name, statement in (columns | rows).items()}

    def _load(self, condition: Any, errors: Collection[str] | None = None) -> Select[Any]:
        """Return the statement for the entities that satisfy a condition.

        :param errors: The columns and fields to leave out, because they cannot be read; such an
            attribute raises an error. None for entities that are read as a whole.
        """
        left_out = errors or ()
        model = self._model
        options = [
            defer(column, raiseload=True) if name in left_out else undefer(column)
            for name, column in self._columns.items()
            if name in left_out or column.property.deferred
        ]
        if errors is not None:  # rows that are loaded with the entity may be what cannot be read
            options += [lazyload(r.class_attribute) for r in inspect(model).relationships]
        entities = select(model).options(*options, *self._options)
        related = [rows for name, rows in self._related.items() if name not in left_out]
        rows = _select_related(model, related, condition).subquery()
        statement = entities.where(condition).order_by(model.id).add_columns(*list(rows.c)[1:])
        return statement.outerjoin(rows, rows.c.image_id == model.id)

    def _read(
        self,
        statement: Select[Any],
        parameters: dict[str, Any],
        errors: Mapping[str, InvalidImage] = MappingProxyType({}),
    ) -> Sequence[EntityImage]:
        session = self._connection.session()

        def read() -> list[EntityImage]:
            # An entity that the host has loaded is read again, so that it matches its rows, unless
            # that would overwrite changes that have not been flushed.
            unflushed = () if session.autoflush else (*session.dirty, *session.deleted)
            options = {"populate_existing": not any(isinstance(e, self._model) for e in unflushed)}
            with row_errors():
                result = session.execute(statement, parameters, execution_options=options)
                # A host's joined relationships repeat rows, and a value may not be hashable.
                rows = all_rows(result.unique(lambda row: (id(row[0]), *map(repr, row[1:]))))
            groups = groupby(rows, key=lambda row: id(row[0]))
            return [self._as_image(list(group), errors) for _, group in groups]

        with store_errors():
            return self._connection.ask(session, statement, read, in_snapshot=True)

    def _as_image(self, rows: Sequence[Any], errors: Mapping[str, InvalidImage]) -> EntityImage:
        fields = {
            "properties": {row[1]: row[2] for row in rows if row[1] is not None},
            "members": [row[3] for row in rows if row[3] is not None],
        }
        related = {name: fields[name] for name in self._related}
        return EntityImage(rows[0][0], self._names - errors.keys(), {**related, **errors})


def _read_attribute(entity: Any, name: str) -> Any:
    """Return an attribute of an entity: None if it is absent, the error if reading fails."""
    try:
        return get_field(entity, name)
    except (*PASS_THROUGH_ERRORS, *UNREACHABLE_ERRORS):
        raise
    except DBAPIError as error:  # of another row, which the attribute reads
        if not is_unreadable(error):
            raise
        return unreadable(error.orig, name)
    except Exception as error:
        # Raised only when the field is read, so that callers who may not see the image do not
        # learn of it.
        # Not a KeyError, which Mapping.get would take for a field that is absent.
        return InvalidImage(name, None, f"cannot be read: {error!r}")


def _select_related(
    model: type[Any], related: Iterable[RelatedRows], condition: Any
) -> CompoundSelect[Any]:
    """Return a statement for all related rows: the image's id, name, value, member."""
    columns = {column.name: column for rows in related for column in rows.columns}
    selects = []
    for rows in related:
        theirs = {column.name: column for column in rows.columns}
        blanks = {name: type_coerce(null(), column.type) for name, column in columns.items()}
        values = {**dict.fromkeys(_RELATED, null()), **blanks, **theirs}
        of_image = [model.id.label("image_id"), *(v.label(name) for name, v in values.items())]
        # Of a model that inherits a table, the columns alone do not say what to join.
        joined = select(*of_image).select_from(model).join(rows.join)
        selects.append(joined.where(condition))
    nothing = select(model.id.label("image_id"), *(null().label(n) for n in _RELATED)).where(
        false()
    )
    return union_all(*(selects or [nothing]))
