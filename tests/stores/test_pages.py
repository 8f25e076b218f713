"""Walks and searches of rows of which some cannot be read, wherever a page ends."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, column_property, mapped_column

from flask_imagemeta import Identity, ImageMeta, InvalidImage
from flask_imagemeta.image import read_field
from flask_imagemeta.query import OrderedImages, Query
from flask_imagemeta.stores import GlanceDatabase, ModelStore
from flask_imagemeta.stores.pages import PAGE

from .databases import GLANCE_TABLES, fill_glance, load_glance, new_database, plain_engine, run

COUNT = 6
IDS = [f"{1000 + number}" for number in range(COUNT)]
START = datetime(2024, 1, 1)
UNDECODABLE = "CAST(CAST(id AS BLOB) || X'ff' AS TEXT)"  # sorts before the next id
VISIBILITIES = ("public", "private", "shared", "community")


class Base(DeclarativeBase):
    pass


class Image(Base):
    __tablename__ = "images"
    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(255))
    size: Mapped[int | None]
    created_at: Mapped[datetime]
    visibility: Mapped[str] = mapped_column(sa.Enum(*VISIBILITIES, name="image_visibility"))


class Divided(Base):
    """An image with a field that the database cannot compute of the first row."""

    __table__ = Image.__table__
    id = Image.__table__.c.id
    protected = column_property(1 / Image.__table__.c.size == 1)


class Even(sa.TypeDecorator[str]):
    """A type that reads more than it writes."""

    impl, cache_ok = sa.String(36), True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        if int(value) % 2:
            raise ValueError(f"{value} is odd")
        return value


class Odd(Base):
    __tablename__ = "odd"
    id: Mapped[str] = mapped_column(Even, primary_key=True)
    name: Mapped[str | None]


class Tagged(Base):
    __tablename__ = "tagged"
    id: Mapped[UUID] = mapped_column(primary_key=True)


@pytest.fixture
def engine(kind: str, tmp_path: Path) -> Iterator[sa.Engine]:
    """A Glance's tables with a few images, sorted by each field as by their ids."""
    with new_database(kind, tmp_path) as url:
        load_glance(url)
        engine = sa.create_engine(url)
        run(engine, *(f"DELETE FROM {table}" for table in reversed(GLANCE_TABLES)))
        table = sa.Table("images", sa.MetaData(), autoload_with=engine)
        values = {"status": "active", "visibility": "public", "min_disk": 0, "min_ram": 0}
        values |= dict.fromkeys(("deleted", "protected", "os_hidden"), False)
        rows = [
            values
            | {"id": image_id, "name": f"n{image_id}", "size": number}
            | {"created_at": START + timedelta(days=number)}
            for number, image_id in enumerate(IDS)
        ]
        with engine.begin() as connection:
            connection.execute(sa.insert(table), rows)
        yield engine
        engine.dispose()


WAYS = ("columns", "entities", "engine", "GlanceDatabase")


