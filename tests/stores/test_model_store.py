"""ModelStore and ImageMixin, on all three databases."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from flask import Flask, g
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    ORMExecuteState,
    column_property,
    deferred,
    mapped_column,
    relationship,
    with_loader_criteria,
)

from flask_imagemeta import Identity, ImageMeta, ImageMixin, Query, StoreUnavailable
from flask_imagemeta.access import may_be_listed
from flask_imagemeta.stores import ModelStore

from .. import test_conformance as conformance
from ..recorded import as_columns
from .databases import SERVERS, new_database

RECORDS = conformance.RECORDED["images"].values()
WITH_NUL = {record["id"] for record in RECORDS if "\\u0000" in json.dumps(record)}
UUID = uuid.UUID("00000000-0000-4000-8000-00000000000a")


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Image(ImageMixin, db.Model):
    notes: Mapped[str | None] = deferred(mapped_column(sa.Text))


class Numbered(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20))


class Unique(db.Model):
    id: Mapped[uuid.UUID] = mapped_column(sa.Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20))


class DecoratedUuid(sa.TypeDecorator[uuid.UUID]):
    impl = sa.Uuid
    cache_ok = True


class Number(sa.TypeDecorator[Any]):
    """A type that converts what it is given by itself."""

    impl = sa.Integer
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return value


class Decorated(db.Model):
    id: Mapped[uuid.UUID] = mapped_column(DecoratedUuid, primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20))


class Converted(db.Model):
    id: Mapped[Any] = mapped_column(Number, primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20))


class Elsewhere(db.Model):
    __bind_key__ = "elsewhere"
    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20))


class Shared(db.Model):
    """An image whose properties and members are rows of their own."""

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    owner: Mapped[str] = mapped_column(sa.String(20))
    visibility: Mapped[str] = mapped_column(sa.String(9), default="shared")
    properties: Mapped[list[Property]] = relationship()
    members: Mapped[list[Member]] = relationship()


class Property(db.Model):
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("shared.id"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    value: Mapped[str | None] = mapped_column(sa.Text)
    deleted: Mapped[bool] = mapped_column(default=False)


class Member(db.Model):
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("shared.id"), primary_key=True)
    member: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    deleted: Mapped[bool] = mapped_column(default=False)


class Leased(db.Model):
    """An image whose projects have UUIDs."""

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    owner: Mapped[uuid.UUID] = mapped_column(sa.Uuid)
    members: Mapped[list[Lease]] = relationship()


class Lease(db.Model):
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("leased.id"), primary_key=True)
    member: Mapped[uuid.UUID] = mapped_column(sa.Uuid, primary_key=True)


class Kind(db.Model):
    """An image of which only one kind has an owner."""

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(9))

    __mapper_args__: ClassVar[dict[str, Any]] = {"polymorphic_on": "kind"}


class OwnedKind(Kind):
    owner: Mapped[str | None] = mapped_column(sa.String(36))

    __mapper_args__: ClassVar[dict[str, Any]] = {"polymorphic_identity": "owned"}


class Described(db.Model):
    """An image with a column that SQL makes, and an attribute that Python makes."""

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    size_in_mib: Mapped[int] = mapped_column()
    size: Mapped[int] = column_property(size_in_mib * 1024 * 1024)

    @property
    def name(self) -> str:
        return f"Image {self.id}"


@pytest.fixture(scope="module")
def models_app(kind: str, url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """An application with some images of each model."""

    def find(image_id: str) -> Any:
        return g.store(image_id)

    app = Flask(__name__)
    with new_database(kind, tmp_path_factory.mktemp("elsewhere")) as elsewhere:
        app.config["SQLALCHEMY_DATABASE_URI"] = url
        app.config["SQLALCHEMY_BINDS"] = {"elsewhere": elsewhere}
        db.init_app(app)
        ImageMeta(app, lookup=find, identity=lambda: g.identity)
        with app.app_context():
            db.create_all()
            db.session.add_all(
                [
                    Image(id="plain", name="Plain", notes="long", is_public=True),
                    Image(
                        id="typed",
                        updated_at=datetime(2026, 1, 2, 3, 4, 5, 678901),
                        size=2**40,
                        properties={"text": "é", "number": 24.5, "flag": True, "list": [1, "a"]},
                    ),
                    Numbered(id=7, name="seven"),
                    Unique(id=UUID, name="unique"),
                    Decorated(id=UUID, name="decorated"),
                    Converted(id=7, name="converted"),
                    Elsewhere(id="plain", name="elsewhere"),
                    Shared(
                        id="shared",
                        owner="owner",
                        properties=[
                            Property(name="b", value="2"),
                            Property(name="a", value="1"),
                            Property(name="gone", value="0", deleted=True),
                        ],
                        members=[Member(member="guest"), Member(member="left", deleted=True)],
                    ),
                    Shared(id="bare", owner="owner"),
                    Leased(id="leased", owner=uuid.UUID(int=1), members=[Lease(member=UUID)]),
                    Described(id="described", size_in_mib=3),
                ]
            )
            db.session.commit()
            yield app
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()


@pytest.fixture(scope="module")
def database_app(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """An application over the images that the real v1 server had."""
    records = [r for r in RECORDS if not (kind == "postgresql" and r["id"] in WITH_NUL)]
    with (
        new_database(kind, tmp_path_factory.mktemp("recorded")) as url,
        conformance.make_app(url, records) as app,
    ):
        yield app


@pytest.mark.parametrize("kind", SERVERS, indirect=True, scope="module")
@pytest.mark.parametrize("name", conformance.CASES)
def test_recorded_case(database_app: Flask, kind: str, name: str) -> None:
    """A recorded request gets the same answer on a server as on SQLite."""
    image_id = conformance.CASES[name]["image"]
    if kind == "postgresql" and image_id in WITH_NUL:  # its text cannot hold NUL
        db_session = conformance.db.session
        record = conformance.RECORDED["images"][image_id]
        db_session.add(conformance.Image(**as_columns(record)))
        with pytest.raises((sa.exc.StatementError, ValueError)):
            db_session.commit()
        db_session.rollback()
    else:
        conformance.test_recorded_case(database_app, name)


def head(app: Flask, store: Any, image_id: object, identity: Identity | None = None) -> Any:
    with app.app_context():
        g.store, g.identity = store, identity
        return app.test_client().head(f"/v1/images/{image_id}")


def look_up(store: ModelStore, image_id: str) -> Any:
    found = store(image_id)
    db.session.rollback()
    return found


@pytest.mark.usefixtures("models_app")
def test_columns_come_back_as_they_were() -> None:
    """Every type of column keeps its value: sizes, microseconds, a JSON object."""
    found = look_up(ModelStore(Image), "typed")
    assert found["size"] == 2**40
    assert found["updated_at"] == datetime(2026, 1, 2, 3, 4, 5, 678901)
    assert found["properties"] == {"text": "é", "number": 24.5, "flag": True, "list": [1, "a"]}


def test_properties_in_json_are_sent_as_text(models_app: Flask) -> None:
    """What a JSON column holds is sent as text."""
    headers = head(models_app, ModelStore(Image), "typed").headers
    assert headers["X-Image-Meta-Property-Number"] == "24.5"
    assert headers["X-Image-Meta-Property-Flag"] == "True"
    assert headers["X-Image-Meta-Property-List"] == '[1,"a"]'


@pytest.mark.usefixtures("models_app")
def test_deferred_columns_are_not_read(statements: list[str]) -> None:
    """A deferred column is left where it is."""
    assert "notes" not in look_up(ModelStore(Image), "plain")
    assert "notes" not in statements[0]


@pytest.mark.usefixtures("models_app")
@pytest.mark.parametrize("image_id", ["PLAIN", "plain ", "é", "none"])
def test_an_id_is_exact(image_id: str) -> None:
    """Only an image's very own id finds it."""
    assert look_up(ModelStore(Image), image_id) is None


