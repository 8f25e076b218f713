"""ModelStore reads what the host's own session would, whatever the host made of that session."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy.orm import DeclarativeBase, SessionTransaction, scoped_session, sessionmaker

from flask_imagemeta import ImageMeta, ImageMixin
from flask_imagemeta.stores import ModelStore

from ..needs import needs

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
        self.entity_store = ModelStore(Image, entities=True)
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


@pytest.fixture(params=[False, True], ids=["columns", "entities"])
def entities(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def store_of(host: Host, entities: bool) -> ModelStore:
    return host.entity_store if entities else host.store


def test_loaded_objects_stay_as_they_are(tmp_path: Path, entities: bool) -> None:
    """What the host has loaded is neither expired nor detached by a lookup."""
    with running(tmp_path, expire_on_commit=False) as host:
        session = host.db.session()
        loaded = [session.get_one(host.image, image_id) for image_id in "ab"]
        session.commit()
        assert store_of(host, entities)("b") is not None
        assert not session.in_transaction()
        assert [image.id for image in loaded if image in session] == ["a", "b"]
        assert [sa.inspect(image).expired_attributes for image in loaded] == [set(), set()]


def test_what_is_pending_is_not_flushed(tmp_path: Path, entities: bool) -> None:
    """A host that has switched autoflush off keeps its changes in its session, and as they are."""
    with running(tmp_path, autoflush=False) as host:
        session = host.db.session()
        changed = session.get_one(host.image, "a")
        changed.name = "changed"
        session.add(host.image(id="c"))
        store = store_of(host, entities)
        assert store("a")["name"] == ("changed" if entities else "host")
        assert store("c") is None
        assert changed.name == "changed"
        assert changed in session.dirty
        assert session.in_transaction()


def test_an_entity_that_is_loaded_is_read_again(tmp_path: Path) -> None:
    """An entity in the host's session shows what the database holds now."""
    with running(tmp_path, expire_on_commit=False) as host:
        session = host.db.session()
        loaded = session.get_one(host.image, "a")
        session.commit()
        with host.db.engine.begin() as connection:
            connection.execute(sa.update(host.image).values(name="newer"))
        assert host.entity_store("a")["name"] == "newer"
        assert loaded.name == "newer"


def test_rows_that_a_test_keeps_to_itself(tmp_path: Path, entities: bool) -> None:
    """A session bound to a test's connection, whose data are undone at the end, keeps them."""
    with running(tmp_path) as host:
        engine = host.db.engine
        with engine.connect() as connection, connection.begin() as outer:
            host.db.engines[None] = connection  # type: ignore[assignment]
            host.db.session.add(host.image(id="c", is_public=True))
            host.db.session.commit()
            store = store_of(host, entities)
            assert [store("c")["id"] for _ in range(3)] == ["c"] * 3
            assert outer.is_active
            host.db.session.remove()
            host.db.engines[None] = engine
            outer.rollback()
        assert store("c") is None


def test_a_connection_that_dies_after_the_lookup(tmp_path: Path, entities: bool) -> None:
    """A connection that breaks once the image is read does no harm to the answer or the next."""

    def fail(connection: sa.Connection) -> None:
        raise sa.exc.OperationalError("ROLLBACK", {}, Exception("connection lost"))

    with running(tmp_path) as host:
        store = store_of(host, entities)
        ImageMeta(host.app, lookup=store)
        client = host.app.test_client()
        sa.event.listen(host.db.engine, "rollback", fail)
        assert client.head("/v1/images/a").status_code == 200
        sa.event.remove(host.db.engine, "rollback", fail)
        assert client.head("/v1/images/a").status_code == 200
        host.db.session.remove()
        gc.collect()
        assert host.db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_session_that_does_not_begin_by_itself(tmp_path: Path, entities: bool) -> None:
    """A session with autobegin off is begun for the lookup alone."""
    with running(tmp_path, autobegin=False) as host:
        assert store_of(host, entities)("a") is not None
        assert not host.db.session().in_transaction()


