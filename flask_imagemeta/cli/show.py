"""``flask imagemeta show``: what a client would get."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from flask import Flask, current_app, url_for
from flask.cli import with_appcontext
from flask.testing import EnvironBuilder
from werkzeug.wrappers import Response

from .. import wire
from ..access import Identity
from ..blueprint import logger
from ..exceptions import describe
from ..signals import image_hidden, image_missing
from .common import Trouble, as_json, get_state, name_option

if TYPE_CHECKING:
    from ..extension import State


@click.command("show", short_help="Show what a client would get for an image.")
@click.argument("image_id", metavar="ID")
@name_option
@click.option(
    "--as",
    "caller",
    metavar="admin|PROJECT",
    help="Answer as to an admin, or to a member of this project, without asking who calls.",
)
@click.option("--json", "is_json", is_flag=True, help="One JSON object: status, headers, image.")
@with_appcontext
def command(image_id: str, name: str, caller: str | None, is_json: bool) -> None:
    """Show the status and the headers that a client would get for an image.

    A HEAD request is answered by the application as it is, but for WSGI middleware around it.
    Without --as it carries no credentials.

    Exit status: 0 when the answer is 200, 1 when it is another, 2 when it cannot be had.
    """
    state = get_state(name)
    if state.store is None:
        raise Trouble(f"ImageMeta {name!r} has no lookup hook, so it has no images to show.")
    with _asked_by(state, caller), _reasons(image_id) as reasons:
        response = _ask(name, image_id)
    is_shown = response.status_code == 200
    has_failed = response.status_code == 500
    other = "failed, see its log" if has_failed else "answers before we can"
    reason = "" if is_shown else "; ".join(reasons) or f"the application {other}"
    headers = {
        header: wire.from_value(", ".join(response.headers.getlist(header)))
        for header in dict.fromkeys(response.headers.keys())
    }
    if is_json:
        image = dict(state.schema.load(dict(response.headers))) if is_shown else None
        answer = {"status": response.status_code, "reason": reason or None}
        click.echo(as_json(answer | {"headers": headers, "image": image}))
    else:
        click.echo(response.status)
        for header, value in headers.items():
            click.echo(f"{header}: {value}")
    if not is_shown:
        click.echo(f"A client would get {response.status_code}: {reason}.", err=True)
        sys.exit(1)


def _ask(name: str, image_id: str) -> Response:
    """Send a HEAD request through the application, not through what is wrapped around it.

    Middleware that wants a token would refuse it, and the answer is to be that of ImageMeta.
    """
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    with app.test_request_context() as context:
        url = url_for(f"{name}.show_image", image_id=image_id)
        path = url.removeprefix(context.request.root_path)  # which the builder puts before it
    environ = EnvironBuilder(app, path, method="HEAD").get_environ()
    return Response.from_app(partial(Flask.wsgi_app, app), environ)


@contextmanager
def _asked_by(state: State, caller: str | None) -> Iterator[None]:
    """Put a caller in the place of the identity hook, None for nobody."""
    hooks = state.hooks
    if caller is not None:
        is_admin = caller == "admin"
        identity = Identity(roles=["admin"]) if is_admin else Identity(project_id=caller)
        state.hooks = hooks._replace(identity=lambda: identity)
    try:
        yield
    finally:
        state.hooks = hooks


@contextmanager
def _reasons(image_id: str) -> Iterator[list[str]]:
    """Collect why an answer is what it is: clients are not told, signals and the log are."""
    reasons: list[str] = []

    def missing(sender: Flask, **data: Any) -> None:
        reasons.append(f"there is no image {describe(image_id)}")

    def hidden(sender: Flask, **data: Any) -> None:
        reasons.append(f"there is an image {describe(image_id)}, but this caller may not see it")

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            reasons.append(record.getMessage().partition(": ")[2])  # without the request's id

    handler = Collector()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        with image_missing.connected_to(missing), image_hidden.connected_to(hidden):
            yield reasons
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
