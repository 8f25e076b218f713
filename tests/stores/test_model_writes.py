"""ModelStore.add() and put(), on all three databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone
from enum import Enum
from functools import reduce
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.orm import (
    DeclarativeBase,
    DynamicMapped,
    Mapped,
    WriteOnlyMapped,
    column_property,
    mapped_column,
    relationship,
    synonym,
)

from flask_imagemeta import ImageMixin, ImageRecord, InvalidImage, StoreUnavailable
from flask_imagemeta.stores import GlanceDatabase, ModelStore

from .databases import GLANCE, run

TIME = datetime(2020, 1, 2, 3, 4, 5, 678)
FULL = ImageRecord(
    "a",
    name="größer",
    status="active",
    size=2**62,
    virtual_size=2**61,
    disk_format="qcow2",
    container_format="bare",
    min_disk=3,
    min_ram=4,
    checksum="c" * 32,
    owner="p",
    protected=True,
    deleted=False,
    created_at=TIME,
    updated_at=TIME + timedelta(days=1),
    deleted_at=TIME + timedelta(days=2),
    visibility="shared",
    properties={"os": "debian", "größe": " x "},
    members=("q", "r"),
)

DEEP = reduce(lambda inner, _: [inner], range(2_000), "a")


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Json(ImageMixin, db.Model):
    """The mixin with a visibility, and with members; properties are a JSON column."""

    visibility: Mapped[str | None] = mapped_column(sa.String(9))
    members: Mapped[list[JsonMember]] = relationship(cascade="all, delete-orphan")


class JsonMember(db.Model):
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("json.id"), primary_key=True)
    member: Mapped[str] = mapped_column(sa.String(255), primary_key=True)


class Rows(ImageMixin, db.Model):
    """A model whose properties are rows, too; both kinds of rows can be marked as deleted."""

    visibility: Mapped[str | None] = mapped_column(sa.String(9))
    properties: Mapped[list[Property]] = relationship()  # type: ignore[assignment]
    members: Mapped[list[RowsMember]] = relationship()


class Property(db.Model):
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("rows.id"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(100), primary_key=True)
    value: Mapped[str | None] = mapped_column(sa.Text)
    deleted: Mapped[bool] = mapped_column(default=False)


class RowsMember(db.Model):
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("rows.id"), primary_key=True)
    member: Mapped[str] = mapped_column(sa.String(100), primary_key=True)
    deleted: Mapped[bool] = mapped_column(default=False)


class Plain(ImageMixin, db.Model):
    """The mixin alone: neither a visibility nor members."""


class Zoned(db.Model):
    """A model whose times have a time zone, if the database can keep one."""

    id: Mapped[str] = mapped_column(sa.String(9), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(
        sa.DateTime(timezone=True).with_variant(mysql.DATETIME(timezone=True, fsp=6), "mariadb")
    )


class Binary(ImageMixin, db.Model):
    """A model whose properties are JSONB on PostgreSQL."""

    properties: Mapped[dict[str, Any]] = mapped_column(
        sa.JSON().with_variant(postgresql.JSONB, "postgresql"), default=dict
    )


class Numbered(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(9))


class Unique(db.Model):
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(9))


class Format(Enum):
    QCOW2 = "qcow2"
    RAW = "raw"


class OtherFormat(Enum):
    """The same formats under other names, as another application may have them."""

    SPARSE = "qcow2"
    PLAIN = "raw"


def values_of(kind: type[Enum]) -> list[str]:
    return [member.value for member in kind]


class Enums(db.Model):
    """A model with every kind of Enum for a format: of members, of texts, native and not."""

    id: Mapped[str] = mapped_column(sa.String(9), primary_key=True)
    disk_format: Mapped[Format | None]
    by_value: Mapped[Format | None] = mapped_column(
        sa.Enum(Format, values_callable=values_of, native_enum=False)
    )
    text: Mapped[str | None] = mapped_column(sa.Enum("qcow2", "raw", name="formats"))
    strict: Mapped[str | None] = mapped_column(
        sa.Enum("qcow2", "raw", native_enum=False, validate_strings=True)
    )


class WriteOnly(db.Model):
    """A model whose related rows are never loaded as a whole; their names are unique."""

    id: Mapped[str] = mapped_column(sa.String(9), primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(9))
    modified: Mapped[datetime | None] = mapped_column(sa.DateTime, onupdate=sa.func.now())
    updated_at = synonym("modified")
    properties: WriteOnlyMapped[WriteOnlyProperty] = relationship(
        cascade="all, delete-orphan", passive_deletes=True
    )
    members: DynamicMapped[WriteOnlyMember] = relationship(cascade="all, delete-orphan")


class WriteOnlyProperty(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("write_only.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(sa.String(9))
    value: Mapped[str | None] = mapped_column(sa.String(9))
    __table_args__ = (sa.UniqueConstraint("image_id", "name"),)


class WriteOnlyMember(db.Model):
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("write_only.id"), primary_key=True)
    member: Mapped[str] = mapped_column(sa.String(9), primary_key=True)


class ViewOnly(db.Model):
    """A model over the same rows, which it does not write."""

    __tablename__ = "view_only"
    id: Mapped[str] = mapped_column(sa.String(9), primary_key=True)
    properties: Mapped[list[WriteOnlyProperty]] = relationship(
        primaryjoin="ViewOnly.id == foreign(WriteOnlyProperty.image_id)", viewonly=True
    )


budgets = sa.Table(
    "budgets",
    db.metadata,
    sa.Column("image", sa.ForeignKey("in_common.id"), primary_key=True),
    sa.Column("project", sa.ForeignKey("project.member"), primary_key=True),
)


class Project(db.Model):
    """A project of the host's, with more than its id."""

    member: Mapped[str] = mapped_column(sa.String(9), primary_key=True)
    budget: Mapped[int]


