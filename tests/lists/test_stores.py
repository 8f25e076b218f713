"""The recorded cases of the lists over the stores, on three databases: as over plain images."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from random import Random
from typing import Any, get_args
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from flask_imagemeta import ImageMeta, ImageMixin
from flask_imagemeta.query import SortKey
from flask_imagemeta.stores import GlanceDatabase, ModelStore

from ..recorded import as_columns, ask
from ..stores import databases
from .recorded import CASES, IMAGES, RECORDED, identity


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Image(ImageMixin, db.Model):
    """Properties and members in JSON columns."""

    visibility: Mapped[str] = mapped_column(sa.String(9))
    members: Mapped[list[str]] = mapped_column(sa.JSON)


class Property(db.Model):
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("row_image.id"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    value: Mapped[str | None] = mapped_column(sa.Text)
    deleted: Mapped[bool] = mapped_column(default=False)


class Member(db.Model):
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("row_image.id"), primary_key=True)
    member: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    deleted: Mapped[bool] = mapped_column(default=False)


class RowImage(ImageMixin, db.Model):
    """Properties and members in rows of their own."""

    visibility: Mapped[str] = mapped_column(sa.String(9))
    properties: Mapped[list[Property]] = relationship()  # type: ignore[assignment]
    members: Mapped[list[Member]] = relationship()


def as_rows(record: dict[str, Any]) -> RowImage:
    """Return a recorded image with all its rows, deleted ones, too."""
    rows = {
        "properties": [Property(**row) for row in record["properties"]],
        "members": [
            Member(member=row["member"], deleted=row["deleted"]) for row in record["members"]
        ],
    }
    return RowImage(**{**as_columns(record), **rows})


STORES = {
    "plain": lambda: IMAGES.get,
    "json_column": lambda: ModelStore(Image),
    "rows": lambda: ModelStore(RowImage),
    "engine": lambda: ModelStore(RowImage, engine=lambda: db.engine),
    "entities": lambda: ModelStore(RowImage, entities=True),
}


@pytest.fixture(scope="module")
def stores_app(url: str) -> Iterator[Flask]:
    """An application that serves the recorded images from each of the stores."""
    app = Flask("tests")
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db.init_app(app)
    with app.app_context():
        db.create_all()
        for record in RECORDED["images"].values():
            db.session.add_all([Image(**as_columns(record)), as_rows(record)])
        db.session.commit()
    for name, make in STORES.items():
        app.config[f"{name.upper()}_URL_PREFIX"] = f"/{name}/v1"
        store = make()
        search = getattr(store, "search", lambda query: IMAGES.values())
        ImageMeta(app, name=name, lookup=store, search=search, identity=identity)
    yield app
    with app.app_context():
        db.engine.dispose()


def answer_of(app: Flask, case: dict[str, Any], store: str) -> tuple[int, str, Any]:
    status, headers, body = ask(app, case, store and f"/{store}")
    is_json = headers["Content-Type"] == "application/json"
    return status, headers["Content-Type"], json.loads(body) if is_json else body


def random_cases(count: int) -> Iterator[dict[str, Any]]:
    """Yield cases with a few parameters each, whose pages are short."""
    chance = Random(14)
    callers = [case["identity"] for case in RECORDED["cases"]]
    values = {
        "name": ["twin", "CIRROS", "", "in:cirros,twin", " padded ", "Gr\u00f6\u00dfe"],
        "status": ["active", "killed", "in:active,queued"],
        "size_min": ["0", "1001", "9" * 25],
        "size_max": ["2000", "9" * 25],
        "min_ram": ["0", "64", "9" * 25],
        "min_disk": ["0", "1"],
        "protected": ["true", "false"],
        "is_public": ["None", "False", "True"],
        "changes-since": ["2024-03-02T10:20:00Z", "2020-01-01"],
        "property-os_distro": ["debian", "DEBIAN"],
        'property-a"b': ["\0"],
        "sort_key": [*get_args(SortKey)],
        "sort_dir": ["asc", "desc"],
        "limit": ["1", "2", "3", "7"],
        "marker": list(IMAGES),
    }
    for _ in range(count):
        names = chance.sample(list(values), chance.randint(1, 6))
        query = urlencode({name: chance.choice(values[name]) for name in names})
        request = {"method": "GET", "path": f"/v1/images/detail?{query}", "headers": []}
        yield {"identity": chance.choice(callers), "request": request}


def large_cases() -> Iterator[dict[str, Any]]:
    """Yield cases with more conditions, values or digits than a database takes."""
    for query in (
        *(f"{name}={number}" for name in NUMBERS for number in (2**31, 2**63, 10**29)),
        "&".join(f"property-{number}=" for number in range(1500)),
        "name=in:twin" + ",x" * 70_000,
        "&".join(f"{name}=in:active,twin{',x' * 300}" for name in ("name", "status")),
    ):
        request = {"method": "GET", "path": f"/v1/images/detail?{query}", "headers": []}
        yield {"identity": None, "request": request}


NUMBERS = ("size_min", "size_max", "min_disk", "min_ram")
ASKED = {
    "recorded": [*CASES.values()],
    "random": [*random_cases(150)],
    "large": [*large_cases()],
}
either = pytest.mark.parametrize(
    "asked", ["recorded", "large", pytest.param("random", marks=pytest.mark.slow)]
)


@either
@pytest.mark.parametrize(
    "store",
    [
        "json_column",
        *(pytest.param(s, marks=pytest.mark.slow) for s in ("rows", "engine", "entities")),
    ],
)
def test_as_over_plain_images(stores_app: Flask, store: str, asked: str) -> None:
    """Each recorded case, and others, answers as over plain images, whose deviations have names."""
    for case in ASKED[asked]:
        expected = answer_of(stores_app, case, "plain")
        assert answer_of(stores_app, case, store) == expected, case["request"]["path"][:200]


@pytest.mark.parametrize(
    ("store", "project_id", "limit", "count"),
    [
        ("json_column", "tenant_b", 5, 1),
        ("rows", None, 20, 1),
        ("rows", "tenant_b", 20, 2),
        ("engine", "tenant_b", 20, 2),
        ("entities", "tenant_b", 5, 1),
    ],
)
def test_statements_of_a_page(
    stores_app: Flask,
    statements: list[str],
    kind: str,
    store: str,
    project_id: str | None,
    limit: int,
    count: int,
) -> None:
    """A page is one statement, and one for all members where the answer depends on them.

    SQLite has one more, for times in other forms.
    """
    identity = project_id and {"project_id": project_id, "roles": []}
    request = {"method": "GET", "path": f"/v1/images/detail?limit={limit}", "headers": []}
    answer_of(stores_app, {"identity": identity, "request": request}, store)  # it may be the first
    statements.clear()
    answer_of(stores_app, {"identity": identity, "request": request}, store)
    selects = [one for one in statements if one.startswith("SELECT")]
    assert len(selects) == count + (kind == "sqlite"), statements


# A Glance's own tables


def as_glance_rows(records: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return recorded images as rows of a Glance's tables, with the columns that it demands."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in databases.GLANCE_TABLES}
    now = datetime(2024, 1, 1)
    for record in records:
        times = {
            name: record[name] and datetime.fromisoformat(record[name])
            for name in ("created_at", "updated_at", "deleted_at")
        }
        rows["images"].append({**record, **times, "os_hidden": False})
        own = {"image_id": record["id"], "created_at": now}
        for row in record["properties"]:
            rows["image_properties"].append({**row, **own})
        for row in record["members"]:
            rows["image_members"].append({**row, **own, "can_share": False})
    return rows


@pytest.fixture(scope="module")
def glance_app(glance_url: str, kind: str) -> Iterator[Flask]:
    """An application over a Glance's database that holds the recorded images."""
    engine = sa.create_engine(glance_url)
    tables = sa.MetaData()
    tables.reflect(engine, only=databases.GLANCE_TABLES)
    with engine.begin() as connection:
        for name in reversed(databases.GLANCE_TABLES):
            connection.execute(sa.delete(tables.tables[name]))
        for name, rows in as_glance_rows(RECORDED["images"].values()).items():
            known = tables.tables[name].columns.keys()
            kept = [{k: v for k, v in row.items() if k in known} for row in rows]
            connection.execute(sa.insert(tables.tables[name]), kept)
    app = Flask("tests")
    store = GlanceDatabase(engine)
    ImageMeta(app, lookup=store, search=store.search, identity=identity)
    images = {
        image_id: in_whole_seconds(image) if kind == "mariadb" else image
        for image_id, image in IMAGES.items()
    }
    app.config["PLAIN_URL_PREFIX"] = "/plain/v1"
    ImageMeta(
        app,
        name="plain",
        lookup=images.get,
        search=lambda query: images.values(),
        identity=identity,
    )
    yield app
    engine.dispose()


