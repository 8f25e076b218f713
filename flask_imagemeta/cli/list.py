"""``flask imagemeta list``: the images of a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import click
from flask.cli import with_appcontext

from ..access import is_deleted
from ..exceptions import InvalidImage, printable
from ..image import read_field
from ..schema import HeaderSchema
from .common import as_json, get_state, get_store, name_option, store_troubles

_TITLES = ("ID", "STATUS", "SIZE", "FORMAT", "OWNER", "NAME")
_MEASURED = 200  # the rows that the columns' widths are taken from: a store may be endless


@click.command("list", short_help="List the images of the store.")
@name_option
@click.option("--json", "is_json", is_flag=True, help="One JSON object for each image.")
@with_appcontext
def command(name: str, is_json: bool) -> None:
    """List the images of the store, deleted ones too.

    As JSON, an image has every field that the schema sends, or its id and, as "refused", the
    reason why it cannot be sent.

    Exit status: 0, or 2 when the store cannot be listed.
    """
    state = get_state(name)
    store = get_store(state, "listed", "walk")
    with store_troubles():
        if is_json:
            for image in store.walk():
                click.echo(as_json(_as_object(image, state.schema)))
        else:
            for line in _as_table(map(_as_row, store.walk())):
                click.echo(line)


def _as_object(image: Any, schema: HeaderSchema) -> dict[str, Any]:
    try:
        return dict(schema.load(schema.to_headers(image)))
    except InvalidImage as error:
        return {"id": str(read_field(image, "id")), "refused": str(error)}


def _as_row(image: Any) -> tuple[str, ...]:
    status = "deleted" if is_deleted(image) else read_field(image, "status")
    size = read_field(image, "size")
    names = ("disk_format", "owner", "name")
    others = (read_field(image, name) for name in names)
    cells = (read_field(image, "id"), status, size, *others)
    return tuple("-" if cell is None else printable(str(cell)) for cell in cells)


def _as_table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table, numbers to the right, names last: they are the longest."""
    rows = iter(rows)
    first = [_TITLES, *islice(rows, _MEASURED)]
    widths = [max(map(len, column)) for column in zip(*first, strict=True)]
    for row in chain(first, rows):
        cells = (
            cell.rjust(width) if title == "SIZE" else cell.ljust(width)
            for title, cell, width in zip(_TITLES, row, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()