class InCommon(db.Model):
    """A model whose images have properties and members in common."""

    id: Mapped[str] = mapped_column(sa.String(9), primary_key=True)
    family: Mapped[str | None] = mapped_column(sa.String(9))
    members: Mapped[list[Project]] = relationship(secondary=budgets)
    properties: Mapped[list[FamilyProperty]] = relationship(
        primaryjoin="InCommon.family == foreign(FamilyProperty.family)"
    )


class FamilyProperty(db.Model):
    family: Mapped[str] = mapped_column(sa.String(9), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(9), primary_key=True)
    value: Mapped[str | None] = mapped_column(sa.String(9))


class Exact(db.Model):
    """A model with columns that keep a text as something else."""

    id: Mapped[str] = mapped_column(sa.String(9), primary_key=True)
    owner: Mapped[UUID | None]
    checksum: Mapped[str | None] = mapped_column(sa.Uuid(as_uuid=False))
    name: Mapped[int | None]
    size: Mapped[int | None]
    members: Mapped[list[ExactMember]] = relationship(cascade="all, delete-orphan")


class ExactMember(db.Model):
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("exact.id"), primary_key=True)
    member: Mapped[UUID] = mapped_column(primary_key=True)


class Defaults(db.Model):
    """A model where defaults, an onupdate behind a synonym and whole seconds may get in the way."""

    id: Mapped[str] = mapped_column(sa.String(9), primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(9), server_default="default")
    created_at: Mapped[datetime | None] = mapped_column(sa.DateTime)
    modified: Mapped[datetime | None] = mapped_column(
        sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb"),
        onupdate=sa.func.now(),
    )
    updated_at = synonym("modified")
    properties: Mapped[list[DefaultsProperty]] = relationship(cascade="all, delete-orphan")


class DefaultsProperty(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("defaults.id"))
    name: Mapped[str] = mapped_column(sa.String(9))
    value: Mapped[str | None] = mapped_column(sa.String(9), default="default")


class Partitioned(db.Model):
    """A model with a field in its primary key, beside the id."""

    id: Mapped[str] = mapped_column(sa.String(9), primary_key=True, unique=True)
    created_at: Mapped[datetime] = mapped_column(primary_key=True)


class Joined(db.Model):
    """A model whose id is made of the columns of its primary key."""

    region: Mapped[str] = mapped_column(sa.String(9), primary_key=True)
    number: Mapped[str] = mapped_column(sa.String(9), primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(9))
    id = column_property(region + "-" + number)


class Picky(sa.TypeDecorator[str]):
    """A type that knows only one text."""

    impl = sa.String(9)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else {"known": "stored"}[value]


class Guarded(db.Model):
    """A model with a key of its own, a CHECK, and columns that the database makes."""

    pk: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(sa.String(9), unique=True)
    name: Mapped[str | None] = mapped_column(sa.String(9))
    checksum: Mapped[str | None] = mapped_column(Picky)
    size: Mapped[int | None] = mapped_column(sa.Computed("2 + 3", persisted=True))
    __table_args__ = (sa.CheckConstraint("name <> 'refused'"),)


# A trigger that does not let an image's name be "triggered".
TRIGGERS = {
    "sqlite": """
        CREATE TRIGGER guard BEFORE INSERT ON guarded WHEN new.name = 'triggered'
        BEGIN SELECT RAISE(ABORT, 'not this name'); END
    """,
    "postgresql": """
        CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF new.name = 'triggered' THEN RAISE 'not this name'; END IF; RETURN new; END $$;
        CREATE TRIGGER guard BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION guard()
    """,
    "mariadb": """
        CREATE TRIGGER guard BEFORE INSERT ON guarded FOR EACH ROW IF new.name = 'triggered'
        THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this name'; END IF
    """,
}

