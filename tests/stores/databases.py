"""Databases to try things in: made under random names, and dropped again."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

from ..needs import needs

DATA = Path(__file__).parent.parent / "data"
GLANCE = f"sqlite:///{DATA / 'glance-2026.1.sqlite'}"
GLANCE_TABLES = ("images", "image_properties", "image_members")
KINDS = ("sqlite", "postgresql", "mariadb")
SERVERS = {
    "postgresql": "postgresql+psycopg://postgres@127.0.0.1:5432/postgres",
    # PyMySQL reads the system's certificates for each connection, which takes longer than the test.
    "mariadb": "mariadb+pymysql://root@127.0.0.1:3306/?ssl_disabled=true",
}
EMOJI, CHINESE = "\N{GRINNING FACE}", "中"
MARIADB_TEXT = 2**16  # bytes that its type TEXT holds, less one
# Databases that lack a character.
NARROW = {
    "utf8mb3": ("mariadb", "CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci", EMOJI),
    "latin1": ("mariadb", "CHARACTER SET latin1", CHINESE),
    **{
        encoding: (
            "postgresql",
            f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
            CHINESE,
        )
        for encoding in ("LATIN1", "WIN1252")
    },
}
SILENT = {"connect_timeout": 2}  # seconds


@contextmanager
def server(kind: str) -> Iterator[sa.Engine]:
    """Yield an engine for the server itself, which makes and drops databases."""
    variable = f"IMAGEMETA_TEST_{kind.upper()}_URL"
    url = os.environ.get(variable) or SERVERS[kind]
    engine = sa.create_engine(
        url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool, connect_args=SILENT
    )
    try:
        engine.connect().close()
    except sa.exc.OperationalError:
        needs(f"a database server at {url} (or where {variable} says)")
    yield engine
    engine.dispose()


@contextmanager
def new_database(kind: str, folder: Path, options: str = "") -> Iterator[str]:
    """Yield the URL of a new, empty database, which is dropped at the end."""
    name = f"imagemeta_{uuid4().hex}"
    if kind == "sqlite":
        yield f"sqlite:///{folder / name}.sqlite"
        return
    with server(kind) as engine:
        run(engine, f"CREATE DATABASE {name} {options}")
        try:
            yield engine.url.set(database=name).render_as_string(hide_password=False)
        finally:
            force = " WITH (FORCE)" if kind == "postgresql" else ""
            run(engine, f"DROP DATABASE {name}{force}")


def run(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def load_glance(url: str) -> None:
    """Make a Glance's tables as Glance 2026.1 does, and fill them with a real one's rows."""
    source, target = plain_engine(GLANCE), plain_engine(url)
    kind = sa.make_url(url).get_backend_name()
    schema = (DATA / f"glance-2026.1-schema-{kind}.sql").read_text()
    if kind == "postgresql":  # a type of Glance's that the dump takes for granted
        names = "'private', 'public', 'shared', 'community'"
        run(target, f"CREATE TYPE image_visibility AS ENUM ({names})")
    lines = (line for line in schema.splitlines() if not line.startswith("\\"))
    statements = "\n".join(lines).split(";\n")
    run(target, *(statement for statement in statements if statement.strip("; \n")))
    theirs, ours = sa.MetaData(), sa.MetaData()
    theirs.reflect(source, only=GLANCE_TABLES)
    ours.reflect(target, only=GLANCE_TABLES)
    with source.connect() as read, target.begin() as write:
        for name in GLANCE_TABLES:
            rows = [dict(row) for row in read.execute(sa.select(theirs.tables[name])).mappings()]
            if kind == "mariadb" and name == "image_properties":
                # One row, deleted, that Glance itself could not have written there.
                rows = [row for row in rows if len(row["value"] or "") < MARIADB_TEXT]
            write.execute(sa.insert(ours.tables[name]), rows)
    source.dispose()
    target.dispose()


def fill_glance(url: str, digits: int) -> None:
    """Put ten, a hundred, a thousand... images into a Glance, each with a property and a member."""
    # A product of tables is what is wanted here.
    engine = sa.create_engine(url, enable_from_linting=False, poolclass=sa.NullPool)
    tables = sa.MetaData()
    tables.reflect(engine, only=["images", "image_properties", "image_members"])
    ten = sa.union_all(*(sa.select(sa.literal_column(f"{n}").label("n")) for n in range(10)))
    digit = [ten.subquery().c.n for _ in range(digits)]
    number = reduce(lambda total, n: total * 10 + n, digit, sa.literal_column("1"))
    image_id = sa.cast(number, sa.String(36))
    with engine.begin() as connection:
        rows = {
            name: dict(connection.execute(sa.select(table).limit(1)).mappings().one())
            for name, table in tables.tables.items()
        }
        for table in reversed(tables.sorted_tables):
            connection.execute(sa.delete(table))
        rows["images"]["visibility"] = "shared"
        for table in tables.sorted_tables:
            own_id = "id" if table.name == "images" else "image_id"
            row = {**rows[table.name], "deleted": False, "value": "v" * 200}
            columns = [c for c in table.columns if c.name == own_id or not c.primary_key]
            values = [
                image_id if c.name == own_id else sa.literal(row[c.name], c.type) for c in columns
            ]
            connection.execute(sa.insert(table).from_select(columns, sa.select(*values)))
    engine.dispose()


def plain_engine(url: str) -> sa.Engine:
    return sa.create_engine(url, poolclass=sa.NullPool)


def contents(url: str) -> list[object]:
    """Return everything a database holds, and an SQLite file's own bytes and times as well."""
    url_parts = sa.make_url(url)
    if url_parts.get_backend_name() == "sqlite":
        path = Path(url_parts.database or "")
        stat = path.stat()
        beside = sorted(other.name for other in path.parent.glob(f"{path.name}*"))
        return [path.read_bytes(), stat.st_mtime_ns, stat.st_size, beside]
    engine = plain_engine(url)
    tables = sa.MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        return [
            (table.name, sorted(map(repr, connection.execute(sa.select(table)))))
            for table in tables.sorted_tables
        ]


def end_connections(url: str) -> None:
    """End every connection to a server's database, as a restart would."""
    name = sa.make_url(url).database
    kind = sa.make_url(url).get_backend_name()
    with server(kind) as engine, engine.connect() as connection:
        if kind == "postgresql":
            find = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
            ended = connection.execute(sa.text(find), {"name": name}).all()
        else:
            find = "SELECT id FROM information_schema.processlist WHERE db = :name"
            ended = connection.execute(sa.text(find), {"name": name}).all()
            for row in ended:
                connection.exec_driver_sql(f"KILL {row.id}")
    assert ended, "no connection was open"


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Keep everyone else from reading images meanwhile."""
    kind = sa.make_url(url).get_backend_name()
    if kind == "sqlite":
        file = sqlite3.connect(sa.make_url(url).database or "", isolation_level=None)
        file.execute("BEGIN EXCLUSIVE")
        yield
        file.close()
        return
    engine = plain_engine(url)
    lock = "LOCK TABLE images IN ACCESS EXCLUSIVE MODE"
    with engine.connect() as connection:
        connection.exec_driver_sql(lock if kind == "postgresql" else "LOCK TABLES images WRITE")
        yield
