"""``flask imagemeta check``: what a client would not receive unchanged."""

from __future__ import annotations

from collections import Counter

import click
from click.exceptions import Exit
from flask.cli import with_appcontext

from ..stores import Walkable
from .common import (
    command_errors,
    find_state,
    get_store,
    name_option,
    progress,
    report_losses,
)
from .head import Route
from .losses import find_losses
from .output import remark


@click.command("check", short_help="Report images that clients would not receive complete.")
@name_option
@click.option("--json", "is_json", is_flag=True, help="One JSON object for each image reported.")
@with_appcontext
def command(name: str, is_json: bool) -> None:
    """Report every image whose metadata would be altered, omitted or refused on the wire.

    Exit status: 0 when there is nothing to report, 1 when there is, 2 when the store cannot
    be checked.
    """
    state = find_state(name)
    store = get_store(state, "checked", Walkable, "walk")
    leads_to = Route(state).leads_to
    checked = 0
    found: Counter[str] = Counter()
    with command_errors(), progress(store, "Checking") as images:
        for image in images:
            checked += 1
            losses = find_losses(image, state.schema, state.limits, leads_to)
            if not losses:
                continue
            found.update({loss.kind for loss in losses})
            found["reported"] += 1
            report_losses(image, losses, is_json=is_json)
    counts = ", ".join(f"{found[kind]:,} {kind}" for kind in ("altered", "omitted", "refused"))
    images_checked = f"{checked:,} image{'' if checked == 1 else 's'} checked"
    remark(f"{images_checked}, {found['reported']:,} to report: {counts}")
    raise Exit(1 if found else 0)
