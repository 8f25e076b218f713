"""Images read as entities of their model, for fields that are Python properties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from itertools import groupby
from typing import Any, ClassVar

from sqlalchemy import (
    CompoundSelect,
    Select,
    bindparam,
    false,
    null,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapper, object_session, undefer

from ..exceptions import InvalidImage
from ..image import FIELDS, PASS_THROUGH_ERRORS, get_field
from .errors import row_errors, store_errors
from .model_connection import ModelConnection, reading
from .model_fields import ModelFields, RelatedRows
from .model_reader import ModelReader
from .parts import ImageParts

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

    has_code: ClassVar[bool] = True

    def __init__(self, mapper: Mapper[Any], connection: ModelConnection) -> None:
        super().__init__(mapper, connection)
        model_fields = ModelFields(self._model)
        found = {name: model_fields.related_rows(name) for name in ("properties", "members")}
        self._related = {name: rows for name, rows in found.items() if rows is not None}
        names = set(FIELDS) - self._related.keys()
        for name in names:
            model_fields.check(name)
        columns = {attribute.key: attribute for attribute in mapper.column_attrs}
        read = {model_fields.key(name) for name in names} & columns.keys()
        self._options = [
            *(undefer(columns[key].class_attribute) for key in sorted(read)),
            *(rows.option for rows in self._related.values() if rows.option is not None),
        ]
        self._names = names.union(key for key, column in columns.items() if not column.deferred)
        self.one: Select[Any] = self._load(self._model.id == bindparam("image_id"))

    def _page(self, ids: Select[Any], order: Sequence[Any]) -> Select[Any]:
        return self._load(self._is_of(ids)).order_by(None).order_by(*order)

    def _load(self, condition: Any) -> Select[Any]:
        """Return the statement for the entities that satisfy a condition."""
        model = self._model
        entities = select(model).options(*self._options).where(condition).order_by(model.id)
        rows = _select_related(model, self._related.values(), condition).subquery()
        return entities.add_columns(*list(rows.c)[1:]).outerjoin(rows, rows.c.image_id == model.id)

    def _read(self, statement: Select[Any], parameters: dict[str, Any]) -> Sequence[Any]:
        session = self._connection.session()

        def read() -> list[EntityImage]:
            # An entity that the host has loaded is read again, so that it matches its rows, unless
            # that would overwrite changes that have not been flushed.
            unflushed = () if session.autoflush else (*session.dirty, *session.deleted)
            options = {"populate_existing": not any(isinstance(e, self._model) for e in unflushed)}
            with row_errors():
                result = session.execute(statement, parameters, execution_options=options)
                rows = result.unique().all()
            groups = groupby(rows, key=lambda row: id(row[0]))
            return [self._as_image(list(group)) for _, group in groups]

        with store_errors():
            return self._connection.ask(session, statement, read)

    def _as_image(self, rows: Sequence[Any]) -> EntityImage:
        fields = {
            "properties": {row[1]: row[2] for row in rows if row[1] is not None},
            "members": [row[3] for row in rows if row[3] is not None],
        }
        return EntityImage(rows[0][0], self._names, {name: fields[name] for name in self._related})


def _read_attribute(entity: Any, name: str) -> Any:
    """Return an attribute of an entity: None if it is absent, the error if reading fails."""
    try:
        return get_field(entity, name)
    except (*PASS_THROUGH_ERRORS, DBAPIError):
        raise
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
        selects.append(select(*of_image).join(rows.join).where(condition))
    nothing = select(model.id.label("image_id"), *(null().label(n) for n in _RELATED)).where(
        false()
    )
    return union_all(*(selects or [nothing]))
