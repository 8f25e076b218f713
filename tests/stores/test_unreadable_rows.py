"""A row that cannot be read as a whole and changes meanwhile: no answer mixes its versions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from flask_imagemeta import Identity, ImageMeta, InvalidImage
from flask_imagemeta.image import read_field
from flask_imagemeta.stores import GlanceDatabase, ModelStore


class Base(DeclarativeBase):
    type_annotation_map = {str: sa.String(36)}  # noqa: RUF012


class Image(Base):
    """An image in a table that is a Glance's, too."""

    __tablename__ = "images"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    status: Mapped[str | None]
    size: Mapped[int | None]
    virtual_size: Mapped[int | None]
    disk_format: Mapped[str | None]
    container_format: Mapped[str | None]
    min_disk: Mapped[int | None]
    min_ram: Mapped[int | None]
    checksum: Mapped[str | None]
    owner: Mapped[str | None]
    protected: Mapped[bool | None]
    deleted: Mapped[bool | None]
    created_at: Mapped[datetime | None]
    updated_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    visibility: Mapped[str | None]
    properties: Mapped[list[Property]] = relationship()


class Property(Base):
    __tablename__ = "image_properties"
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("images.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str | None]
    deleted: Mapped[bool | None]


FIELDS = ("name", "status", "checksum", "disk_format", "visibility")
GONE = "DELETE FROM image_properties; DELETE FROM images;"


def version(name: str, updated_at: str) -> str:
    """Return the statements for an image whose every text says its version."""
    texts = ", ".join([f"'{name}'"] * len(FIELDS))
    return f"""{GONE}
        INSERT INTO images (id, owner, updated_at, {", ".join(FIELDS)})
        VALUES ('a', 'p', {updated_at}, {texts});
        INSERT INTO image_properties (image_id, name, value) VALUES ('a', 'os', '{name}');
    """


# What the row is at first, which cannot be read as a whole, and what it becomes.
CHANGES = {
    "purged": (version("private", "'never'"), GONE),
    "published": (version("private", "'never'"), version("public", "NULL")),
    "hidden": (version("public", "'never'"), version("private", "'never'")),
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'images.sqlite'}")
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture(params=["glance", "session", "engine", "entities"])
def store(request: pytest.FixtureRequest, engine: sa.Engine) -> Iterator[Any]:
    with Session(engine) as session:
        stores: dict[str, Callable[[], Any]] = {
            "glance": lambda: GlanceDatabase(engine),
            "session": lambda: ModelStore(Image, session=lambda: session),
            "engine": lambda: ModelStore(Image, engine=engine),
            "entities": lambda: ModelStore(Image, session=lambda: session, entities=True),
        }
        yield stores[request.param]()


def at_each_statement(engine: sa.Engine, change: str, read: Callable[[], Any]) -> Iterator[Any]:
    """Yield what is read while the image changes before the first statement, the second, ..."""
    before, after = (f"BEGIN; {statements} COMMIT" for statements in CHANGES[change])
    left = 0  # statements to be sent before the change
    with closing(sqlite3.connect(engine.url.database or "")) as connection:
        connection.execute("PRAGMA synchronous = OFF")

        def note(*args: Any) -> None:
            nonlocal left
            if left == 0:
                connection.executescript(after)
            left -= 1

        sa.event.listen(engine, "before_cursor_execute", note)
        for number in count():
            connection.executescript(before)
            left = number
            yield read()
            if left >= 0:  # all had been sent
                break
    assert number > len(FIELDS)  # each was read by itself
    sa.event.remove(engine, "before_cursor_execute", note)


def versions(image: Any) -> set[Any]:
    """Return the versions that the fields of an image are of."""
    texts = {read_field(image, name) for name in FIELDS}
    return texts | set(read_field(image, "properties").values())


@pytest.mark.parametrize("change", CHANGES)
def test_no_image_mixes_versions(store: Any, engine: sa.Engine, change: str) -> None:
    """What can be read of an image is of one version, and an image that has gone is None."""
    images = list(at_each_statement(engine, change, lambda: store("a")))
    assert all(image is None or len(versions(image)) == 1 for image in images)
    assert (None in images) == (change == "purged")


@pytest.mark.parametrize("change", CHANGES)
def test_nobody_sees_a_private_version(store: Any, engine: sa.Engine, change: str) -> None:
    """An anonymous caller gets the public version, an error, or the answer of a missing image."""
    app = Flask(__name__)
    ImageMeta(app, lookup=store)
    client = app.test_client()
    for answer in at_each_statement(engine, change, lambda: client.head("/v1/images/a")):
        name = answer.headers.get("X-Image-Meta-Name")
        assert (answer.status_code, name) in [(200, "public"), (500, None), (404, None)]
        assert "private" not in {value for _, value in answer.headers}


def test_what_has_gone_is_on_no_page(store: Any, engine: sa.Engine) -> None:
    """A page leaves out an image that is purged while its fields are read."""
    pages = list(at_each_statement(engine, "purged", lambda: list(store.walk())))
    assert all(versions(image) == {"private"} for page in pages for image in page)
    assert {len(page) for page in pages} == {0, 1}


class Machine(Base):
    __tablename__ = "machines"
    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    built: Mapped[date | None]
    properties: Mapped[list[Value]] = relationship(lazy="joined")


class Value(Base):
    __tablename__ = "machine_values"
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("machines.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(sa.JSON)


class Project(Base):
    __tablename__ = "projects"
    id: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str]


def of_project(loading: Any) -> type[Any]:
    """Return a model whose name is a column of another row."""
    base = type("Base", (DeclarativeBase,), {})
    own = type("Project", (base,), {"__table__": Project.__table__.to_metadata(base.metadata)})
    attributes = {
        "__tablename__": "named",
        "id": mapped_column(sa.String(9), primary_key=True),
        "owner": mapped_column(sa.String(9)),
        "project_id": mapped_column(sa.ForeignKey("projects.id")),
        "project": relationship(own, lazy=loading),
        "name": property(lambda self: self.project.label),
    }
    return type("Image", (base,), attributes)


@pytest.mark.parametrize("loading", ["select", "joined", "selectin"])
def test_another_row_that_cannot_be_read(engine: sa.Engine, loading: Any) -> None:
    """If a property reads a row that cannot be read, only those who see the image are told."""
    model = of_project(loading)
    model.metadata.create_all(engine)
    with closing(sqlite3.connect(engine.url.database or "")) as connection:
        connection.executescript("""
            INSERT INTO projects VALUES ('p', cast(x'ff' AS text));
            INSERT INTO named VALUES ('a', 'p', 'p');
        """)
    with Session(engine) as session:
        store = ModelStore(model, session=lambda: session, entities=True)
        identities = [None, Identity("stranger"), Identity("p")]
        assert [status(store, "a", one) for one in identities] == [404, 404, 500]
        with pytest.raises(InvalidImage, match=r"^name = None: its row cannot be read: .*UTF-8"):
            store("a")["name"]


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError(), sa.exc.TimeoutError()])
def test_another_row_that_is_out_of_reach(engine: sa.Engine, error: Exception) -> None:
    """If a property reads a row from a database that does not answer, that is a 503."""
    model = of_project("select")
    model.metadata.create_all(engine)

    def fail(self: Any) -> Any:
        raise error

    model.name = property(fail)
    with Session(engine) as session:
        session.add(model(id="a", owner="p"))
        session.commit()
        assert status(ModelStore(model, session=lambda: session, entities=True), "a", None) == 503


@pytest.mark.parametrize("entities", [False, True])
def test_what_else_cannot_be_read(engine: sa.Engine, entities: bool) -> None:
    """Rows of properties cost the answer of those who may see them; other columns cost nothing."""
    statements = """
        INSERT INTO machines VALUES ('a', 'p', 'never'), ('b', 'p', NULL), ('c', 'p', NULL);
        INSERT INTO machine_values VALUES ('b', 'os', '{'), ('c', 'os', '["a", "b"]');
    """
    with closing(sqlite3.connect(engine.url.database or "")) as connection:
        connection.executescript(statements)
    with Session(engine) as session:
        store = ModelStore(Machine, session=lambda: session, entities=entities)
        seen = [status(store, image_id, Identity("p")) for image_id in "abc"]
        assert seen == [200, 500, 200]
        assert {status(store, image_id, None) for image_id in "abc"} == {404}


def status(store: Any, image_id: str, identity: Identity | None) -> int:
    app = Flask(__name__)
    ImageMeta(app, lookup=store, identity=lambda: identity)
    return app.test_client().head(f"/v1/images/{image_id}").status_code