MODELS = pytest.mark.parametrize("model", [Json, Rows])
ON_SQLITE = pytest.mark.parametrize("kind", ["sqlite"], indirect=True, scope="module")
WAYS = pytest.mark.parametrize("way", ["add", "put"])


@pytest.fixture(scope="module")
def writes_app(url: str) -> Iterator[Flask]:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db.init_app(app)
    with app.app_context():
        db.create_all()
        run(db.engine, TRIGGERS[sa.make_url(url).get_backend_name()])
        yield app
        db.engine.dispose()


@pytest.fixture(autouse=True)
def empty(writes_app: Flask) -> Iterator[None]:
    yield
    db.session.rollback()
    for table in reversed(db.metadata.sorted_tables):
        db.session.execute(sa.delete(table))
    db.session.commit()
    db.session.remove()


def read(store: ModelStore, image_id: str) -> dict[str, Any]:
    """Return an image as ImageRecord has it."""
    found = dict(store(image_id))
    names = {field for field in found if hasattr(FULL, field)} - {"is_public"}
    image = ImageRecord(**{name: found[name] for name in names})
    return asdict(replace(image, members=tuple(sorted(image.members))))


def to_utc(time: datetime) -> datetime:
    return time if time.tzinfo is None else time.astimezone(timezone.utc).replace(tzinfo=None)


def as_object(image: ImageRecord) -> Any:
    return SimpleNamespace(**asdict(image))


@WAYS
@MODELS
@pytest.mark.parametrize("make", [lambda image: image, asdict, as_object])
def test_what_a_walk_gives(model: type[Any], way: str, make: Any) -> None:
    """A record, a mapping and an object are kept whole: id, timestamps, properties, members."""
    store = ModelStore(model)
    assert getattr(store, way)([make(FULL)]) == ["a"]
    assert read(store, "a") == asdict(FULL)


@MODELS
def test_a_walk_fills_another_store(model: type[Any], kind: str) -> None:
    """What a Glance's walk gives is put as it is, and what a ModelStore's gives as well."""
    glance = GlanceDatabase(GLANCE)
    images = [
        replace(image, properties={})  # MariaDB's TEXT cannot keep all of them as rows
        for image in glance.walk()
    ]
    store, other = ModelStore(model), ModelStore(Rows if model is Json else Json)
    store.put(images)
    other.put(store.walk())
    glance.close()
    for image in images:
        members = tuple(sorted(image.members))
        expected = asdict(replace(image, members=members, visibility=image.visibility))
        assert read(store, image.id) == expected
        assert read(other, image.id) == expected


@WAYS
@MODELS
def test_none_is_kept(model: type[Any], way: str) -> None:
    """An explicit None is NULL whatever the default, or else what clients cannot tell from it."""
    needed = {"id": "a", "status": "active", "created_at": TIME}
    getattr(ModelStore(model), way)([dict.fromkeys([*asdict(FULL), "is_public"]) | needed])
    row = db.session.get(model, "a")
    assert (row.updated_at, row.deleted_at, row.size, row.owner) == (None, None, None, None)
    assert (row.min_disk, row.min_ram, row.protected, row.deleted) == (0, 0, False, False)
    assert (row.is_public, row.visibility) == (False, None)
    assert list(row.members) == []


@ON_SQLITE
@WAYS
def test_what_cannot_be_none(way: str) -> None:
    """A None that the column cannot keep is refused by its name."""
    with pytest.raises(InvalidImage, match=r"created_at = None: the column .*created_at cannot be"):
        getattr(ModelStore(Json), way)([{"id": "a", "created_at": None}])


@MODELS
def test_put_replaces(model: type[Any]) -> None:
    """What a new image lacks counts as None, if the column can be NULL: status cannot."""
    store = ModelStore(model)
    store.put([FULL])
    fewer = {"id": "a", "created_at": TIME, "properties": {"os": "other"}, "members": ["r", "s"]}
    assert store.put([fewer]) == ["a"]
    new = ImageRecord(
        "a",
        status="active",
        min_disk=0,
        min_ram=0,
        created_at=TIME,
        properties={"os": "other"},
        members=("r", "s"),
    )
    assert read(store, "a") == asdict(new)
    assert store.count() == 1
    store.put([FULL])
    assert read(store, "a") == asdict(FULL)


