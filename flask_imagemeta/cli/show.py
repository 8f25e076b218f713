"""``flask imagemeta show``: what a client would get."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

import click
from click.exceptions import Exit
from flask import Flask
from flask.cli import with_appcontext
from marshmallow import ValidationError
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response

from .. import wire
from ..access import Identity
from ..exceptions import printable, short_repr
from ..request_id import logger
from ..schema import HeaderSchema
from ..signals import image_hidden, image_missing
from ..state import State
from .common import find_state, name_option
from .head import Route
from .output import as_json, remark, say


def _as_token(ctx: click.Context, param: click.Parameter, token: str | None) -> str | None:
    if token is not None and not (token.isascii() and token.isprintable()):
        raise click.BadParameter("it must be printable ASCII")
    return token


@click.command("show", short_help="Show what a client would get for an image.")
@click.argument("image_id", metavar="ID")
@name_option
@click.option(
    "--as",
    "caller",
    metavar="admin|PROJECT",
    help="Answer as for an admin, or a member of this project; the identity hook is not called.",
)
@click.option(
    "--token", metavar="TOKEN", callback=_as_token, help="Send this token, as X-Auth-Token."
)
@click.option("--json", "is_json", is_flag=True, help="One JSON object: status, headers, image.")
@with_appcontext
def command(image_id: str, name: str, caller: str | None, token: str | None, is_json: bool) -> None:
    """Show the status and the headers that a client would get for an image.

    The application answers a HEAD request, without the WSGI middleware around it. Without --as
    and --token the request carries no credentials.

    Exit status: 0 for a 200 of ImageMeta, 1 for any other response, 2 when there is none.
    """
    state = find_state(name)
    route = Route(state)
    environ = route.make_environ(image_id, {"X-Auth-Token": token} if token else {})
    with _called_by(state, caller), _observed(state, image_id) as ours:
        # Middleware may want a token and refuse; this is about the response of ImageMeta.
        response = Response.from_app(partial(Flask.wsgi_app, state.app), environ)
    is_shown = (ours.status, response.status_code) == (200, 200)
    reason = None
    if ours.status is None and not route.leads_to(image_id):
        reason = "another route has this address, or none, so no request can ask for this image"
    elif not is_shown:
        reason = _explain(response, environ["wsgi.url_scheme"], ours)
    headers = {
        header: wire.from_value(", ".join(response.headers.getlist(header)))
        for header in dict.fromkeys(response.headers.keys())
    }
    if is_json:
        image = _load(state.schema, response.headers) if is_shown else None
        answer = {"status": response.status_code, "reason": reason}
        say(as_json(answer | {"headers": headers, "image": image}))
    else:
        say(response.status)
        for header, value in headers.items():
            say(printable(f"{header}: {value}"))
    if not is_shown:
        remark(f"A client would get {response.status_code}: {reason}.")
        raise Exit(1)


def _load(schema: HeaderSchema, headers: Headers) -> dict[str, Any]:
    """Return the values in headers, without those that the schema sends but does not accept."""
    try:
        return dict(schema.load(dict(headers)))
    except ValidationError as error:
        valid: Any = error.valid_data
        return dict(valid)


@contextmanager
def _called_by(state: State, caller: str | None) -> Iterator[None]:
    """Answer every request as this caller's; with None, as its own caller's."""
    states: dict[str, State] = state.app.extensions["imagemeta"]
    if caller is not None:
        is_admin = caller == "admin"
        identity = Identity(roles=["admin"]) if is_admin else Identity(project_id=caller)
        states[state.name] = state.as_seen_by(identity)
    try:
        yield
    finally:
        states[state.name] = state


class _Ours(logging.Handler):
    """What ImageMeta answered, and why: clients are not told, signals and the log are.

    :ivar status: None while our view was not called, 500 when it raised.
    """

    def __init__(self, image_id: str) -> None:
        super().__init__()
        self.status: int | None = None
        self.reasons: list[str] = []
        self._image = f"image {short_repr(image_id)}"

    def emit(self, record: logging.LogRecord) -> None:
        self.reasons.append(record.getMessage().partition(": ")[2])  # without the request's id

    def missing(self, sender: Flask, **data: Any) -> None:
        self.reasons.append(f"there is no {self._image}")

    def hidden(self, sender: Flask, **data: Any) -> None:
        self.reasons.append(
            f"there is an {self._image}, but it is deleted or this caller may not see it; "
            "--as admin shows it"
        )

    def watch(self, view: Any) -> Any:
        """Return a view that does the same, and is watched."""

        @wraps(view)
        def watched(**arguments: Any) -> Any:
            self.status = 500
            response = view(**arguments)
            self.status = response.status_code
            return response

        return watched


@contextmanager
def _observed(state: State, image_id: str) -> Iterator[_Ours]:
    ours = _Ours(image_id)
    views, endpoint = state.app.view_functions, f"{state.name}.show_image"
    view = views[endpoint]
    log = logger.logger
    level, propagate = log.level, log.propagate
    log.addHandler(ours)
    log.setLevel(logging.INFO)
    log.propagate = False
    views[endpoint] = ours.watch(view)
    try:
        with (
            image_missing.connected_to(ours.missing),
            image_hidden.connected_to(ours.hidden),
        ):
            yield ours
    finally:
        views[endpoint] = view
        log.removeHandler(ours)
        log.setLevel(level)
        log.propagate = propagate


def _explain(response: Response, scheme: str, ours: _Ours) -> str:
    """Return why a client does not get a 200 of ImageMeta, as the end of a sentence."""
    status = response.status_code
    location = response.headers.get("Location", "")
    if ours.status == status:
        return "; ".join(ours.reasons) or "a hook gave this response"
    if scheme == "http" and location.startswith("https://"):
        return (
            "the application redirects to HTTPS; set PREFERRED_URL_SCHEME = 'https' in its "
            "configuration, and this command uses HTTPS, too"
        )
    if ours.status is None:
        return f"the application answers before ImageMeta can{_see_log(status)}"
    return (
        f"ImageMeta answers {ours.status}, but the application makes that "
        f"{status}{_see_log(status)}"
    )


def _see_log(status: int) -> str:
    return ", see its log" if status >= 500 else ""
