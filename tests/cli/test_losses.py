from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from flask import Flask
from marshmallow import fields

from flask_imagemeta import ImageMeta, ImageMetaSchema, InvalidImage
from flask_imagemeta.cli.losses import find_losses
from flask_imagemeta.image import can_be_asked_for
from flask_imagemeta.stores.unreadable import ImageParts

BROKEN = object()  # a value that cannot be read


def losses(image: dict[str, Any], schema: Any = None, **config: Any) -> list[tuple[str, str]]:
    app = Flask(__name__)
    app.config.update(config)
    ImageMeta(app, schema=schema)
    state = app.extensions["imagemeta"]["imagemeta"]
    parts = {k: InvalidImage(k, None, "broken") if v is BROKEN else v for k, v in image.items()}
    found = find_losses(
        ImageParts({"id": "1", **parts}), state.schema, state.limits, can_be_asked_for
    )
    return [(loss.kind, loss.field) for loss in found]


@pytest.mark.parametrize(
    "image",
    [
        {},
        {"name": "Größe ✓\tgeprüft"},
        {"name": ""},
        {"id": uuid.UUID(int=1), "size": "007", "min_disk": 0, "protected": 1},
        {"created_at": datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))},
        {"properties": {"kernel_id": "a-b", "x-y": "", "none": None}},
        {"properties": {"version": 24.04, "flag": True, "list": [1, {"a": None}]}},
        {"deleted": True, "properties": {"Key": "a\nb"}},
    ],
)
def test_nothing_is_lost(image):
    """What arrives unchanged, or as the protocol's own text for it, is not a loss."""
    assert losses(image) == []


@pytest.mark.parametrize("name", ["a\nb", "a\x00", "a\x85b", "\ud800", " a", "a ", "\ta", "\u0007"])
def test_altered_field(name):
    """Control characters, lone surrogates and white space at the ends alter a field."""
    assert losses({"name": name}) == [("altered", "name")]


@pytest.mark.parametrize("value", ["a\nb", "\udc80", "a ", ["a\nb ", "\x85"]])
def test_altered_property(value):
    """What alters a field alters a property."""
    assert losses({"properties": {"key": value}}) == [("altered", "properties['key']")]


@pytest.mark.parametrize("name", ["Key", "a key", "clé", "50%", "a:b"])
def test_altered_property_name(name):
    """A property's name is altered when it has capitals, or bytes that are percent-encoded."""
    assert losses({"properties": {name: "v"}}) == [("altered", f"properties[{name!r}]")]


def test_colliding_names():
    """Of two properties whose names become the same, the one that loses is omitted."""
    found = losses({"properties": {"KEY": "1", "key": "2", "Key": "3"}})
    assert found == [("omitted", "properties['KEY']"), ("omitted", "properties['Key']")]


@pytest.mark.parametrize(
    "config", [{"IMAGEMETA_MAX_HEADERS": 16}, {"IMAGEMETA_MAX_HEADER_BYTES": 1000}]
)
def test_no_room(config):
    """Properties beyond the limits of a response are omitted, each named."""
    found = losses({"properties": {f"key{n:02}": "v" * 50 for n in range(20)}}, **config)
    assert 0 < len(found) < 20
    assert {kind for kind, _ in found} == {"omitted"}
    assert found[-1] == ("omitted", "properties['key19']")


@pytest.mark.parametrize(
    ("image", "field"),
    [
        ({"size": "abc"}, "size"),
        ({"size": 1.5}, "size"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"properties": {"key": object()}}, "properties['key']"),
        ({"name": "x" * 20_000}, "name"),
    ],
)
def test_refused(image, field):
    """An image that a client would get a 500 for is refused, with the field at fault."""
    assert losses(image)[0][0] == "refused"
    assert losses(image)[0][1].startswith(field.partition("[")[0])


@pytest.mark.parametrize(
    ("image", "field"),
    [
        ({"owner": "p", "members": "q"}, "members"),
        ({"owner": "p", "members": 5}, "members"),
        ({"owner": "p", "visibility": BROKEN}, "visibility"),
        ({"owner": None, "visibility": BROKEN}, "visibility"),
        ({"deleted": True, "members": BROKEN}, "members"),
    ],
)
def test_access_that_cannot_be_decided(image, field):
    """An image is refused if what decides who may see it cannot be used, for HEAD or in a list."""
    assert losses(image) == [("refused", field)]


def test_members_that_do_not_count():
    """Members are not looked at where they decide nothing."""
    assert losses({"visibility": "public", "members": BROKEN}) == []


@pytest.mark.parametrize("image_id", ["", "a/b", "a\nb", "x" * 256])
def test_unreachable_id(image_id):
    """An image that no request can ask for is refused."""
    assert losses({"id": image_id}) == [("refused", "id")]


def test_own_schema():
    """The fields that a schema adds are looked at, those that it leaves out are not."""

    class Schema(ImageMetaSchema):
        class Meta(ImageMetaSchema.Meta):
            exclude = ("owner",)

        release = fields.String(attribute="version")

    assert losses({"version": "1\n2", "owner": "a\nb"}, Schema) == [("altered", "release")]
