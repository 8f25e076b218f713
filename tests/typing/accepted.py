"""Uses that type checkers accept. This file is only type-checked, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_imagemeta import (
    Identity,
    ImageMeta,
    ImageMetaSchema,
    ImageMixin,
    ImageRecord,
    StoreUnavailable,
    image_shown,
    keystone_identity,
)
from flask_imagemeta.fields import Text
from flask_imagemeta.stores import ModelStore


class Base(DeclarativeBase):
    """The host's own base."""


db = SQLAlchemy(model_class=Base)

# mypy cannot follow db.Model, which Flask-SQLAlchemy makes at run time: an Image of it needs an
# ignore of these two errors and no other. With the host's own base in its place, none.
if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


class Image(ImageMixin, Model):
    """The host's model with a column of its own."""

    architecture: Mapped[str | None] = mapped_column()


class OldStyle(ImageMixin, db.Model):  # type: ignore[name-defined,misc]
    """The same as Flask-SQLAlchemy's documentation has it."""


def typed_columns(image: Image, old: OldStyle) -> None:
    """The mixin's columns have types on both."""
    name: str | None = image.name
    size: int | None = old.size
    properties: dict[str, Any] = image.properties
    select(Image.id, Image.architecture).where(Image.owner == "p", OldStyle.deleted.is_(False))
    print(name, size, properties)


class FirmwareSchema(ImageMetaSchema):
    """A prefix and a field in one line each."""

    prefix = "X-Firmware-Meta-"
    signed_by = Text()


def find_in_mapping(image_id: str) -> Mapping[str, object] | None:
    return {"id": image_id}


async def find_record(image_id: str) -> ImageRecord | None:
    if not image_id:
        raise StoreUnavailable
    return ImageRecord(id=image_id)


app = Flask(__name__)
firmware = ImageMeta(app, name="firmware", schema=FirmwareSchema, lookup=find_in_mapping)
by_argument = ImageMeta(
    schema=FirmwareSchema(),
    lookup=ModelStore(Image),
    identity=keystone_identity,
    stored_size=lambda image: None,
    show_property=lambda name, identity: identity is not None and identity.is_admin,
)
by_argument.init_app(app)
imagemeta = ImageMeta(lookup=find_record)


@imagemeta.identity
async def identify() -> Identity | None:
    return Identity(project_id="p", roles=["member"])


@imagemeta.stored_size
def count(image: Image) -> int | None:
    return image.size


@imagemeta.show_property
def is_shown(name: str, identity: Identity | None) -> bool:
    return identity is not None


# A decorator leaves a function's type as it was.
size: int | None = count(Image())
shown: bool = is_shown("name", None)
image_shown.connect(lambda sender, **data: None)
