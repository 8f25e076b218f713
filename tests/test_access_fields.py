"""Every way in which an object can fail to say who may see it, for every field that decides it.

A field that fails is not an absent one: nothing is shown. A new way has to be added here.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict, UserDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import field as dataclass_field, make_dataclass
from functools import cached_property, partial
from operator import attrgetter, methodcaller
from typing import Any
from uuid import uuid4

import pytest
from werkzeug.local import LocalProxy

from flask_imagemeta import Identity, ImageMeta
from flask_imagemeta.image import ACCESS_FIELDS, read_field

from .apps import make_app

pytestmark = pytest.mark.core

FIELDS = sorted(ACCESS_FIELDS)
VALUES = {
    "id": "a",
    "owner": "p",
    "deleted": False,
    "is_public": False,
    "visibility": "shared",
    "members": ["guest"],
}
Make = Callable[[str], Any]


def make_object(field: str, value: Any) -> Any:
    """Return an image whose class defines one field as this value, perhaps a descriptor."""
    others = {name: other for name, other in VALUES.items() if name != field}
    return type("Image", (), {**others, field: value, "project": None})()


def property_of(field: str, fail: Callable[[Any], Any]) -> Any:
    return make_object(field, property(fail))


def failing_property(field: str, error: Exception) -> Any:
    def fail(self: Any) -> Any:
        raise error

    return property_of(field, fail)


def unset_slot(field: str) -> Any:
    others = {name: value for name, value in VALUES.items() if name != field}
    return type("Image", (), {**others, "__slots__": (field,)})()


def unset_field(field: str) -> Any:
    others = {name: value for name, value in VALUES.items() if name != field}
    declared = make_dataclass("Declared", [(field, Any, dataclass_field(init=False))])
    return type("Image", (declared,), others)()


def computed_by_getattr(field: str) -> Any:
    def compute(self: Any, name: str) -> Any:
        if name == field:
            return getattr(self.project, name)
        raise AttributeError(name)

    others = {name: value for name, value in VALUES.items() if name != field}
    return type("Image", (), {**others, "project": None, "__getattr__": compute})()


class FailingDescriptor:
    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, image: Any, owner: type) -> Any:
        raise AttributeError(self.name)


def named_attribute_error(field: str) -> Any:
    image = property_of(field, lambda self: getattr(self.project, field))
    assert image.project is None  # so that None lacks what the field is called
    return image


def failing_cached_property(field: str) -> Any:
    descriptor = cached_property(lambda self: self.project.uuid)
    descriptor.__set_name__(object, field)
    return make_object(field, descriptor)


class Wrapper:
    def __init__(self, image: Any) -> None:
        self._image = image

    def __getattr__(self, name: str) -> Any:
        return getattr(self._image, name)


class GreedyWrapper:
    def __init__(self, image: Any) -> None:
        self._image = image

    def __getattribute__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_image"), name)


class ReraisingWrapper(Wrapper):
    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(self._image, name)
        except AttributeError:
            raise AttributeError(name) from None


class RewordingWrapper(Wrapper):
    """Raises anew what it caught, as a proxy for an object in another process does."""

    def __getattr__(self, name: str) -> Any:
        words = None
        try:
            return getattr(self._image, name)
        except AttributeError as error:
            words = str(error)
        raise AttributeError(words)


class FailingMapping(Mapping[str, Any]):
    """A mapping one of whose values is computed, and fails."""

    listed = True

    def __init__(self, field: str) -> None:
        self._field = field

    def __getitem__(self, name: str) -> Any:
        return {}["project"] if name == self._field else VALUES[name]

    def __iter__(self) -> Iterator[str]:
        return iter(VALUES if self.listed else VALUES.keys() - {self._field})

    def __len__(self) -> int:
        return len(VALUES)


class UnlistedMapping(FailingMapping):
    listed = False


class ComputedDict(dict[str, Any]):
    """A dict that computes one of its items, of which dict.get knows nothing."""

    def __init__(self, field: str) -> None:
        super().__init__({name: value for name, value in VALUES.items() if name != field})
        self._field = field

    def __getitem__(self, name: str) -> Any:
        return {}["project"] if name == self._field else super().__getitem__(name)


def mapping_class(base: type[Any]) -> Make:
    """Return what makes a mapping whose class, unlike its items, has one of the fields."""

    def make(field: str) -> Any:
        image = type("Image", (base,), {field: property(lambda self: VALUES[field])})()
        image.update({name: value for name, value in VALUES.items() if name != field})
        return image

    return make


def row_class(field: str) -> Any:
    """Return a row of a class that has one of the fields."""
    kind = type("Image", (sqlite3.Row,), {field: property(lambda self: VALUES[field])})
    values = {"id": "'a'", "owner": "'p'", "visibility": "'shared'"}
    names = [name for name in VALUES if name != field]
    columns = ", ".join(f"{values.get(name, 0)} AS {name}" for name in names)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = kind
        return connection.execute(f"SELECT {columns}").fetchone()


class AttributeDict(dict[str, Any]):
    """A dict whose items are attributes, too."""

    __getattr__ = dict.__getitem__


def inner_error(field: str) -> Any:
    return property_of(field, lambda self: self.project.uuid)


FAILING: dict[str, Make] = {
    "unset slot": unset_slot,
    "unset field of a dataclass": unset_field,
    "__getattr__, an attribute of None": computed_by_getattr,
    "descriptor": lambda field: make_object(field, FailingDescriptor()),
    "property, another attribute": inner_error,
    "property, an attribute of the same name": named_attribute_error,
    "property, AttributeError": partial(failing_property, error=AttributeError()),
    "property, KeyError": partial(failing_property, error=KeyError("owner")),
    "property, RuntimeError": partial(failing_property, error=RuntimeError()),
    "cached property": failing_cached_property,
    "getter in C": lambda field: property_of(field, attrgetter("project.uuid")),
    "getter in C of the same name": lambda field: property_of(
        field, attrgetter(f"project.{field}")
    ),
    "caller in C": lambda field: property_of(field, methodcaller("missing")),
}
FAILING_MAPPINGS: dict[str, Make] = {
    "mapping": FailingMapping,
    "mapping that does not list it": UnlistedMapping,
    "subclass of dict": ComputedDict,
    "property of a subclass of dict": mapping_class(dict),
    "property of a UserDict": mapping_class(UserDict),
    "property of an OrderedDict": mapping_class(OrderedDict),
    "property of a dict of attributes": mapping_class(AttributeDict),
    "property of a row": row_class,
}
WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "bare": lambda image: image,
    "LocalProxy": lambda image: LocalProxy(lambda: image),
    "__getattr__": Wrapper,
    "__getattr__ twice": lambda image: Wrapper(Wrapper(image)),
    "__getattribute__": GreedyWrapper,
    "__getattr__ that raises its own": ReraisingWrapper,
    "__getattr__ around LocalProxy": lambda image: Wrapper(LocalProxy(lambda: image)),
}


def ask(image: Any, identity: Identity | None) -> int:
    imagemeta = ImageMeta(lookup=lambda image_id: image, identity=lambda: identity)
    return int(make_app(imagemeta).test_client().head("/v1/images/a").status_code)


def check_nothing_is_shown(image: Any, field: str) -> None:
    # Members are not read for a caller without a project.
    assert ask(image, None) == (404 if field == "members" else 500)
    assert ask(image, Identity("stranger")) == 500


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("way", FAILING)
def test_an_attribute_that_fails_shows_nothing(way: str, wrapper: str, field: str) -> None:
    """Whatever fails while an attribute is read, a stranger is not shown the image."""
    check_nothing_is_shown(WRAPPERS[wrapper](FAILING[way](field)), field)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("wrapper", ["bare", "LocalProxy"])
@pytest.mark.parametrize("way", FAILING_MAPPINGS)
def test_an_item_that_fails_shows_nothing(way: str, wrapper: str, field: str) -> None:
    """Whatever fails while an item of a mapping is read, a stranger is not shown the image."""
    check_nothing_is_shown(WRAPPERS[wrapper](FAILING_MAPPINGS[way](field)), field)


class HandWritten:
    id = "a"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class HandWrittenFromKeys(HandWritten):
    def __getattr__(self, name: str) -> Any:
        try:
            return {}[name]
        except KeyError:
            raise AttributeError(f"no {name} here")  # noqa: B904


class Slots:
    __slots__ = ("id",)

    def __init__(self) -> None:
        self.id = "a"


ABSENT = {
    "class without it": type("Image", (), {"id": "a"})(),
    "slots without it": Slots(),
    "hand-written": HandWritten(),
    "hand-written, after a KeyError": HandWrittenFromKeys(),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("way", ABSENT)
def test_an_absent_field_is_none(way: str, wrapper: str) -> None:
    """An object that lacks a field, behind any wrapper, has None there: no owner."""
    image = WRAPPERS[wrapper](ABSENT[way])
    assert read_field(image, "owner") is None
    assert ask(image, None) == 200


@pytest.mark.parametrize("owner", ["", [], 0, False, (), {}, b""])
def test_an_owner_that_is_falsy_is_an_owner(owner: Any) -> None:
    """Only None is no owner: an owner of "" is one, and a stranger does not see its image."""
    assert ask({"id": "a", "owner": owner}, None) == 404
    assert ask({"id": "a", "owner": owner}, Identity("stranger")) == 404


def test_another_field_that_fails_tells_a_stranger_nothing() -> None:
    """If only another field cannot be read, a stranger gets the 404 of a missing image."""
    image = type("Image", (), {"owner": "p", "name": property(lambda self: self.missing)})()
    assert ask(image, Identity("stranger")) == 404
    assert ask(image, Identity("p")) == 500


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset])
def test_members_may_be_uuids(kind: type) -> None:
    """A member is compared by its text, as an owner is."""
    member = uuid4()
    image = {"id": "a", "owner": "p", "members": kind([uuid4(), member])}
    assert ask(image, Identity(str(member))) == 200
    assert ask(image, Identity(str(uuid4()))) == 404


def test_an_error_in_others_words_is_about_what_it_says() -> None:
    """Raised anew, an error about the attribute of an owner's project is no lack of an owner."""
    check_nothing_is_shown(RewordingWrapper(inner_error("owner")), "owner")
    assert ask(RewordingWrapper(type("Image", (), {"id": "a"})()), None) == 200


def test_properties_that_fail_are_not_absent() -> None:
    """An image whose properties raise is an error, not an image without properties."""
    image = type("Image", (), {"id": "a", "properties": property(lambda self: self.missing)})()
    assert ask(image, None) == 500