@pytest.mark.parametrize("as_function", [False, True])
def test_a_session_of_another_kind(tmp_path: Path, entities: bool, as_function: bool) -> None:
    """A scoped session without Flask-SQLAlchemy serves: read, walked and added to."""
    with running(tmp_path) as host:
        sessions = scoped_session(sessionmaker(host.db.engine))
        session = (lambda: sessions) if as_function else sessions
        store = ModelStore(host.image, session=session, entities=entities)
        assert store("a")["name"] == "host"
        assert store.add([{"id": "c"}]) == ["c"]
        assert [image["id"] for image in store.walk()] == ["a", "b", "c"]
        assert not sessions().in_transaction()
        sessions.remove()


def test_flask_sqlalchemy_lite(tmp_path: Path, entities: bool) -> None:
    """Flask-SQLAlchemy-Lite's session serves when it is named, and an error says how if not."""
    if find_spec("flask_sqlalchemy_lite") is None:
        needs("Flask-SQLAlchemy-Lite")
    from flask_sqlalchemy_lite import SQLAlchemy as Lite

    with running(tmp_path) as host:
        url = host.db.engine.url
    db = Lite()
    app = Flask(__name__)
    app.config["SQLALCHEMY_ENGINES"] = {"default": url}
    db.init_app(app)
    store = ModelStore(host.image, session=lambda: db.session, entities=entities)
    ImageMeta(app, lookup=store)
    assert app.test_client().head("/v1/images/a").headers["X-Image-Meta-Name"] == "host"
    with app.app_context():
        assert db.session.get(host.image, "a") is not None
        assert store.add([{"id": "c"}]) == ["c"]
        assert db.session.in_transaction()
        with pytest.raises(RuntimeError, match=r"session=lambda: db\.session"):
            ModelStore(host.image)("a")
        db.engine.dispose()


def return_later(sessions: scoped_session[Any], **options: Any) -> Callable[[], Any]:
    """Return a function that returns a scoped session, which exists with these options."""
    sessions(**options)
    return lambda: sessions


def always(session: sa.orm.Session) -> Callable[[], Any]:
    return lambda: session


SESSIONS: dict[str, Callable[..., Callable[[], Any]]] = {
    "scoped": lambda host, **options: scoped_session(sessionmaker(**options)),
    "scoped, by function": lambda host, **options: return_later(
        scoped_session(sessionmaker(**options))
    ),
    "scoped, bound later": lambda host, **options: return_later(
        scoped_session(sessionmaker()), **options
    ),
    "session": lambda host, **options: always(sessionmaker(**options)()),
    "of a class with parameters": lambda host, **options: always(Session(host.db, **options)),
    "Flask-SQLAlchemy": lambda host, **options: return_later(host.db.session, **options),
}


@pytest.mark.parametrize("kind", SESSIONS)
def test_writes_have_a_transaction_of_their_own(tmp_path: Path, kind: str) -> None:
    """What a host's session has begun and not committed goes on, and is not committed with it."""
    with running(tmp_path) as host:
        find_session = SESSIONS[kind](host, bind=host.db.engine)
        session = find_session()
        store = ModelStore(host.image, session=find_session)
        loaded = session.get(host.image, "a")
        session.add(host.image(id="pending"))
        assert store.add([{"id": "c"}]) == ["c"]
        assert store.put([{"id": "a", "name": "new"}]) == ["a"]
        assert store.put([{"id": "c", "name": "dry"}], dry_run=True) == ["c"]
        assert loaded in session
        assert [image.id for image in session.new] == ["pending"]
        session.rollback()
        rows = session.execute(sa.select(host.image.id, host.image.name)).all()
        assert sorted(map(tuple, rows)) == [("a", "new"), ("b", "host"), ("c", None)]
        session.close()


