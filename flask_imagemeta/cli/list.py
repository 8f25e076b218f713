"""``flask imagemeta list``: the images of a store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import click
from flask.cli import with_appcontext
from marshmallow import ValidationError
from marshmallow.fields import Field

from .. import wire
from ..access import Identity, is_deleted
from ..bad_query import BadQuery
from ..documents import sent_lines
from ..exceptions import InvalidImage, printable
from ..fields import DeletedFlag, Flag, Properties, PublicFlag, Text, Timestamp, WholeNumber
from ..image import PASS_THROUGH_ERRORS, read_field
from ..listing import Listing
from ..parameters import MAX_LIMIT, NAMES, PROPERTY, parse
from ..query import Query
from ..schema import HeaderSchema
from ..stores import Walkable
from .common import command_errors, find_state, get_store, name_option, read_id
from .output import CommandError, as_json, remark, say

if TYPE_CHECKING:
    from ..state import State

_ADMIN = Identity(roles=["admin"])
_PARAMETERS = [name for name in NAMES if name != "marker"]
_MEASURED = 200  # rows that set the columns' widths: a store may have millions


@click.command("list", short_help="List the images of the store.")
@click.argument("parameters", nargs=-1, metavar="[PARAMETER=VALUE]...")
@name_option
@click.option("--json", "is_json", is_flag=True, help="One JSON object for each image.")
@with_appcontext
def command(parameters: Sequence[str], name: str, is_json: bool) -> None:
    """List the images of the store, deleted ones too.

    With parameters of the lists of the Image API v1, such as name=debian-12 or size_min=1024,
    list what an admin gets with is_public=None, without a limit.

    As JSON, an image has every field that the schema sends, or its id and, as "refused", the
    reason why it cannot be sent.

    Exit status: 0, or 2 when the store cannot be listed.
    """
    state = find_state(name)
    query = _as_query(parameters) if parameters else None
    find = _searched if query is not None and _can_search(state) else _walked
    with command_errors():
        images = find(state, query)
        lines = _as_objects(images, state.schema) if is_json else _as_table(map(_as_row, images))
        for line in lines:
            say(line)


def _as_query(parameters: Sequence[str]) -> Query:
    """Return the query of an admin for the images of all projects.

    :raises CommandError: for an unknown parameter, or a value that a list answers with 400.
    """
    given: list[tuple[str, str]] = []
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        if not equals or not (name in _PARAMETERS or name.startswith(PROPERTY)):
            known = ", ".join(_PARAMETERS)
            raise CommandError(
                f"{parameter!r} is not PARAMETER=VALUE: the parameters are {known}, {PROPERTY}NAME."
            )
        given.append((name, value))
    try:
        query, _ = parse(urlencode(given).encode("ascii"), max_limit=sys.maxsize)
    except UnicodeEncodeError as error:  # bytes of the command line
        raise CommandError(f"{printable(error.object)} is not valid UTF-8.") from error
    except BadQuery as error:
        raise CommandError(printable(str(error))) from error
    names = dict(given)
    return replace(
        query,
        identity=_ADMIN,
        is_public=query.is_public if "is_public" in names else None,
        limit=query.limit if "limit" in names else sys.maxsize,
    )


def _can_search(state: State) -> bool:
    return state.serves_lists or hasattr(state.store, "search")


def _searched(state: State, query: Any) -> Iterator[Any]:
    """Yield the images of a query, in its order, a page at a time."""
    search = getattr(state.store, "search", None) or state.hooks.search
    hooks = state.hooks._replace(search=search, show_property=None)
    left = query.limit
    while left > 0:
        limit = min(left, MAX_LIMIT)
        page = Listing(state.schema, hooks, replace(query, limit=limit)).page()
        yield from (match.image for match in page)
        if len(page) < limit:
            return
        left -= limit
        query = replace(query, marker=page[-1].image)


def _walked(state: State, query: Query | None) -> Iterable[Any]:
    """Return all images of the store, or those of a query for a store that cannot search."""
    store = get_store(state, "listed", Walkable, "walk")
    if query is None:
        images: Iterable[Any] = store.walk()
        return images
    hooks = state.hooks._replace(search=lambda query: store.walk(), show_property=None)
    return [match.image for match in Listing(state.schema, hooks, query).page()]


def _as_objects(images: Iterable[Any], schema: HeaderSchema) -> Iterator[str]:
    """Yield each image as a line of JSON, with the values that a client loads from its headers."""
    readers = {name: _reader_of(schema.fields[name]) for name in schema.dump_fields}
    for image in images:
        try:
            found = _as_received(image, schema, readers)
        except InvalidImage as error:
            found = {"id": read_id(image), "refused": str(error)}
        yield as_json(found)


def _as_received(
    image: Any, schema: HeaderSchema, readers: Mapping[str, Callable[[str], Any]]
) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: {} if isinstance(schema.fields[name], Properties) else None for name in readers
    }
    for line in sent_lines(schema, image):
        text = line.text
        # What is sent of such text, as most is, differs only in the spaces around it.
        if text.isascii() and text.isprintable():
            text = text.strip(" ")
        else:
            text = wire.from_value(wire.as_value(text))
        if line.property is None:
            found[line.field] = readers[line.field](text)
        else:
            found[line.field][_received_name(line.property)] = text
    return found


@lru_cache(1024)
def _received_name(name: str) -> str:
    return wire.from_name(wire.as_name(name))


def _as_iso(text: str) -> str:
    return text.removesuffix(".000000")


# Like the fields' own loading, but with values that JSON can hold.
_READERS: dict[type, Callable[[str], Any]] = {
    Text: str,
    WholeNumber: int,
    Flag: "True".__eq__,
    DeletedFlag: "True".__eq__,
    PublicFlag: "True".__eq__,
    Timestamp: _as_iso,
}


def _reader_of(field: Field[Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return field.deserialize(text)
        except ValidationError:
            return text

    return _READERS.get(type(field), read)


def _status_of(image: Any) -> Any:
    return "deleted" if is_deleted(image) else read_field(image, "status")


def _field(name: str) -> Callable[[Any], Any]:
    return lambda image: read_field(image, name)


_COLUMNS: dict[str, Callable[[Any], Any]] = {
    "ID": _field("id"),
    "STATUS": _status_of,
    "SIZE": _field("size"),
    "FORMAT": _field("disk_format"),
    "OWNER": _field("owner"),
    "NAME": _field("name"),
}


def _as_row(image: Any) -> tuple[str, ...]:
    """Return the cells of an image; what cannot be read is ``?``, with the reason on stderr."""
    reasons: list[str] = []
    cells = tuple(_as_cell(image, read, reasons) for read in _COLUMNS.values())
    if reasons:
        remark(printable(f"{read_id(image)}: {'; '.join(dict.fromkeys(reasons))}"))
    return cells


def _as_cell(image: Any, read: Callable[[Any], Any], reasons: list[str]) -> str:
    try:
        value = read(image)
        return "-" if value is None else printable(str(value))
    except PASS_THROUGH_ERRORS:
        raise
    except Exception as error:
        reasons.append(str(error))
        return "?"


def _as_table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table, numbers to the right, names last: they are the longest."""
    rows = iter(rows)
    first = [tuple(_COLUMNS), *islice(rows, _MEASURED)]
    widths = [max(map(len, column)) for column in zip(*first, strict=True)]
    for row in chain(first, rows):
        cells = (
            cell.rjust(width) if title == "SIZE" else cell.ljust(width)
            for title, cell, width in zip(_COLUMNS, row, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()
