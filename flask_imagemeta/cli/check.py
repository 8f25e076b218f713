"""``flask imagemeta check``: what would not arrive at a client as the store keeps it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from flask.cli import with_appcontext

from ..blueprint import make_limits
from ..exceptions import printable
from ..image import read_field
from .common import as_json, get_state, get_store, has_terminal, name_option, store_troubles
from .losses import find_losses

_ERASE_LINE = "\r\x1b[K"


@click.command("check", short_help="Report images that would not arrive whole.")
@name_option
@click.option("--json", "is_json", is_flag=True, help="One JSON object for each image reported.")
@with_appcontext
def command(name: str, is_json: bool) -> None:
    """Report every image whose metadata would be altered, omitted or refused on the wire.

    Exit status: 0 when there is nothing to report, 1 when there is, 2 when the store cannot
    be checked.
    """
    state = get_state(name)
    store = get_store(state, "checked", "walk")
    limits = make_limits(state)
    checked = 0
    found: Counter[str] = Counter()
    with store_troubles(), _progress(store) as images:
        for image in images:
            checked += 1
            losses = find_losses(image, state.schema, limits)
            if not losses:
                continue
            found.update({loss.kind for loss in losses})
            found["reported"] += 1
            if has_terminal():
                click.echo(_ERASE_LINE, nl=False, err=True)
            image_id = str(read_field(image, "id"))
            if is_json:
                click.echo(as_json({"id": image_id, "losses": [loss._asdict() for loss in losses]}))
                continue
            for loss in losses:
                click.echo(f"{printable(image_id)}: {loss.kind}: {loss.field}: {loss.reason}")
    counts = ", ".join(f"{found[kind]:,} {kind}" for kind in ("altered", "omitted", "refused"))
    click.echo(f"{checked:,} images checked, {found['reported']:,} to report: {counts}", err=True)
    sys.exit(1 if found else 0)


@contextmanager
def _progress(store: Any) -> Iterator[Iterable[Any]]:
    """Give the images of a store, with a progress bar if somebody watches."""
    if not has_terminal():
        yield store.walk()
        return
    count = store.count() if hasattr(store, "count") else None
    with click.progressbar(
        store.walk(), length=count, label="Checking", file=sys.stderr, update_min_steps=100
    ) as images:
        yield images
