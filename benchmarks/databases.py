"""Throw-away databases with many images in them, filled by the databases themselves."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import models
import redis
import sqlalchemy as sa
from image import FIELDS, PROPERTIES

SERVERS = {
    "postgresql": "postgresql+psycopg://postgres@127.0.0.1:5432/postgres",
    "mariadb": "mariadb+pymysql://root@127.0.0.1:3306/",
}
KINDS = ("sqlite", *SERVERS)
REDIS = os.environ.get("IMAGEMETA_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
SCHEMAS = Path(__file__).parents[1] / "tests" / "data"

# One row of the numbers from 1, and the id that a number n makes.
SERIES = {
    "sqlite": "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count})"
    " SELECT n FROM s) AS numbers",
    "postgresql": "generate_series(1, {count}) AS numbers(n)",
    "mariadb": "(SELECT seq AS n FROM seq_1_to_{count}) AS numbers",
}
ID = {
    "sqlite": "'00000000-0000-4000-8000-' || substr('00000000000' || n, -12)",
    "postgresql": "'00000000-0000-4000-8000-' || lpad(n::text, 12, '0')",
    "mariadb": "concat('00000000-0000-4000-8000-', lpad(n, 12, '0'))",
}

ASKED = 1_000  # images that requests ask for, evenly spread among all


def image_id(number: int) -> str:
    """Return the id of the image with this number, 1 or more."""
    return f"00000000-0000-4000-8000-{number:012}"


def asked(count: int) -> list[str]:
    """Return the ids that requests ask for among count images."""
    step = count // ASKED
    return [image_id(number) for number in range(step, count + 1, step)]


@contextmanager
def new_database(kind: str) -> Iterator[str]:
    """Yield the URL of a new database, which is dropped at the end."""
    name = f"imagemeta_bench_{uuid4().hex}"
    if kind == "sqlite":
        with TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / name}.sqlite"
        return
    server = server_engine(kind)
    run(server, f"CREATE DATABASE {name}")
    try:
        yield server.url.set(database=name).render_as_string(hide_password=False)
    finally:
        run(server, f"DROP DATABASE {name}" + (" WITH (FORCE)" if kind == "postgresql" else ""))


def redis_client() -> redis.Redis:
    return redis.Redis.from_url(REDIS, socket_connect_timeout=2)


def server_engine(kind: str) -> sa.Engine:
    return sa.create_engine(
        os.environ.get(f"IMAGEMETA_TEST_{kind.upper()}_URL") or SERVERS[kind],
        isolation_level="AUTOCOMMIT",
        poolclass=sa.NullPool,
        connect_args={"connect_timeout": 2},
    )


def why_not(kind: str) -> str | None:
    """Return why a kind of database, or "redis", cannot be measured, None if it can."""
    if kind == "redis":
        try:
            redis_client().ping()
        except redis.ConnectionError as error:
            return f"redis, {REDIS}: {error}"
    elif kind != "sqlite":
        server = server_engine(kind)
        try:
            server.connect().close()
        except sa.exc.OperationalError as error:
            return f"{kind}, {server.url}: {error.orig}"
    return None


def run(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def fill(kind: str, url: str, count: int) -> None:
    """Make the host's tables and Glance's, with count images in each.

    Each is named as its id is. The `asked` ones have four properties, every other has one.
    """
    models.create_tables(url)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    tables, indexes = glance_schema(kind)
    run(engine, *tables)
    columns = {name: literal(value) for name, value in FIELDS.items()}
    columns |= {"id": ID[kind], "name": ID[kind]}
    series = SERIES[kind].format(count=count)
    insert(engine, "image", columns, series)
    del columns["is_public"]
    insert(engine, "images", columns | {"visibility": "'public'"}, series)
    for number, (name, value) in enumerate(PROPERTIES.items()):
        if number == 1:
            series += f" WHERE mod(n, {count // ASKED}) = 0"
        row = {"image_id": ID[kind], "name": literal(name), "value": literal(value)}
        insert(engine, "image_property", row, series)
        row |= {"created_at": literal(FIELDS["created_at"]), "deleted": "FALSE"}
        insert(engine, "image_properties", row, series)
    run(engine, *indexes)
    analyze = "ANALYZE TABLE image, image_property, images, image_properties"
    run(engine, analyze if kind == "mariadb" else "ANALYZE")
    engine.dispose()


def insert(engine: sa.Engine, table: str, columns: dict[str, str], series: str) -> None:
    names, values = ", ".join(columns), ", ".join(columns.values())
    run(engine, f"INSERT INTO {table} ({names}) SELECT {values} FROM {series}")


def literal(value: object) -> str:
    """Return a value as all three databases read it."""
    if value is None or isinstance(value, (bool, int)):
        return "NULL" if value is None else str(value).upper()
    text = value if isinstance(value, str) else f"{value:%Y-%m-%d %H:%M:%S.%f}"
    return "'" + text.replace("'", "''") + "'"


def glance_schema(kind: str) -> tuple[list[str], list[str]]:
    """Return Glance's statements: those that make tables, and the indexes and keys after them."""
    text = (SCHEMAS / f"glance-2026.1-schema-{kind}.sql").read_text()
    lines = (line for line in text.splitlines() if not line.startswith("\\"))
    statements = [s for s in "\n".join(lines).split(";\n") if s.strip("; \n")]
    # A type of Glance's that the dump takes for granted.
    names = "'private', 'public', 'shared', 'community'"
    tables = [f"CREATE TYPE image_visibility AS ENUM ({names})"] if kind == "postgresql" else []
    later = ("CREATE INDEX", "ALTER TABLE ONLY")
    tables += [s for s in statements if not s.startswith(later) or "SET DEFAULT" in s]
    return tables, [s for s in statements if s not in tables]
