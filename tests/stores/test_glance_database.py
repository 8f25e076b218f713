"""GlanceDatabase, on a real Glance's rows in all three databases."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_imagemeta import Identity, ImageMeta, StoreUnavailable
from flask_imagemeta.stores import GlanceDatabase
from flask_imagemeta.stores.engine import begin_read_only
from flask_imagemeta.wire import from_name

from .databases import (
    DATA,
    SERVERS,
    contents,
    end_connections,
    load_glance,
    locked,
    new_database,
    plain_engine,
)

EXPECTED = json.loads((DATA / "glance-2026.1-v1-expected.json").read_text())
TIMES = ("x-image-meta-created_at", "x-image-meta-updated_at", "x-image-meta-deleted_at")
ADMIN = Identity("admins", ["admin"])
PUBLIC = EXPECTED["public"]["id"]
ON_SERVERS = pytest.mark.parametrize("kind", SERVERS, indirect=True, scope="module")
ON_MARIADB = pytest.mark.parametrize("kind", ["mariadb"], indirect=True, scope="module")
WRITE = "UPDATE images SET name = 'written'"


MakeStore = Callable[..., GlanceDatabase]


@pytest.fixture(scope="module")
def make_store() -> Iterator[MakeStore]:
    """Makes stores whose connections are closed at the end."""
    made = []

    def make_store(*args: Any, **kwargs: Any) -> GlanceDatabase:
        made.append(GlanceDatabase(*args, **kwargs))
        return made[-1]

    yield make_store
    for store in made:
        store._engine().dispose()


@pytest.fixture(scope="module")
def store(glance_url: str, make_store: MakeStore) -> GlanceDatabase:
    return make_store(glance_url)


@pytest.fixture
def fresh_url(kind: str, tmp_path: Path) -> Iterator[str]:
    """A Glance's database of a test's own, to change."""
    with new_database(kind, tmp_path) as url:
        load_glance(url)
        yield url


def make_app(lookup: Any, identity: Identity | None = None, **config: Any) -> Flask:
    app = Flask(__name__)
    app.config.update(config)
    ImageMeta(app, lookup=lookup, identity=lambda: identity)
    return app


def metadata(headers: Any) -> dict[str, str]:
    """Return the headers of an image, named as the recorded ones are."""
    return {from_name(name): value for name, value in headers if name.startswith("X-Image-Meta-")}


def insert(url: str, table: str, **values: Any) -> None:
    engine = plain_engine(url)
    tables = sa.MetaData()
    tables.reflect(engine, only=[table])
    with engine.begin() as connection:
        connection.execute(sa.insert(tables.tables[table]), values)


@pytest.mark.parametrize("name", EXPECTED)
def test_real_images_have_the_recorded_headers(name: str, kind: str, store: GlanceDatabase) -> None:
    """An admin gets each image of a real Glance with exactly the headers that v1 had for it."""
    expected = dict(EXPECTED[name]["headers"])
    expected.pop("etag", None)
    response = make_app(store, ADMIN).test_client().head(f"/v1/images/{EXPECTED[name]['id']}")
    found = metadata(response.headers)
    if kind == "mariadb":  # keeps whole seconds
        for headers in (expected, found):
            headers.update({time: headers[time][:19] for time in TIMES if time in headers})
    assert found == expected


def test_nothing_is_written(glance_url: str, make_store: MakeStore) -> None:
    """Looking up every image and its members leaves the database as it was, to the byte."""
    before = contents(glance_url)
    store = make_store(glance_url)
    for image in EXPECTED.values():
        record = store(image["id"])
        assert record is not None
        list(record.members)
    assert contents(glance_url) == before


def test_a_write_is_refused(glance_url: str, store: GlanceDatabase) -> None:
    """The store's own sessions cannot write."""
    with store._engine().connect() as connection, pytest.raises(sa.exc.DBAPIError):
        connection.exec_driver_sql(WRITE)


@ON_SERVERS
def test_a_transaction_of_the_hosts_engine_is_read_only(glance_url: str) -> None:
    """On an engine of the host's, the store's transaction cannot write, and the next one can."""
    engine = plain_engine(glance_url)
    with engine.connect() as connection:
        begin_read_only(connection)
        with pytest.raises(sa.exc.DBAPIError):
            connection.exec_driver_sql(WRITE)
    with engine.connect() as connection:
        connection.exec_driver_sql(WRITE)
        connection.rollback()


def test_an_image_is_one_statement(store: GlanceDatabase, statements: list[str]) -> None:
    """An image with its properties takes one statement."""
    record = store(EXPECTED["full"]["id"])
    assert record is not None
    assert record.properties["os_distro"] == "ubuntu"
    assert len(statements) == 1


