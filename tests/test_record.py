"""ImageRecord: what the ready-made stores return."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any

import pytest

from flask_imagemeta import Identity, ImageMeta, ImageRecord
from flask_imagemeta.stores.members import LazyMembers

from .apps import make_app

pytestmark = pytest.mark.core

RECORD = ImageRecord(
    "a",
    name="größer",
    status="active",
    size=2**62,
    owner="p",
    created_at=datetime(2026, 1, 2, 3, 4, 5, 6),
    visibility="shared",
    properties={"os": "debian", "list": [1, {"a": None}]},
    members=("q", "r"),
)

COPIES: list[Callable[[Any], Any]] = [
    *(
        lambda image, protocol=protocol: pickle.loads(pickle.dumps(image, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ),
    copy.copy,
    copy.deepcopy,
]


@pytest.mark.parametrize(
    ("visibility", "is_public"), [("public", True), ("shared", False), (None, False)]
)
def test_is_public(visibility: str | None, is_public: bool) -> None:
    """A record is public when its visibility says so."""
    assert ImageRecord(id="a", visibility=visibility).is_public is is_public


def test_is_immutable() -> None:
    """A record and its properties cannot be changed, nor through the mapping it was made of."""
    properties = {"a": "b"}
    record = ImageRecord(id="a", properties=properties)
    with pytest.raises(AttributeError):
        record.id = "b"  # type: ignore[misc]
    with pytest.raises(TypeError):
        record.properties["a"] = "c"  # type: ignore[index]
    properties["a"] = "c"
    assert record.properties == {"a": "b"}


@pytest.mark.parametrize("make", COPIES)
def test_a_copy_is_the_same(make: Callable[[Any], Any]) -> None:
    """A pickle, a copy and a deep copy have the same fields and the same type."""
    other = make(RECORD)
    assert other == RECORD
    assert type(other) is ImageRecord
    with pytest.raises(TypeError):
        other.properties["a"] = "b"


def test_asdict() -> None:
    """A record becomes a plain dictionary of its fields, which makes the record again."""
    plain = asdict(RECORD)
    assert [*plain] == [one.name for one in fields(ImageRecord)]
    assert type(plain["properties"]) is dict
    assert ImageRecord(**plain) == RECORD


def test_replace() -> None:
    """A record can be made anew with other values."""
    assert replace(RECORD, size=1).size == 1
    assert replace(replace(RECORD, size=1), size=RECORD.size) == RECORD


@dataclass(frozen=True)
class Extended(ImageRecord):
    """A custom record, with one more field."""

    release: str = ""
    label: str = field(default="", init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "label", f"{self.id} {self.release}")


@pytest.mark.parametrize("make", COPIES)
def test_a_subclass_keeps_its_fields(make: Callable[[Any], Any]) -> None:
    """A subclass with more fields is copied with them."""
    image = Extended("a", release="1")
    assert make(image) == image
    assert (make(image).release, make(image).label) == ("1", "a 1")


@pytest.mark.parametrize("make", [*COPIES[2:6], copy.deepcopy, asdict])
def test_members_are_fetched(make: Callable[[Any], Any]) -> None:
    """What outlives the store's connection has its members with it."""
    asked: list[str | None] = []

    def fetch(project_id: str | None) -> Iterable[str]:
        asked.append(project_id)
        return ["q", "r"]

    other = make(replace(RECORD, members=LazyMembers(fetch)))
    assert asked == [None]
    members = other["members"] if isinstance(other, dict) else other.members
    assert members == ("q", "r")
    assert asked == [None]


@pytest.mark.parametrize("make", [*COPIES, asdict])
def test_what_was_granted_to_one_caller_is_not_copied(make: Callable[[Any], Any]) -> None:
    """An image that its store showed to one caller is hidden from others once it was copied."""
    granted = replace(RECORD, access_granted=True)

    def status(image: Any, project: str) -> int:
        imagemeta = ImageMeta(lookup=lambda image_id: image, identity=lambda: Identity(project))
        return make_app(imagemeta).test_client().head("/v1/images/a").status_code

    assert status(granted, "another") == 200
    assert status(make(granted), "another") == 404
    assert status(make(granted), "q") == 200