def in_whole_seconds(image: dict[str, Any]) -> dict[str, Any]:
    """Return an image with its times as MariaDB keeps them in a Glance's tables."""
    return {
        name: value and value[:19] if name.endswith("_at") else value
        for name, value in image.items()
    }


@either
def test_a_glances_database(glance_app: Flask, asked: str) -> None:
    """Over a Glance's tables, each case answers as over plain images."""
    for case in ASKED[asked]:
        expected = answer_of(glance_app, case, "plain")
        assert answer_of(glance_app, case, "") == expected, case["request"]["path"]


def test_statements_of_a_glances_page(glance_app: Flask, statements: list[str], kind: str) -> None:
    """A page is one statement, and one for members, besides those that make it read-only.

    SQLite has one more, for times in other forms.
    """
    request = {"method": "GET", "path": "/v1/images/detail?limit=20", "headers": []}
    for project_id, count in ((None, 1), ("tenant_b", 2)):
        caller = project_id and {"project_id": project_id, "roles": []}
        statements.clear()
        answer_of(glance_app, {"identity": caller, "request": request}, "")
        sent = [one for one in statements if "FROM image" in one]
        assert len(sent) == count + (kind == "sqlite"), statements


def test_a_marker_of_another_store(glance_app: Flask, kind: str) -> None:
    """A page goes on after an image of another lookup, whose times are text."""
    first, second = (f"00000000-0000-4000-8000-0000000000{number}" for number in ("31", "30"))
    store = GlanceDatabase(glance_app.extensions["imagemeta"]["imagemeta"].store._engine())
    marker = in_whole_seconds(IMAGES[first]) if kind == "mariadb" else IMAGES[first]
    app = Flask("tests")
    ImageMeta(app, lookup={first: marker}.get, search=store.search)
    answer = app.test_client().get(f"/v1/images?marker={first}&limit=1")
    assert [image["id"] for image in answer.get_json()["images"]] == [second]


