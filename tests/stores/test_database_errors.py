"""What real databases say, and what that means to a request: by their codes, not by classes."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from flask_imagemeta import Identity, ImageMeta, InvalidImage, StoreUnavailable
from flask_imagemeta.image import read_field
from flask_imagemeta.stores import GlanceDatabase, ModelStore
from flask_imagemeta.stores.errors import ImpossibleValue, store_errors
from flask_imagemeta.stores.plain_data import NotPlain, to_plain_data
from flask_imagemeta.stores.unreadable import ImageParts

from ..needs import needs
from .databases import EMOJI, GLANCE, KINDS, NARROW, load_glance, new_database, plain_engine, run

FULL = "ed4d9afa-f3f5-413b-bc43-690d5368e933"  # a public image of the Glance


class Base(DeclarativeBase):
    pass


class Coded(sa.TypeDecorator[str]):
    """A type of the host's that meets a code it does not know."""

    impl, cache_ok = sa.String(20), True

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return None if value is None else value.unknown


class Image(Base):
    __tablename__ = "image"
    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(100))
    owner: Mapped[str | None] = mapped_column(sa.String(100))
    status: Mapped[str | None] = mapped_column(sa.Enum("active", "queued", native_enum=False))
    disk_format: Mapped[str | None] = mapped_column(Coded)
    updated_at: Mapped[Any] = mapped_column(sa.DateTime, nullable=True)
    properties: Mapped[Any] = mapped_column(sa.JSON, nullable=True)
    members: Mapped[list[Member]] = relationship()


class Member(Base):
    __tablename__ = "member"
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("image.id"), primary_key=True)
    member: Mapped[str] = mapped_column(sa.String(100), primary_key=True)


class PgError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


class SQLiteError(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.sqlite_errorname = name


class Pg8000Error(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__({"C": sqlstate, "M": "why"})


class MySQLError(Exception):
    def __init__(self, number: int) -> None:
        super().__init__(number, "why")
        self.sqlstate = "HY000"  # recent PyMySQL has both


UNAVAILABLE = [
    *(PgError(s) for s in ("08006", "53300", "57014", "57P01", "57P03", "40001", "40P01", "55P03")),
    *(Pg8000Error(s) for s in ("57014", "57P01")),
    *(
        MySQLError(n)
        for n in (0, 1040, 1053, 1205, 1213, 1317, 1412, 1927, 1969, 2003, 2006, 2013, 3024)
    ),
    *(MySQLError(n) for n in (3, 5, 20, 23, 1026, 1030, 1042, 1043, 1047, 1114, 1129, 1637, 9001)),
    *(MySQLError(n) for n in (2005, 2012, 2026)),
    *(
        SQLiteError(f"SQLITE_{n}")
        for n in ("BUSY", "BUSY_SNAPSHOT", "LOCKED", "IOERR_READ", "FULL")
    ),
]
SET_UP = [
    *(PgError(s) for s in ("42703", "42P01", "42501", "3D000", "28P01", "0A000", "XX000")),
    Pg8000Error("42703"),
    *(MySQLError(n) for n in (1044, 1045, 1049, 1054, 1142, 1146, 1064)),
    *(SQLiteError(f"SQLITE_{n}") for n in ("ERROR", "CORRUPT", "NOTADB", "READONLY")),
]
CHARACTERS = [
    PgError("22021"),
    PgError("22P05"),
    *(MySQLError(n) for n in (1267, 1270, 1271, 1300, 1366, 3988)),
]
ROW = [PgError("22007"), PgError("22P02"), Exception("Could not decode to UTF-8 column 'name'")]


def name_of(error: Exception) -> str:
    return f"{type(error).__name__}-{error.args[0]}"


@pytest.mark.parametrize("kind", [sa.exc.OperationalError, sa.exc.ProgrammingError])
@pytest.mark.parametrize(
    ("original", "meaning"),
    [
        *((error, StoreUnavailable) for error in UNAVAILABLE),
        *((error, sa.exc.DBAPIError) for error in SET_UP),
        *((error, ImpossibleValue) for error in CHARACTERS),
        *((error, InvalidImage) for error in ROW),
    ],
    ids=lambda value: name_of(value) if isinstance(value, Exception) else value.__name__,
)
def test_a_code_decides(original: Exception, meaning: type[Exception], kind: Any) -> None:
    """The same code means the same, whatever class the driver has for it."""
    if (
        type(original) is Exception
        and kind is sa.exc.ProgrammingError
        and "decode" not in str(original)
    ):
        pytest.skip("without a code, the class decides")
    with pytest.raises(meaning), store_errors():
        raise kind("SELECT 1", {"image_id": EMOJI}, original)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (sa.exc.OperationalError, StoreUnavailable),
        (sa.exc.InterfaceError, StoreUnavailable),
        (sa.exc.ProgrammingError, sa.exc.ProgrammingError),
        (sa.exc.DataError, InvalidImage),
    ],
)
def test_without_a_code_the_class_decides(error: Any, meaning: type[Exception]) -> None:
    """What a driver says by itself, such as that it cannot connect, has no code."""
    with pytest.raises(meaning), store_errors():
        raise error("SELECT 1", {}, Exception("why"))