@pytest.mark.usefixtures("models_app")
@pytest.mark.parametrize(
    ("model", "image_id", "name"),
    [
        (Numbered, "7", "seven"),
        (Numbered, "07", None),
        (Numbered, "+7", None),
        (Numbered, "\u0667", None),
        (Numbered, "seven", None),
        (Numbered, "9" * 9, None),
        (Numbered, "9" * 19, None),
        (Numbered, "9" * 200, None),
        (Unique, str(UUID), "unique"),
        (Unique, UUID.hex, None),
        (Unique, str(UUID).upper(), None),
        (Unique, "7", None),
        (Decorated, str(UUID), "decorated"),
        (Decorated, UUID.hex, None),
        (Decorated, "7", None),
        (Converted, "7", "converted"),
        (Converted, "seven", None),
        (Converted, "9" * 19, None),
    ],
)
@pytest.mark.parametrize("entities", [False, True])
def test_ids_of_other_types(
    model: type[Any], image_id: str, name: str | None, entities: bool
) -> None:
    """Numbers and UUIDs serve as ids, in the one form that they are written in."""
    found = look_up(ModelStore(model, entities=entities), image_id)
    assert (found and found["name"]) == name


@pytest.mark.usefixtures("models_app")
@pytest.mark.parametrize(("image_id", "expected"), [("shared", {"a": "1", "b": "2"}), ("bare", {})])
def test_related_rows_are_properties(
    image_id: str, expected: dict[str, str], statements: list[str]
) -> None:
    """Related rows that are not deleted are the properties, read in the image's one statement."""
    assert look_up(ModelStore(Shared), image_id)["properties"] == expected
    assert len(statements) == 1