@pytest.fixture(params=WAYS)
def store(engine: sa.Engine, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A store over the tables of a Glance."""
    with Session(engine) as session:
        yield {
            "columns": lambda: ModelStore(Image, session=lambda: session),
            "entities": lambda: ModelStore(Image, session=lambda: session, entities=True),
            "engine": lambda: ModelStore(Image, engine=engine),
            "GlanceDatabase": lambda: GlanceDatabase(engine),
        }[request.param]()


def ids_of(images: Iterable[Any]) -> list[str]:
    return [read_id(image) for image in images]


def read_id(image: Any) -> str:
    try:
        return str(read_field(image, "id"))
    except InvalidImage:
        return "?"


def every_page(store: Any, sort_key: Any) -> Iterator[list[str]]:
    """Yield the ids that a search gives, in ascending order, for first pages of each size."""
    for sort_dir in ("asc", "desc"):
        for limit in range(1, COUNT + 1):
            query = Query(sort_key=sort_key, sort_dir=sort_dir, limit=limit)  # type: ignore[arg-type]
            found = ids_of(store.search(query))
            yield found if sort_dir == "asc" else found[::-1]


BROKEN = [
    ("sqlite", "created_at", "'never' || id"),
    pytest.param("sqlite", "size", "'much' || id", marks=pytest.mark.slow),
    ("sqlite", "name", "CAST(X'ff' AS TEXT)"),
    pytest.param("postgresql", "created_at", "'infinity'", marks=pytest.mark.slow),
    pytest.param("mariadb", "created_at", "'0000-00-00'", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("kind", "field", "value"), BROKEN, indirect=["kind"])
def test_a_field_that_cannot_be_read(engine: sa.Engine, store: Any, field: str, value: str) -> None:
    """Rows with a broken field do not end a search that is sorted by it, and come once each."""
    mode = ["SET sql_mode = ''"] if engine.dialect.name == "mariadb" else []
    for broken in ([IDS[3]], IDS[2:5], IDS):
        ids = ", ".join(f"'{image_id}'" for image_id in broken)
        run(engine, *mode, f"UPDATE images SET {field} = {value} WHERE id IN ({ids})")
        for found in every_page(store, field):
            assert sorted(found) == IDS
        assert ids_of(store.walk()) == IDS


def test_a_markers_number_beyond_a_column(engine: sa.Engine) -> None:
    """The marker may be another lookup's image, whose size the model's column cannot hold."""
    store = ModelStore(Image, engine=engine)
    for size in (2**40, 2**80):
        marker = {"id": "9", "size": size, "created_at": START}
        assert sorted(ids_of(store.search(Query(sort_key="size", marker=marker)))) == IDS


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_statement_that_the_database_refuses(engine: sa.Engine) -> None:
    """A search that cannot even count its rows ends with the database's error."""
    search = ModelStore(Divided, engine=engine).search
    with pytest.raises(InvalidImage, match="division by zero"):
        list(search(Query(filters={"protected": (True,)})))


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("field", ["id", pytest.param("created_at", marks=pytest.mark.slow)])
def test_an_id_that_cannot_be_read(engine: sa.Engine, store: Any, field: str) -> None:
    """Rows whose ids are not UTF-8 take their place in a walk or a search, and say so."""
    expected = list(IDS)
    for position in (3, 4, COUNT - 1, 0):
        run(engine, f"UPDATE images SET id = {UNDECODABLE} WHERE id = '{IDS[position]}'")
        expected[position] = "?"
        for found in every_page(store, field):
            assert found == expected
        images = list(store.walk())
        assert ids_of(images) == expected
    for name in ("id", "owner"):
        with pytest.raises(InvalidImage, match=r"Could not decode .*1000"):
            read_field(images[0], name)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("time", "is_ordered"), [("never", True), ("2024-01-01T12:00:00", False)])
def test_what_sqlite_sorts(engine: sa.Engine, time: str, is_ordered: bool) -> None:
    """SQLite sorts a list unless the text of a time sorts wrong; what is no time does no harm."""
    run(engine, f"UPDATE images SET created_at = '{time}' WHERE id = '1002'")
    found = ModelStore(Image, engine=engine).search(Query())
    assert isinstance(found, OrderedImages) == is_ordered


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_list_with_rows_that_cannot_be_read(engine: sa.Engine, store: Any) -> None:
    """Lists leave them out; `list` and `check` name them, and go on."""
    run(
        engine,
        "UPDATE images SET created_at = 'never' WHERE id = '1002'",
        f"UPDATE images SET id = {UNDECODABLE} WHERE id = '1004'",
    )
    app = Flask(__name__)
    ImageMeta(app, lookup=store, search=store.search)
    for sort_key in ("name", "created_at", "id"):
        for limit in range(1, COUNT + 1):
            url = f"/v1/images?sort_key={sort_key}&sort_dir=asc&limit={limit}"
            answer = app.test_client().get(url)
            assert answer.status_code == 200, url
            assert [image["id"] for image in answer.get_json()["images"]] == [
                image_id for image_id in IDS if image_id not in ("1002", "1004")
            ][:limit]
    runner = app.test_cli_runner()
    listed = runner.invoke(args=["imagemeta", "list"])
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == [
        image_id if image_id != "1004" else "?" for image_id in IDS
    ]
    assert listed.stderr.count("decode") == 1
    checked = runner.invoke(args=["imagemeta", "check"])
    assert checked.exit_code == 1
    assert "1002: refused: " in checked.stdout
    assert "decode" in checked.stdout
    assert f"{COUNT} images checked, 2 to report" in checked.stderr


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("way", ["engine", "GlanceDatabase"])
def test_the_end_of_a_page_of_a_walk(kind: str, way: str, tmp_path: Path) -> None:
    """A walk goes on after pages that end with rows whose ids cannot be read."""
    with new_database(kind, tmp_path) as url:
        load_glance(url)
        fill_glance(url, 3)
        engine = sa.create_engine(url)
        last = "id IN ('1498', '1499', '1999')"
        run(engine, f"UPDATE images SET id = {UNDECODABLE} WHERE {last}")
        store: Any = ModelStore(Image, engine=engine)
        found = ids_of((store if way == "engine" else GlanceDatabase(engine)).walk())
        expected = [f"{1000 + number}" for number in range(1000)]
        assert found == [
            "?" if image_id in ("1498", "1499", "1999") else image_id for image_id in expected
        ]
        engine.dispose()


