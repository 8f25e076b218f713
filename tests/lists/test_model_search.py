"""ModelStore.search: fields that are Python code, and one store for several applications."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_imagemeta import ImageMeta
from flask_imagemeta.stores import ModelStore

from ..stores.databases import new_database


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Image(db.Model):
    """A model that says in Python which images are public."""

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(255))
    status: Mapped[str] = mapped_column(sa.String(30), default="active")
    is_released: Mapped[bool]

    @property
    def is_public(self) -> bool:
        return self.is_released


STORE = ModelStore(Image, entities=True)


def make_app(url: str) -> Flask:
    app = Flask("tests")
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db.init_app(app)
    ImageMeta(app, lookup=STORE, search=STORE.search)
    with app.app_context():
        db.create_all()
        db.session.add_all(
            Image(id=name, name=name, is_released=name != "b") for name in ("B", "a", "b", "C")
        )
        db.session.commit()
    return app


def names(app: Flask) -> list[str]:
    response = app.test_client().get("/v1/images?sort_key=name&sort_dir=asc")
    assert response.status_code == 200
    return [image["name"] for image in response.get_json()["images"]]


def close(app: Flask) -> None:
    with app.app_context():
        db.engine.dispose()


def test_is_public_is_a_python_property(tmp_path: Path) -> None:
    """A list has the images that are public by a property of the entity, and no others."""
    app = make_app(f"sqlite:///{tmp_path}/images.sqlite")
    assert names(app) == ["B", "C", "a"]
    close(app)


def test_one_store_for_two_applications(tmp_path: Path) -> None:
    """One store lists in each application's own database, whichever it was asked for first."""
    with new_database("postgresql", tmp_path) as url:
        apps = [make_app(f"sqlite:///{tmp_path}/images.sqlite"), make_app(url)]
        for app in (*apps, *apps):
            assert names(app) == ["B", "C", "a"]
        for app in apps:
            close(app)
