"""Lists over databases whose character sets lack characters, or have them in another order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy

from flask_imagemeta import ImageMeta, ImageMixin
from flask_imagemeta.stores import ModelStore

from ..stores.databases import CHINESE, EMOJI, NARROW, new_database

db = SQLAlchemy()


class Image(ImageMixin, db.Model):
    pass


@pytest.fixture(scope="module", params=NARROW)
def charset(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def names(charset: str) -> list[str]:
    """Names that the database can hold, in the order of their code points."""
    return ["a", "b", "\xe9", "\xff", *(["\u20ac"] if charset != "LATIN1" else [])]


@pytest.fixture(scope="module")
def client(charset: str, names: list[str], tmp_path_factory: Any) -> Iterator[FlaskClient]:
    kind, options, _ = NARROW[charset]
    app = Flask("tests")
    with new_database(kind, tmp_path_factory.getbasetemp(), options) as url:
        app.config["SQLALCHEMY_DATABASE_URI"] = url
        db.init_app(app)
        ImageMeta(app, lookup=(store := ModelStore(Image)), search=store.search)
        with app.app_context():
            db.create_all()
            db.session.add_all(Image(id=name, name=name, is_public=True) for name in names)
            db.session.commit()
        yield app.test_client()
        with app.app_context():
            db.engine.dispose()


def listed(client: FlaskClient, **query: Any) -> list[str]:
    answer = client.get(f"/v1/images?{urlencode({'sort_dir': 'asc', **query})}")
    assert answer.status_code == 200
    return [image["name"] for image in answer.get_json()["images"]]


@pytest.mark.parametrize("other", [EMOJI, CHINESE, f"{EMOJI},{CHINESE}", "\xe9"])
def test_one_of_several_values(client: FlaskClient, other: str) -> None:
    """A value that the database cannot hold does not keep the others from matching."""
    expected = {"a", "\xe9"} if other == "\xe9" else {"a"}
    assert {*listed(client, name=f"in:a,{other}")} == expected
    assert listed(client, name=f"in:{EMOJI},{CHINESE}") == []


@pytest.mark.parametrize("limit", [1, 2, 25])
def test_names_are_sorted_by_code_point(client: FlaskClient, names: list[str], limit: int) -> None:
    """The order is that of code points, whatever the bytes are in the database."""
    found = listed(client, sort_key="name", limit=limit)
    while found[-1] != names[-1]:
        found += listed(client, sort_key="name", limit=limit, marker=found[-1])
    assert found == names