@pytest.mark.parametrize("entities", [False, True])
@pytest.mark.parametrize(
    ("project", "status"),
    [("owner", 200), ("guest", 200), ("left", 404), ("GUEST", 404), ("stranger", 404)],
)
def test_related_rows_are_members(
    models_app: Flask, project: str, status: int, entities: bool
) -> None:
    """Related rows that are not deleted say with which projects an image is shared."""
    store = ModelStore(Shared, entities=entities)
    assert head(models_app, store, "shared", Identity(project)).status_code == status


@pytest.mark.parametrize("entities", [False, True])
@pytest.mark.parametrize(
    ("project", "is_member"), [(str(UUID), True), (str(uuid.UUID(int=2)), False), ("p", False)]
)
def test_members_are_compared_as_text(
    models_app: Flask, project: str, is_member: bool, entities: bool
) -> None:
    """A member may be a UUID, as an owner may, in a list as well."""
    store, identity = ModelStore(Leased, entities=entities), Identity(project)
    answer = head(models_app, store, "leased", identity)
    assert answer.status_code == (200 if is_member else 404)
    found = store.search(Query(identity=identity))
    assert any(may_be_listed(image, identity) for image in found) == is_member


@pytest.mark.usefixtures("models_app")
def test_members_can_be_listed() -> None:
    """Whoever has the image can go through all of its members that are not deleted."""
    assert list(look_up(ModelStore(Shared), "shared")["members"]) == ["guest"]


@pytest.mark.parametrize(
    ("identity", "count"), [(None, 1), (Identity("owner"), 1), (Identity("guest"), 2)]
)
def test_members_are_read_only_when_needed(
    models_app: Flask, identity: Identity | None, count: int, statements: list[str]
) -> None:
    """Members cost a second statement only where the answer depends on them."""
    head(models_app, ModelStore(Shared), "shared", identity)
    assert len(statements) == count


def test_a_model_of_another_bind(models_app: Flask) -> None:
    """A model with a bind key is read from its own database."""
    headers = head(models_app, ModelStore(Elsewhere), "plain").headers
    assert headers["X-Image-Meta-Name"] == "elsewhere"