def test_a_list_where_statements_have_few_variables(tmp_path: Path) -> None:
    """The longest list needs no more variables than SQLite before 3.32 takes."""
    if sys.version_info < (3, 11):
        pytest.skip("before Python 3.11, sqlite3 does not set limits")
    with new_database("sqlite", tmp_path) as url:
        load_glance(url)
        fill_glance(url, 3)
        engine = sa.create_engine(url)

        @sa.event.listens_for(engine, "connect")
        def limit(connection: Any, record: Any) -> None:
            connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)

        with engine.connect() as connection:
            member = connection.exec_driver_sql("SELECT member FROM image_members").scalar()
        store = GlanceDatabase(engine)
        app = Flask(__name__)
        ImageMeta(app, lookup=store, search=store.search, identity=lambda: Identity(member))
        answer = app.test_client().get("/v1/images?limit=1000")
        assert len(answer.get_json()["images"]) == 1000
        engine.dispose()


def test_images_that_go_while_a_page_is_read(tmp_path: Path) -> None:
    """An image that goes at the end of a page that is read one by one costs no other its place."""
    path = tmp_path / "images.sqlite"
    engine = plain_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add_all(Image(id=one, created_at=START, visibility="public") for one in IDS)
    run(engine, f"UPDATE images SET created_at = 'never' WHERE id = '{IDS[0]}'")

    def delete(connection: Any, cursor: Any, statement: str, parameters: Any, *args: Any) -> None:
        if IDS[2] in parameters:  # which is looked up by itself
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute(f"DELETE FROM images WHERE id = '{IDS[2]}'")

    sa.event.listen(engine, "before_cursor_execute", delete)
    query = Query(sort_key="id", sort_dir="asc", limit=3)
    assert ids_of(ModelStore(Image, engine=engine).search(query)) == [*IDS[:2], *IDS[3:]]
    engine.dispose()


@pytest.mark.parametrize("is_broken", [False, True])
def test_an_id_that_its_type_refuses(is_broken: bool) -> None:
    """A walk goes on after a page that ends with an id that cannot be compared with others."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    Base.metadata.create_all(engine)
    ids = [f"{number}" for number in range(1000, 1000 + 2 * PAGE + 1)]
    rows = ", ".join(f"('{image_id}', 'x')" for image_id in ids)
    run(engine, f"INSERT INTO odd (id, name) VALUES {rows}")
    if is_broken:
        run(engine, "UPDATE odd SET name = CAST(X'ff' AS TEXT)")
    assert ids_of(ModelStore(Odd, engine=engine).walk()) == ids
    engine.dispose()


def test_an_id_that_is_no_uuid() -> None:
    """An id that is not of the column's type does not end a walk, either."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    Base.metadata.create_all(engine)
    ids = [UUID(int=number) for number in range(3)]
    with Session(engine) as session, session.begin():
        session.add_all(Tagged(id=one) for one in ids)
    run(engine, f"UPDATE tagged SET id = '{ids[1].hex}x' WHERE id = '{ids[1].hex}'")
    assert ids_of(ModelStore(Tagged, engine=engine).walk()) == [str(ids[0]), "?", str(ids[2])]
    engine.dispose()