# Columns of other types


class Numbered(db.Model):
    """A model whose id is a number, and whose status SQL sorts by its place in the list."""

    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(sa.Enum("queued", "active", name="status"))
    size: Mapped[int] = mapped_column(default=1)
    is_public: Mapped[bool] = mapped_column(default=True)


@contextmanager
def app_over(url: str, model: type[Any]) -> Iterator[Flask]:
    """Yield an application over the table of one model, which is dropped at the end."""
    app = Flask("tests")
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db.init_app(app)
    ImageMeta(app, lookup=(store := ModelStore(model)), search=store.search)
    with app.app_context():
        db.metadata.create_all(db.engine, [model.__table__])
    yield app
    with app.app_context():
        db.metadata.drop_all(db.engine, [model.__table__])
        db.engine.dispose()


def paged_ids(client: FlaskClient, **query: str) -> list[str]:
    """Return the ids of a list whose pages have one image each."""
    ids: list[str] = []
    while True:
        marker = {"marker": ids[-1]} if ids else {}
        found = client.get(f"/v1/images?{urlencode(query | {'limit': '1'} | marker)}").get_json()
        if not found["images"]:
            return ids
        ids += [image["id"] for image in found["images"]]


@pytest.fixture
def numbered_app(url: str) -> Iterator[Flask]:
    """An application over a table of images whose ids are numbers."""
    with app_over(url, Numbered) as app:
        yield app


def test_numbers_beyond_a_column(numbered_app: Flask) -> None:
    """A number that a column cannot hold is compared as numbers are, and is no image's id."""
    with numbered_app.app_context():
        db.session.add(Numbered(id=1, status="active"))
        db.session.commit()
    client = numbered_app.test_client()
    for number in (2**31, 2**63 - 1, 10**29):
        assert client.head(f"/v1/images/{number}").status_code == 404
        assert client.get(f"/v1/images?marker={number}").status_code == 400
        assert client.get(f"/v1/images?size_min={number}").get_json()["images"] == []
        [image] = client.get(f"/v1/images?size_max={number}").get_json()["images"]
        assert image["id"] == "1"


