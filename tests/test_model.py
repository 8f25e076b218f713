"""ImageMixin: its columns, defaults and timestamps, and how it gets along with others."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column
from sqlalchemy.schema import CreateTable

from flask_imagemeta import ImageMeta, ImageMixin
from flask_imagemeta.stores import ModelStore

from .apps import make_app

pytestmark = pytest.mark.core

db = SQLAlchemy()


class Image(ImageMixin, db.Model):  # type: ignore[name-defined,misc]
    pass


TABLE: sa.Table = Image.__table__


@pytest.fixture
def model_app() -> Any:
    """An application with the model's table in memory."""
    app = Flask("tests")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    db.init_app(app)
    ImageMeta(app, lookup=ModelStore(Image))
    with app.app_context():
        db.create_all()
        yield app
        db.session.remove()
        db.engine.dispose()


def utc_now() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("name", "type_", "nullable", "default"),
    [
        ("name", "VARCHAR(255)", True, None),
        ("status", "VARCHAR(30)", False, "queued"),
        ("size", "BIGINT", True, None),
        ("virtual_size", "BIGINT", True, None),
        ("disk_format", "VARCHAR(20)", True, None),
        ("container_format", "VARCHAR(20)", True, None),
        ("min_disk", "INTEGER", False, 0),
        ("min_ram", "INTEGER", False, 0),
        ("checksum", "VARCHAR(32)", True, None),
        ("owner", "VARCHAR(255)", True, None),
        ("protected", "BOOLEAN", False, False),
        ("is_public", "BOOLEAN", False, False),
        ("deleted", "BOOLEAN", False, False),
        ("deleted_at", "DATETIME", True, None),
    ],
)
def test_column(name: str, type_: str, nullable: bool, default: object) -> None:
    """Each column has the reference's type and length, and its default."""
    column = TABLE.columns[name]
    assert column.type.compile(sqlite.dialect()) == type_
    assert column.nullable is nullable
    assert getattr(column.default, "arg", None) == default


@pytest.mark.parametrize(
    ("name", "type_", "nullable"),
    [
        ("id", "VARCHAR(36)", False),
        ("created_at", "DATETIME", False),
        ("updated_at", "DATETIME", True),
        ("properties", "JSON", False),
    ],
)
def test_column_with_a_computed_default(name: str, type_: str, nullable: bool) -> None:
    """Each column whose default is made for the row has its type and always a value."""
    column = TABLE.columns[name]
    assert column.type.compile(sqlite.dialect()) == type_
    assert column.nullable is nullable
    assert column.default is not None
    assert column.default.is_callable


def test_columns_are_the_core_fields() -> None:
    """There are 17 columns and properties, and no other; the id is the key."""
    assert len(TABLE.columns) == 18
    assert [column.name for column in TABLE.primary_key] == ["id"]


@pytest.mark.parametrize(
    ("dialect", "properties", "timestamp"),
    [
        (postgresql.dialect(), "properties JSON", "created_at TIMESTAMP WITHOUT TIME ZONE"),  # type: ignore[no-untyped-call]
        (mysql.dialect(), "properties JSON", "created_at DATETIME(6)"),  # type: ignore[no-untyped-call]
        (sqlite.dialect(), "properties JSON", "created_at DATETIME"),  # type: ignore[no-untyped-call]
    ],
    ids=["postgresql", "mysql", "sqlite"],
)
def test_types_of_other_databases(dialect: Any, properties: str, timestamp: str) -> None:
    """Properties are JSON on each database, and MariaDB keeps six digits of a second."""
    ddl = str(CreateTable(TABLE).compile(dialect=dialect))
    assert f"{properties} NOT NULL" in ddl
    assert f"{timestamp} NOT NULL" in ddl


def test_a_host_can_choose_jsonb() -> None:
    """A host's column takes the place of the mixin's, of PostgreSQL's own type for one."""
    JSONB = postgresql.JSONB

    class Base(DeclarativeBase):
        pass

    class Image(ImageMixin, Base):
        __tablename__ = "image"
        properties: Mapped[dict[str, Any]] = mapped_column(MutableDict.as_mutable(JSONB))

    ddl = str(CreateTable(Image.__table__).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call, arg-type]
    assert "properties JSONB NOT NULL" in ddl


