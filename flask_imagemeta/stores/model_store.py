"""ModelStore: images in the host application's own Flask-SQLAlchemy model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cached_property, partial
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, Uuid, bindparam, false, func, inspect, select
from sqlalchemy.orm import Mapper, selectinload

from ..image import ImageRecord
from .database import get_session, host_sqlalchemy, select_columns, store_errors
from .entity import Entity
from .lazy import LazyMembers
from .new_rows import make_row

_FIELDS = {field.name for field in fields(ImageRecord)} - {"access_granted"} | {"is_public"}
_MAX_INTEGER = 2**63 - 1  # of the widest integer column
_PAGE = 500  # images read at once: SQLite takes 999 variables in a statement


class _Plan(NamedTuple):
    """The statements that read images, worked out from the model at the first lookup."""

    all_rows: Select[Any]
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
    :raises TypeError: when the model is no mapped class.
    :raises StoreUnavailable: from a lookup, when the database is out of reach or too slow.
    """

    def __init__(self, model: type[Any], *, entities: bool = False) -> None:
        if not (isinstance(model, type) and hasattr(model, "__mapper__")):
            raise TypeError(f"model is {model!r}, but must be the class of a model")
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
        rows = select_columns(self._mapper, plan.statement, {"image_id": key})
        # MariaDB compares without case; an id has to be the same to the letter.
        if not rows or str(rows[0].id) != image_id:
            return None
        return self._as_image(rows)

    def _find_entity(self, image_id: str, key: Any) -> Any:
        entity = get_session().get(self._model, key)
        if entity is None or str(entity.id) != image_id:
            return None
        return Entity(entity) if self._related_fields else entity

    def _as_image(self, rows: Sequence[Any]) -> dict[str, Any]:
        plan = self._plan
        image = dict(zip(plan.columns, rows[0], strict=False))
        if plan.has_property_rows:
            image["properties"] = {row[-2]: row[-1] for row in rows if row[-2] is not None}
        if plan.members is not None:
            image["members"] = LazyMembers(partial(self._fetch_members, plan.members, image["id"]))
        return image

    def _fetch_members(self, statement: Select[Any], key: Any, project_id: str | None) -> list[str]:
        if project_id is not None:
            statement = statement.where(statement.selected_columns[0] == project_id)
        with store_errors():
            rows = select_columns(self._mapper, statement, {"image_id": key})
        return [row[0] for row in rows]

    def count(self) -> int:
        """Return how many images there are, deleted ones included."""
        with store_errors():
            return get_session().scalars(select(func.count()).select_from(self._model)).one()

    def walk(self) -> Iterator[Any]:
        """Yield every image, deleted ones included, in the order of their ids.

        Each is what a lookup of its id returns. They are read a page at a time, so that a
        store of any size takes the same memory, on every database and driver, and nobody
        else waits for the walk to end.
        """
        id_column = self._model.id
        pages = select(id_column).order_by(id_column).limit(_PAGE)
        page = pages
        while True:
            with store_errors():
                ids = get_session().scalars(page).all()
                images = self._read(ids)
            yield from images
            if len(ids) < _PAGE:
                return
            page = pages.where(id_column > ids[-1])

    def _read(self, ids: Sequence[Any]) -> list[Any]:
        session, model = get_session(), self._model
        if self._entities:
            related = [selectinload(getattr(model, name)) for name in self._related_fields]
            entities = select(model).where(model.id.in_(ids)).order_by(model.id).options(*related)
            found = session.scalars(entities).all()
            return [Entity(entity) for entity in found] if related else list(found)
        plan = self._plan
        rows = session.execute(plan.all_rows.where(model.id.in_(ids)).order_by(model.id))
        by_id = groupby(rows, key=lambda row: row.id)
        return [self._as_image(list(group)) for _, group in by_id]

    def copies_of(self, checksum: str, size: int) -> list[str]:
        """Return the ids of the images that hold the same data and are not deleted."""
        model = self._model
        same = select(model.id).where(model.checksum == checksum, model.size == size)
        if "deleted" in self._mapper.column_attrs:
            same = same.where(func.coalesce(model.deleted, false()) == false())
        with store_errors():
            return [str(image_id) for image_id in get_session().scalars(same.order_by(model.id))]

    def add(self, images: Iterable[Mapping[str, Any]]) -> list[str]:
        """Add images, all or none, in a transaction of their own, and return their ids.

        Each image is a mapping of the fields' names; what is None or absent is left to the
        model's defaults. A model that keeps ``is_public`` instead of ``visibility`` takes
        public and private.

        :raises ValueError: for what the model has no place for, naming it.
        """
        with (
            store_errors(),
            host_sqlalchemy().session.session_factory() as session,
            session.begin(),
        ):
            rows = [make_row(self._mapper, self._checked(image)) for image in images]
            session.add_all(rows)
            session.flush()
            return [str(row.id) for row in rows]

    def _checked(self, image: Mapping[str, Any]) -> dict[str, Any]:
        fields = {name: value for name, value in image.items() if value is not None}
        if "id" in fields:
            fields["id"] = self._as_key(str(fields["id"]))
            if fields["id"] is None:
                raise ValueError(f"{image['id']!r} cannot be an id of {self._model.__name__}")
        return fields

    def _as_key(self, image_id: str) -> Any:
        """Return an id as the column's type, None where it cannot be one."""
        if isinstance(self._mapper.column_attrs["id"].columns[0].type, Uuid):
            try:
                key = UUID(image_id)
            except ValueError:
                return None
            return key if self._key_type is UUID else str(key)
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
    def _related_fields(self) -> list[str]:
        related = self._mapper.relationships
        return [name for name in ("properties", "members") if name in related]

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
        one = statement.where(model.id == bindparam("image_id"))
        return _Plan(statement, one, tuple(columns), has_property_rows, members)

    def _related(self, relationship: str, *columns: str) -> Any:
        target = self._mapper.relationships[relationship].mapper
        for column in columns:
            if column not in target.column_attrs:
                raise TypeError(
                    f"{self._model.__name__}.{relationship} relates to "
                    f"{target.class_.__name__}, which has no column named {column}"
                )
        return target.class_


def _alive(relationship: Any, row: Any) -> Any:
    """Return a relationship limited to rows that are not deleted, where rows can be."""
    has_deleted = "deleted" in inspect(row).column_attrs
    return (
        relationship.and_(func.coalesce(row.deleted, false()) == false())
        if has_deleted
        else relationship
    )
