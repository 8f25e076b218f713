"""Images that no sane host has, each with what its answer must say.

What is expected is decided here, where a value is made, and not worked out from it by the
package's rules: an `Odd` is a value together with the text that it must become.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from random import Random
from types import MappingProxyType, SimpleNamespace
from typing import Any, NoReturn
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Odd:
    """A value in an image.

    :param value: What the host's image holds.
    :param sent: The text that goes out for it; None means no header.
    :param faulty: Whether the image cannot be served because of it.
    """

    value: Any
    sent: str | None = None
    faulty: bool = False


@dataclass(frozen=True, slots=True)
class OddImage:
    """An image for a lookup to return, and what is expected of its answer.

    :param record: The image itself.
    :param fields: The core fields by name.
    :param properties: Names and values; a property that is not sent has None for its text.
    :param faults: The fields for which the image cannot be served.
    """

    record: Any
    fields: dict[str, Odd]
    properties: list[tuple[Any, Odd]]
    faults: set[str]


def bad(value: Any) -> Odd:
    return Odd(value, faulty=True)


def fail(*args: object) -> NoReturn:
    raise RuntimeError("not today\r\nFORGED log line")


class Hostile:
    """A value that cannot even be looked at."""

    __eq__ = __hash__ = __str__ = __repr__ = __bool__ = __int__ = fail


class Colour(Enum):
    RED = "red\r\n"


class NoOffset(tzinfo):
    """A zone that does not know its offset: the time counts as one without a zone."""

    def utcoffset(self, when: datetime | None) -> timedelta | None:
        return None

    dst = utcoffset

    def tzname(self, when: datetime | None) -> None:
        return None


class BrokenZone(NoOffset):
    def utcoffset(self, when: datetime | None) -> NoReturn:
        fail()


class Record(Mapping[str, Any]):
    """A mapping that is not a dict, and fails for some of its fields."""

    def __init__(self, fields: Mapping[str, Any], failing: set[str]) -> None:
        self._fields = fields
        self._failing = failing

    def __getitem__(self, name: str) -> Any:
        return fail() if name in self._failing else self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Entity:
    """An object with attributes, some of which fail."""

    def __init__(self, fields: Mapping[str, Any], failing: set[str]) -> None:
        self._fields = fields
        self._failing = failing

    def __getattr__(self, name: str) -> Any:
        if name in self._failing:
            fail()
        if name not in self._fields:
            raise AttributeError(name)
        return self._fields[name]


SNIPPETS = (
    *("\r\n", "\r", "\n", "\r\n\r\n", "\n ", "\r\nSet-Cookie: a=b\r\n\r\nHTTP/1.1 200 OK\r\n"),
    *("\x00", "\x0b", "\x0c", "\x1b[2J", "\x1c", "\x7f", "\x80", "\x85", "\x9b", "\t", " ", ""),
    *(
        "à",
        "Å",
        "Å",
        "\xa0",
        "\xad",
        "\u2028",
        "\u2029",
        "\u3000",
        "\ufeff",
        "\u202e",
        "ß",
        "İ",
        "K",
    ),
    *("\ud800", "\udfff", "\udc0d\udc0a", "\ud83d\ude00", "😀", "\U0010ffff", "\uffff", "嘊嘍"),
    *("%0d%0a", "%", "%zz", '"', ";", ",", ":", "=", "\\", "a", "Z", "0", "-", "_", "é" * 40),
)


def odd_text(random: Random) -> str:
    """Return any text: mostly a few snippets, now and then long, seldom a MiB."""
    kind = random.random()
    if kind < 0.3:
        return "".join(random.choices("abcXYZ 019.-_", k=random.randrange(40)))
    if kind < 0.8:
        return "".join(random.choices(SNIPPETS, k=random.randrange(1, 8)))
    if kind < 0.995:
        top = random.choice((0x20, 0x100, 0x3000, 0x110000))
        return "".join(chr(random.randrange(top)) for _ in range(random.randrange(1, 20)))
    text = random.choice(("x", "\r\n", "é", "\ud800", "😀 "))
    size = 2**20 if random.random() < 0.02 else random.randrange(100, 20_000)
    return (text * size)[:size]


TEXTS = (
    *(Odd(None), Odd(7, "7"), Odd(True, "True"), Odd(2.5, "2.5"), Odd(2**70, str(2**70))),
    *(Odd(UUID(int=5), str(UUID(int=5))), Odd(Colour.RED, "red\r\n"), Odd(Decimal("1.50"), "1.50")),
    *(Odd(b"\xff\r\n", "\ufffd\r\n"), Odd(date(1, 1, 1), "0001-01-01"), Odd(float("nan"), "nan")),
)
BAD_TEXTS = (bad([1]), bad({}), bad(object()), bad(Hostile()), bad(10**5000), bad(int), bad(fail))

NUMBERS = (
    *(Odd(n, str(n)) for n in (0, 1, 4979632, 2**31, 2**63, 2**64, 10**40, 10**4000, -1)),
    *(Odd("12", "12"), Odd(" 12 ", "12"), Odd("0012", "12"), Odd("-1", "-1"), Odd(3.0, "3")),
    *(Odd(Decimal(-3), "-3"), Odd(1e22, str(10**22)), Odd(Fraction(4, 2), "2")),
)
BAD_NUMBERS = (
    *map(
        bad,
        (Decimal("1e1000000"), True, False, 1.5, float("nan"), float("inf"), Decimal("sNaN"), 2j),
    ),
    *map(bad, ("", "abc", "1_000", "٣", "--1", "1\r\n", "9" * 5000, 10**5000, b"12", [1], {})),
    *map(bad, (object(), Hostile(), datetime(2020, 1, 1), Colour.RED, "12\x00", "0x10", "1e3")),
)
FLAGS = (
    *(Odd(value, "True") for value in (True, 1, "true", "True", "on", "1", "yes", 1.0)),
    *(Odd(value, "False") for value in (False, 0, "false", "off", "0", "no", 0.0, Decimal(0))),
)
BAD_FLAGS = tuple(map(bad, (2, -1, "maybe", "", "true\r\n", [], {}, object(), Hostile(), b"1")))

EAST, WEST = timezone(timedelta(hours=14)), timezone(-timedelta(hours=14))
TIMES = (
    Odd(None),
    Odd(datetime(2016, 1, 6, 3, 22, 20), "2016-01-06T03:22:20.000000"),
    Odd(datetime(2016, 1, 6, 3, 22, 20, 7, tzinfo=timezone.utc), "2016-01-06T03:22:20.000007"),
    Odd(datetime(2016, 1, 6, 3, tzinfo=EAST), "2016-01-05T13:00:00.000000"),
    Odd(datetime(2016, 1, 6, 3, tzinfo=NoOffset()), "2016-01-06T03:00:00.000000"),
    Odd(datetime.min, "0001-01-01T00:00:00.000000"),
    Odd(datetime.max, "9999-12-31T23:59:59.999999"),
    Odd(datetime.min.replace(tzinfo=WEST), "0001-01-01T14:00:00.000000"),
    Odd(datetime.max.replace(tzinfo=EAST), "9999-12-31T09:59:59.999999"),
    Odd("2016-01-06T03:22:20Z", "2016-01-06T03:22:20.000000"),
    Odd("2016-01-06T03:22:20.5+01:00", "2016-01-06T02:22:20.500000"),
)
BAD_TIMES = (
    *(bad(datetime.min.replace(tzinfo=EAST)), bad(datetime.max.replace(tzinfo=WEST))),
    *(bad(datetime(2016, 1, 6, tzinfo=BrokenZone())), bad(date(2016, 1, 6)), bad(0), bad(1e300)),
    *map(bad, ("", "yesterday", "2016-13-01T00:00:00", "\r\n", "٢٠١٦-01-01T00:00", [], Hostile())),
)

CONTAINERS: tuple[Any, ...] = (
    [],
    {},
    [1, "a\r\n"],
    {"k": ["\ud800", None]},
    {"é": 1.5},
    {1: True},
    [[[[]]]],
    ("x",),
)
endless: list[Any] = []
endless.append(endless)
BAD_PROPERTIES = (bad(object()), bad(Hostile()), bad(endless), bad([Hostile()]), bad({(): 1}))
BAD_PROPERTY_MAPPINGS: tuple[Any, ...] = (
    [],
    "a=b",
    5,
    Hostile(),
    object(),
    {None: "no name"},
    {(): "a"},
)


# A caller who is not an admin may get a 500 for the bad ones, where the answer depends on them.
MEMBERS: tuple[Any, ...] = (None, [], ["p"], {"p"}, "p", 5, Hostile(), [Hostile()])
VISIBILITIES: tuple[Any, ...] = (
    None,
    "public",
    "private",
    "shared",
    "community",
    "PUBLIC\r\n",
    5,
    b"public",
    [],
)


def text(random: Random) -> Odd:
    if random.random() < 0.2:
        return random.choice(TEXTS)
    value = odd_text(random)
    return Odd(value, value)


def one_of(values: tuple[Odd, ...]) -> Callable[[Random], Odd]:
    return lambda random: random.choice(values)


# What makes a value of each field, and the values that no header can carry.
KINDS: dict[str, tuple[Callable[[Random], Odd], tuple[Odd, ...]]] = {
    **dict.fromkeys(("id", "name", "status", "checksum", "owner"), (text, BAD_TEXTS)),
    **dict.fromkeys(("disk_format", "container_format"), (text, BAD_TEXTS)),
    **dict.fromkeys(("size", "virtual_size"), (one_of((Odd(None), *NUMBERS)), BAD_NUMBERS)),
    **dict.fromkeys(("min_disk", "min_ram"), (one_of((Odd(None, "0"), *NUMBERS)), BAD_NUMBERS)),
    "protected": (one_of((Odd(None, "False"), *FLAGS)), BAD_FLAGS),
    # Few, because an image that is deleted shows no properties.
    "deleted": (one_of((Odd(None, "False"),) * 50 + FLAGS), BAD_FLAGS),
    "is_public": (one_of(FLAGS), BAD_FLAGS),
    **dict.fromkeys(("created_at", "updated_at", "deleted_at"), (one_of(TIMES), BAD_TIMES)),
}


def odd_image(random: Random) -> OddImage:
    """Return the next odd image; a quarter of them cannot be served."""
    fields = {name: make(random) for name, (make, _) in KINDS.items()}
    named = dict(odd_properties(random))
    properties: Any = {name: odd.value for name, odd in named.items()}
    failing: set[str] = set()
    if random.random() < 0.25:
        at_fault = random.choice((*KINDS, *KINDS, "properties", "property"))
        if at_fault == "properties":
            properties = random.choice(BAD_PROPERTY_MAPPINGS)
            failing = {"properties"}
        elif at_fault == "property":
            properties["broken\n"] = random.choice(BAD_PROPERTIES).value
            failing = {"properties"}
        else:
            fields[at_fault] = random.choice(KINDS[at_fault][1])
            failing = {at_fault}
    elif random.random() < 0.2:
        properties = random.choice((MappingProxyType(properties), Record(properties, set())))
    values = {name: odd.value for name, odd in fields.items()}
    values = {n: v for n, v in values.items() if v is not None or random.random() < 0.5}
    values |= {"properties": properties, "location": "file:///secret", "tags": ["secret"]}
    values |= {"members": random.choice(MEMBERS), "visibility": random.choice(VISIBILITIES)}
    if values["visibility"] == "public" and fields["is_public"].sent == "False":
        fields["is_public"] = Odd(values["is_public"], "True")
    if not failing and random.random() < 0.05:
        failing = {random.choice((*KINDS, "properties"))}
        record: Any = random.choice((Record, Entity))(values, failing)
    else:
        shape = random.choice((dict, lambda v: SimpleNamespace(**v), lambda v: Record(v, set())))
        record = shape(values)
    return OddImage(record, fields, list(named.items()), failing)


def odd_properties(random: Random) -> Iterator[tuple[Any, Odd]]:
    """Yield names and values of properties: mostly few, seldom thousands; some names collide."""
    count = random.choices((0, 3, 20, 120, 3000), (30, 50, 16, 3.9, 0.1))[0]
    name: Any = "os_distro"
    for number in range(count):
        kind = random.random()
        if kind < 0.1:
            name = str(name).swapcase()  # of the name before
        elif kind < 0.15:
            name = random.choice((number, 1.5, True, b"raw\xff", Colour.RED))
        elif kind < 0.5:
            name = odd_text(random)
        else:
            name = f"Hw-key_{number}"
        if random.random() < 0.1:
            value = random.choice(CONTAINERS)
            yield name, Odd(value, json.dumps(value, ensure_ascii=False, separators=(",", ":")))
        else:
            yield name, text(random)
