"""The example application, from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from example_app import Image, create_app, db
from example_app.seed import EXAMPLE_ID, FIRMWARE, IMAGES, TOKENS

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

PRIVATE, SHARED, OTHERS, DELETED = (
    next(image["id"] for image in IMAGES if image["name"].startswith(start))
    for start in ("payroll", "build agent", "nightly", "retired")
)


@pytest.fixture
def client(demo_app: Flask) -> FlaskClient:
    return demo_app.test_client()


@pytest.mark.parametrize(
    ("token", "image_id", "status"),
    [
        ("", EXAMPLE_ID, 200),
        ("", PRIVATE, 404),
        ("demo-member", PRIVATE, 200),
        ("demo-other", PRIVATE, 404),
        ("demo-other", SHARED, 200),
        ("", SHARED, 404),
        ("demo-member", OTHERS, 404),
        ("demo-other", OTHERS, 200),
        ("demo-member", DELETED, 404),
        ("demo-admin", DELETED, 200),
        ("demo-admin", PRIVATE, 200),
        ("no such token", PRIVATE, 404),
    ],
)
def test_a_token_decides_what_is_there(
    client: FlaskClient, token: str, image_id: str, status: int
) -> None:
    """The same image is a 200 for one caller and a 404 for another."""
    answer = client.head(f"/v1/images/{image_id}", headers={"X-Auth-Token": token})
    assert answer.status_code == status


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image["id"])
def test_every_seeded_image_is_served(client: FlaskClient, image: dict[str, str]) -> None:
    """An admin sees each image of the seed, its name as UTF-8."""
    answer = client.head(f"/v1/images/{image['id']}", headers={"X-Auth-Token": "demo-admin"})
    name = answer.headers["X-Image-Meta-Name"].encode("latin-1").decode()
    assert (answer.status_code, name) == (200, image["name"])


def test_firmware_has_its_own_prefix_and_field(client: FlaskClient) -> None:
    """The second mount answers from its dictionary, under its own names."""
    answer = client.head("/firmware/v1/images/router-r2")
    assert answer.headers["X-Firmware-Meta-Release"] == FIRMWARE["router-r2"]["release"]
    assert answer.headers["X-Firmware-Meta-Property-Board"] == "r2-rev3"
    assert not any(name.startswith("X-Image-Meta-") for name, _ in answer.headers)


def test_mounts_do_not_mix(client: FlaskClient) -> None:
    """An image of one mount is a 404 on the other."""
    assert client.head("/v1/images/router-r2").status_code == 404
    assert client.head(f"/firmware/v1/images/{EXAMPLE_ID}").status_code == 404


def test_a_second_start_keeps_what_was_added(demo_app: Flask) -> None:
    """The database is filled once; what a user adds or changes stays."""
    with demo_app.app_context():
        db.session.add(Image(id="mine", name="mine"))
        db.session.execute(db.delete(Image).where(Image.id == EXAMPLE_ID))
        db.session.commit()
    again = create_app({"SQLALCHEMY_DATABASE_URI": demo_app.config["SQLALCHEMY_DATABASE_URI"]})
    assert again.test_client().head("/v1/images/mine").status_code == 200
    assert again.test_client().head(f"/v1/images/{EXAMPLE_ID}").status_code == 404


def test_every_kind_of_image_is_seeded() -> None:
    """There is something to look at: each status and visibility, properties, a non-ASCII name."""
    assert {image["status"] for image in IMAGES} >= {"active", "queued", "saving", "deleted"}
    visibilities = {image.get("visibility") for image in IMAGES}
    assert visibilities >= {"private", "shared", "community", None}
    assert any(image.get("properties") for image in IMAGES)
    assert any(not image["name"].isascii() for image in IMAGES)
    assert any(identity.is_admin for identity in TOKENS.values())
