"""Flask-Migrate makes the mixin's table on each database, by the commands that hosts use."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy as sa

from flask_imagemeta import ImageMixin

from ..needs import needs
from .databases import plain_engine

pytestmark = pytest.mark.slow

HOST = """
import os
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_imagemeta import ImageMixin

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
db = SQLAlchemy(app)
Migrate(app, db)

class Image(ImageMixin, db.Model):
    architecture = db.Column(db.String(20))
"""


@pytest.fixture
def host(url: str, tmp_path: Path) -> Path:
    """The folder of an application with the mixin's model, on an empty database."""
    if find_spec("flask_migrate") is None:
        needs("Flask-Migrate")
    (tmp_path / "host.py").write_text(HOST)
    return tmp_path


def flask_db(host: Path, url: str, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "flask", "--app", "host", "db", *arguments],
        cwd=host,
        env={**os.environ, "DATABASE_URL": url},
        check=True,
    )


def test_migrate(host: Path, url: str) -> None:
    """The migration that autogenerate writes makes the table, and then there is nothing to do."""
    flask_db(host, url, "init")
    flask_db(host, url, "migrate")
    flask_db(host, url, "upgrade")
    flask_db(host, url, "check")

    engine = plain_engine(url)
    columns = {column["name"] for column in sa.inspect(engine).get_columns("image")}
    assert columns == {*(n for n in vars(ImageMixin) if not n.startswith("_")), "architecture"}
    assert len(list((host / "migrations" / "versions").glob("*.py"))) == 1
