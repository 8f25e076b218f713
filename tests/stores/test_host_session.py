"""ModelStore reads what the host's own session would, whatever the host made of that session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy.orm import DeclarativeBase

from flask_imagemeta import ImageMixin
from flask_imagemeta.stores import ModelStore


class HidingSession(Session):
    """Executes nothing but what it has hidden an image from."""

    def execute(self, statement: Any, *args: Any, **kwargs: Any) -> Any:
        return super().execute(statement.where(sa.column("id") != "hidden"), *args, **kwargs)


@contextmanager
def make_host(**session_options: Any) -> Iterator[tuple[SQLAlchemy, ModelStore]]:
    """Yield the Flask-SQLAlchemy of an application with two images, and a store of them."""

    class Base(DeclarativeBase):
        pass

    db = SQLAlchemy(model_class=Base, session_options=session_options)

    class Image(ImageMixin, db.Model):
        pass

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    db.init_app(app)
    with app.app_context():
        with db.engine.begin() as connection:
            connection.exec_driver_sql("ATTACH ':memory:' AS tenant")
            for schema in ("main", "tenant"):
                translated = connection.execution_options(schema_translate_map={None: schema})
                db.metadata.create_all(translated)
                columns = f"{schema}.image (id, name, status, min_disk, min_ram, protected,"
                columns += " is_public, deleted, created_at, properties)"
                values = f"'{schema}', 'active', 0, 0, FALSE, TRUE, FALSE, '2026-01-02', '{{}}'"
                for image_id in ("shown", "hidden"):
                    insert = f"INSERT INTO {columns} VALUES ('{image_id}', {values})"
                    connection.exec_driver_sql(insert)
        yield db, ModelStore(Image)
        db.session.remove()
        db.engine.dispose()


def test_a_lookup_makes_no_session() -> None:
    """Where the host has no session yet, a lookup leaves it without one."""
    with make_host() as (db, store):
        assert store("shown")["name"] == "main"
        assert not db.session.registry.has()


def test_an_open_transaction_is_read_and_left_open() -> None:
    """What the host's transaction has changed is seen, and the transaction goes on."""
    with make_host() as (db, store):
        db.session.execute(sa.text("UPDATE image SET name = 'changed'"))
        assert store("shown")["name"] == "changed"
        assert db.session().in_transaction()


def test_a_session_of_the_hosts_own_executes() -> None:
    """A host whose session class has an execute of its own hides images from lookups with it."""
    with make_host(class_=HidingSession) as (_, store):
        assert store("hidden") is None
        assert store("shown") is not None


def test_options_of_the_session_hold() -> None:
    """Execution options of the host's sessions, such as a tenant's schema, hold for lookups."""
    options = {"schema_translate_map": {None: "tenant"}}
    with make_host(execution_options=options) as (_, store):
        assert store("shown")["name"] == "tenant"