@ON_MARIADB
def test_a_statement_is_one_round_trip(
    store: GlanceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On MariaDB nothing goes to the server but the statement: no BEGIN, ROLLBACK or ping."""
    store(PUBLIC)
    sent = []
    execute = pymysql.connections.Connection._execute_command

    def note(connection: Any, command: int, sql: Any) -> None:
        sent.append(sql)
        execute(connection, command, sql)

    monkeypatch.setattr(pymysql.connections.Connection, "_execute_command", note)
    store(PUBLIC)
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("name", "identity", "count"),
    [
        ("hidden", None, 1),
        ("hidden", ADMIN, 1),
        ("hidden", Identity("projA"), 1),
        ("hidden", Identity("projB"), 2),
        ("private_members", Identity("projB"), 1),
        ("public", Identity("projB"), 1),
    ],
)
def test_members_are_read_only_when_needed(
    name: str,
    identity: Identity | None,
    count: int,
    store: GlanceDatabase,
    statements: list[str],
) -> None:
    """Members cost a second statement only where the answer depends on them."""
    make_app(store, identity).test_client().head(f"/v1/images/{EXPECTED[name]['id']}")
    assert len(statements) == count


@pytest.mark.parametrize(
    ("project", "status"),
    [
        pytest.param("projB", 200, id="accepted"),
        pytest.param("projC", 200, id="pending"),
        pytest.param("projD", 200, id="rejected"),
        pytest.param("projF", 404, id="deleted"),
        pytest.param("PROJB", 404, id="other-case"),
        pytest.param("projE", 404, id="stranger"),
    ],
)
def test_members_see_a_shared_image(project: str, status: int, store: GlanceDatabase) -> None:
    """A project sees an image shared with it, to the letter, until the membership is deleted."""
    client = make_app(store, Identity(project)).test_client()
    assert client.head(f"/v1/images/{EXPECTED['hidden']['id']}").status_code == status


def test_some_properties_are_not_shown(fresh_url: str, make_store: MakeStore) -> None:
    """Deleted properties and those that Glance uses internally are left out."""
    for row, name, deleted in [
        (1001, "kept", False),
        (1002, "gone", True),
        (1003, "os_glance_stage_host", False),
        (1004, "os_glance_hash_op_host", False),
    ]:
        insert(
            fresh_url,
            "image_properties",
            id=row,
            image_id=PUBLIC,
            name=name,
            value="x",
            created_at=datetime(2026, 1, 1),
            deleted=deleted,
        )
    record = make_store(fresh_url)(PUBLIC)
    assert record is not None
    assert record.properties == {"kept": "x"}


@pytest.mark.parametrize("image_id", [PUBLIC.upper(), f"{PUBLIC} ", "unknown", "é", "", "x" * 99])
def test_an_id_is_exact(image_id: str, store: GlanceDatabase) -> None:
    """Only an image's very own id finds it."""
    assert store(image_id) is None


def test_a_bind_key(glance_url: str, statements: list[str]) -> None:
    """With a bind key, the image comes from that database of the application's."""
    app = make_app(
        GlanceDatabase(bind_key="glance"),
        SQLALCHEMY_DATABASE_URI="sqlite://",
        SQLALCHEMY_BINDS={"glance": glance_url},
    )
    db = SQLAlchemy(app)
    response = app.test_client().head(f"/v1/images/{PUBLIC}")
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()
    assert response.headers["X-Image-Meta-Name"] == "public by admin"
    assert sum("FROM images" in statement for statement in statements) == 1


def test_an_engine_of_the_hosts(glance_url: str) -> None:
    """An engine serves as well as a URL."""
    record = GlanceDatabase(plain_engine(glance_url))(PUBLIC)
    assert record is not None
    assert record.name == "public by admin"


@ON_SERVERS
def test_ended_connections_are_replaced(glance_url: str, make_store: MakeStore) -> None:
    """After the server ended every connection, the next lookup succeeds."""
    store = make_store(glance_url)
    assert store(PUBLIC) is not None
    end_connections(glance_url)
    assert store(PUBLIC) is not None


def test_a_locked_table_is_unavailable_in_time(glance_url: str, make_store: MakeStore) -> None:
    """A statement that has to wait too long makes the store unavailable, and the next works."""
    store = make_store(glance_url, statement_timeout=0.2)
    with locked(glance_url), pytest.raises(StoreUnavailable):
        store(PUBLIC)
    assert store(PUBLIC) is not None


def test_an_exhausted_pool_is_unavailable_in_time(glance_url: str, make_store: MakeStore) -> None:
    """A pool without a free connection makes the store unavailable."""
    store = make_store(glance_url, pool_size=1, pool_timeout=0.1)
    with store._engine().connect(), pytest.raises(StoreUnavailable):
        store(PUBLIC)
    assert store(PUBLIC) is not None


@ON_SERVERS
def test_a_server_that_is_not_there_is_unavailable(glance_url: str, make_store: MakeStore) -> None:
    """A refused connection makes the store unavailable."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = sa.make_url(glance_url).set(port=taken.getsockname()[1])
        with pytest.raises(StoreUnavailable):
            make_store(url)(PUBLIC)


@ON_SERVERS
def test_a_server_that_says_nothing_is_unavailable(glance_url: str, make_store: MakeStore) -> None:
    """A server that takes the connection and stays silent makes the store unavailable."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = sa.make_url(glance_url).set(port=silent.getsockname()[1])
        with pytest.raises(StoreUnavailable):
            make_store(url, statement_timeout=0.1)(PUBLIC)


class Relay:
    """Stands between a store and its server, and can keep back what the server says."""

    def __init__(self, url: sa.URL) -> None:
        self.silent = threading.Event()
        self._target = (url.host, url.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self.url = url.set(port=self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                for pair in [(client, server, False), (server, client, True)]:
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not (is_answer and self.silent.is_set()):
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@ON_SERVERS
def test_a_server_that_falls_silent_is_unavailable(glance_url: str, make_store: MakeStore) -> None:
    """A server that stops answering makes the store unavailable, and is used again later."""
    relay = Relay(sa.make_url(glance_url))
    store = make_store(relay.url, statement_timeout=0.1)
    try:
        assert store(PUBLIC) is not None
        relay.silent.set()
        with pytest.raises(StoreUnavailable):
            store(PUBLIC)
        relay.silent.clear()
        assert store(PUBLIC) is not None
    finally:
        relay.close()


def test_a_missing_file_is_unavailable_and_not_made(tmp_path: Path, make_store: MakeStore) -> None:
    """A file that is not there makes the store unavailable, and is not created."""
    path = tmp_path / "none.sqlite"
    with pytest.raises(StoreUnavailable):
        make_store(f"sqlite:///{path}")(PUBLIC)
    assert not path.exists()


def test_a_path_with_special_characters(tmp_path: Path, make_store: MakeStore) -> None:
    """A file's name may hold what means something else in a URI."""
    path = tmp_path / "glance 100%41?#.sqlite"
    path.write_bytes((DATA / "glance-2026.1.sqlite").read_bytes())
    url = sa.URL.create("sqlite", database=str(path))
    assert make_store(url)(PUBLIC) is not None


def test_each_process_has_its_own_connections(glance_url: str) -> None:
    """Processes forked after the first lookup get right answers, and so does their parent."""
    script = textwrap.dedent(
        """
        import os, sys
        from flask_imagemeta.stores import GlanceDatabase

        store = GlanceDatabase(sys.argv[1])
        ids = sys.argv[2:]

        def check():
            for image_id in ids:
                assert store(image_id).id == image_id

        check()
        children = []
        for _ in range(2):
            child = os.fork()
            if child == 0:
                try:
                    check()
                    os._exit(0)
                finally:
                    os._exit(1)
            children.append(child)
        check()
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        check()
        """
    )
    ids = [image["id"] for image in EXPECTED.values()]
    command = [sys.executable, "-c", script, glance_url, *ids]
    subprocess.run(command, check=True, timeout=60, env=os.environ | {"PYTHONWARNINGS": ""})


@pytest.mark.parametrize("arguments", [{}, {"database": "sqlite://", "bind_key": "glance"}])
def test_a_database_is_named_once(arguments: dict[str, str]) -> None:
    """Neither or both of database and bind_key is an error that says so."""
    with pytest.raises(TypeError, match="or else bind_key="):
        GlanceDatabase(**arguments)


@pytest.mark.parametrize("url", ["postgresql+psycopg2://h/d", "oracle://h/d"])
def test_other_drivers_are_refused(url: str) -> None:
    """A driver whose timeouts are not known is refused with those that are."""
    with pytest.raises(ValueError, match=r"sqlite.*postgresql.psycopg.*create an engine"):
        GlanceDatabase(url)


def test_a_driver_need_not_be_named() -> None:
    """A URL without a driver gets ours, whichever is SQLAlchemy's."""
    assert GlanceDatabase("postgresql://h/d")._engine().driver == "psycopg"


def test_an_unknown_bind_key_is_named() -> None:
    """A bind key that the application does not have is an error that says how to set it."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    SQLAlchemy(app)
    with app.app_context(), pytest.raises(RuntimeError, match="SQLALCHEMY_BINDS"):
        GlanceDatabase(bind_key="glance")(PUBLIC)


def test_an_application_without_flask_sqlalchemy_is_told() -> None:
    """A bind key in an application without Flask-SQLAlchemy is an error that says so."""
    with Flask(__name__).app_context(), pytest.raises(RuntimeError, match="init_app"):
        GlanceDatabase(bind_key="glance")(PUBLIC)
