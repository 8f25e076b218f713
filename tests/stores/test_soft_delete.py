"""Rows and images that are marked as deleted: by a Boolean, or by a number as oslo.db does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, relationship

from flask_imagemeta import Identity, ImageMeta
from flask_imagemeta.stores import ModelStore

from .databases import plain_engine

ADMIN = Identity("p", ["admin"])


class SoftDeleteInteger(sa.TypeDecorator[int]):
    """Like the type of that name in oslo.db."""

    impl, cache_ok = sa.Integer, True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return None if value is None else int(value)


# Each with its values for no and for yes.
TYPES: dict[str, tuple[Any, Any, Any]] = {
    "Boolean": (sa.Boolean, False, True),
    "Integer": (sa.Integer, 0, 7),
    "oslo.db": (SoftDeleteInteger, 0, 7),
}


def models(deleted: Any) -> tuple[type[Any], type[Any], type[Any]]:
    """Return the models of images, properties and members, each with such a column."""
    base = type("Base", (DeclarativeBase,), {})
    text = sa.String(36)

    def model(table: str, **attributes: Any) -> type[Any]:
        columns = {"id": mapped_column(text, primary_key=True), "deleted": mapped_column(deleted)}
        return type(table, (base,), {"__tablename__": table, **columns, **attributes})

    def row(table: str, **attributes: Any) -> type[Any]:
        return model(table, image_id=mapped_column(sa.ForeignKey("image.id")), **attributes)

    rows = {
        "properties": row("property", name=mapped_column(text), value=mapped_column(text)),
        "members": row("member", member=mapped_column(text)),
    }
    image = model(
        "image",
        owner=mapped_column(text),
        checksum=mapped_column(text),
        size=mapped_column(sa.Integer),
        created_at=mapped_column(sa.DateTime),
        **{name: relationship(related) for name, related in rows.items()},
    )
    return image, rows["properties"], rows["members"]


@pytest.fixture(
    params=[
        "Integer",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("Boolean", "oslo.db")),
    ]
)
def session(request: pytest.FixtureRequest, url: str) -> Iterator[Session]:
    """A session of images, of which some and some rows are deleted, and its model in `info`."""
    kind, no, yes = TYPES[request.param]
    image, property_, member = models(kind)
    engine = plain_engine(url)
    image.metadata.create_all(engine)
    with Session(engine, info={"model": image}) as session:
        kept = {"owner": "p", "checksum": "c", "size": 1}
        session.add_all(
            [
                image(id="a", deleted=no, **kept),
                image(id="b", deleted=None, **kept),
                image(id="c", deleted=yes, **kept),
            ]
        )
        session.flush()
        for number, deleted in enumerate((no, None, yes)):
            own = {"id": f"{number}", "image_id": "a", "deleted": deleted}
            session.add(property_(name=f"n{number}", value="v", **own))
            session.add(member(member=f"m{number}", **own))
        session.commit()
        yield session
    image.metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture(params=["columns", "entities"])
def store(request: pytest.FixtureRequest, session: Session) -> ModelStore:
    model = session.info["model"]
    return ModelStore(model, session=lambda: session, entities=request.param == "entities")


def client_of(store: ModelStore, identity: Identity) -> Any:
    app = Flask(__name__)
    ImageMeta(app, lookup=store, search=store.search, identity=lambda: identity)
    return app.test_client()


def test_deleted_rows(store: ModelStore) -> None:
    """A row that is deleted is no property and no member, and its property finds no image."""
    image = store("a")
    assert set(image["properties"]) == {"n0", "n1"}
    assert set(image["members"]) == {"m0", "m1"}
    [walked] = [one for one in store.walk() if one["id"] == "a"]
    assert set(walked["members"]) == {"m0", "m1"}
    for number, found in enumerate((["a"], ["a"], [])):
        answer = client_of(store, Identity("p")).get(f"/v1/images?property-n{number}=v")
        assert [one["id"] for one in answer.get_json()["images"]] == found
        answer = client_of(store, Identity(f"m{number}")).get("/v1/images")
        assert [one["id"] for one in answer.get_json()["images"]] == found


def test_deleted_images(store: ModelStore) -> None:
    """An image that is deleted is for admins alone, and in no list but that of changes."""
    owner, admin = (client_of(store, one) for one in (Identity("p"), ADMIN))
    assert [owner.head(f"/v1/images/{one}").status_code for one in "abc"] == [200, 200, 404]
    listed = owner.get("/v1/images?sort_key=id").get_json()["images"]
    assert [one["id"] for one in listed] == ["b", "a"]
    deleted = [admin.head(f"/v1/images/{one}").headers["X-Image-Meta-Deleted"] for one in "abc"]
    assert deleted == ["False", "False", "True"]


def test_deleted_images_hold_no_copies(store: ModelStore) -> None:
    """Data that only deleted images hold is not stored yet."""
    assert store.copies_of("c", 1) == ["a", "b"]


def test_deleted_rows_come_back(session: Session, store: ModelStore) -> None:
    """An image that is written again has its deleted rows again, not a second time."""
    names = [f"n{number}" for number in range(3)]
    store.put([{"id": "a", "properties": dict.fromkeys(names, "v"), "members": ["m0", "m1", "m2"]}])
    session.expire_all()
    image = store("a")
    assert sorted(image["properties"]) == names
    assert sorted(image["members"]) == ["m0", "m1", "m2"]


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True, scope="module")
@pytest.mark.parametrize("type_", [sa.DateTime, sa.String(5)], ids=["DateTime", "String"])
def test_a_type_that_says_neither_yes_nor_no(url: str, type_: Any) -> None:
    """Rows whose deleted is of another type are refused, with what it can be."""
    engine = plain_engine(url)
    store = ModelStore(models(type_)[0], engine=engine)
    with pytest.raises(TypeError, match=r"property\.deleted is of type .*Boolean, or Integer"):
        store("a")
