"""What a ModelStore has besides the lookup: it can be walked, counted and added to."""

from __future__ import annotations

import uuid

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, String, Uuid
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    attribute_keyed_dict,
    mapped_column,
    relationship,
)

from flask_imagemeta import ImageMixin
from flask_imagemeta.cli import common
from flask_imagemeta.stores import ModelStore


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Plain(ImageMixin, db.Model):
    pass


class Related(db.Model):
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    visibility: Mapped[str | None]
    is_public: Mapped[bool] = mapped_column(default=False)
    properties: Mapped[list[Property]] = relationship()
    members: Mapped[list[Member]] = relationship()


class Property(db.Model):
    image_id: Mapped[str] = mapped_column(ForeignKey("related.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str | None]
    deleted: Mapped[bool] = mapped_column(default=False)


class Member(db.Model):
    image_id: Mapped[str] = mapped_column(ForeignKey("related.id"), primary_key=True)
    member: Mapped[str] = mapped_column(String(255), primary_key=True)


class Keyed(db.Model):
    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    properties: Mapped[dict[str, KeyedProperty]] = relationship(
        collection_class=attribute_keyed_dict("name")
    )


class KeyedProperty(db.Model):
    image_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("keyed.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str | None]


class Number(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture(autouse=True)
def walked_app():
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    db.init_app(app)
    with app.app_context():
        db.create_all()
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.mark.parametrize("entities", [False, True])
@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1000, 1001])
def test_walk_is_complete(count, entities):
    """Every image comes exactly once, in the order of ids, whatever the pages."""
    if count:
        db.session.execute(db.insert(Number), [{"id": 3 * n} for n in range(count)])
    store = ModelStore(Number, entities=entities)
    images = list(store.walk())
    ids = [image["id"] for image in images]
    assert ids == [3 * n for n in range(count)]
    assert store.count() == count


@pytest.mark.parametrize("entities", [False, True])
def test_walk_reads_related_rows(entities):
    """Images come with their properties and members, without rows that are deleted."""
    store = ModelStore(Related, entities=entities)
    store.add([{"id": "a", "properties": {"x": "1", "y": "2"}}, {"id": "b"}])
    db.session.add(Property(image_id="b", name="gone", value="1", deleted=True))
    db.session.add(Member(image_id="b", member="p1"))
    db.session.commit()
    images = [_Fields(image) for image in store.walk()]
    found = [(i.id, i.properties, "p1" in i.members) for i in images]
    assert found == [("a", {"x": "1", "y": "2"}, False), ("b", {}, True)]


class _Fields:
    def __init__(self, image):
        self.__dict__.update(image)


def test_walk_reads_page_by_page():
    """What changes beyond the page that is being read counts."""
    db.session.execute(db.insert(Number), [{"id": n} for n in range(1200)])
    db.session.commit()
    walk = ModelStore(Number).walk()
    next(walk)
    db.session.execute(db.delete(Number).where(Number.id >= 600))
    assert sum(1 for _ in walk) == 599


@pytest.mark.parametrize(("entities", "count"), [(False, 2), (True, 1)])
def test_walk_asks_once_a_page(walked_app, entities, count):
    """Related rows are read for a page at once, members in a statement; there is one page."""
    store = ModelStore(Related, entities=entities)
    store.add({"id": f"{n:02}", "properties": {"x": "1"}, "members": ["p"]} for n in range(20))
    statements = []
    listen = db.event.listen
    listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    for image in store.walk():
        assert image["properties"] == {"x": "1"}
        assert list(image["members"]) == ["p"]
    assert sum(one.startswith("SELECT") for one in statements) == count


def test_add_returns_ids():
    """Adding gives the ids, those given and those made by the model."""
    first, second = ModelStore(Plain).add([{"id": "a"}, {"name": "b"}])
    assert first == "a"
    assert db.session.get(Plain, second).name == "b"


def test_add_keeps_what_clients_cannot_tell_from_none():
    """A column that cannot be NULL gets the value that is sent for None, if there is one."""
    ModelStore(Plain).add([{"id": "a", "min_disk": None, "visibility": None}])
    assert db.session.get(Plain, "a").min_disk == 0


def test_add_is_one_transaction():
    """When one image is refused, none is added."""
    with pytest.raises(Exception, match="UNIQUE"):
        ModelStore(Plain).add([{"id": "a"}, {"id": "b"}, {"id": "a"}])
    assert ModelStore(Plain).count() == 0


def test_add_leaves_the_hosts_session_alone():
    """What the host has in its session is neither written nor lost."""
    db.session.add(Plain(id="own"))
    with db.session.no_autoflush:
        ModelStore(Plain).add([{"id": "a"}])
    db.session.rollback()
    assert [image["id"] for image in ModelStore(Plain).walk()] == ["a"]


def test_add_fills_a_dictionary_of_rows():
    """Properties become rows of a relationship that is a dictionary, too."""
    store = ModelStore(Keyed)
    (image_id,) = store.add([{"properties": {"x": "1"}}])
    assert store(image_id)["properties"] == {"x": "1"}


@pytest.mark.parametrize(("word", "is_public"), [("public", True), ("private", False)])
def test_add_keeps_visibility_as_the_model_does(word, is_public):
    """Visibility goes to the model's is_public, and to its visibility where it has one."""
    ModelStore(Plain).add([{"id": "a", "visibility": word}])
    ModelStore(Related).add([{"id": "a", "visibility": word}])
    assert db.session.get(Plain, "a").is_public is is_public
    related = db.session.get(Related, "a")
    assert (related.visibility, related.is_public) == (word, is_public)


def test_add_without_a_column():
    """A field that the model has no column for is refused, named."""
    with pytest.raises(ValueError, match="Related has no column named owner"):
        ModelStore(Related).add([{"id": "a", "owner": "p1"}])


@pytest.mark.parametrize("model", [Number, Keyed])
def test_add_with_an_id_of_another_type(model):
    """An id that cannot be one of the model is refused."""
    with pytest.raises(ValueError, match=f"'x': cannot be an id of {model.__name__}"):
        ModelStore(model).add([{"id": "x"}])


def test_copies():
    """Copies are the images of the same checksum and size that are not deleted."""
    store = ModelStore(Plain)
    same = {"checksum": "c" * 32, "size": 1}
    store.add(
        [
            same | {"id": "b"},
            same | {"id": "a"},
            same | {"id": "deleted", "deleted": True},
            same | {"id": "size", "size": 2},
            {"id": "none"},
        ]
    )
    assert store.copies_of("c" * 32, 1) == ["a", "b"]


class Uncountable:
    """A store that can be walked; its count fails."""

    def walk(self):
        return iter("ab")

    def count(self):
        raise OSError("too many")


def test_a_count_that_fails(monkeypatch):
    """Without a count, the images are there all the same, and the bar shows no percentage."""
    monkeypatch.setattr(common, "has_terminal", lambda: True)
    with common.progress(Uncountable(), "Walking") as images:
        assert [*images] == ["a", "b"]
