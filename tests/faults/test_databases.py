"""Databases that die, hang, are busy or cut the line, with several clients at work."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from ..stores.databases import load_glance, plain_engine
from . import app
from .load import Load, serving
from .servers import DatabaseServer, MariaDB, PostgreSQL

pytestmark = [pytest.mark.slow, pytest.mark.alone]

IMAGE_ID = "ed4d9afa-f3f5-413b-bc43-690d5368e933"  # a public one


def fill(url: str) -> None:
    """Put a real Glance's tables, and an image of a model's, into a database."""
    load_glance(url)
    engine = plain_engine(url)
    app.Base.metadata.create_all(engine)
    with engine.begin() as connection:
        image = {"id": IMAGE_ID, "name": "a model's", "is_public": True, "size": 12000}
        connection.execute(sa.insert(app.Image), image)


@pytest.fixture(scope="module", params=[PostgreSQL, MariaDB], ids=lambda kind: kind.__name__)
def server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    """A database server of these tests' own."""
    server = request.param()
    try:
        fill(server.url)
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module", params=["GlanceDatabase", "ModelStore", "Replica"])
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def port(server: DatabaseServer, store: str) -> Iterator[int]:
    with serving(store, server.url) as port:
        yield port


@pytest.fixture
def load(port: int) -> Iterator[Load]:
    """Clients at work on a service that is well."""
    with Load(port, f"/v1/images/{IMAGE_ID}") as load:
        load.wait_for(200, 50, since=0)
        yield load


@contextmanager
def locked(url: str) -> Iterator[sa.Connection]:
    """Let every statement that reads images wait meanwhile."""
    lock = {
        "postgresql": "LOCK TABLE images, image IN ACCESS EXCLUSIVE MODE",
        "mariadb": "LOCK TABLES images WRITE, image WRITE",
    }
    with plain_engine(url).connect() as connection:
        connection.exec_driver_sql(lock[sa.make_url(url).get_backend_name()])
        yield connection


def cut(connection: sa.Connection) -> int:
    """Cut every other connection to the server, and return how many there were."""
    if connection.dialect.name == "postgresql":
        return len(
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).all()
        )
    rows = connection.exec_driver_sql(
        "SELECT id FROM information_schema.processlist WHERE db = 'test' AND id <> connection_id()"
    ).all()
    for row in rows:
        connection.exec_driver_sql(f"KILL {row.id}")
    return len(rows)


def test_killed(server: DatabaseServer, load: Load) -> None:
    """A server that is killed and started again: 503 without it, at once 200 with it."""
    begun = time.monotonic()
    server.signal(signal.SIGKILL)
    load.wait_for(503, 20, since=begun)
    load.check(server.restart(), app.DATABASE_BOUND)


def test_restarted(server: DatabaseServer, load: Load) -> None:
    """A server that is restarted in good order ends connections: no answer goes wrong."""
    server.signal(server.orderly)
    load.check(server.restart(), app.DATABASE_BOUND)


def test_silent(server: DatabaseServer, store: str, load: Load) -> None:
    """A server that hangs, its connections open: 503 in the stated time, then 200 again.

    A model's engine is the host's, and psycopg has no setting for a server's silence: there
    the requests wait for as long as it lasts.
    """
    begun = time.monotonic()
    server.signal(signal.SIGSTOP)
    try:
        if store != "GlanceDatabase" and isinstance(server, PostgreSQL):
            load.wait_for_quiet(since=begun + app.STATEMENT)
        else:
            load.wait_for(503, 3, since=begun)
    finally:
        server.signal(signal.SIGCONT)
    load.check(server.wait(), app.DATABASE_BOUND)


def test_busy(server: DatabaseServer, load: Load) -> None:
    """Statements that wait too long, and with them a pool that has no connection left: 503."""
    begun = time.monotonic()
    with locked(server.url):
        load.wait_for(503, 3 * app.POOL_SIZE, since=begun)
    load.check(time.monotonic(), app.DATABASE_BOUND)


def test_cut_in_mid_query(server: DatabaseServer, load: Load) -> None:
    """Connections that are cut while their statements run: no answer goes wrong."""
    with locked(server.url) as connection:
        load.wait_for_quiet(since=time.monotonic())
        assert cut(connection) > 0
    load.check(time.monotonic(), app.DATABASE_BOUND)


def test_altered(server: DatabaseServer, load: Load) -> None:
    """Columns that get another type while prepared statements read them: no answer goes wrong."""
    engine = plain_engine(server.url)
    change = "ALTER COLUMN name TYPE" if engine.dialect.name == "postgresql" else "MODIFY name"
    for length in (300, 301, 302):
        with engine.begin() as connection:
            for table in ("images", "image"):
                connection.exec_driver_sql(f"ALTER TABLE {table} {change} varchar({length})")
        load.wait_for(200, 50, since=time.monotonic())
    load.check(time.monotonic(), app.DATABASE_BOUND)
    assert {answer.status for answer in load.answers} == {200}
