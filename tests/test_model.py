"""ImageMixin: its columns, defaults and timestamps, and how it gets along with others."""

from __future__ import annotations

import subprocess
import sys
import uuid
from datetime import datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import InvalidRequestError, SADeprecationWarning
from sqlalchemy.orm import DeclarativeBase, MappedAsDataclass
from sqlalchemy.schema import CreateTable

from flask_imagemeta import ImageMeta, ImageMixin, ImageRecord
from flask_imagemeta.stores import ModelStore

from .needs import needs

pytestmark = pytest.mark.core

db = SQLAlchemy()


class Image(ImageMixin, db.Model):  # type: ignore[name-defined,misc]
    pass


TABLE: sa.Table = Image.__table__


@pytest.fixture
def app() -> Any:
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
        (postgresql.dialect(), "properties JSONB", "created_at TIMESTAMP WITHOUT TIME ZONE"),  # type: ignore[no-untyped-call]
        (mysql.dialect(), "properties JSON", "created_at DATETIME(6)"),  # type: ignore[no-untyped-call]
        (sqlite.dialect(), "properties JSON", "created_at DATETIME"),  # type: ignore[no-untyped-call]
    ],
    ids=["postgresql", "mysql", "sqlite"],
)
def test_types_of_other_databases(dialect: Any, properties: str, timestamp: str) -> None:
    """Properties are JSONB on PostgreSQL, and MariaDB keeps six digits of a second."""
    ddl = str(CreateTable(TABLE).compile(dialect=dialect))
    assert f"{properties} NOT NULL" in ddl
    assert f"{timestamp} NOT NULL" in ddl


def test_migrations_name_jsonb_as_alembic_does() -> None:
    """The type's text is what a migration can run with the imports that Alembic writes."""
    impl = TABLE.columns["properties"].type.dialect_impl(postgresql.dialect())  # type: ignore[no-untyped-call]
    assert "JSONB(astext_type=sa.Text())" in repr(impl)


def test_indexes() -> None:
    """What hosts list and search by has an index."""
    indexed = {tuple(column.name for column in index.columns) for index in TABLE.indexes}
    assert indexed == {("name",), ("checksum",), ("owner",), ("created_at",)}


@pytest.mark.usefixtures("app")
def test_new_image() -> None:
    """A new image has a UUID, is queued, of nobody's and private, and has no properties."""
    image = Image()
    db.session.add(image)
    db.session.commit()
    assert str(uuid.UUID(image.id)) == image.id
    assert uuid.UUID(image.id).version == 4
    assert (image.status, image.min_disk, image.min_ram) == ("queued", 0, 0)
    assert (image.protected, image.is_public, image.deleted) == (False, False, False)
    assert (image.size, image.owner, image.deleted_at, image.properties) == (None, None, None, {})


@pytest.mark.usefixtures("app")
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


@pytest.mark.usefixtures("app")
def test_timestamps_have_no_zone() -> None:
    """What the session writes has no zone, which a database might convert to its own."""
    image = Image()
    db.session.add(image)
    db.session.flush()
    assert image.created_at.tzinfo is None
    assert image.updated_at.tzinfo is None


@pytest.mark.usefixtures("app")
def test_updated_at_of_a_new_image() -> None:
    """A new image was updated when it was created."""
    image = Image()
    db.session.add(image)
    db.session.commit()
    assert abs(image.updated_at - image.created_at) < timedelta(minutes=1)


@pytest.mark.usefixtures("app")
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


def test_image_is_shown(app: Flask) -> None:
    """An image of the mixin is shown by the extension."""
    image = Image(name="é", is_public=True, properties={"os": "a"})
    db.session.add(image)
    db.session.commit()
    response = app.test_client().head(f"/v1/images/{image.id}")
    assert response.headers["X-Image-Meta-Name"] == "\xc3\xa9"
    assert response.headers["X-Image-Meta-Property-Os"] == "a"


@pytest.mark.parametrize(
    ("visibility", "is_public"), [("public", True), ("shared", False), (None, False)]
)
def test_record_is_public(visibility: str | None, is_public: bool) -> None:
    """A ready-made store's record is public when its visibility says so."""
    assert ImageRecord(id="a", visibility=visibility).is_public is is_public


def test_record_is_immutable() -> None:
    """A record and its default properties cannot be changed."""
    record = ImageRecord(id="a")
    with pytest.raises(AttributeError):
        record.id = "b"  # type: ignore[misc]
    with pytest.raises(TypeError):
        record.properties["a"] = "b"  # type: ignore[index]


@pytest.mark.filterwarnings("ignore:Callable object passed to the ``default``")
def test_mapped_as_dataclass_is_refused() -> None:
    """With MappedAsDataclass SQLAlchemy says that the mixin is no dataclass."""

    class Base(MappedAsDataclass, DeclarativeBase):
        pass

    # SQLAlchemy 2.0 warns of what 2.1 refuses.
    refusals = (InvalidRequestError, SADeprecationWarning)
    with pytest.raises(refusals, match=r"ImageMixin.*which is not a dataclass"):
        type("Image", (ImageMixin, Base), {"__tablename__": "image"})


HOST = """
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_imagemeta import ImageMixin

app = Flask(__name__, instance_path={path!r})
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///images.sqlite"
db = SQLAlchemy(app)
Migrate(app, db)

class Image(ImageMixin, db.Model):
    architecture = db.Column(db.String(20))
"""


def test_alembic_autogenerate(tmp_path: Path) -> None:
    """Flask-Migrate writes a migration that makes the table, and then finds nothing to change."""
    if find_spec("flask_migrate") is None:
        needs("Flask-Migrate")
    (tmp_path / "host.py").write_text(HOST.format(path=str(tmp_path)))

    commands = """
from flask_migrate import init, migrate, upgrade
from host import app
with app.app_context():
    init()
    migrate()
    upgrade()
    migrate()
"""
    command = [sys.executable, "-c", commands]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'images.sqlite'}")
    columns = {column["name"] for column in sa.inspect(engine).get_columns("image")}
    engine.dispose()
    assert columns == {*TABLE.columns.keys(), "architecture"}
    assert len(list((tmp_path / "migrations" / "versions").glob("*.py"))) == 1
