"""ModelStore: images in the host application's own Flask-SQLAlchemy model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, bindparam, false, inspect, select
from sqlalchemy.orm import Mapper, Session

from ..image import ImageRecord
from .database import host_sqlalchemy, store_errors
from .lazy import LazyMembers

_FIELDS = {field.name for field in fields(ImageRecord)} - {"access_granted"} | {"is_public"}
_MAX_INTEGER = 2**63 - 1  # of the widest integer column


class _Plan(NamedTuple):
    """The statement that finds an image, worked out from the model at the first lookup."""

    statement: Select[Any]
    columns: tuple[str, ...]
    has_property_rows: bool
    members: Select[Any] | None


class ModelStore:
    """A lookup in a Flask-SQLAlchemy model: ``ImageMeta(lookup=ModelStore(Image))``.

    The model has the attribute ``id`` (text, integer or UUID) and any of the fields' names,
    as with `flask_imagemeta.ImageMixin`. Its columns are read in one statement, without loading
    entities and without columns that are deferred; the image is a mapping of their names.
    ``properties`` is a JSON column, or a relationship to rows with ``name`` and ``value`` (read
    in the same statement); ``members`` is a JSON column, or a relationship to rows with
    ``member`` (read only when the answer depends on them). Rows of either that have a true
    ``deleted`` do not count.

    :param model: The model class, bound to the application's Flask-SQLAlchemy by its bind key.
    :param entities: Load the model's entities, for a schema that reads Python properties or
        hybrids of the model.
    :raises StoreUnavailable: from a lookup, when the database is out of reach or too slow.
    """

    def __init__(self, model: type[Any], *, entities: bool = False) -> None:
        self._model = model
        self._entities = entities

    def __call__(self, image_id: str) -> Any:
        """Return the image with exactly this id, or None."""
        key = self._as_key(image_id)
        if key is None:
            return None
        with store_errors():
            find = self._find_entity if self._entities else self._find_columns
            return find(image_id, key)

    def _find_columns(self, image_id: str, key: Any) -> dict[str, Any] | None:
        plan = self._plan
        session = _session()
        rows = session.execute(plan.statement, {"image_id": key}).all()
        # MariaDB compares without case; an id has to be the same to the letter.
        if not rows or str(rows[0].id) != image_id:
            return None
        image = dict(zip(plan.columns, rows[0], strict=False))
        if plan.has_property_rows:
            image["properties"] = {row[-2]: row[-1] for row in rows if row[-2] is not None}
        if plan.members is not None:
            image["members"] = LazyMembers(_member_fetcher(session, plan.members, key))
        return image

    def _find_entity(self, image_id: str, key: Any) -> Any:
        entity = _session().get(self._model, key)
        if entity is None or str(entity.id) != image_id:
            return None
        related = self._mapper.relationships
        return _Entity(entity) if {"properties", "members"} & set(related.keys()) else entity

    def _as_key(self, image_id: str) -> Any:
        """Return an id as the column's type, None where it cannot be one."""
        if self._key_type is UUID:
            try:
                return UUID(image_id)
            except ValueError:
                return None
        if self._key_type is int:
            is_number = image_id.isascii() and image_id.isdecimal() and len(image_id) < 20
            return int(image_id) if is_number and int(image_id) <= _MAX_INTEGER else None
        return image_id

    @cached_property
    def _mapper(self) -> Mapper[Any]:
        mapper: Mapper[Any] = inspect(self._model)
        if "id" not in mapper.column_attrs:
            raise TypeError(f"{self._model.__name__} has no column named id")
        return mapper

    @cached_property
    def _key_type(self) -> type[Any]:
        return self._mapper.column_attrs["id"].columns[0].type.python_type

    @cached_property
    def _plan(self) -> _Plan:
        model, mapper = self._model, self._mapper
        columns = [attr.key for attr in mapper.column_attrs if not attr.deferred]
        for name in sorted(_FIELDS - {attr.key for attr in mapper.attrs}):
            if hasattr(model, name):
                raise TypeError(
                    f"{model.__name__}.{name} is neither a column nor a relationship, so a "
                    f"statement cannot select it: ModelStore({model.__name__}, entities=True)?"
                )
        statement = select(*(getattr(model, name).label(name) for name in columns))
        statement = statement.where(model.id == bindparam("image_id"))
        has_property_rows = "properties" in mapper.relationships
        if has_property_rows:
            row = self._related("properties", "name", "value")
            statement = statement.add_columns(row.name, row.value).select_from(model)
            statement = statement.outerjoin(_alive(model.properties, row))
        members = None
        if "members" in mapper.relationships:
            row = self._related("members", "member")
            members = select(row.member).select_from(model).join(_alive(model.members, row))
            members = members.where(model.id == bindparam("image_id"))
        return _Plan(statement, tuple(columns), has_property_rows, members)

    def _related(self, relationship: str, *columns: str) -> Any:
        target = self._mapper.relationships[relationship].mapper
        for column in columns:
            if column not in target.column_attrs:
                raise TypeError(
                    f"{self._model.__name__}.{relationship} relates to "
                    f"{target.class_.__name__}, which has no column named {column}"
                )
        return target.class_


class _Entity:
    """An entity whose related rows read as the fields they stand for."""

    def __init__(self, entity: Any) -> None:
        self._entity = entity

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._entity, name)
        if name == "properties":
            return {row.name: row.value for row in _rows(value)}
        if name == "members":
            return [row.member for row in _rows(value)]
        return value


def _rows(related: Any) -> Iterable[Any]:
    rows = related.values() if isinstance(related, Mapping) else related
    return (row for row in rows if not getattr(row, "deleted", False))


def _alive(relationship: Any, row: Any) -> Any:
    """Return a relationship limited to rows that are not deleted, where rows can be."""
    has_deleted = "deleted" in inspect(row).column_attrs
    return relationship.and_(row.deleted == false()) if has_deleted else relationship


def _member_fetcher(
    session: Session, statement: Select[Any], key: Any
) -> Callable[[str | None], Iterable[str]]:
    column = statement.selected_columns[0]

    def fetch(project_id: str | None) -> list[str]:
        wanted = statement if project_id is None else statement.where(column == project_id)
        with store_errors():
            return list(session.scalars(wanted, {"image_id": key}))

    return fetch


def _session() -> Session:
    session: Session = host_sqlalchemy().session()
    return session