@pytest.mark.parametrize("original", CHARACTERS, ids=name_of)
def test_characters_of_ascii_are_no_reason(original: Exception) -> None:
    """Where plain ASCII is refused, character sets are mixed: the set-up is wrong."""
    with pytest.raises((sa.exc.OperationalError, InvalidImage)), store_errors():
        raise sa.exc.OperationalError("SELECT 1", {"image_id": "a"}, original)


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError("reset")])
def test_a_drivers_own_timeout_is_unavailable(error: Exception) -> None:
    """pg8000 raises Python's own errors of the network, which are no errors of a database."""
    with pytest.raises(StoreUnavailable), store_errors():
        raise error


@pytest.fixture(scope="module", params=NARROW)
def narrow(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[tuple[str, str]]:
    """A database that lacks a character, with a Glance's tables and a model's; the character."""
    kind, options, character = NARROW[request.param]
    with new_database(kind, tmp_path_factory.getbasetemp(), options) as url:
        target = plain_engine(url)
        Base.metadata.create_all(target)
        columns = "id varchar(36), name varchar(255), value text, image_id varchar(36)"
        columns += ", member varchar(255), owner varchar(255), visibility varchar(9)"
        for table in ("images", "image_properties", "image_members"):
            run(target, f"CREATE TABLE {table} ({columns})")
            for column in GLANCE_COLUMNS[table]:
                run(target, f"ALTER TABLE {table} ADD {column}")
        run(
            target,
            "INSERT INTO images (id, owner, visibility) VALUES ('a', 'p', 'shared')",
            "INSERT INTO image_members (image_id, member) VALUES ('a', 'guest')",
            "UPDATE image_members SET deleted = false",
            "INSERT INTO image (id, owner) VALUES ('a', 'p')",
            "INSERT INTO member (image_id, member) VALUES ('a', 'guest')",
        )
        target.dispose()
        yield url, character


BOOLEANS, TIMES = ("protected", "deleted"), ("created_at", "updated_at", "deleted_at")
NUMBERS = ("size", "virtual_size", "min_disk", "min_ram")
TEXTS = ("status", "disk_format", "container_format", "checksum")
GLANCE_COLUMNS = {
    "images": [
        *(f"{name} boolean" for name in BOOLEANS),
        *(f"{name} timestamp NULL" for name in TIMES),
        *(f"{name} bigint" for name in NUMBERS),
        *(f"{name} varchar(40)" for name in TEXTS),
    ],
    "image_properties": ["deleted boolean"],
    "image_members": ["deleted boolean"],
}


@pytest.mark.parametrize("way", ["columns", "entities", "engine", "GlanceDatabase"])
def test_characters_that_the_database_lacks(narrow: tuple[str, str], way: str) -> None:
    """An id of such characters is not found, and a project of them is a member of nothing."""
    url, character = narrow
    engine = sa.create_engine(url)
    session = Session(engine)
    stores: dict[str, Any] = {
        "columns": lambda: ModelStore(Image, session=lambda: session),
        "entities": lambda: ModelStore(Image, session=lambda: session, entities=True),
        "engine": lambda: ModelStore(Image, engine=engine),
        "GlanceDatabase": lambda: GlanceDatabase(url),
    }
    store = stores[way]()
    try:
        assert store(character) is None
        assert status(store, "a", Identity(character)) == 404
        assert status(store, "a", Identity("a\0b")) == 404
        assert status(store, "a", Identity("guest")) == 200
    finally:
        session.close()
        engine.dispose()
        if way == "GlanceDatabase":
            store._engine().dispose()


def status(store: Any, image_id: str, identity: Identity | None = None) -> int:
    app = Flask(__name__)
    ImageMeta(app, lookup=store, identity=lambda: identity)
    return app.test_client().head(f"/v1/images/{image_id}").status_code


@pytest.fixture
def engine(kind: str, url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url)
    Base.metadata.create_all(engine)
    yield engine
    Base.metadata.drop_all(engine)
    engine.dispose()


@pytest.mark.parametrize("entities", [False, True])
def test_a_column_that_is_dropped_is_not_unavailable(engine: sa.Engine, entities: bool) -> None:
    """A column that the table lacks is an error of the set-up on every database."""
    run(engine, "ALTER TABLE image DROP COLUMN name")
    with Session(engine) as session:
        store = ModelStore(Image, session=lambda: session, entities=entities)
        with pytest.raises(sa.exc.DBAPIError):
            store("a")


BROKEN = [
    ("sqlite", "name", "CAST(X'ff' AS TEXT)"),
    ("sqlite", "updated_at", "''"),
    ("sqlite", "properties", "'{'"),
    ("sqlite", "properties", "5"),
    ("postgresql", "updated_at", "'infinity'"),
    ("mariadb", "updated_at", "'0000-00-00'"),
    *((kind, "status", "'killed'") for kind in KINDS),
    ("sqlite", "disk_format", "'raw'"),
]


@pytest.mark.parametrize("way", ["session", "engine", "entities"])
@pytest.mark.parametrize(("kind", "field", "value"), BROKEN, indirect=["kind"], scope="module")
def test_a_row_that_cannot_be_read(
    engine: sa.Engine, field: str, value: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The owner gets a 500 that names the field, a stranger the 404 of any private image."""
    with engine.begin() as connection:
        if engine.dialect.name == "mariadb":
            connection.exec_driver_sql("SET sql_mode = ''")
        for values in (f"('a', 'p', {value})", "('b', 'whole', NULL)"):
            connection.exec_driver_sql(f"INSERT INTO image (id, owner, {field}) VALUES {values}")
    with Session(engine) as session:
        options: Any = {"engine": engine} if way == "engine" else {"session": lambda: session}
        store = ModelStore(Image, **options, entities=way == "entities")
        assert status(store, "a") == 404
        assert status(store, "a", Identity("p")) == 500
        assert f"image 'a': cannot be sent: {field} = " in caplog.text
        first, second = store.walk()
        assert (first["id"], second["owner"]) == ("a", "whole")
        assert read_field(second, field) is None


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True, scope="module")
@pytest.mark.parametrize("way", ["session", "engine", "entities"])
def test_a_value_that_an_enum_lacks(engine: sa.Engine, way: str) -> None:
    """An image with a value that its Enum does not have is left out of a list of the others."""
    run(engine, "INSERT INTO image (id, status) VALUES ('a', 'killed'), ('b', 'active')")
    with Session(engine) as session:
        options: Any = {"engine": engine} if way == "engine" else {"session": lambda: session}
        store = ModelStore(Image, entities=way == "entities", **options)
        assert status(store, "a") == 500
        app = Flask(__name__)
        ImageMeta(app, lookup=store, search=store.search, identity=lambda: Identity("p", ["admin"]))
        answer = app.test_client().get("/v1/images?is_public=None")
        assert [image["id"] for image in answer.get_json()["images"]] == ["b"]
        checked = app.test_cli_runner().invoke(args=["imagemeta", "check"])
        assert "a: refused: " in checked.stdout
        assert "'killed' is not among the defined enum values" in checked.stdout


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True, scope="module")
@pytest.mark.parametrize("is_stored", [False, True])
def test_a_value_that_an_enum_lacks_is_not_written(engine: sa.Engine, is_stored: bool) -> None:
    """An image with such a value, or in place of one that has it, is refused as a ValueError."""
    if is_stored:
        run(engine, "INSERT INTO image (id, status) VALUES ('a', 'killed')")
    image = {"id": "a", "status": "active" if is_stored else "killed"}
    with Session(engine) as session:
        store = ModelStore(Image, session=lambda: session)
        with pytest.raises(ValueError, match=r"'killed'(?s:.*)active, queued"):
            store.put([image])


def test_a_row_of_a_glance_that_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """GlanceDatabase names the field, too, and reads the others."""
    path = tmp_path / "glance.sqlite"
    path.write_bytes(Path(sa.make_url(GLANCE).database or "").read_bytes())
    engine = plain_engine(f"sqlite:///{path}")
    run(engine, f"UPDATE images SET updated_at = '', owner = 'p' WHERE id = '{FULL}'")
    run(engine, f"UPDATE images SET visibility = 'private' WHERE id = '{FULL}'")
    store = GlanceDatabase(f"sqlite:///{path}")
    assert status(store, FULL) == 404
    assert status(store, FULL, Identity("p")) == 500
    assert f"image '{FULL}': cannot be sent: updated_at = " in caplog.text
    assert status(store, "no-such-image") == 404
    store._engine().dispose()


@pytest.mark.parametrize("project", ["p", "pr\u00f6"])  # in the statement of a page, or apart
def test_members_that_the_set_up_keeps_from_being_read(tmp_path: Path, project: str) -> None:
    """Without a table of members, HEAD and lists are a 500, and `check` cannot check."""
    with new_database("sqlite", tmp_path) as url:
        load_glance(url)
        engine = plain_engine(url)
        run(engine, "DROP TABLE image_members", "UPDATE images SET visibility = 'shared'")
        run(engine, "UPDATE images SET deleted = 0, owner = 'o'")
        app, store = Flask(__name__), GlanceDatabase(engine)
        identity = Identity(project)
        ImageMeta(app, lookup=store, search=store.search, identity=lambda: identity)
        client = app.test_client()
        assert client.head(f"/v1/images/{FULL}").status_code == 500
        assert client.get("/v1/images").status_code == 500
        checked = app.test_cli_runner().invoke(args=["imagemeta", "check"])
        assert checked.exit_code == 2
        assert "no such table: image_members" in checked.stderr
        engine.dispose()


def test_a_part_that_cannot_be_read_is_not_cached() -> None:
    """Plain data has no form for it: Cached hands such an image on, and keeps nothing."""
    with pytest.raises(NotPlain, match="cannot be read"):
        to_plain_data(ImageParts({"id": "a", "name": InvalidImage("name", None, "broken")}))


def test_a_changed_column_is_read_by_prepared_statements(tmp_path: Path) -> None:
    """A column whose type changes while a statement is prepared costs no request."""
    with new_database("postgresql", tmp_path) as url:
        load_glance(url)
        ours, admin = GlanceDatabase(url), plain_engine(url)
        # Connections of their own: what heals one store's must not heal another's. psycopg forgets
        # its prepared statements with each ROLLBACK, of which autocommit has none.
        hosts = [sa.create_engine(url, isolation_level="AUTOCOMMIT") for _ in range(4)]
        sessions = [Session(engine) for engine in hosts[:2]]
        Base.metadata.create_all(admin)
        run(admin, f"INSERT INTO image (id) VALUES ('{FULL}')")
        stores: list[Any] = [
            ours,
            ModelStore(Image, session=lambda: sessions[0]),
            ModelStore(Image, session=lambda: sessions[1], entities=True),
            ModelStore(Image, engine=hosts[2]),
            GlanceDatabase(hosts[3]),
        ]
        for store in stores:
            for _ in range(8):  # psycopg prepares a statement when it comes again and again
                assert store(FULL) is not None
        for table in ("images", "image"):
            run(admin, f"ALTER TABLE {table} ALTER COLUMN name TYPE varchar(300)")
        assert [store(FULL) is not None for store in stores] == [True] * 5
        for session in sessions:
            session.close()
        for engine in (*hosts, ours._engine()):
            engine.dispose()


@pytest.mark.parametrize("way", ["session", "engine"])
def test_a_timeout_of_pg8000(tmp_path: Path, way: str) -> None:
    """pg8000's timeout means unavailable; its connection, which may yet answer, is dropped."""
    if find_spec("pg8000") is None:
        needs("pg8000")
    with new_database("postgresql", tmp_path) as url:
        admin = plain_engine(url)
        Base.metadata.create_all(admin)
        run(admin, "INSERT INTO image (id) VALUES ('a'), ('b')")
        other = sa.make_url(url).set(drivername="postgresql+pg8000")
        engine = sa.create_engine(other, connect_args={"timeout": 1}, pool_size=1, max_overflow=0)
        with Session(engine) as session:
            options: Any = {"engine": engine} if way == "engine" else {"session": lambda: session}
            store = ModelStore(Image, **options)
            with admin.connect() as connection:
                connection.exec_driver_sql("LOCK TABLE image IN ACCESS EXCLUSIVE MODE")
                with pytest.raises(StoreUnavailable) as caught:
                    store("a")
            # pg8000 closes its socket with the last reference to it, and these frames have one.
            traceback.clear_frames(caught.value.__cause__.__traceback__)
            assert store("b")["id"] == "b"
        engine.dispose()
