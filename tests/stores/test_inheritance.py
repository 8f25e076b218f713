"""Models that inherit from one another: each image has its own properties and members alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from flask import Flask, request
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from flask_imagemeta import Identity, ImageMeta, ImageMixin
from flask_imagemeta.stores import ModelStore

TIME = datetime(2024, 1, 1)
# A text of ASCII alone is compared in SQL, too, and any other by the extension alone.
SHARES = {"a": "café", "b": "q", "c": None}
SEEN = {"café": ["a"], "q": ["b"], "owner": ["c", "b", "a"], "another": []}


class Base(DeclarativeBase):
    pass


class Image(ImageMixin, Base):
    __tablename__ = "image"
    kind: Mapped[str] = mapped_column(sa.String(9))
    visibility: Mapped[str | None] = mapped_column(sa.String(9))
    properties: Mapped[list[Property]] = relationship(  # type: ignore[assignment]
        cascade="all, delete-orphan"
    )
    members: Mapped[list[Member]] = relationship(cascade="all, delete-orphan")

    __mapper_args__: ClassVar[dict[str, Any]] = {
        "polymorphic_on": "kind",
        "polymorphic_identity": "image",
    }


class Property(Base):
    __tablename__ = "property"
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("image.id"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(9), primary_key=True)
    value: Mapped[str] = mapped_column(sa.String(9))


class Member(Base):
    __tablename__ = "member"
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("image.id"), primary_key=True)
    member: Mapped[str] = mapped_column(sa.String(9), primary_key=True)


class OfOwnTable(Image):
    __tablename__ = "of_own_table"
    id: Mapped[str] = mapped_column(sa.ForeignKey("image.id"), primary_key=True)
    __mapper_args__: ClassVar[dict[str, Any]] = {"polymorphic_identity": "table"}


class OfSameTable(Image):
    __mapper_args__: ClassVar[dict[str, Any]] = {"polymorphic_identity": "same"}


class Grandchild(OfOwnTable):
    __tablename__ = "grandchild"
    id: Mapped[str] = mapped_column(sa.ForeignKey("of_own_table.id"), primary_key=True)
    __mapper_args__: ClassVar[dict[str, Any]] = {"polymorphic_identity": "grand"}


@pytest.fixture(params=[Image, OfOwnTable, OfSameTable, Grandchild])
def model(request: pytest.FixtureRequest) -> type[Image]:
    model: type[Image] = request.param
    return model


@pytest.fixture(scope="module")
def engine(url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture(params=[False, True], ids=["columns", "entities"])
def store(
    engine: sa.Engine, model: type[Image], request: pytest.FixtureRequest
) -> Iterator[ModelStore]:
    """Return a store of three images."""
    with Session(engine) as session:
        store = ModelStore(model, session=lambda: session, entities=request.param)
        store.add(
            {
                "id": image_id,
                "owner": "owner",
                "status": "active",
                "created_at": TIME,
                "updated_at": TIME,
                "visibility": "shared",
                "properties": {"of": image_id},
                "members": [member] if member else [],
            }
            for image_id, member in SHARES.items()
        )
        yield store
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(sa.delete(table))
        session.commit()


def test_a_project_sees_its_images(store: ModelStore) -> None:
    """A project is shown and listed the images shared with it, with their own properties."""
    app = Flask(__name__)

    def identity() -> Identity:
        return Identity(request.headers["X-Project"].encode("latin-1").decode())

    ImageMeta(app, lookup=store, search=store.search, identity=identity)
    client = app.test_client()
    for project, seen in SEEN.items():
        headers = {"X-Project": project.encode().decode("latin-1")}
        answers = {i: client.head(f"/v1/images/{i}", headers=headers) for i in ("c", "b", "a")}
        assert [i for i, answer in answers.items() if answer.status_code == 200] == seen
        listed = client.get("/v1/images/detail", headers=headers).get_json()["images"]
        assert [(image["id"], image["properties"]["of"]) for image in listed] == [
            (image_id, image_id) for image_id in seen
        ]
        assert all(len(image["properties"]) == 1 for image in listed)


def test_a_walk(store: ModelStore) -> None:
    """A walk gives each image its own rows."""
    walked = [(image["id"], image["properties"], [*image["members"]]) for image in store.walk()]
    assert walked == [
        (image_id, {"of": image_id}, [member] if member else [])
        for image_id, member in SHARES.items()
    ]
    assert store.count() == len(SHARES)
