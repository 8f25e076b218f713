"""Reading from a replica, while the application's own session stays with its primary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from flask_imagemeta import ImageMixin
from flask_imagemeta.stores import ModelStore

from . import databases


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Image(ImageMixin, db.Model):
    pass


@pytest.mark.parametrize("session", [None, lambda: db.session])
@pytest.mark.parametrize("kind", databases.KINDS)
def test_reads_and_writes_go_to_two_databases(kind: str, session: Any, tmp_path: Path) -> None:
    """Lookups and walks read the replica, with its lag; the session writes to the primary."""
    primary_folder, replica_folder = tmp_path / "primary", tmp_path / "replica"
    primary_folder.mkdir()
    replica_folder.mkdir()
    app = Flask(__name__)
    with (
        databases.new_database(kind, primary_folder) as primary,
        databases.new_database(kind, replica_folder) as replica,
    ):
        app.config["SQLALCHEMY_DATABASE_URI"] = primary
        db.init_app(app)
        engine = databases.plain_engine(replica)
        Base.metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(sa.insert(Image), {"id": "a", "name": "as it was"})
        with app.app_context():
            db.create_all()
            store = ModelStore(Image, engine=engine, session=session)
            store.add([{"id": "a", "name": "before"}, {"id": "new"}])
            store.put([{"id": "a", "name": "as it is"}])
            assert store("a")["name"] == "as it was"
            assert store("new") is None
            assert [image["id"] for image in store.walk()] == ["a"]
            assert store.count() == 1
            names = db.session.scalars(sa.select(Image.name).order_by(Image.id)).all()
            assert list(names) == ["as it is", None]
            db.session.remove()
            db.engine.dispose()
        engine.dispose()
