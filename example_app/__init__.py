"""An application that embeds Flask-ImageMeta twice: read this file to learn how.

``/v1`` serves images from a database, ``/firmware/v1`` firmware from a dictionary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from marshmallow import fields
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from flask_imagemeta import Identity, ImageMeta, ImageMetaSchema, ImageMixin, Query
from flask_imagemeta.stores import ModelStore

from .glance import find_glance
from .page import Mount, demo_callers, make_page
from .seed import FIRMWARE, IMAGES, TOKENS


class Base(DeclarativeBase):
    """The base class of the models."""


db = SQLAlchemy(model_class=Base)
if TYPE_CHECKING:
    Model = Base  # type checkers cannot follow db.Model
else:
    Model = db.Model


# 1. The model: the mixin has the columns, here with two more for images that are shared.
class Image(ImageMixin, Model):
    """An image, with its visibility and the projects it is shared with."""

    visibility: Mapped[str | None] = mapped_column(String(9))
    members: Mapped[list[Member]] = relationship()


class Member(Model):
    """A project that an image is shared with."""

    image_id: Mapped[str] = mapped_column(ForeignKey("image.id"), primary_key=True)
    member: Mapped[str] = mapped_column(String(255), primary_key=True)


# 2. The extension, with the model as its image store, mounted at /v1. With a search, it serves
#    lists too, in which clients find images by name.
store = ModelStore(Image)
imagemeta = ImageMeta(lookup=store, search=store.search)


# 3. The caller: here a token names it, so a private image is a 404 for everyone but its owner.
@imagemeta.identity
def caller() -> Identity | None:
    """Return the identity that the demo knows for the request's token, or None."""
    return TOKENS.get(request.headers.get("X-Auth-Token", ""))


# 4. A second mount, of another kind of image: its own names, one more field, plain functions.
class FirmwareSchema(ImageMetaSchema):
    """An image's fields and a release, sent as X-Firmware-Meta-*."""

    prefix = "X-Firmware-Meta-"
    release = fields.String()


firmware = ImageMeta(name="firmware", schema=FirmwareSchema, lookup=FIRMWARE.get)


@firmware.search
def candidates(query: Query) -> Iterable[Mapping[str, Any]]:
    """Return all firmware: the extension selects what the query asks for."""
    return FIRMWARE.values()


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Return the application, and create and fill its database if there is none.

    :param config: Flask configuration that wins over the defaults here. GLANCE_DATABASE_URL or
        GLANCE_URL (of its API v2) puts a Glance's images at /v1 instead of the model's; with
        GLANCE_TOKEN, an admin's, the API's images are listed, too.
    """
    app = Flask(__name__)
    app.config.update(
        SQLALCHEMY_DATABASE_URI="sqlite:///images.sqlite",  # in the instance folder
        FIRMWARE_URL_PREFIX="/firmware/v1",
    )
    app.config.from_mapping(config or {})
    db.init_app(app)
    glance = find_glance(app.config)
    (glance.imagemeta if glance else imagemeta).init_app(app)
    firmware.init_app(app)
    images = glance.images if glance else _list_images
    app.register_blueprint(
        make_page(
            Mount("Images", "imagemeta", ImageMetaSchema, images),
            Mount("Firmware", "firmware", FirmwareSchema, FIRMWARE.values),
            callers=glance.callers if glance else demo_callers,
        )
    )
    with app.app_context():
        db.create_all()
        if db.session.scalar(db.select(Image).limit(1)) is None:
            db.session.add_all(_make_image(**image) for image in IMAGES)
            db.session.commit()
    return app


def _list_images() -> Iterable[Image]:
    """Return the images that the demo page lists, a hundred at most."""
    return db.session.scalars(db.select(Image).order_by(Image.created_at, Image.id).limit(100))


def _make_image(members: list[str] | None = None, **columns: Any) -> Image:
    return Image(**columns, members=[Member(member=member) for member in members or []])
