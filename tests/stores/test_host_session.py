"""ModelStore reads what the host's own session would, whatever the host made of that session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy.orm import DeclarativeBase, SessionTransaction

from flask_imagemeta import ImageMixin
from flask_imagemeta.stores import ModelStore

pytestmark = pytest.mark.core


class Host:
    """An application with a session of its own kind, and the images "a" and "b"."""

    def __init__(self, folder: Path, **session_options: Any) -> None:
        class Base(DeclarativeBase):
            pass

        self.db = SQLAlchemy(model_class=Base, session_options=session_options)

        class Image(ImageMixin, self.db.Model):  # type: ignore[name-defined]
            pass

        self.image = Image
        self.store = ModelStore(Image)
        self.app = Flask(__name__)
        self.app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder / 'host.sqlite'}"
        self.app.config["SQLALCHEMY_BINDS"] = {"replica": f"sqlite:///{folder / 'replica.sqlite'}"}
        self.db.init_app(self.app)
        with self.app.app_context():
            for engine in self.db.engines.values():
                self.fill(engine, name=Path(engine.url.database or "").stem)

    def fill(self, engine: sa.Engine, name: str) -> None:
        self.db.metadata.create_all(engine)
        with engine.begin() as connection:
            columns = {"properties": {}, "min_disk": 0, "min_ram": 0, "protected": False}
            columns |= {"name": name, "deleted": False, "is_public": True, "status": "active"}
            rows = [columns | {"id": image_id} for image_id in ("a", "b")]
            connection.execute(sa.insert(self.image).values(created_at=sa.func.now()), rows)


@contextmanager
def running(folder: Path, **session_options: Any) -> Iterator[Host]:
    """Yield a host in its application context."""
    host = Host(folder, **session_options)
    with host.app.app_context():
        yield host
        host.db.session.remove()
        for engine in host.db.engines.values():
            engine.dispose()


def hide_b(session: sa.orm.Session) -> None:
    """Hide the image "b" from what the session's transaction reads, as a policy would."""
    session.connection().exec_driver_sql("DELETE FROM image WHERE id = 'b'")


def test_an_open_transaction_is_read_and_left_open(tmp_path: Path) -> None:
    """What the host's transaction has changed is seen, and the transaction goes on."""
    with running(tmp_path) as host:
        hide_b(host.db.session())
        assert host.store("b") is None
        assert host.db.session().in_transaction()


@pytest.mark.parametrize("listens", [False, True])
def test_a_transaction_that_a_test_wraps_around_all_goes_on(tmp_path: Path, listens: bool) -> None:
    """A connection in an engine's place, whose owner undoes all in the end, is not undone."""
    with running(tmp_path) as host:
        engine = host.db.engine
        if listens:
            sa.event.listen(host.db.session, "do_orm_execute", lambda state: None)
        with engine.connect() as connection, connection.begin() as transaction:
            host.db.engines[None] = connection  # type: ignore[assignment]
            hide_b(host.db.session())
            host.db.session.commit()
            assert [host.store(image_id) is None for image_id in "bab"] == [True, False, True]
            assert transaction.is_active
            host.db.session.remove()
            host.db.engines[None] = engine
            transaction.rollback()
        assert host.store("b") is not None


def test_a_transaction_is_prepared_when_it_is_made(tmp_path: Path) -> None:
    """A host that prepares each transaction of its sessions as it is made prepares a lookup's."""

    def prepare(session: sa.orm.Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            hide_b(session)

    with running(tmp_path) as host:
        sa.event.listen(host.db.session, "after_transaction_create", prepare)
        assert host.store("b") is None
        assert host.store("a") is not None


def test_a_session_that_is_prepared_when_it_is_made(tmp_path: Path) -> None:
    """A session that begins with statements of its own is used, and ends with the request."""

    class Prepared(Session):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            hide_b(self)

    with running(tmp_path, class_=Prepared) as host:
        assert host.store("b") is None
        host.db.session.remove()
        assert host.db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_session_with_an_execute_of_its_own(tmp_path: Path) -> None:
    """A host whose session class hides images in its execute hides them from lookups."""

    class Hiding(Session):
        def execute(self, statement: Any, *args: Any, **kwargs: Any) -> Any:
            return super().execute(statement.where(sa.column("id") != "b"), *args, **kwargs)

    with running(tmp_path, class_=Hiding) as host:
        assert host.store("b") is None
        assert host.store("a") is not None


def test_a_session_that_reads_from_a_replica(tmp_path: Path) -> None:
    """A host whose session class sends what only reads to another engine sends lookups there."""

    class Routing(Session):
        def get_bind(self, *, mapper: Any = None, clause: Any = None, **kwargs: Any) -> Any:
            if isinstance(clause, sa.Select):
                return current_app.extensions["sqlalchemy"].engines["replica"]
            return super().get_bind(mapper=mapper, clause=clause, **kwargs)

    with running(tmp_path, class_=Routing) as host:
        assert host.store("a")["name"] == "replica"
        host.db.session().begin()
        assert host.store("a")["name"] == "replica"


@pytest.mark.skipif(sa.__version__ < "2.1", reason="needs SQLAlchemy 2.1: sessions with options")
def test_options_of_the_session_hold(tmp_path: Path) -> None:
    """Execution options of the host's sessions, such as a tenant's schema, hold for lookups."""
    options = {"schema_translate_map": {None: "tenant"}}
    with running(tmp_path, execution_options=options) as host:
        host.db.engine.dispose()
        attach = f"ATTACH '{tmp_path / 'replica.sqlite'}' AS tenant"
        sa.event.listen(host.db.engine, "connect", lambda raw, record: raw.execute(attach))
        assert host.store("a")["name"] == "replica"