def test_entities_show_what_python_makes(models_app: Flask) -> None:
    """With entities, attributes that Python makes are fields as well."""
    headers = head(models_app, ModelStore(Described, entities=True), "described").headers
    assert headers["X-Image-Meta-Name"] == "Image described"
    assert headers["X-Image-Meta-Size"] == "3145728"


@pytest.mark.usefixtures("models_app")
def test_a_statement_cannot_read_what_python_makes() -> None:
    """Without entities, an attribute that Python makes is an error that says what to do."""
    with pytest.raises(TypeError, match=r"Described\.name .* entities=True"):
        ModelStore(Described)("described")


@pytest.mark.usefixtures("models_app")
def test_the_session_stays_as_it_was(statements: list[str]) -> None:
    """A lookup loads nothing into the host's session and leaves its pending objects pending."""
    pending = Image(id="pending", name="not yet")
    with db.session.no_autoflush:
        db.session.add(pending)
        ModelStore(Image)("plain")
        assert list(db.session.identity_map) == []
        assert pending in db.session.new
    db.session.rollback()
    assert len(statements) == 1


@pytest.mark.usefixtures("models_app")
def test_changes_of_the_session_are_seen() -> None:
    """A lookup sees what the session has changed but not yet written, as its own queries do."""
    db.session.get_one(Image, "plain").name = "changed"
    assert ModelStore(Image)("plain")["name"] == "changed"
    db.session.rollback()


@pytest.mark.usefixtures("models_app")
def test_criteria_that_the_host_adds_hold() -> None:
    """What the host's own session listener hides from its queries, a lookup does not find."""

    def hide(state: ORMExecuteState) -> None:
        hidden = with_loader_criteria(Image, Image.id != "plain")
        state.statement = state.statement.options(hidden)

    sa.event.listen(db.session, "do_orm_execute", hide)
    try:
        assert ModelStore(Image)("plain") is None
    finally:
        sa.event.remove(db.session, "do_orm_execute", hide)
    assert ModelStore(Image)("plain") is not None


@pytest.mark.usefixtures("models_app")
def test_a_transaction_that_the_host_sets_up_is_used() -> None:
    """A host that prepares each transaction, for example to set the caller, prepares a lookup's."""
    begun = []

    def prepare(session: Any, transaction: Any, connection: sa.Connection) -> None:
        begun.append(connection.scalar(sa.select(1)))

    sa.event.listen(db.session, "after_begin", prepare)
    try:
        ModelStore(Image)("plain")
    finally:
        sa.event.remove(db.session, "after_begin", prepare)
    assert begun == [1]


def test_a_database_that_is_gone_is_unavailable(kind: str, url: str) -> None:
    """An unreachable database means that the store is unavailable."""
    gone = sa.make_url(url)
    gone = gone.set(database="/none/of/this") if kind == "sqlite" else gone.set(port=1)
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = gone
    db.init_app(app)
    with app.app_context(), pytest.raises(StoreUnavailable):
        ModelStore(Image)("plain")


@pytest.mark.usefixtures("models_app")
def test_an_engines_connection_is_in_autocommit_on_postgresql(kind: str) -> None:
    """On PostgreSQL a lookup over an engine is one round trip; elsewhere it would be more."""
    modes = []

    def note(connection: sa.Connection, cursor: Any, *args: Any) -> None:
        modes.append(connection.get_execution_options().get("isolation_level"))

    sa.event.listen(db.engine, "after_cursor_execute", note)
    try:
        assert ModelStore(Image, engine=lambda: db.engine)("plain")["name"] == "Plain"
    finally:
        sa.event.remove(db.engine, "after_cursor_execute", note)
    assert modes == ["AUTOCOMMIT" if kind == "postgresql" else None]
    if kind == "postgresql":
        with db.engine.connect() as connection:
            assert connection.connection.dbapi_connection.autocommit is False


@pytest.mark.parametrize(("model", "expected"), [(Image, True), (Numbered, False), (Kind, True)])
def test_has_owner(model: type[Any], expected: bool) -> None:
    """A store says whether its model has anything that could be an owner."""
    assert ModelStore(model).has_owner is expected