@pytest.mark.parametrize("sort_key", ["id", "status", "size"])
def test_columns_of_other_types_are_sorted(numbered_app: Flask, sort_key: str) -> None:
    """Ids that are numbers and a status that is an enumeration are sorted as text."""
    numbers = (9, 10, 11, 100, 2)
    with numbered_app.app_context():
        db.session.add_all(
            Numbered(id=number, status=("queued", "active")[number % 2]) for number in numbers
        )
        db.session.commit()
    statuses = {str(number): ("queued", "active")[number % 2] for number in numbers}
    keys = {"id": str, "status": lambda key: (statuses[key], key), "size": str}
    ids = paged_ids(numbered_app.test_client(), sort_key=sort_key, sort_dir="asc")
    assert ids == sorted(statuses, key=keys[sort_key])


class Texts(db.Model):
    """A model whose sizes are text, and whose names are padded."""

    id: Mapped[str] = mapped_column(sa.String(9), primary_key=True)
    name: Mapped[str] = mapped_column(sa.CHAR(9))
    size: Mapped[str] = mapped_column(sa.String(9))
    is_public: Mapped[bool] = mapped_column(default=True)


@pytest.mark.parametrize("sort_key", ["name", "size"])
def test_text_that_does_not_sort_as_it_is_sent(url: str, sort_key: str) -> None:
    """Sizes sort as numbers, and a padded name as it is read."""
    names = {"a": ("x", "100"), "b": ("x\t", "9"), "c": ("x!", "20")}
    with app_over(url, Texts) as app:
        with app.app_context():
            db.session.add_all(Texts(id=i, name=n, size=s) for i, (n, s) in names.items())
            db.session.commit()
        ids = paged_ids(app.test_client(), sort_key=sort_key, sort_dir="asc")
    assert sorted(ids) == ["a", "b", "c"]
    assert sort_key == "name" or ids == ["b", "c", "a"]


class Padded(db.Model):
    """A model whose ids are padded on PostgreSQL."""

    id: Mapped[str] = mapped_column(sa.CHAR(9), primary_key=True)
    is_public: Mapped[bool] = mapped_column(default=True)


@pytest.mark.parametrize("sort_dir", ["asc", "desc"])
def test_ids_that_are_padded(url: str, sort_dir: str, caplog: pytest.LogCaptureFixture) -> None:
    """A page goes on after the id as it was listed, in the order of ids as they are listed."""
    with app_over(url, Padded) as app:
        with app.app_context():
            db.session.add_all(Padded(id=one) for one in ("a", "a!", "b"))
            db.session.commit()
        ids = paged_ids(app.test_client(), sort_key="id", sort_dir=sort_dir)
    assert ids == sorted(ids, reverse=sort_dir == "desc")
    assert len(ids) == 3
    assert not caplog.records


# Times that SQLite writes itself, those of other programs, and those of a format of the host's

SECOND = "2024-05-17 12:00:0"
AS_SQLITE = [f"{SECOND}{rest}" for rest in ("0", "0.000000", "0.500000", "0.500", "1", "1.000000")]
AS_OTHERS = [
    "2024-05-17T12:00:00",
    "2024-05-17 12:30:00.000000",
    "2024-05-17 12:30:00+02:00",
    "2024-05-17 12:00:00-05:00",
    "2024-05-17",
    "2024-05-17 12:00",
]
DAYS_FIRST = "%(day)02d.%(month)02d.%(year)04d %(hour)02d:%(minute)02d:%(second)02d"
DAYS_FIRST_READ = (
    r"(?P<day>\d+).(?P<month>\d+).(?P<year>\d+) (?P<hour>\d+):(?P<minute>\d+):(?P<second>\d+)"
)
AS_DAYS_FIRST = [f"{day:02}.{month:02}.2024 12:00:00" for day in (1, 2) for month in (1, 2, 2)]


def timed_model(kind: Any, *, nullable: bool) -> type[Any]:
    base = type("Base", (DeclarativeBase,), {})
    time = {"nullable": nullable, "server_default": sa.func.now(), "index": True}
    columns = {
        "id": mapped_column(sa.String(9), primary_key=True),
        "is_public": mapped_column(sa.Boolean, default=True),
        "created_at": mapped_column(kind, **time),
        "updated_at": mapped_column(kind, **time),
    }
    return type("Image", (base,), {"__tablename__": "image", **columns})


