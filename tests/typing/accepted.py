"""Uses that type checkers accept. This file is only type-checked, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from marshmallow import fields, post_dump, pre_dump
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_imagemeta import (
    HeaderSchema,
    Identity,
    ImageMeta,
    ImageMetaSchema,
    ImageMixin,
    ImageRecord,
    StoreUnavailable,
    image_shown,
    keystone_identity,
)
from flask_imagemeta.fields import Properties, Text
from flask_imagemeta.stores import (
    GlanceAPI,
    GlanceDatabase,
    Lookup,
    ModelStore,
    Searchable,
    Walkable,
    Writable,
)


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


def tutorial(app: Flask) -> None:
    """The lines of the tutorial: an image is made from its fields, and read back from headers."""
    db.session.add_all(
        [
            OldStyle(id="debian-12", size=347930624, is_public=True, properties={"os": "debian"}),
            Image(id="payroll", name="Payroll appliance", architecture="x86_64"),
        ]
    )
    response = app.test_client().head("/v1/images/debian-12")
    image = ImageMetaSchema().load(response.headers)
    print(image["size"], image["properties"]["os"])


def headers_and_back(schema: HeaderSchema) -> None:
    """One image is a dict, several are a list."""
    headers: dict[str, str] = schema.dump({"id": "a"})
    print(headers["X-Image-Meta-Id"].lower())
    several: list[dict[str, str]] = schema.dump([{"id": "a"}], many=True)
    image: dict[str, Any] = schema.load(headers, unknown="exclude")
    images: list[dict[str, Any]] = schema.load(several, many=True)
    raw: dict[str, Any] = schema.load([(b"x-image-meta-id", b"a")])
    print(image, images, raw)


def images_of_a_list(app: Flask) -> None:
    """The images of a list are loaded as headers are."""
    answer = app.test_client().get("/v1/images/detail?name=debian-12")
    images = ImageMetaSchema().load(answer.get_json()["images"], many=True)
    print([image["id"] for image in images])


class HookedSchema(HeaderSchema):
    """A schema with marshmallow's hooks, and fields of both kinds."""

    name = Text(attribute="title")
    tags = fields.List(fields.String())
    properties = Properties(stem="tag-")

    @pre_dump
    def unwrap(self, data: dict[str, Any], **kwargs: Any) -> Any:
        return data["image"]

    @post_dump
    def add(self, headers: dict[str, str], **kwargs: Any) -> dict[str, str]:
        return {**headers, "X-Note": "a"}


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


@image_shown.connect
def note(sender: Flask, image_id: str, **data: object) -> None:
    print(sender.name, image_id)


# The ready-made stores have the methods of the protocols, with the same types.
model_store, database, api = ModelStore(Image), GlanceDatabase("sqlite://"), GlanceAPI("http://h")
lookups: list[Lookup] = [model_store, database, api, find_record]
walkable: list[Walkable] = [model_store, database, api]
writable: list[Writable] = [model_store]
searchable: list[Searchable] = [model_store, database, api]
