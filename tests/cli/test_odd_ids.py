"""Every command, on a Glance whose images have unusual ids."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from flask_imagemeta import ImageMeta
from flask_imagemeta.stores import GlanceDatabase

from ..stores.databases import load_glance, plain_engine
from .copy_app import create_app, db

ODD_IDS = [
    *("100%", "%2F", "%%32%35", "a?b=c", "a#b", "a;b,c", "a&b", "a+b", "a b", " a ", "a:b", "@a"),
    *("größe", "✓", "e\u0301", "a\\b", '"a"', "'a'", "~", "..a", "A", "-a", "--help"),
    *("x" * 37, "é" * 255),
]


@pytest.fixture
def glance_url(tmp_path: Path) -> str:
    """A SQLite Glance's database with one image for each id."""
    url = f"sqlite:///{tmp_path}/glance.sqlite"
    load_glance(url)
    engine = plain_engine(url)
    tables = sa.MetaData()
    tables.reflect(engine)
    with engine.begin() as connection:
        for name in ("image_properties", "image_members", "image_locations", "image_tags"):
            if name in tables.tables:
                connection.execute(sa.delete(tables.tables[name]))
        images = tables.tables["images"]
        row = dict(connection.execute(sa.select(images).limit(1)).mappings().one())
        row |= {"visibility": "shared", "owner": "p", "deleted": False, "status": "active"}
        row |= {"updated_at": datetime(2026, 1, 2, 3, 4, 5), "deleted_at": None}
        connection.execute(sa.delete(images))
        connection.execute(sa.insert(images), [row | {"id": one} for one in ODD_IDS])
        properties = tables.tables["image_properties"]
        kept = {"name": "k", "created_at": datetime(2026, 1, 2), "deleted": False}
        rows = [kept | {"image_id": one, "value": one} for one in ODD_IDS]
        connection.execute(sa.insert(properties), rows)
        members = tables.tables["image_members"]
        kept = {"member": "q", "created_at": datetime(2026, 1, 2), "deleted": False}
        kept |= {"can_share": False, "status": "accepted", "updated_at": datetime(2026, 1, 2)}
        connection.execute(sa.insert(members), [kept | {"image_id": one} for one in ODD_IDS])
    return url


@pytest.fixture
def glance_app(glance_url: str) -> Iterator[Flask]:
    """An application in front of the Glance; pytest-flask would make one called app current."""
    glance = GlanceDatabase(glance_url)
    app = Flask(__name__)
    ImageMeta(app, lookup=glance)
    yield app
    glance.close()


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["imagemeta", *arguments])


def test_show(glance_app: Flask) -> None:
    """An image is shown by its id, whatever that is, to those who may see it."""
    for image_id in ODD_IDS:
        for caller, status in [("admin", 0), ("p", 0), ("q", 0), ("another", 1)]:
            result = run(glance_app, "show", "--json", "--as", caller, "--", image_id)
            assert result.exit_code == status, (image_id, result.output)
            if status == 0:
                image = json.loads(result.stdout)["image"]
                # What a header cannot carry is dropped from its value, not from the address.
                assert image["id"] == image_id.strip()
                assert image["properties"] == {"k": image_id.strip()}


def test_list(glance_app: Flask) -> None:
    """Every image is listed, once."""
    lines = run(glance_app, "list", "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [one.strip() for one in sorted(ODD_IDS)]
    assert len(run(glance_app, "list").stdout.splitlines()) == len(ODD_IDS) + 1


def test_check(glance_app: Flask) -> None:
    """Only white space around an id does not arrive."""
    result = run(glance_app, "check", "--json")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["id"] for one in found] == [" a "]
    assert {loss["kind"] for loss in found[0]["losses"]} == {"altered"}


def test_copy(glance_url: str, tmp_path: Path) -> None:
    """Every image is copied, and answers as before."""
    app = create_app(f"sqlite:///{tmp_path}/target.sqlite")
    for _ in range(2):
        result = run(app, "copy", glance_url)
        assert result.exit_code == 0, result.output
        assert f"{len(ODD_IDS)} images copied, 0 refused, 0 different" in result.output
    with app.app_context():
        assert db.session.scalar(sa.text("select count(*) from image")) == len(ODD_IDS)
        db.session.remove()
        db.engine.dispose()
