"""What the stores make of a database's errors, and of a model that they cannot read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    column_property,
    mapped_column,
    relationship,
)

from flask_imagemeta import StoreUnavailable
from flask_imagemeta.stores import ModelStore
from flask_imagemeta.stores.errors import store_errors


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Plain(db.Model):
    id: Mapped[str] = mapped_column(primary_key=True)
    checksum: Mapped[str] = mapped_column()
    size: Mapped[int] = mapped_column()


class Nameless(db.Model):
    key: Mapped[str] = mapped_column(primary_key=True)


class Tagged(db.Model):
    id: Mapped[str] = mapped_column(primary_key=True)
    properties: Mapped[list[Tag]] = relationship()


class Tag(db.Model):
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("tagged.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True)


@pytest.fixture
def store_app() -> Iterator[Flask]:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    db.init_app(app)
    with app.app_context():
        db.create_all()
        db.session.add(Plain(id="a", checksum="c", size=1))
        db.session.commit()
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.mark.parametrize(("lost", "raised"), [(True, StoreUnavailable), (False, sa.exc.DBAPIError)])
def test_any_error_of_a_lost_connection_is_unavailable(lost: bool, raised: type[Exception]) -> None:
    """An error that cost the connection means "try again", whatever its kind; others do not."""
    with pytest.raises(raised), store_errors():
        raise sa.exc.InternalError("SELECT 1", {}, Exception("why"), connection_invalidated=lost)


def test_a_table_that_is_missing_is_no_matter_of_time(store_app: Flask) -> None:
    """A table that was never made is the host's error, not a store that may answer soon."""
    db.drop_all()
    with pytest.raises(sa.exc.OperationalError, match="no such table: plain"):
        ModelStore(Plain)("a")


@pytest.mark.parametrize("host_listens", [False, True])
def test_a_connection_lost_after_reading_does_not_matter(
    store_app: Flask, host_listens: bool
) -> None:
    """After everything has been read, its end may fail, on a connection or in the session."""
    if host_listens:
        sa.event.listen(db.session(), "do_orm_execute", lambda state: None)

    def fail(connection: sa.Connection) -> None:
        raise sa.exc.OperationalError("ROLLBACK", {}, Exception("connection lost"))

    sa.event.listen(db.engine, "rollback", fail)
    try:
        image = ModelStore(Plain)("a")
    finally:
        sa.event.remove(db.engine, "rollback", fail)
    assert image is not None
    assert image["size"] == 1
    assert not db.session().in_transaction()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Nameless, "Nameless has no column named id"),
        (Tagged, "Tagged.properties relates to Tag, which has no column named name"),
    ],
)
def test_a_model_without_the_columns_is_refused(
    store_app: Flask, model: type[db.Model], message: str
) -> None:
    """The error names the model, the relationship and the column that is missing."""
    with pytest.raises(TypeError, match=message):
        ModelStore(model)("a")


ID = sa.String(9)


def key(name: str = "key") -> dict[str, Any]:
    return {name: mapped_column(ID, primary_key=True)}


def model_of(attributes: dict[str, Any]) -> type[Any]:
    base = type("Base", (DeclarativeBase,), {})
    return type("Image", (base,), {"__tablename__": "image", **attributes})


def child_of(attributes: dict[str, Any]) -> type[Any]:
    """Return a model whose table is joined with that of another one, which has the id."""
    parent = model_of({**attributes, "kind": mapped_column(ID)})
    parent_key = sa.ForeignKey(f"image.{next(iter(attributes))}")
    columns = {"other": mapped_column(parent_key, primary_key=True)}
    return type("Child", (parent,), {"__tablename__": "child", **columns})


def of_join() -> type[Any]:
    """Return a model whose rows are those of two tables, with several for an id."""
    tables = sa.MetaData()
    one = sa.Table("one", tables, sa.Column("id", ID, primary_key=True))
    two = sa.Table("two", tables, sa.Column("two_id", ID, primary_key=True), sa.Column("of", ID))
    base = type("Base", (DeclarativeBase,), {})
    return type("Image", (base,), {"__table__": one.join(two, one.c.id == two.c.of)})


def of_select(*names: str) -> type[Any]:
    """Return a model of a SELECT, whose primary key is these columns."""
    rows = sa.select(sa.literal("a").label("id"), sa.literal("eu").label("region")).subquery()
    base = type("Base", (DeclarativeBase,), {})
    options = {"primary_key": [rows.c[name] for name in names]}
    return type("Image", (base,), {"__table__": rows, "__mapper_args__": options})