@pytest.mark.parametrize("with_savepoints", [False, True])
@pytest.mark.parametrize("kind", SESSIONS)
def test_writes_in_a_transaction_that_a_test_undoes(
    tmp_path: Path, kind: str, with_savepoints: bool
) -> None:
    """Where the host's session is on a test's connection, writes are, and end with the test."""
    mode = "create_savepoint" if with_savepoints else "conditional_savepoint"
    with running(tmp_path) as host:
        engine = host.db.engine
        with engine.connect() as connection, connection.begin() as outer:
            if with_savepoints:  # before which Python's sqlite3 does not begin by itself
                connection.exec_driver_sql("BEGIN")
            host.db.engines[None] = connection  # type: ignore[assignment]
            find_session = SESSIONS[kind](host, bind=connection, join_transaction_mode=mode)
            store = ModelStore(host.image, session=find_session)
            assert store.put([{"id": "a", "name": "new"}]) == ["a"]
            assert find_session().get(host.image, "a").name == "new"
            assert store.add([{"id": "c"}]) == ["c"]
            if with_savepoints:
                assert store.put([{"id": "d"}], dry_run=True) == ["d"]
                with pytest.raises(ValueError, match="name"):
                    store.put([{"id": "e", "name": object()}])
            assert outer.is_active
            assert [image["id"] for image in store.walk()] == ["a", "b", "c"]
            find_session().close()
            host.db.session.remove()
            host.db.engines[None] = engine
            outer.rollback()
        assert [image["id"] for image in host.store.walk()] == ["a", "b"]


def test_writes_keep_the_events_of_the_hosts_session(tmp_path: Path) -> None:
    """A host that listens to its sessions' flushes hears of each image that is written."""
    with running(tmp_path) as host:
        make = sessionmaker(host.db.engine)
        flushed: list[str] = []
        sa.event.listen(
            make, "before_flush", lambda session, *_: flushed.extend(i.id for i in session.new)
        )
        with make() as session:
            ModelStore(host.image, session=lambda: session).add([{"id": "c"}])
        assert flushed == ["c"]


@pytest.mark.skipif(sa.__version__ < "2.1", reason="needs SQLAlchemy 2.1: sessions with options")
@pytest.mark.parametrize("kind", SESSIONS)
def test_writes_keep_the_options_of_the_hosts_session(tmp_path: Path, kind: str) -> None:
    """Execution options of the host's session, such as a tenant's schema, hold for writes."""
    with running(tmp_path) as host:
        host.db.engine.dispose()
        attach = f"ATTACH '{tmp_path / 'replica.sqlite'}' AS tenant"
        sa.event.listen(host.db.engine, "connect", lambda raw, record: raw.execute(attach))
        options = {"schema_translate_map": {None: "tenant"}}
        find_session = SESSIONS[kind](host, bind=host.db.engine, execution_options=options)
        assert ModelStore(host.image, session=find_session).add([{"id": "c"}]) == ["c"]
        find_session().close()
        with host.db.engines["replica"].connect() as connection:
            assert connection.scalar(sa.select(host.image.id).filter_by(id="c")) == "c"


def test_writes_with_a_session_that_begins_when_it_is_made(tmp_path: Path) -> None:
    """A session that begins with statements of its own commits what is written."""

    class Prepared(Session):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.execute(sa.select(1))

    with running(tmp_path, class_=Prepared) as host:
        assert host.store.add([{"id": "c"}]) == ["c"]
        assert host.store("c")["id"] == "c"


@pytest.mark.parametrize("as_function", [False, True])
def test_an_engine(tmp_path: Path, as_function: bool) -> None:
    """An engine, or a function that returns one, is read past the session."""
    with running(tmp_path) as host:
        replica = host.db.engines["replica"]
        store = ModelStore(host.image, engine=(lambda: replica) if as_function else replica)
        hide_b(host.db.session())
        assert store("b")["name"] == "replica"
        assert replica.pool.checkedout() == 0  # type: ignore[attr-defined]
        assert store.count() == 2
        assert [image["id"] for image in store.walk()] == ["a", "b"]


def test_a_connection_is_no_engine(tmp_path: Path) -> None:
    """A test's connection in an engine's place is refused with words that say what to do."""
    with running(tmp_path) as host, host.db.engine.connect() as connection:
        store = ModelStore(host.image, engine=lambda: connection)  # type: ignore[arg-type,return-value]
        with pytest.raises(TypeError, match="leave engine= out"):
            store("a")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"session": 1}, "session is 1, but must be a function"),
        ({"engine": "sqlite://"}, "engine is 'sqlite://', but must be an Engine or a function"),
        ({"engine": print, "entities": True}, "cannot be combined with engine="),
    ],
)
def test_ways_to_read_that_are_none(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    """A way to read that cannot be is refused when the store is made."""
    with running(tmp_path) as host, pytest.raises(TypeError, match=message):
        ModelStore(host.image, **options)