def test_indexes() -> None:
    """What hosts list and search by has an index."""
    indexed = {tuple(column.name for column in index.columns) for index in TABLE.indexes}
    assert indexed == {("name",), ("checksum",), ("owner",), ("created_at",)}


@pytest.mark.usefixtures("model_app")
def test_new_image() -> None:
    """A new image has a UUID, is queued and private, and has neither an owner nor properties."""
    image = Image()
    db.session.add(image)
    db.session.commit()
    assert str(uuid.UUID(image.id)) == image.id
    assert uuid.UUID(image.id).version == 4
    assert (image.status, image.min_disk, image.min_ram) == ("queued", 0, 0)
    assert (image.protected, image.is_public, image.deleted) == (False, False, False)
    assert (image.size, image.owner, image.deleted_at, image.properties) == (None, None, None, {})


@pytest.mark.usefixtures("model_app")
def test_timestamps() -> None:
    """The session sets both timestamps in UTC without a zone, and updated_at at each change."""
    image = Image(updated_at=datetime(2016, 1, 1))
    before = utc_now()
    db.session.add(image)
    db.session.commit()
    created = image.created_at
    assert before <= created <= utc_now()
    assert image.updated_at == datetime(2016, 1, 1)
    image.name = "other"
    db.session.commit()
    assert created <= image.updated_at <= utc_now()
    assert image.created_at == created
    assert image.updated_at.tzinfo is None


@pytest.mark.usefixtures("model_app")
def test_timestamps_have_no_zone() -> None:
    """What the session writes has no zone, which a database might convert to its own."""
    image = Image()
    db.session.add(image)
    db.session.flush()
    assert image.created_at.tzinfo is None
    assert image.updated_at.tzinfo is None


@pytest.mark.usefixtures("model_app")
def test_updated_at_of_a_new_image() -> None:
    """A new image was updated when it was created."""
    image = Image()
    db.session.add(image)
    db.session.commit()
    assert abs(image.updated_at - image.created_at) < timedelta(minutes=1)


@pytest.mark.usefixtures("model_app")
def test_changed_properties_are_saved() -> None:
    """A property that is set, changed or deleted in place is saved."""
    image = Image(properties={"a": "1", "b": "2"})
    db.session.add(image)
    db.session.commit()
    image.properties["a"] = "3"
    image.properties["c"] = ["4"]
    del image.properties["b"]
    db.session.commit()
    db.session.expire(image)
    assert image.properties == {"a": "3", "c": ["4"]}


def test_image_is_shown(model_app: Flask) -> None:
    """An image of the mixin is shown by the extension."""
    image = Image(name="é", is_public=True, properties={"os": "a"})
    db.session.add(image)
    db.session.commit()
    response = model_app.test_client().head(f"/v1/images/{image.id}")
    assert response.headers["X-Image-Meta-Name"] == "\xc3\xa9"
    assert response.headers["X-Image-Meta-Property-Os"] == "a"


def test_mapped_as_dataclass_is_refused() -> None:
    """With MappedAsDataclass the mixin says what to use instead, whatever the class's options."""

    class Base(MappedAsDataclass, DeclarativeBase):
        pass

    with pytest.raises(TypeError, match=r"^Image: .*MappedAsDataclass.* metadata = db.metadata"):
        type("Image", (ImageMixin, Base), {"__tablename__": "image"}, kw_only=True)


def test_a_base_with_the_metadata_of_the_application() -> None:
    """The base that this error suggests works with the application's session."""
    db = SQLAlchemy()

    class ImageBase(DeclarativeBase):
        metadata = db.metadata

    class Image(ImageMixin, ImageBase):
        __tablename__ = "image"

    app = make_app(ImageMeta(lookup=ModelStore(Image)), SQLALCHEMY_DATABASE_URI="sqlite://")
    db.init_app(app)
    with app.app_context():
        db.create_all()
        db.session.add(Image(id="a"))
        db.session.commit()
        assert app.test_client().head("/v1/images/a").status_code == 200
        db.engine.dispose()
