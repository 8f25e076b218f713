"""ModelStore: images in the host application's own SQLAlchemy model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from inspect import getattr_static
from typing import Any

from sqlalchemy import ColumnElement, Engine, func, inspect, literal, select
from sqlalchemy.orm import Mapper, Session, scoped_session

from ..image import FIELDS
from ..query import Query
from .errors import ImpossibleValue, write_errors
from .model_columns import ColumnReader
from .model_connection import ModelConnection
from .model_entities import EntityReader
from .model_fields import ModelFields, as_key, check_id, computes_attributes
from .model_reader import ModelReader
from .model_rows import ModelRows, as_fields
from .searching import Searching, as_operand


class ModelStore:
    """A lookup in a SQLAlchemy model: ``ImageMeta(lookup=ModelStore(Image))``.

    The model has the attribute ``id`` (text, integer or UUID) and any of the fields' names, as
    with `flask_imagemeta.ImageMixin`. The ``id`` is the primary key, a column that is unique by
    itself, or a ``column_property`` that joins the columns of the primary key. The columns are
    read in one statement, without loading entities, and the image is a mapping of their names.
    A field may be a column, a synonym of one, a ``column_property``, or a hybrid with an
    expression. A deferred column is read if it is one of the fields, and left out otherwise.
    ``properties`` is a JSON column, or a relationship to rows with ``name`` and ``value`` (read
    in the same statement). ``members`` is a JSON column, or a relationship to rows with
    ``member`` (read only when the response depends on them). Rows of either do not count if they
    have a ``deleted`` that is true, or a number other than 0.

    By default it reads with the application's Flask-SQLAlchemy session, so that
    session's transaction, events and routing apply.

    :param model: The model class.
    :param session: A function that returns another session: a ``scoped_session``, or
        ``lambda: db.session`` for Flask-SQLAlchemy-Lite.
    :param engine: An engine to read with instead, such as that of a read replica. That is
        faster, but does not see changes of the request's own transaction, nor what the session's
        events add. On PostgreSQL the connection is in autocommit mode meanwhile. May be a function
        that returns the engine, such as ``lambda: db.engine``. `add` and `put` still write with
        the session.
    :param entities: Load the model's entities, for fields that are Python properties, hybrids
        without an expression or association proxies. The image is a mapping of the entity's
        attributes, with the entity itself as ``entity``. All fields are of one version, even if
        they take several statements, unless the application began the transaction: then its
        isolation level decides.
    :raises TypeError: when the model is not a mapped class, or when engine is given together with
        entities. From the first lookup, when a field of the model cannot be read
        correctly, or several images could have the same id, naming what to write instead.
    :raises RuntimeError: from a lookup without session or engine, when the application has no
        Flask-SQLAlchemy.
    :raises StoreUnavailable: from a lookup, when the database is unreachable or too slow.
    """

    def __init__(
        self,
        model: type[Any],
        *,
        session: Callable[[], Session | scoped_session[Session]] | None = None,
        engine: Engine | Callable[[], Engine] | None = None,
        entities: bool = False,
    ) -> None:
        if not (isinstance(model, type) and hasattr(model, "__mapper__")):
            raise TypeError(f"model is {model!r}, but must be the class of a model")
        if session is not None and not callable(session):
            raise TypeError(
                f"session is {session!r}, but must be a function that returns the session of the "
                "current request: session=lambda: db.session?"
            )
        if not (engine is None or isinstance(engine, Engine) or callable(engine)):
            raise TypeError(f"engine is {engine!r}, but must be an Engine or a function")
        if engine is not None and entities:
            raise TypeError("entities=True needs a session, so it cannot be combined with engine=")
        self._model = model
        self._connection = ModelConnection(model, session, engine)
        self._entities = entities

    @property
    def has_owner(self) -> bool:
        """Whether the model has an attribute ``owner``; without one, its images have no owner."""
        models = [mapper.class_ for mapper in self._mapper.self_and_descendants]
        return any(
            getattr_static(model, "owner", None) is not None or computes_attributes(model)
            for model in models
        )

    def __call__(self, image_id: str) -> Any:
        """Return the image with exactly this id, or None."""
        key = as_key(self._mapper, image_id)
        if key is None:
            return None
        try:
            image = self._reader.find(key)
        except ImpossibleValue:
            return None
        # MariaDB ignores case, but an id must match exactly.
        return image if image is not None and str(image["id"]) == image_id else None

    def search(self, query: Query) -> Iterable[Any]:
        """Return the images that may match a query: ``ImageMeta(search=store.search)``.

        A page is read in one statement, in the query's order, with its filters and the rule of
        lists as far as columns allow. The extension applies filters on properties in a JSON
        column, and sorts by a field that is not a plain column, which means reading all images
        that pass the other filters.

        :raises StoreUnavailable: at once, or while the images are read.
        """
        reader, fields = self._reader, ModelFields(self._model)
        searching = Searching(
            self._searched, self._connection.dialect, fields.has_property, fields.has_member
        )
        # Whether an image is public may be Python code.
        pushed = replace(query, is_public=None) if self._entities else query
        ids = select(self._model.id).where(*searching.conditions(pushed))
        return reader.pages.search(searching, query, ids)

    def count(self) -> int:
        """Return how many images there are, deleted ones included."""
        count: int = self._connection.fetch(select(func.count()).select_from(self._model))[0][0]
        return count

    def walk(self) -> Iterator[Any]:
        """Return every image, deleted ones included, in the order of their ids.

        Each is what a lookup of its id returns. They are read a page at a time: the images
        and their properties in one statement, and all their members in another when one is needed.
        So memory use does not grow with the store, on any database or driver, and the walk
        blocks no one else. If a field of an image cannot be read, reading it raises InvalidImage.
        """
        return self._reader.pages.by_id(select(self._model.id))

    def copies_of(self, checksum: str, size: int) -> list[str]:
        """Return the ids of the images that hold the same data and are not deleted.

        There are none in a model without a checksum or a size.
        """
        model = self._model
        if not {"checksum", "size"} <= set(self._mapper.all_orm_descriptors.keys()):
            return []
        is_same_size = model.size == literal(size, as_operand(model.size.type))
        same = select(model.id).where(model.checksum == checksum, is_same_size)
        is_alive = ModelFields(model).is_alive()
        if is_alive is not None:
            same = same.where(is_alive)
        return [str(row[0]) for row in self._connection.fetch(same.order_by(model.id))]

    def add(self, images: Iterable[Any]) -> list[str]:
        """Add images, all or none, in a transaction of their own, and return their ids.

        They are written with a new session like the application's, even if ``engine=`` reads from
        another database. An image is whatever a store's walk gives: an ``ImageRecord``, or a
        mapping or object with the fields' names. Fields that a mapping lacks get the model's
        defaults. None is stored as NULL, or, if the column cannot be NULL, as the value that
        clients cannot tell from it. Properties and members become rows if the model has a
        relationship of that name; rows that several images may share, as in a many-to-many
        relationship, are never changed. A model with ``is_public`` but no ``visibility`` accepts
        public and private images, and shared ones without members.

        :raises ValueError: for a value that the model cannot store, naming it.
        :raises StoreUnavailable: when the database is unreachable or too busy.
        """
        found = [as_fields(image) for image in images]
        with write_errors(), self._connection.writing() as session:
            return ModelRows(self._mapper, session).add(found)

    def put(self, images: Iterable[Any], *, dry_run: bool = False) -> list[str]:
        """Add images or replace those with the same ids, all or none, and return their ids.

        Unlike in `add`, a field that a mapping lacks counts as None, if the model can store that.
        An image's own timestamps are kept even if the columns have an ``onupdate``. Rows that are
        already the same are not written.

        :param dry_run: Write and roll back, to raise what the call would raise.
        :raises ValueError: for a value that the model cannot store, naming it.
        :raises StoreUnavailable: when the database is unreachable or too busy.
        """
        found = [as_fields(image) for image in images]
        with write_errors(), self._connection.writing() as session:
            ids = ModelRows(self._mapper, session).put(found)
            if dry_run:
                session.rollback()
            return ids

    @cached_property
    def _mapper(self) -> Mapper[Any]:
        mapper: Mapper[Any] = inspect(self._model)
        check_id(mapper)
        return mapper

    @cached_property
    def _reader(self) -> ModelReader:
        kind = EntityReader if self._entities else ColumnReader
        return kind(self._mapper, self._connection)

    @cached_property
    def _searched(self) -> dict[str, ColumnElement[Any]]:
        """The columns that a search compares, by field, without those that are Python code."""
        fields = ModelFields(self._model)
        columns: dict[str, ColumnElement[Any]] = {}
        for name in set(FIELDS) - {"properties", "members"}:
            with suppress(TypeError):  # only of entities: the reader refuses it otherwise
                expression = fields.expression(name)
                if expression is not None:
                    columns[name] = getattr(expression, "element", expression)
        return columns
