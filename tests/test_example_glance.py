"""The example application with a Glance's images instead of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

from example_app import create_app
from example_app.seed import EXAMPLE_ID
from flask_imagemeta.stores import GlanceDatabase

from .stores.databases import GLANCE
from .stores.glance_list import GlanceList
from .stores.glance_server import RECORDED, running_glance

if TYPE_CHECKING:
    from flask.testing import FlaskClient

MEMORY = {"SQLALCHEMY_DATABASE_URI": "sqlite://"}
PUBLIC = "ed4d9afa-f3f5-413b-bc43-690d5368e933"
SHARED = "c67fd858-33d2-4b04-939e-c4a3bc161212"
DELETED = "8ffa9e88-7c12-4e43-9cad-dde4bdd9ace9"


def make_client(**config: str) -> FlaskClient:
    return create_app({**MEMORY, **config}).test_client()


@contextmanager
def api_client(**config: str) -> Iterator[FlaskClient]:
    """Yield a client of the example over a stub of API v2, with the images a real one had."""
    images = {one["id"]: one["v2"] for one in RECORDED.values() if one["http_status"] == 200}
    with running_glance() as glance:
        glance.answer = GlanceList(images, {SHARED: ["projB"]})
        yield make_client(GLANCE_URL=glance.url, **config)


def listed(client: FlaskClient) -> dict[str, str]:
    """Return the names of the images in the first part of the page's table, by id."""
    page = client.get("/").text
    rows = re.findall(r'data-mount="imagemeta" data-id="([^"]+)">([^<]*)<', page)
    return {unescape(image_id): unescape(name) for image_id, name in rows}


def callers(client: FlaskClient) -> dict[str, str]:
    """Return the callers that the page offers: what each is called, by token."""
    found = re.findall(r'name="caller" value="([^"]*)"[^>]*> ([^<]+)<', client.get("/").text)
    return {unescape(token): unescape(name) for token, name in found}


def statuses(client: FlaskClient, image_id: str) -> dict[str, int]:
    """Return what each of the callers on the page gets for an image."""
    return {
        name: client.head(f"/v1/images/{image_id}", headers={"X-Auth-Token": token}).status_code
        for token, name in callers(client).items()
    }


def test_a_database_is_at_v1() -> None:
    """GLANCE_DATABASE_URL is all it takes: its images are there, the model's are not."""
    client = make_client(GLANCE_DATABASE_URL=GLANCE)
    assert client.head(f"/v1/images/{PUBLIC}").headers["X-Image-Meta-Name"] == "public by admin"
    assert client.head(f"/v1/images/{EXAMPLE_ID}").status_code == 404


def test_a_databases_images_are_listed() -> None:
    """The page lists every image of the Glance, deleted ones too."""
    glance = GlanceDatabase(GLANCE)
    expected = {image.id: image.name or "(no name)" for image in glance.walk()}
    glance.close()
    assert listed(make_client(GLANCE_DATABASE_URL=GLANCE)) == expected


def test_a_databases_callers() -> None:
    """An admin, owners, members and a stranger can be chosen, and get what they would get."""
    client = make_client(GLANCE_DATABASE_URL=GLANCE)
    assert callers(client) == {
        "": "anonymous",
        "admin": "admin",
        "projA": "owner projA",
        "projB": "member projB",
        "projC": "member projC",
        "projD": "member projD",
        "stranger": "stranger",
        "own": "own token",
    }
    for image_id, seen_by in [
        (PUBLIC, {*callers(client).values()}),
        (SHARED, {"admin", "owner projA", "member projB", "member projC", "member projD"}),
        (DELETED, {"admin"}),
    ]:
        found = statuses(client, image_id)
        assert {name for name, status in found.items() if status == 200} == seen_by


def test_a_database_that_is_gone(tmp_path: Path) -> None:
    """The page of a Glance that does not answer lists nothing, and still works."""
    client = make_client(GLANCE_DATABASE_URL=f"sqlite:///{tmp_path}/none.sqlite")
    assert listed(client) == {}
    assert callers(client) == {"": "anonymous", "own": "own token"}
    assert client.get("/statuses").json["imagemeta"] == {}
    assert client.head(f"/v1/images/{PUBLIC}").status_code == 503


def test_an_api_is_at_v1() -> None:
    """GLANCE_URL alone passes the callers' own tokens on, and lists nothing."""
    with running_glance() as glance:
        client = make_client(GLANCE_URL=glance.url)
        answer = client.head(f"/v1/images/{PUBLIC}", headers={"X-Auth-Token": "their own"})
        assert listed(client) == {}
        assert callers(client) == {"": "anonymous", "own": "own token"}
    assert answer.headers["X-Image-Meta-Name"] == "public by admin"
    assert [headers["X-Auth-Token"] for _, headers in glance.requests] == ["their own"]


def test_an_apis_images_are_listed() -> None:
    """With an admin's GLANCE_TOKEN, the page lists the API's images and offers their callers."""
    with api_client(GLANCE_TOKEN="an admin's") as client:
        assert listed(client)[PUBLIC] == "public by admin"
        assert callers(client)["projA"] == "owner projA"
        found = statuses(client, SHARED)
    assert {name for name, status in found.items() if status == 200} == {
        "admin",
        "owner projA",
        "member projB",
    }