@MODELS
@pytest.mark.parametrize("updated_at", [TIME, FULL.updated_at, None])
def test_the_sources_timestamps_win(model: type[Any], updated_at: datetime | None) -> None:
    """The column's onupdate does not touch an image that is replaced, whatever its own time is."""
    store = ModelStore(model)
    store.put([FULL])
    store.put([replace(FULL, name="new", updated_at=updated_at)])
    assert db.session.get(model, "a").updated_at == updated_at
    db.session.get(model, "a").name = "by the host"
    db.session.commit()
    assert db.session.get(model, "a").updated_at != updated_at  # it is in force elsewhere


@WAYS
def test_a_default_does_not_replace_none(way: str) -> None:
    """An explicit None is kept against a default of the database, and in a property's row."""
    store = ModelStore(Defaults)
    getattr(store, way)([{"id": "a", "name": None, "properties": {"k": None}}])
    assert (store("a")["name"], store("a")["properties"]) == (None, {"k": None})


def test_a_time_behind_a_synonym() -> None:
    """The source's updated_at wins over the column's onupdate, if it is a synonym, too."""
    store = ModelStore(Defaults)
    store.put([{"id": "a", "updated_at": TIME}])
    store.put([{"id": "a", "updated_at": TIME, "name": "new"}])
    assert (store("a")["updated_at"], store("a")["name"]) == (TIME, "new")


@WAYS
def test_whole_seconds(way: str, kind: str) -> None:
    """A time that the column would cut off is refused by field; one that it keeps is stored."""
    store = ModelStore(Defaults)
    whole = TIME.replace(microsecond=0)
    if kind == "mariadb":
        with pytest.raises(InvalidImage, match=r"^created_at = .*created_at holds whole seconds"):
            getattr(store, way)([{"id": "a", "created_at": TIME}])
        getattr(store, way)([{"id": "a", "created_at": whole}])
        assert store("a")["created_at"] == whole
    else:
        getattr(store, way)([{"id": "a", "created_at": TIME}])
        assert store("a")["created_at"] == TIME


@ON_SQLITE
def test_rows_that_were_deleted_come_back() -> None:
    """Rows that are marked as deleted are used again for what an image has again."""
    store = ModelStore(Rows)
    store.put([FULL])
    db.session.execute(sa.update(Property).values(deleted=True))
    db.session.execute(sa.update(RowsMember).values(deleted=True))
    db.session.commit()
    assert read(store, "a") == asdict(replace(FULL, properties={}, members=()))
    store.put([FULL])
    assert read(store, "a") == asdict(FULL)


@WAYS
def test_rows_that_are_never_loaded(way: str) -> None:
    """Relationships that are write_only or dynamic are written like any other."""
    store = ModelStore(WriteOnly)
    image = {"id": "a", "updated_at": TIME.replace(microsecond=0)}
    image |= {"properties": {"k": "1", "l": "2"}, "members": ["p", "q"]}
    getattr(store, way)([image])
    for changed in [image, image | {"name": "x", "properties": {"l": "3"}, "members": ["q", "r"]}]:
        store.put([changed])
        kept = store("a")
        assert kept["properties"] == changed["properties"]
        assert (sorted(kept["members"]), kept["name"]) == (changed["members"], changed.get("name"))
        assert kept["updated_at"] == image["updated_at"]


@pytest.mark.parametrize("model", [Rows, WriteOnly])
def test_a_name_in_another_case(model: type[Any]) -> None:
    """A row may take the place of one whose key differs only in its case: MariaDB ignores that."""
    store = ModelStore(model)
    image = (
        {"id": "a", "visibility": "shared", "created_at": TIME} if model is Rows else {"id": "a"}
    )
    store.put([image | {"properties": {"Key": "1"}, "members": ["P"]}])
    store.put([image | {"properties": {"key": "1"}, "members": ["p"]}])
    assert (store("a")["properties"], list(store("a")["members"])) == ({"key": "1"}, ["p"])


@ON_SQLITE
@WAYS
def test_rows_that_are_only_viewed(way: str) -> None:
    """Rows of a viewonly relationship are not changed: an image that needs others is refused."""
    store = ModelStore(ViewOnly)
    with pytest.raises(InvalidImage, match=r"^properties = .*ViewOnly.properties is viewonly"):
        getattr(store, way)([{"id": "a", "properties": {"k": "1"}}])
    image = {"id": "a", "properties": {"k": "1"}}
    ModelStore(WriteOnly).put([image])
    store.add([{"id": "a"}])
    store.put([image])
    for properties in [{}, {"k": "2"}, {"k": "1", "l": "2"}]:
        with pytest.raises(InvalidImage, match="viewonly"):
            store.put([image | {"properties": properties}])
    assert store("a") == image


