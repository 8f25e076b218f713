"""What the stores make of a database's errors, and of a model that they cannot read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

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
