"""Each access field, mapped in each way, in both modes of ModelStore: read right, or refused.

An image must never be shown because the field that hides it was not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.associationproxy import association_proxy
from sqlalchemy.ext.hybrid import hybrid_method, hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    MapperProperty,
    Session,
    column_property,
    composite,
    mapped_column,
    query_expression,
    reconstructor,
    relationship,
    synonym,
)

from flask_imagemeta import Identity, InvalidImage
from flask_imagemeta.access import may_see
from flask_imagemeta.image import read_field
from flask_imagemeta.stores import ModelStore

pytestmark = pytest.mark.core

TYPES: dict[str, Any] = {
    "owner": sa.String(20),
    "deleted": sa.Boolean(),
    "is_public": sa.Boolean(),
    "visibility": sa.String(20),
    "members": sa.JSON(),
}
# The values that are tried for each field, and the image around it.
VALUES: dict[str, list[Any]] = {
    "owner": ["p", None],
    "deleted": [True, False],
    "is_public": [False, True],
    "visibility": ["private", "shared"],
    "members": [["guest"], []],
}
IMAGE = {
    "owner": "p",
    "deleted": False,
    "is_public": False,
    "visibility": "shared",
    "members": ["guest"],
}
IDENTITIES = [
    None,
    Identity("p"),
    Identity("guest"),
    Identity("stranger"),
    Identity("", ["admin"]),
]

Attributes = dict[str, Any]


@dataclass
class Case:
    """What a way to map a field needs to make its attributes."""

    field: str
    value: Any
    base: type[Any]

    @property
    def stored(self) -> Any:
        return mapped_column("stored", TYPES[self.field])

    def related(self, **options: Any) -> Any:
        """Return a relationship to rows with the value, each in its own column."""
        columns = {
            "__tablename__": "detail",
            "id": mapped_column(sa.Integer, primary_key=True),
            "image_id": mapped_column(sa.ForeignKey("image.id")),
            "value": mapped_column(TYPES[self.field]),
            "member": mapped_column(sa.String(20)),
            "deleted": mapped_column(sa.Boolean(), default=False),
        }
        detail = type("Detail", (self.base,), columns)
        return relationship(detail, **options)


WAYS: dict[str, Callable[[Case], Attributes]] = {}


def way(function: Callable[[Case], Attributes]) -> Callable[[Case], Attributes]:
    WAYS[function.__name__] = function
    return function


@way
def column(case: Case) -> Attributes:
    return {case.field: mapped_column(TYPES[case.field])}


@way
def renamed_column(case: Case) -> Attributes:
    return {case.field: case.stored}


@way
def column_under_another_name(case: Case) -> Attributes:
    return {"stored": mapped_column(case.field, TYPES[case.field])}


@way
def excluded_column(case: Case) -> Attributes:
    metadata = case.base.metadata
    key = sa.Column("id", sa.String(20), primary_key=True)
    others = [sa.Column(name, TYPES[name]) for name in TYPES if name != case.field]
    table = sa.Table("image", metadata, key, sa.Column(case.field, TYPES[case.field]), *others)
    return {"__table__": table, "__mapper_args__": {"exclude_properties": [case.field]}}


@way
def deferred_column(case: Case) -> Attributes:
    return {case.field: mapped_column(TYPES[case.field], deferred=True)}


@way
def deferred_group(case: Case) -> Attributes:
    return {case.field: mapped_column(TYPES[case.field], deferred=True, deferred_group="group")}


@way
def deferred_with_raiseload(case: Case) -> Attributes:
    return {case.field: mapped_column(TYPES[case.field], deferred=True, deferred_raiseload=True)}


@way
def column_property_(case: Case) -> Attributes:
    stored = case.stored
    return {
        "stored": stored,
        case.field: column_property(sa.type_coerce(stored, TYPES[case.field])),
    }


@way
def deferred_column_property(case: Case) -> Attributes:
    stored = case.stored
    expression = sa.type_coerce(stored, TYPES[case.field])
    return {"stored": stored, case.field: column_property(expression, deferred=True)}


@way
def column_property_of_another_table(case: Case) -> Attributes:
    other = sa.Table("other", case.base.metadata, sa.Column("value", TYPES[case.field]))
    return {case.field: column_property(other.c.value)}


@way
def synonym_of_a_column(case: Case) -> Attributes:
    return {"stored": case.stored, case.field: synonym("stored")}


@way
def synonym_of_a_synonym(case: Case) -> Attributes:
    return {"stored": case.stored, "second": synonym("stored"), case.field: synonym("second")}


@way
def synonym_of_a_deferred_column(case: Case) -> Attributes:
    stored = mapped_column(TYPES[case.field], deferred=True, deferred_raiseload=True)
    return {"stored": stored, case.field: synonym("stored")}


@way
def synonym_with_code(case: Case) -> Attributes:
    descriptor = property(lambda self: case.value)
    return {"stored": mapped_column(sa.JSON), case.field: synonym("stored", descriptor=descriptor)}


@way
def hybrid_without_expression(case: Case) -> Attributes:
    hybrid = hybrid_property(lambda self: self.stored)
    return {"stored": case.stored, case.field: hybrid}


@way
def hybrid_with_expression(case: Case) -> Attributes:
    hybrid = hybrid_property(lambda self: self.stored).expression(lambda cls: cls.stored)
    return {"stored": case.stored, case.field: hybrid}


@way
def hybrid_with_a_constant_expression(case: Case) -> Attributes:
    hybrid = hybrid_property(lambda self: self.stored).expression(lambda cls: None)
    return {"stored": case.stored, case.field: hybrid}


@way
def hybrid_with_a_null_expression(case: Case) -> Attributes:
    null = sa.cast(sa.null(), TYPES[case.field])
    hybrid = hybrid_property(lambda self: self.stored).expression(lambda cls: null)
    return {"stored": case.stored, case.field: hybrid}


@way
def column_property_that_is_null(case: Case) -> Attributes:
    return {case.field: column_property(sa.cast(sa.null(), TYPES[case.field]))}


@way
def declared_only(case: Case) -> Attributes:
    return {"__annotations__": {case.field: Any}, "__allow_unmapped__": True}


@way
def set_when_loaded(case: Case) -> Attributes:
    def on_load(self: Any) -> None:
        setattr(self, case.field, self.stored)

    return declared_only(case) | {"stored": case.stored, "on_load": reconstructor(on_load)}


@way
def hybrid_with_an_expression_of_another_table(case: Case) -> Attributes:
    other = sa.Table("other", case.base.metadata, sa.Column("value", TYPES[case.field]))
    hybrid = hybrid_property(lambda self: self.stored).expression(lambda cls: other.c.value)
    return {"stored": case.stored, case.field: hybrid}


@way
def hybrid_that_fails(case: Case) -> Attributes:
    return {case.field: hybrid_property(lambda self: self.project.uuid)}


@way
def method_of_a_hybrid(case: Case) -> Attributes:
    return {"stored": case.stored, case.field: hybrid_method(lambda self: self.stored)}


@way
def python_property(case: Case) -> Attributes:
    return {"stored": case.stored, case.field: property(lambda self: self.stored)}


@way
def python_property_that_fails(case: Case) -> Attributes:
    return {case.field: property(lambda self: self.project.uuid)}


@way
def python_property_that_lacks_a_key(case: Case) -> Attributes:
    return {case.field: property(lambda self: {}[case.field])}


@way
def cached_python_property(case: Case) -> Attributes:
    cached = cached_property(lambda self: self.stored)
    cached.__set_name__(object, case.field)
    return {"stored": case.stored, case.field: cached}


@way
def custom_descriptor(case: Case) -> Attributes:
    class Descriptor:
        def __get__(self, instance: Any, owner: Any) -> Any:
            return self if instance is None else instance.stored

    return {"stored": case.stored, case.field: Descriptor()}


@way
def constant(case: Case) -> Attributes:
    return {case.field: case.value}


@way
def method(case: Case) -> Attributes:
    return {case.field: lambda self: case.value}


@way
def getattr_method(case: Case) -> Attributes:
    def find(self: Any, name: str) -> Any:
        if name == case.field:
            return self.stored
        raise AttributeError(name)

    return {"stored": case.stored, "__getattr__": find}


@way
def proxy_of_a_related_row(case: Case) -> Attributes:
    rows = case.related(uselist=False)
    return {"details": rows, case.field: association_proxy("details", "value")}


@way
def getattribute_method(case: Case) -> Attributes:
    def find(self: Any, name: str) -> Any:
        return object.__getattribute__(self, "stored" if name == case.field else name)

    return {"stored": case.stored, "__getattribute__": find}


@way
def proxy_of_a_row_that_is_not_loaded(case: Case) -> Attributes:
    rows = case.related(uselist=False, lazy="noload")
    return {"details": rows, case.field: association_proxy("details", "value")}


@way
def composite_(case: Case) -> Attributes:
    stored, other = case.stored, mapped_column("other", sa.String(20))
    pair = composite(lambda *values: values, stored, other)
    return {"stored": stored, "other": other, case.field: pair}


@way
def relationship_to_rows(case: Case) -> Attributes:
    return {case.field: case.related()}


@way
def relationship_to_one_row(case: Case) -> Attributes:
    return {case.field: case.related(uselist=False)}


@way
def joined_relationship(case: Case) -> Attributes:
    return {case.field: case.related(lazy="joined")}


@way
def selectin_relationship(case: Case) -> Attributes:
    return {case.field: case.related(lazy="selectin")}


@way
def dynamic_relationship(case: Case) -> Attributes:
    return {case.field: case.related(lazy="dynamic")}


@way
def write_only_relationship(case: Case) -> Attributes:
    return {case.field: case.related(lazy="write_only")}


@way
def noload_relationship(case: Case) -> Attributes:
    return {case.field: case.related(lazy="raise")}


@way
def synonym_of_a_relationship(case: Case) -> Attributes:
    return {"details": case.related(), case.field: synonym("details")}


@way
def query_expression_without_default(case: Case) -> Attributes:
    return {case.field: query_expression()}


@way
def query_expression_with_default(case: Case) -> Attributes:
    stored = case.stored
    default = sa.type_coerce(stored, TYPES[case.field])
    return {"stored": stored, case.field: query_expression(default)}


READ, REFUSED, FAILS = "read", "refused", "fails"
TO_ROWS = {
    "relationship_to_rows",
    "joined_relationship",
    "selectin_relationship",
    "dynamic_relationship",
    "write_only_relationship",
    "noload_relationship",
    "synonym_of_a_relationship",
}
IN_COLUMNS = {
    "column",
    "renamed_column",
    "deferred_column",
    "deferred_group",
    "deferred_with_raiseload",
    "column_property_",
    "deferred_column_property",
    "synonym_of_a_column",
    "synonym_of_a_synonym",
    "synonym_of_a_deferred_column",
    "hybrid_with_expression",
    "query_expression_with_default",
}
IN_ENTITIES = IN_COLUMNS | {
    "synonym_with_code",
    "hybrid_without_expression",
    "hybrid_with_a_constant_expression",
    "hybrid_with_a_null_expression",
    "set_when_loaded",
    "hybrid_with_an_expression_of_another_table",
    "python_property",
    "cached_python_property",
    "custom_descriptor",
    "constant",
    "getattr_method",
    "getattribute_method",
    "proxy_of_a_related_row",
    "proxy_of_a_row_that_is_not_loaded",
}
FAILING = {
    "declared_only",
    "hybrid_that_fails",
    "python_property_that_fails",
    "python_property_that_lacks_a_key",
}


@way
def constant_instead_of_its_column(case: Case) -> Attributes:
    base = type("Default", (), {case.field: None})
    return {"stored_elsewhere": mapped_column(case.field, TYPES[case.field]), "bases": (base,)}


def expected(way: str, field: str, entities: bool) -> str:
    if field == "members" and way in TO_ROWS | {"relationship_to_one_row"}:
        return READ
    if entities and way in FAILING:
        return FAILS
    return READ if way in (IN_ENTITIES if entities else IN_COLUMNS) else REFUSED


@contextmanager
def mapped(way: str, field: str, value: Any) -> Iterator[tuple[type[Any], Session]]:
    """Yield a model with a field mapped so, and a session with one image of it."""

    class Base(DeclarativeBase):
        pass

    attributes = WAYS[way](Case(field, value, Base))
    names = {"__tablename__": "image", "id": mapped_column(sa.String(20), primary_key=True)}
    names |= {name: mapped_column(TYPES[name]) for name in TYPES if name != field}
    if "__table__" in attributes:
        names = {}
    model = type("Image", (*attributes.pop("bases", ()), Base), names | attributes)
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    Base.metadata.create_all(engine)
    image = {"id": "a"} | around(field)
    rows = []
    with Session(engine) as session:
        for name, table in Base.metadata.tables.items():
            if name == "image":
                stored = "stored" if "stored" in table.c else field
                rows.append((table, image | {stored: value}))
            elif name == "detail" and field == "members":
                members = value if way in TO_ROWS | {"relationship_to_one_row"} else [None]
                rows += [(table, {"image_id": "a", "member": m, "value": value}) for m in members]
            else:
                rows.append((table, {"image_id": "a", "value": value}))
        for table, row in rows:
            known = {name: row[name] for name in table.c.keys() if name in row}  # noqa: SIM118
            session.execute(sa.insert(table), known)
        session.commit()
        yield model, session
    engine.dispose()


def around(field: str) -> dict[str, Any]:
    """Return the other fields, such that an image is hidden by this one if at all."""
    return IMAGE | {"owner": None} if field == "deleted" else IMAGE


def answers(lookup: Callable[[str], Any]) -> list[bool | None]:
    """Return for each identity whether it may see the image, None if that is an error."""
    image = lookup("a")

    def answer(identity: Identity | None) -> bool | None:
        try:
            return may_see(image, identity)
        except InvalidImage:
            return None

    return [answer(identity) for identity in IDENTITIES]


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
@pytest.mark.parametrize("entities", [False, True], ids=["columns", "entities"])
@pytest.mark.parametrize("field", TYPES)
@pytest.mark.parametrize("way", WAYS)
def test_access_field(way: str, field: str, entities: bool) -> None:
    """A model whose field is mapped so is read as its values are, refused, or a named error."""
    for value in VALUES[field]:
        with mapped(way, field, value) as (model, session):
            store = ModelStore(model, session=lambda: session, entities=entities)
            outcome = expected(way, field, entities)
            if outcome == REFUSED:
                with pytest.raises(TypeError, match=rf"Image\.{field} .*so ModelStore cannot read"):
                    store("a")
                continue
            if outcome == FAILS:
                # An admin needs no access field, a stranger sees nothing.
                assert {answers(store)[i] for i in (0, 3)} <= {None, False}
                with pytest.raises(InvalidImage, match=field):
                    store("a")[field]
                continue
            image = {"id": "a"} | around(field) | {field: value}
            assert answers(store) == answers({"a": image}.get)


@pytest.mark.parametrize("entities", [False, True], ids=["columns", "entities"])
def test_an_expression_that_tells_subclasses_apart(entities: bool) -> None:
    """A polymorphic_on that is an expression is mapped, but no attribute of the class."""

    class Base(DeclarativeBase):
        pass

    class Image(Base):
        __tablename__ = "image"
        id = mapped_column(sa.String(20), primary_key=True)
        owner = mapped_column(sa.String(20))
        __mapper_args__: ClassVar[dict[str, Any]] = {
            "polymorphic_on": sa.case((owner.is_(None), "free"), else_="owned"),
            "polymorphic_identity": "owned",
        }

    class Free(Image):
        __mapper_args__: ClassVar[dict[str, Any]] = {"polymorphic_identity": "free"}

    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Image(id="a", owner="p"))
        session.add(Free(id="b"))
        session.commit()
        store = ModelStore(Image, session=lambda: session, entities=entities)
        assert [read_field(store(image_id), "owner") for image_id in "ab"] == ["p", None]
        assert [image["id"] for image in store.walk()] == ["a", "b"]
    engine.dispose()


def test_advice_for_related_rows() -> None:
    """Rows of members are never read as entities, so that is no advice for them."""
    with mapped("relationship_to_rows", "members", []) as (model, session):
        detail = sa.inspect(model).relationships["members"].mapper.class_
        detail.deleted = property(lambda self: False)
        store = ModelStore(model, session=lambda: session, entities=True)
        with pytest.raises(TypeError, match=r"Detail\.deleted .*: make it a column, or a hybrid"):
            store("a")


def test_every_kind_of_attribute_is_tried() -> None:
    """A kind of mapped attribute that is new in SQLAlchemy must be decided on here."""

    def kinds(of: type[Any]) -> set[str]:
        return {of.__name__}.union(*map(kinds, of.__subclasses__()))

    bases = {
        "MapperProperty",
        "StrategizedProperty",
        "DescriptorProperty",
        "_DataclassDefaultsDontSet",
    }
    tried = {"ColumnProperty", "MappedSQLExpression", "CompositeProperty", "Composite"}
    tried |= {
        "SynonymProperty",
        "Synonym",
        "RelationshipProperty",
        "Relationship",
        "_RelationshipDeclared",
    }
    assert kinds(MapperProperty) <= bases | tried | {"ConcreteInheritedProperty"}