@ON_SQLITE
@WAYS
def test_rows_in_common(way: str) -> None:
    """Rows that other images may have, too, are neither deleted, changed nor added."""
    store = ModelStore(InCommon)
    rows = [Project(member="p", budget=7), FamilyProperty(family="f", name="k", value="1")]
    db.session.add_all([*rows, *(InCommon(id=name, family="f") for name in "ab")])
    db.session.flush()
    db.session.execute(sa.insert(budgets), [{"image": name, "project": "p"} for name in "ab"])
    db.session.commit()
    for field, value in [
        *(("members", value) for value in ([], ["p", "q"])),
        *(("properties", value) for value in ({}, {"k": "2"}, {"k": "1", "l": "1"})),
    ]:
        image = {"id": "a", "family": "f", "members": ["p"], "properties": {"k": "1"}}
        with pytest.raises(InvalidImage, match=f"InCommon.{field} may have rows in common with"):
            store.put([image | {field: value}])
        db.session.rollback()
    with pytest.raises(InvalidImage, match="in common"):
        getattr(store, way)([{"id": "c", "members": ["q"]}])
    db.session.rollback()
    store.put([image | {"properties": {"k": "1"}}])  # all of them are there
    assert [(image["id"], [*image["members"]]) for image in store.walk()] == [
        ("a", ["p"]),
        ("b", ["p"]),
    ]
    assert db.session.scalars(sa.select(Project.budget)).all() == [7]


HEX = UUID(int=0x13CC6052265B41529E2FD0FC461FA8EF)


@WAYS
@pytest.mark.parametrize("text", [str(HEX), HEX])
def test_uuids(way: str, text: Any) -> None:
    """A column of UUIDs keeps a UUID, and its text."""
    store = ModelStore(Exact)
    image = {"id": "a", "owner": text, "checksum": text, "members": [text]}
    getattr(store, way)([image])
    found = store("a")
    assert [str(found[name]) for name in ("owner", "checksum")] == [str(HEX)] * 2
    assert [*found["members"]] == [str(HEX)]


@WAYS
@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("owner", HEX.hex, "keep it as"),
        ("owner", str(HEX).upper(), "keep it as"),
        ("owner", "p", "holds UUIDs"),
        ("owner", 7, "holds UUIDs"),
        ("checksum", HEX.hex, "keep it as"),
        ("checksum", "p", "holds UUIDs"),
        ("members", [HEX.hex], "keep it as"),
        ("members", ["p"], "holds UUIDs"),
        ("name", "007", "keep it as '7'"),
    ],
)
def test_a_text_that_would_be_kept_as_another(
    way: str, field: str, value: Any, reason: str
) -> None:
    """A text is refused where a column would keep another: its project would lose the image."""
    with pytest.raises(InvalidImage, match=rf"^{field}.* = .*{reason}"):
        getattr(ModelStore(Exact), way)([{"id": "a", field: value}])


def test_a_number_as_text() -> None:
    """A number is the same number in any text."""
    store = ModelStore(Exact)
    store.put([{"id": "a", "name": "7", "size": "007"}])
    assert (store("a")["name"], store("a")["size"]) == (7, 7)


@ON_SQLITE
@pytest.mark.parametrize("members", [("q", "r"), (UUID(int=1), str(UUID(int=1)), "r")])
def test_what_is_the_same_is_not_written(members: Any, statements: list[str]) -> None:
    """An image that is there already costs no UPDATE, nor do members that are UUIDs."""
    store = ModelStore(Rows)
    image = replace(FULL, members=members)
    store.put([image])
    statements.clear()
    store.put([image])
    assert not [one for one in statements if one.startswith(("UPDATE", "INSERT", "DELETE"))]


@WAYS
@pytest.mark.parametrize("refused", [{"size": 2**64}, {"properties": {"a": object()}}])
def test_all_or_none(way: str, refused: Any) -> None:
    """When one image is refused, by us or by the database, none is written and none is changed."""
    store = ModelStore(Json)
    store.put([FULL])
    changed = replace(FULL, id="a" if way == "put" else "c", name="new")
    with pytest.raises(ValueError, match=r"size = |the database "):
        getattr(store, way)([replace(FULL, id="b"), changed, replace(FULL, id="d", **refused)])
    assert [read(store, one["id"]) for one in store.walk()] == [asdict(FULL)]


def test_add_refuses_an_id_that_is_there() -> None:
    """Adding an image twice is a ValueError with the database's words; put replaces it."""
    store = ModelStore(Json)
    store.add([FULL])
    with pytest.raises(ValueError, match=r"(?i)the database says: .*(unique|duplicate)"):
        store.add([replace(FULL, id="b"), FULL])
    assert store.count() == 1
    assert store.put([FULL, FULL]) == ["a", "a"]


ENUMS = pytest.mark.parametrize("field", ["disk_format", "by_value", "text", "strict"])