@pytest.fixture
def flags_app() -> Iterator[Flask]:
    """An application over rows of another program: SQLite and MariaDB keep any number as a flag."""
    base = type("Base", (DeclarativeBase,), {})
    columns = {
        "id": mapped_column(sa.String(9), primary_key=True),
        **{name: mapped_column(sa.Boolean) for name in ("is_public", "protected")},
    }
    model = type("Image", (base,), {"__tablename__": "image", **columns})
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    base.metadata.create_all(engine)
    databases.run(engine, "INSERT INTO image VALUES ('two', 2, 2), ('no', 1, 0), ('null', 1, NULL)")
    store = ModelStore(model, engine=engine)
    app = Flask("tests")
    ImageMeta(app, lookup=store, search=store.search)
    yield app
    engine.dispose()


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["two", "null", "no"]),
        ("?protected=true", ["two"]),
        ("?protected=false", ["null", "no"]),
    ],
)
def test_any_number_but_0_is_true(flags_app: Flask, query: str, ids: list[str]) -> None:
    """A list has what the headers say of each image."""
    client = flags_app.test_client()
    assert client.head("/v1/images/two").headers["X-Image-Meta-Protected"] == "True"
    listed = client.get(f"/v1/images{query}").get_json()["images"]
    assert [image["id"] for image in listed] == ids


@pytest.fixture(params=["as SQLite writes them", "as others write them", "days first"])
def timed_app(request: pytest.FixtureRequest, nullable: bool) -> Iterator[Flask]:
    """An application over a model with such times, and over plain images with the same."""
    kind, times = sa.DateTime(), AS_SQLITE
    if request.param == "as others write them":
        times = AS_OTHERS
    elif request.param == "days first":
        kind = sqlite.DATETIME(storage_format=DAYS_FIRST, regexp=DAYS_FIRST_READ)
        times = AS_DAYS_FIRST
    model = timed_model(kind, nullable=nullable)
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    model.metadata.create_all(engine)
    with engine.begin() as connection:
        for number, time in enumerate((*times, *times)):
            values = (f"i{number * 7 % 12:02}", time, times[-number % len(times)])
            connection.exec_driver_sql("INSERT INTO image VALUES (?, 1, ?, ?)", values)
    store = ModelStore(model, engine=engine)
    app = Flask("tests")
    ImageMeta(app, lookup=store, search=store.search)
    app.config["PLAIN_URL_PREFIX"] = "/plain/v1"
    ImageMeta(app, name="plain", lookup=store, search=lambda query: [*store.walk()])
    yield app
    engine.dispose()


@pytest.mark.parametrize("nullable", [False, True], ids=["not null", "nullable"])
@pytest.mark.parametrize("sort_key", ["created_at", "updated_at"])
@pytest.mark.parametrize("sort_dir", ["asc", "desc"])
def test_times_of_other_forms_are_sorted(timed_app: Flask, sort_key: str, sort_dir: str) -> None:
    """Pages of any size give each image once, in the order of their times."""
    client = timed_app.test_client()

    def ids(url: str) -> list[str]:
        answer = client.get(f"{url}&sort_key={sort_key}&sort_dir={sort_dir}")
        assert answer.status_code == 200
        return [image["id"] for image in answer.get_json()["images"]]

    expected = ids("/plain/v1/images?")
    assert len(expected) == 12
    for limit in range(1, 12):
        found: list[str] = []
        while page := ids(f"/v1/images?limit={limit}" + (f"&marker={found[-1]}" if found else "")):
            found += page
        assert found == expected


@pytest.mark.parametrize("nullable", [False])
def test_changes_since_times_of_other_forms(timed_app: Flask) -> None:
    """An image has changed since a time whatever the form in which its own is stored."""
    client = timed_app.test_client()
    times = ("12:00:00", "12:00:00.250000", "12:00:00.500000", "12:00:01", "11:59:59.9", "16:59:59")
    for time in times:
        for day in ("2024-05-17", "2024-02-01"):
            query = f"images?changes-since={day}T{time}"
            expected = client.get(f"/plain/v1/{query}").get_json()
            assert client.get(f"/v1/{query}").get_json() == expected
