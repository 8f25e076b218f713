"""Entities whose Python properties read other rows: all statements of a lookup see one version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from flask_imagemeta import ImageMeta
from flask_imagemeta.stores import ModelStore

from .databases import run


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Policy(db.Model):
    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    visibility: Mapped[str] = mapped_column(sa.String(9))


class Image(db.Model):
    id: Mapped[str] = mapped_column(sa.ForeignKey(Policy.id), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(9))
    owner: Mapped[str] = mapped_column(sa.String(9))
    name: Mapped[str] = mapped_column(sa.String(9))
    policy: Mapped[Policy] = relationship()

    __mapper_args__: ClassVar[dict[str, Any]] = {
        "polymorphic_on": "kind",
        "polymorphic_identity": "image",
    }

    @property
    def visibility(self) -> str:
        return self.policy.visibility


class Disk(Image):
    """An image whose checksum is in a table of its own."""

    id: Mapped[str] = mapped_column(sa.ForeignKey(Image.id), primary_key=True)
    checksum: Mapped[str] = mapped_column(sa.String(9))

    __mapper_args__: ClassVar[dict[str, Any]] = {"polymorphic_identity": "disk"}


@pytest.fixture(params=[None, "AUTOCOMMIT"])
def host(kind: str, url: str, request: pytest.FixtureRequest) -> Iterator[Flask]:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    if request.param:
        app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"isolation_level": request.param}
    db.init_app(app)
    with app.app_context():
        if kind == "sqlite":
            run(db.engine, "PRAGMA journal_mode=WAL")  # a writer need not wait for readers
        db.create_all()
        engine = db.engine
        # Rows rather than objects: nothing is left in a session.
        run(engine, "INSERT INTO policy (id, visibility) VALUES ('a', 'public')")
        run(engine, "INSERT INTO image VALUES ('a', 'disk', 'p', 'demo')")
        run(engine, "INSERT INTO disk VALUES ('a', 'demo')")
    yield app
    with app.app_context():
        db.drop_all()
        engine.dispose()


@contextmanager
def changed_while_read(app: Flask, url: str) -> Iterator[None]:
    """Rename the image and make it private after the first statement that reads it."""
    with app.app_context():
        reader = db.engine
    writer = sa.create_engine(url)

    changes = iter(["policy SET visibility", "disk SET checksum", "image SET name"])

    def change(connection: Any, cursor: Any, statement: str, *args: Any) -> None:
        if "FROM image" in statement:
            with writer.begin() as other:
                for one in changes:  # at the first call
                    value = "private" if "visibility" in one else "secret"
                    other.exec_driver_sql(f"UPDATE {one} = '{value}'")

    sa.event.listen(reader, "after_cursor_execute", change)
    try:
        yield
    finally:
        sa.event.remove(reader, "after_cursor_execute", change)
        writer.dispose()
    assert next(changes, None) is None


def client_of(app: Flask) -> FlaskClient:
    ImageMeta(app, lookup=ModelStore(Image, entities=True))
    return app.test_client()


def test_the_statements_of_a_lookup_see_one_version(host: Flask, url: str) -> None:
    """A property that reads another row, and a subclass's own column, are as old as the image."""
    client = client_of(host)
    with changed_while_read(host, url):
        headers = client.head("/v1/images/a").headers
    found = [headers[f"X-Image-Meta-{name}"] for name in ("Name", "Checksum")]
    assert (found, headers["X-Image-Meta-Is_public"]) == (["demo", "demo"], "True")
    assert client.head("/v1/images/a").status_code == 404


def test_the_hosts_next_transaction_is_as_ever(host: Flask, url: str) -> None:
    """After a lookup, the same connection begins transactions of the host's own kind again."""
    with host.app_context():
        before = db.session.connection().get_isolation_level()
        db.session.rollback()
        assert ModelStore(Image, entities=True)("a")["name"] == "demo"
        assert db.session.connection().get_isolation_level() == before
        run(db.engine, "UPDATE image SET name = 'other'")


def test_a_transaction_that_the_host_prepares_is_a_snapshot(host: Flask, url: str) -> None:
    """A host that reads something when a transaction begins gets one version as well."""
    client = client_of(host)

    def prepare(session: Any, transaction: Any, connection: sa.Connection) -> None:
        connection.execute(sa.select(Policy.id))

    sa.event.listen(db.session, "after_begin", prepare)
    try:
        with changed_while_read(host, url):
            headers = client.head("/v1/images/a").headers
    finally:
        sa.event.remove(db.session, "after_begin", prepare)
    assert headers["X-Image-Meta-Checksum"] == "demo"