@WAYS
@ENUMS
@pytest.mark.parametrize("value", ["qcow2", Format.QCOW2, OtherFormat.SPARSE])
def test_a_value_of_an_enum(way: str, field: str, value: Any) -> None:
    """What a column's Enum has is kept, whether it comes as a text or as a member of any Enum."""
    getattr(ModelStore(Enums), way)([{"id": "a", field: value}])
    kept = ModelStore(Enums)("a")[field]
    assert kept == ("qcow2" if field in ("text", "strict") else Format.QCOW2)


@ON_SQLITE
@WAYS
def test_a_visibility_of_an_enum(way: str) -> None:
    """A visibility that is a member of an Enum counts as its value, as in an answer."""
    visibility = Enum("Visibility", {"PUBLIC": "public", "COMMUNITY": "community"})
    image = {"id": "a", "created_at": TIME}
    getattr(ModelStore(Plain), way)([image | {"visibility": visibility["PUBLIC"]}])
    getattr(ModelStore(Json), way)([image | {"visibility": visibility["PUBLIC"]}])
    assert ModelStore(Plain)("a")["is_public"] is ModelStore(Json)("a")["is_public"] is True
    with pytest.raises(InvalidImage, match=r"^visibility = 'community': Plain has is_public .*"):
        getattr(ModelStore(Plain), way)([image | {"visibility": visibility["COMMUNITY"]}])


@WAYS
def test_the_name_of_a_member(way: str) -> None:
    """The name that an Enum stores for a member is the member, too."""
    getattr(ModelStore(Enums), way)([{"id": "a", "disk_format": "RAW"}])
    assert ModelStore(Enums)("a")["disk_format"] is Format.RAW


@WAYS
@ENUMS
@pytest.mark.parametrize("value", ["vhd", 5, ["qcow2"], "QCOW2\0"])
def test_what_an_enum_lacks(way: str, field: str, value: Any) -> None:
    """A value that an Enum does not have is refused by field, on every database."""
    with pytest.raises(InvalidImage, match=rf"^{field} = .* column enums.{field} holds one of "):
        getattr(ModelStore(Enums), way)([{"id": "a", field: value}])
    assert ModelStore(Enums).count() == 0


@WAYS
@pytest.mark.parametrize(
    ("model", "image_id", "other"),
    [
        (Numbered, "7", "007"),
        (Unique, str(UUID(int=10)), str(UUID(int=10)).upper()),
        (Unique, str(UUID(int=10)), UUID(int=10).hex),
    ],
)
def test_an_id_that_the_column_would_change(
    way: str, model: type[Any], image_id: str, other: str
) -> None:
    """An id that the column would keep as another one is refused, and that image stays."""
    store = ModelStore(model)
    assert getattr(store, way)([{"id": image_id, "name": "first"}]) == [image_id]
    with pytest.raises(InvalidImage, match=f"^id = '{other}': .* would keep it as '{image_id}'"):
        getattr(store, way)([{"id": other, "name": "second"}])
    assert store(image_id)["name"] == "first"
    assert store.count() == 1


@MODELS
@pytest.mark.parametrize("is_there", [False, True])
def test_an_image_that_comes_twice(model: type[Any], is_there: bool) -> None:
    """Of two images with the same id, the last one is put, and the id is returned twice."""
    store = ModelStore(model)
    if is_there:
        store.put([replace(FULL, name="old")])
    first = replace(FULL, name="first", updated_at=None, properties={"a": "1"}, members=["x"])
    assert store.put([first, replace(FULL, id="b"), FULL]) == ["a", "b", "a"]
    assert read(store, "a") == asdict(FULL)
    assert store.put([FULL, first]) == ["a", "a"]
    assert read(store, "a") == asdict(replace(first, members=("x",)))
    assert store.count() == 2


def test_add_refuses_an_image_that_comes_twice() -> None:
    """Unlike put, add refuses the second of two images with the same id."""
    with pytest.raises(ValueError, match=r"(?i)the database says: .*(unique|duplicate)"):
        ModelStore(Json).add([FULL, replace(FULL, name="new")])


@WAYS
@pytest.mark.parametrize(
    ("name", "message"), [("refused", "(CHECK|check|CONSTRAINT)"), ("triggered", "not this name")]
)
def test_what_the_database_refuses(way: str, name: str, message: str) -> None:
    """What a constraint or a trigger refuses is a ValueError with the database's words."""
    with pytest.raises(ValueError, match=f"the database says: .*{message}"):
        getattr(ModelStore(Guarded), way)([{"id": "a", "name": name}])
    assert ModelStore(Guarded).count() == 0


def test_a_type_that_does_not_accept_a_value() -> None:
    """What a type of the application's own raises for a value refuses it."""
    with pytest.raises(ValueError, match=r"the database (says|cannot store it): 'c'"):
        ModelStore(Guarded).add([{"id": "a", "checksum": "c"}])


