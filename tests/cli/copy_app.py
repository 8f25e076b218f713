"""An application to copy images into: a model that keeps all that a Glance has."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from flask_imagemeta import Identity, ImageMeta, ImageMixin
from flask_imagemeta.stores import ModelStore


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)
# MariaDB compares text without case by default, and ignores white space at its end.
Exact = String(255).with_variant(
    mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_nopad_bin"), "mysql", "mariadb"
)


class Image(ImageMixin, db.Model):
    """The mixin's columns, and rows for properties and members."""

    visibility: Mapped[str | None] = mapped_column(String(9))
    members: Mapped[list[Member]] = relationship(cascade="all, delete-orphan")


class Member(db.Model):
    image_id: Mapped[str] = mapped_column(ForeignKey("image.id"), primary_key=True)
    member: Mapped[str] = mapped_column(String(255), primary_key=True)


class Rows(db.Model):
    """A model whose properties are rows, and which can keep NULL in every column."""

    __tablename__ = "rows_image"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[str | None] = mapped_column(String(30))
    owner: Mapped[str | None] = mapped_column(String(255))
    visibility: Mapped[str | None] = mapped_column(String(9))
    deleted: Mapped[bool] = mapped_column(default=False)
    properties: Mapped[list[Property]] = relationship()
    members: Mapped[list[RowsMember]] = relationship()


class Property(db.Model):
    image_id: Mapped[str] = mapped_column(ForeignKey("rows_image.id"), primary_key=True)
    name: Mapped[str] = mapped_column(Exact, primary_key=True)
    value: Mapped[str | None] = mapped_column(Text)
    deleted: Mapped[bool] = mapped_column(default=False)


class RowsMember(db.Model):
    image_id: Mapped[str] = mapped_column(ForeignKey("rows_image.id"), primary_key=True)
    member: Mapped[str] = mapped_column(Exact, primary_key=True)


class Mixin(ImageMixin, db.Model):
    """The mixin alone: no visibility and no members."""


class Killed:
    """A store of three pages of images; the process that walks it may be killed half-way."""

    size = 300

    def walk(self) -> Iterator[Any]:
        for number in range(self.size):
            if number == self.size // 2 and os.environ.get("KILL_HALF_WAY"):
                os.kill(os.getpid(), signal.SIGKILL)
            yield {"id": f"{number:04}", "status": "active", "created_at": TIME}


class Counted(Killed):
    """The same store, which knows how many images it has, and is slow once."""

    def walk(self) -> Iterator[Any]:
        for number, image in enumerate(super().walk()):
            if number == self.size // 2:
                time.sleep(1.1)  # click estimates the time left once a second
            yield image

    def count(self) -> int:
        return self.size


TIME = datetime(2024, 5, 17, 8, 30, 0, 250000)
KILLED = Killed()
COUNTED = Counted()
OWN = ModelStore(Image)


def identity() -> Identity | None:
    """Return an admin for the token "admin", and a member of a project for its id."""
    token = request.headers.get("X-Auth-Token")
    return Identity(roles=["admin"]) if token == "admin" else Identity(token)


def create_app(url: str | None = None, lookup: Any = None) -> Flask:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url or os.environ["TARGET_URL"]
    db.init_app(app)
    ImageMeta(app, lookup=lookup or OWN, identity=identity)
    with app.app_context():
        db.create_all()
    return app
