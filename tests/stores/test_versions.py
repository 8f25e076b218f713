"""An image that is rewritten while it is read: every answer is of one version."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from flask_imagemeta.stores import ModelStore

READERS = 32
LOOKUPS = 12  # of each reader


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Image(db.Model):
    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20))
    size: Mapped[int]
    properties: Mapped[list[Property]] = relationship(lazy="selectin")
    members: Mapped[list[Member]] = relationship()

    @property
    def checksum(self) -> str:
        return self.name


class Columns(db.Model):
    """The same images, without the attribute that no statement can read."""

    __table__ = Image.__table__
    properties: Mapped[list[Property]] = relationship(viewonly=True)


class Property(db.Model):
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("image.id"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    value: Mapped[str] = mapped_column(sa.String(20))


class Member(db.Model):
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("image.id"), primary_key=True)
    member: Mapped[str] = mapped_column(sa.String(20), primary_key=True)


@pytest.fixture(scope="module")
def rewritten_app(kind: str, url: str) -> Iterator[Flask]:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": READERS, "max_overflow": 1}
    db.init_app(app)
    with app.app_context():
        if kind == "sqlite":
            with db.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        db.create_all()
        properties = [Property(name=f"p{n}", value="0") for n in range(3)]
        db.session.add(Image(id="a", name="0", size=0, properties=properties))
        db.session.add(Member(image_id="a", member="0"))
        db.session.commit()
        db.session.remove()
        yield app
        db.engine.dispose()


def write(app: Flask, end: threading.Event) -> int:
    """Give the image one version after the other, until the end; return how many."""
    version = 0
    with app.app_context():
        engine = db.engine
    try:
        while not end.is_set():
            version += 1
            text = str(version)
            with engine.begin() as connection:
                connection.execute(sa.update(Image).values(name=text, size=version))
                connection.execute(sa.update(Property).values(value=text))
                connection.execute(sa.update(Member).values(member=text))
    finally:
        end.set()
    return version


def read(app: Flask, store: ModelStore, has_members: bool, end: threading.Event) -> list[set[str]]:
    """Return the versions that each lookup's parts are of, until there was more than one."""
    found: list[set[str]] = []
    while len(found) < LOOKUPS or (found[1:] == found[:-1] and not end.is_set()):
        with app.app_context():
            image = store("a")
            parts = {image["name"], str(image["size"]), *image["properties"].values()}
            if has_members:
                parts |= {image["checksum"], *image["members"]}
            found.append(parts)
    return found


@pytest.mark.parametrize("way", ["columns", "entities", "engine"])
def test_no_answer_mixes_versions(rewritten_app: Flask, way: str) -> None:
    """Many readers beside a writer never see parts of two versions; entities with members, too."""
    options: dict[str, dict[str, Any]] = {
        "columns": {},
        "entities": {"entities": True},
        "engine": {"engine": lambda: db.engine},
    }
    model = Image if way == "entities" else Columns
    store = ModelStore(model, **options[way])
    end = threading.Event()
    with ThreadPoolExecutor(READERS + 1) as pool:
        writer = pool.submit(write, rewritten_app, end)
        readers = [
            pool.submit(read, rewritten_app, store, way == "entities", end) for _ in range(READERS)
        ]
        try:
            found = [parts for reader in readers for parts in reader.result(timeout=60)]
        finally:
            end.set()
        assert writer.result(timeout=60) > 1
    assert [parts for parts in found if len(parts) != 1] == []
    assert len({version for parts in found for version in parts}) > 1