@WAYS
def test_what_only_the_database_makes(way: str) -> None:
    """A generated column and a key beside the id are left to the database."""
    store = ModelStore(Guarded)
    first = {"id": "a", "name": "x", "size": 5}
    getattr(store, way)([first | {"pk": 1000}])
    (kept,) = store.walk()
    assert {name: kept[name] for name in first} == first
    getattr(store, way)([{"id": "b", "pk": kept["pk"], "size": 99}])
    store.put([first | {"name": "y", "pk": 1001}])
    assert [(one["id"], one["name"], one["size"]) for one in store.walk()] == [
        ("a", "y", 5),
        ("b", None, 5),
    ]
    assert store("a")["pk"] == kept["pk"] != 1000


@WAYS
def test_an_id_that_is_made_of_the_key(way: str) -> None:
    """The columns of the primary key are written where the id is an expression of them."""
    store = ModelStore(Joined)
    image = {"id": "eu-1", "region": "eu", "number": "1", "name": "x"}
    assert getattr(store, way)([image]) == ["eu-1"]
    store.put([image | {"name": "y"}])
    assert [dict(one) for one in store.walk()] == [image | {"name": "y"}]


@WAYS
def test_a_field_that_is_part_of_the_key(way: str) -> None:
    """A field in the primary key, beside the id, is written and replaced like any other."""
    store = ModelStore(Partitioned)
    for created_at in (datetime(2020, 1, 1), datetime(2021, 1, 1)):
        image = {"id": "a", "created_at": created_at}
        getattr(store, way if store.count() == 0 else "put")([image])
        assert [dict(one) for one in store.walk()] == [image]


@ON_SQLITE
@WAYS
@pytest.mark.parametrize("make", [dict, SimpleNamespace])
def test_members_that_can_be_read_only_once(way: str, make: Any) -> None:
    """Members that are a generator are written, and not lost to a check."""
    members = (member for member in ("q", "r"))
    image = make(id="a", status="active", created_at=TIME, owner="p", members=members)
    getattr(ModelStore(Json), way)([image])
    assert list(ModelStore(Json)("a")["members"]) == ["q", "r"]


@ON_SQLITE
@WAYS
@pytest.mark.parametrize(
    ("model", "fields", "message"),
    [
        (Json, {"size": 2**63}, "size = 9223372036854775808: the column json.size holds whole"),
        (Json, {"name": 5}, "name = 5: the column json.name holds text, not int"),
        (
            Json,
            {"min_disk": "many"},
            "min_disk = 'many': .* holds whole numbers, not str",
        ),
        (Json, {"updated_at": "never"}, "updated_at = 'never': the column .* holds times, not str"),
        (
            Json,
            {"protected": "yes"},
            "protected = 'yes': .* holds True or False, not str",
        ),
        (Json, {"owner": "a\ud800"}, r"owner = 'a\\ud800': no database can hold a lone surrogate"),
        (Json, {"properties": {"a": DEEP}}, "properties = .*: lists and mappings are more than"),
        (Json, {"members": "q"}, "members = 'q': must be an iterable of project ids"),
        (Json, {"is_public": "yes"}, "is_public = 'yes': is neither true nor false"),
        (Rows, {"properties": ["a"]}, "properties = .*: must be a mapping of names to values"),
        (Rows, {"properties": {"a": 1}}, r"properties\['a'\] = 1: the column .*value holds text"),
        (Plain, {"members": ["q"]}, "members = .*: Plain has no members, so it cannot share"),
        (Plain, {"visibility": "community"}, "visibility = 'community': Plain has is_public and"),
    ],
)
def test_what_does_not_fit(way: str, model: type[Any], fields: Any, message: str) -> None:
    """What no database can keep is a ValueError that names the field and the value."""
    with pytest.raises(ValueError, match=message):
        getattr(ModelStore(model), way)([{"id": "a", "created_at": TIME, **fields}])
    assert ModelStore(model).count() == 0


