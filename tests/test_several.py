"""Several applications on one object, several objects in one application."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from flask import Blueprint, Flask

from flask_imagemeta import ImageMeta, ImageMetaSchema

from .apps import EXAMPLE, PATH, make_app

pytestmark = pytest.mark.core


class FirmwareSchema(ImageMetaSchema):
    prefix = "X-Firmware-Meta-"


@pytest.fixture
def firmware() -> ImageMeta:
    """A second object, with another name, schema and lookup."""
    return ImageMeta(
        name="firmware", schema=FirmwareSchema, lookup={"router": {"id": "router"}}.get
    )


def test_one_object_serves_several_applications(imagemeta: ImageMeta) -> None:
    """Each application has a blueprint of its own and its own settings."""
    one = make_app(imagemeta, IMAGEMETA_URL_PREFIX="/one", IMAGEMETA_CACHE_CONTROL="no-store")
    two = make_app(imagemeta)
    assert one.blueprints["imagemeta"] is not two.blueprints["imagemeta"]
    assert one.test_client().head(f"/one/images/{EXAMPLE['id']}").status_code == 200
    assert one.test_client().head(PATH).status_code == 404
    response = two.test_client().head(PATH)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "private, no-cache"


def find_any(image_id: str) -> dict[str, str]:
    return {"id": image_id}


def test_hook_of_one_application_stays_there(imagemeta: ImageMeta) -> None:
    """A hook in one application's configuration does not reach another."""
    one = make_app(imagemeta, IMAGEMETA_LOOKUP=f"{__name__}:find_any")
    two = make_app(imagemeta)
    for app, status in [(one, 200), (two, 404), (one, 200), (two, 404)]:
        assert app.test_client().head("/v1/images/other").status_code == status


def test_several_objects_in_one_application(imagemeta: ImageMeta, firmware: ImageMeta) -> None:
    """Objects with different names answer side by side, each with its lookup and its schema."""
    app = make_app(imagemeta, firmware, FIRMWARE_URL_PREFIX="/firmware/v1", FIRMWARE_VARY="X-Token")
    image = app.test_client().head(PATH)
    router = app.test_client().head("/firmware/v1/images/router")
    assert image.headers["X-Image-Meta-Id"] == EXAMPLE["id"]
    assert image.headers["Vary"] == "X-Auth-Token, Authorization, Cookie, X-Image-Meta-Size"
    assert router.headers["X-Firmware-Meta-Id"] == "router"
    assert router.headers["Vary"] == "X-Token, X-Firmware-Meta-Size"
    assert app.test_client().head("/firmware/v1/images/none").status_code == 404
    assert app.test_client().head("/v1/images/router").status_code == 404


def test_other_methods_of_several_objects(imagemeta: ImageMeta, firmware: ImageMeta) -> None:
    """A 405 has the headers of the object whose route it is, once."""
    app = make_app(imagemeta, firmware, FIRMWARE_URL_PREFIX="/firmware/v1", FIRMWARE_VARY="X-Token")
    answers: list[Any] = [
        app.test_client().get(path) for path in (PATH, "/firmware/v1/images/router")
    ]
    assert [response.headers.getlist("Vary") for response in answers] == [
        ["X-Auth-Token, Authorization, Cookie, X-Image-Meta-Size"],
        ["X-Token, X-Firmware-Meta-Size"],
    ]
    assert all(len(response.headers.getlist("X-Openstack-Request-Id")) == 1 for response in answers)


def test_blueprint_has_the_objects_name(imagemeta: ImageMeta, firmware: ImageMeta) -> None:
    """Each object's blueprint is registered under its name."""
    app = make_app(imagemeta, firmware, FIRMWARE_URL_PREFIX="/firmware/v1")
    assert set(app.blueprints) == {"imagemeta", "firmware"}


def test_second_init(imagemeta: ImageMeta) -> None:
    """A second init_app of one object raises and says what was probably meant."""
    app = make_app(imagemeta)
    with pytest.raises(RuntimeError, match=r"Did you call init_app twice, or make two objects\?"):
        imagemeta.init_app(app)


def test_second_object_of_one_name(imagemeta: ImageMeta) -> None:
    """A second object under the same name raises, and the first goes on."""
    app = make_app(imagemeta)
    with pytest.raises(RuntimeError, match="already has an ImageMeta named 'imagemeta'"):
        ImageMeta(app, lookup=lambda image_id: None)
    assert app.test_client().head(PATH).status_code == 200


@pytest.mark.parametrize("prefix", ["/v1", "/v1/"])
def test_two_under_one_prefix(imagemeta: ImageMeta, firmware: ImageMeta, prefix: str) -> None:
    """Two objects under one URL prefix, of which only one could answer, are refused."""
    with pytest.raises(RuntimeError, match=r"would both be mounted.*Set FIRMWARE_URL_PREFIX"):
        make_app(imagemeta, firmware, FIRMWARE_URL_PREFIX=prefix)


def test_blueprint_of_the_hosts_own(imagemeta: ImageMeta) -> None:
    """Where the host has a blueprint of this name, Flask says so, and nothing is kept."""
    app = Flask("tests")
    app.register_blueprint(Blueprint("imagemeta", "tests"))
    with pytest.raises(ValueError, match="already registered"):
        imagemeta.init_app(app)
    assert app.extensions["imagemeta"] == {}


def test_object_keeps_no_application(imagemeta: ImageMeta) -> None:
    """The object does not keep an application that no one else has."""
    app = make_app(imagemeta)
    app.test_client().head(PATH)
    assert set(app.extensions["imagemeta"]) == {"imagemeta"}
    gone = weakref.ref(app)
    del app
    gc.collect()
    assert gone() is None


def test_subclass_init() -> None:
    """A subclass may set its hooks and then initialize like its base."""

    class Images(ImageMeta):
        def __init__(self, app: Flask) -> None:
            super().__init__(lookup=lambda image_id: EXAMPLE)
            self.init_app(app)

    app = Flask("tests")
    Images(app)
    assert app.test_client().head(PATH).status_code == 200