def of_view() -> type[Any]:
    """Return a model of a table without keys of its own, as a view is."""
    table = sa.Table("view", sa.MetaData(), sa.Column("id", ID), sa.Column("region", ID))
    base = type("Base", (DeclarativeBase,), {})
    options = {"primary_key": [*table.c]}
    return type("Image", (base,), {"__table__": table, "__mapper_args__": options})


def indexed(**options: Any) -> dict[str, Any]:
    table_args = (sa.Index("ix", "id", unique=True, **options),)
    return {**key(), "id": mapped_column(ID), "__table_args__": table_args}


SHARED = {
    "composite key": lambda: model_of({**key("region"), **key("id")}),
    "plain column": lambda: model_of({**key(), "id": mapped_column(ID)}),
    "indexed": lambda: model_of({**key(), "id": mapped_column(ID, index=True)}),
    "unique in a region": lambda: model_of(
        {
            **key("region"),
            "id": mapped_column(ID),
            "__table_args__": (sa.UniqueConstraint("id", "region"),),
        }
    ),
    "unique among some": lambda: model_of(indexed(sqlite_where=sa.text("id > 'a'"))),
    "of a join": of_join,
    "of a view": of_view,
    "of a select": lambda: of_select("id", "region"),
}
OWN = {
    "primary key": lambda: model_of(key("id")),
    "unique column": lambda: model_of({**key(), "id": mapped_column(ID, unique=True)}),
    "unique index": lambda: model_of(indexed()),
    "unique constraint": lambda: model_of(
        {**key(), "id": mapped_column(ID), "__table_args__": (sa.UniqueConstraint("id"),)}
    ),
    "renamed": lambda: model_of({"id": mapped_column("name", ID, primary_key=True)}),
    "expression": lambda: model_of(
        {
            "image": (image := mapped_column(ID, primary_key=True)),
            "region": (region := mapped_column(ID, primary_key=True)),
            "id": column_property(image + "-" + region),
        }
    ),
    "inherited key": lambda: child_of(key("id")),
    "inherited column": lambda: child_of({**key(), "id": mapped_column(ID, unique=True)}),
    "of a select": lambda: of_select("id"),
}


@pytest.mark.parametrize("kind", SHARED)
def test_an_id_that_images_may_share_is_refused(kind: str) -> None:
    """A model that allows several images with one id is refused, with what to do about it."""
    engine = sa.create_engine("sqlite://")
    with pytest.raises(TypeError, match=r"Image\.id is neither .* unique=True"):
        ModelStore(SHARED[kind](), engine=engine)("a")


@pytest.mark.parametrize("kind", OWN)
def test_an_id_of_one_image(kind: str) -> None:
    """Whatever makes an id an image's own is accepted: keys, unique columns, expressions."""
    model = OWN[kind]()
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    model.metadata.create_all(engine)
    assert ModelStore(model, engine=engine)("no such image") is None
    engine.dispose()


@pytest.mark.parametrize("model", [db, Plain(), object, None])
def test_what_is_no_model_is_refused(model: Any) -> None:
    """Anything that is not a mapped class is refused when the store is made."""
    with pytest.raises(TypeError, match="must be the class of a model"):
        ModelStore(model)


def test_a_missing_entity(store_app: Flask) -> None:
    """Loading entities, too, a missing image is None."""
    assert ModelStore(Plain, entities=True)("no such image") is None


@pytest.mark.parametrize("columns", [(), ("checksum",), ("size",)], ids=str)
def test_no_copies_without_a_checksum_and_a_size(
    store_app: Flask, columns: tuple[str, ...]
) -> None:
    """A model that does not keep both cannot say that data is the same, so it has no copies."""
    base = type("Base", (DeclarativeBase,), {})
    attributes = {name: mapped_column(sa.String(9)) for name in columns}
    attributes["id"] = mapped_column(sa.String(9), primary_key=True)
    model = type("Partial", (base,), {"__tablename__": "partial", **attributes})
    assert ModelStore(model).copies_of("c", 1) == []


def test_copies_in_a_model_that_knows_no_deletion(store_app: Flask) -> None:
    """A model without a column named deleted has all its images."""
    assert ModelStore(Plain).copies_of("c", 1) == ["a"]