@WAYS
@pytest.mark.parametrize(
    ("fields", "kinds", "message"),
    [
        ({"min_disk": 2**31}, ["postgresql", "mariadb"], "min_disk = .* below 2\\*\\*31"),
        ({"name": "a\0"}, ["postgresql"], "name = .*: PostgreSQL text cannot hold NUL"),
        ({"properties": {"k": "\0"}}, ["postgresql"], r"properties\['k'\] = .* cannot hold NUL"),
        ({"name": "é" * 256}, ["postgresql", "mariadb"], "holds 255 characters, not 256"),
        ({"properties": {"k" * 101: ""}}, ["postgresql", "mariadb"], "holds 100 characters"),
        ({"id": "x" * 300}, ["postgresql", "mariadb"], "id = .* holds .* characters, not 300"),
    ],
)
def test_what_a_database_does_not_keep(
    way: str, fields: Any, kinds: list[str], message: str, kind: str
) -> None:
    """What only some databases cannot keep is refused there, by field, and kept elsewhere."""
    store = ModelStore(Rows)
    image = {"id": "a", "created_at": TIME, **fields}
    if kind in kinds:
        with pytest.raises(ValueError, match=message):
            getattr(store, way)([image])
        assert store.count() == 0
    else:
        getattr(store, way)([image])
        kept = store(image["id"])
        assert {name: kept[name] for name in fields} == fields


@WAYS
@pytest.mark.parametrize("properties", [{"k": "\0"}, {"\0": "v"}, {"k": ["\\u0000", {"a": "\0"}]}])
def test_a_nul_in_json(way: str, properties: Any, kind: str) -> None:
    """A NUL in a property is kept in JSON, and refused by field where the column is JSONB."""
    image = {"id": "a", "created_at": TIME, "properties": properties}
    if kind == "postgresql":
        with pytest.raises(ValueError, match=r"properties = .*: the column .* is JSONB"):
            getattr(ModelStore(Binary), way)([image])
        image["properties"] = {"k": "\\u0000"}  # which only looks like one
    for model in (Json, Binary):
        getattr(ModelStore(model), way)([image])
        assert ModelStore(model)("a")["properties"] == image["properties"]
    ModelStore(Json).put([image | {"properties": properties}])
    assert ModelStore(Json)("a")["properties"] == properties


@ON_SQLITE
@WAYS
def test_values_in_other_forms(way: str) -> None:
    """A UUID is an id of text, a time is kept in UTC, and texts of times and numbers are read."""
    zone = timezone(timedelta(hours=2))
    created_at = TIME.replace(tzinfo=zone)
    image = {"id": UUID(int=10), "created_at": created_at, "size": "5"}
    image |= {"updated_at": created_at.isoformat(), "deleted_at": "2020-01-02T03:04:05Z"}
    (image_id,) = getattr(ModelStore(Json), way)([image])
    assert image_id == str(UUID(int=10))
    row = db.session.get(Json, image_id)
    assert row.created_at == row.updated_at == TIME - timedelta(hours=2)
    assert (row.size, row.deleted_at) == (5, datetime(2020, 1, 2, 3, 4, 5))


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("size", "1_000"),
        ("size", "\N{ARABIC-INDIC DIGIT ONE}"),
        ("size", "+5"),
        ("size", "9" * 5000),
        ("created_at", "0001-01-01T00:00:00+14:00"),
    ],
)
@ON_SQLITE
@WAYS
def test_a_text_is_read_as_a_header_is(way: str, field: str, text: str) -> None:
    """A text that no header could have for a number or a time is refused."""
    with pytest.raises(InvalidImage, match=f"^{field} = .*the column json.{field} holds"):
        getattr(ModelStore(Json), way)([{"id": "a", field: text}])


@WAYS
def test_a_column_with_a_time_zone(way: str) -> None:
    """A time without a time zone is in UTC, and one with another is the same moment there."""
    times = {
        "a": TIME,
        "b": TIME.isoformat(),
        "c": TIME.replace(tzinfo=timezone.utc).astimezone(timezone(timedelta(hours=2))),
    }
    images = [{"id": key, "created_at": time} for key, time in times.items()]
    getattr(ModelStore(Zoned), way)(images)
    kept = db.session.scalars(sa.select(Zoned.created_at)).all()
    assert {to_utc(time) for time in kept} == {TIME}


def test_a_dry_run() -> None:
    """A dry run refuses what the call would refuse, and changes nothing."""
    store = ModelStore(Json)
    store.put([FULL])
    changed = replace(FULL, name="new", properties={}, members=())
    assert store.put([changed, replace(FULL, id="b")], dry_run=True) == ["a", "b"]
    assert [read(store, one["id"]) for one in store.walk()] == [asdict(FULL)]
    with pytest.raises(ValueError, match="size ="):
        store.put([replace(FULL, size=2**64)], dry_run=True)


@WAYS
def test_a_database_that_is_gone(way: str, kind: str, url: str) -> None:
    """A database that is unreachable is not a refusal of the image."""
    app = Flask("gone")
    where = sa.make_url(url)
    gone = where.set(database="/no/such/folder/x") if kind == "sqlite" else where.set(port=9)
    app.config["SQLALCHEMY_DATABASE_URI"] = gone
    SQLAlchemy(app)
    with app.app_context(), pytest.raises(StoreUnavailable):
        getattr(ModelStore(Json), way)([FULL])
