"""The HEAD route: one function holds a request's whole way, top to bottom."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from os import urandom
from typing import TYPE_CHECKING, Any

from blinker import NamedSignal
from flask import Blueprint, Response, current_app, request
from werkzeug.datastructures import Headers as WerkzeugHeaders
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.http import http_date

from . import wire
from .access import Identity, is_deleted, may_see
from .conditional import as_last_modified, digest, evaluate
from .exceptions import InvalidImage, StoreUnavailable, describe, printable
from .image import check_image
from .limits import Limits
from .response import HeadResponse
from .schema import OMITTED
from .signals import image_hidden, image_missing, image_shown, store_unavailable

if TYPE_CHECKING:
    from .extension import State

logger: logging.Logger = logging.getLogger("flask_imagemeta")

MAX_ID_LENGTH = 255  # characters: Glance's ids have 36, and no index of a host's is wider
CONTENT_TYPE = "text/html; charset=utf-8"  # glanceclient parses what claims to be JSON
REQUEST_ID = "X-Openstack-Request-Id"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Headers = dict[str, str]


def make_blueprint(state: State) -> Blueprint:
    """Return a new blueprint that serves one application's images."""
    config, schema = state.config, state.schema
    blueprint = Blueprint(state.name, __name__, url_prefix=config.url_prefix)
    size_header = schema.header_of("size")
    size_key = "HTTP_" + (size_header or "").upper().replace("-", "_")
    updated_header = schema.header_of("updated_at")
    common = {"Cache-Control": config.cache_control, "Vary": config.vary}
    content = {"Content-Type": CONTENT_TYPE, "Content-Length": "0"}
    limits = make_limits(state)

    def show_image(image_id: str) -> Response:
        request_id = new_request_id()
        environ = request.environ
        identity: Identity | None = None
        try:
            wanted_size = environ.get(size_key)
            if wanted_size is not None and (wanted_size := wire.whole_number(wanted_size)) is None:
                return respond(400, request_id)

            hooks = state.hooks
            identity = as_identity(hooks.identity())
            image = hooks.lookup(image_id) if can_be_looked_up(image_id) else None
            if image is None:
                send(image_missing, image_id, identity)
                return respond(404, request_id)
            check_image(image)
            if not may_see(image, identity):
                send(image_hidden, image_id, identity)
                return respond(404, request_id)

            # Dumped first, so that sizes compare as they are sent, whatever the host keeps.
            headers = schema.to_headers(image)
            size = headers.get(size_header) if size_header else None
            stored_size = as_stored_size(hooks.stored_size(image))
            if wanted_size not in (None, size) or (stored_size and str(stored_size) != size):
                logger.info("%s: image %s: size mismatch", request_id, describe(image_id))
                return respond(409, request_id)

            if is_deleted(image):
                headers = select_properties(headers, lambda name: False)
            elif (show := hooks.show_property) is not None:
                headers = select_properties(headers, lambda name: as_shown(show(name, identity)))
            headers, omitted = limits.fit(headers)
            if omitted:
                headers[OMITTED] = str(omitted)
                logger.warning(
                    "%s: image %s: %d properties omitted", request_id, describe(image_id), omitted
                )
            last_modified = as_last_modified(headers.get(updated_header) if updated_header else "")
        except StoreUnavailable as error:
            logger.warning(
                "%s: image %s: store unavailable: %s",
                request_id,
                describe(image_id),
                printable(str(error)),
            )
            send(store_unavailable, image_id, identity)
            return respond(503, request_id, {"Retry-After": str(config.retry_after)})
        except InvalidImage as error:
            logger.error("%s: image %s: cannot be sent: %s", request_id, describe(image_id), error)
            return respond(500, request_id)
        except HTTPException as error:  # a hook's own answer, such as abort(401)
            answer = error.get_response(environ)
            return respond(answer.status_code, request_id, without_content(answer.headers))

        etag = digest(headers)
        status = evaluate(environ, etag, last_modified)
        if status == 412:
            return respond(412, request_id)
        send(image_shown, image_id, identity)
        ours = {REQUEST_ID: request_id, "ETag": f'"{etag}"', **common}
        if last_modified is not None:
            ours["Last-Modified"] = http_date(last_modified)
        if status == 304:
            return HeadResponse(304, ours)
        # Content-Type first: Werkzeug looks through the headers for it.
        return HeadResponse(200, {**content, **headers, **ours})

    def select_properties(headers: Headers, is_shown: Callable[[str], bool]) -> Headers:
        """Leave out the properties that are not shown, and the count that could tell of them."""
        prefix = schema.property_prefix
        return {
            header: value
            for header, value in headers.items()
            if header != OMITTED
            and (
                not (prefix and header.startswith(prefix))
                or is_shown(wire.from_name(header[len(prefix) :]))
            )
        }

    def respond(
        status: int, request_id: str, headers: Mapping[str, str | list[str]] | None = None
    ) -> Response:
        response = Response(status=status, headers=headers)
        response.headers.update({REQUEST_ID: request_id, **common})
        return response

    def complete(response: Response) -> Response:
        """Give the answers that Flask makes for our route (OPTIONS, a crash) our headers."""
        if not isinstance(response, HeadResponse) and REQUEST_ID not in response.headers:
            response.headers.update({REQUEST_ID: new_request_id(), **common})
        return response

    def complete_405(response: Response) -> Response:
        """Do the same for a method that our route does not have, which no blueprint's hook sees."""
        error = request.routing_exception
        if isinstance(error, MethodNotAllowed) and is_ours(error):
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
            response.data = b""
            response.content_type = CONTENT_TYPE
            complete(response)
        return response

    def is_ours(error: MethodNotAllowed) -> bool:
        adapter = current_app.create_url_adapter(request)
        if adapter is None or "HEAD" not in (error.valid_methods or ()):
            return False
        try:
            endpoint, _ = adapter.match(method="HEAD")
        except HTTPException:  # another route of the host's, which redirects HEAD
            return False
        return bool(endpoint == f"{state.name}.show_image")

    blueprint.add_url_rule("/images/<image_id>", view_func=show_image, methods=["HEAD"])
    blueprint.after_request(complete)
    blueprint.after_app_request(complete_405)
    return blueprint


def make_limits(state: State) -> Limits:
    """Return the room that one application's answers have for metadata."""
    config = state.config
    return Limits(
        state.schema,
        config.max_headers,
        config.max_header_bytes,
        {
            "Content-Type": CONTENT_TYPE,
            "Content-Length": "0",
            REQUEST_ID: new_request_id(),
            "ETag": f'"{digest({})}"',
            "Last-Modified": http_date(),
            "Cache-Control": config.cache_control,
            "Vary": config.vary,
        },
    )


def new_request_id() -> str:
    """Return a fresh request id in OpenStack's form."""
    # A version 4 UUID. uuid4() makes an object first: 4 µs, where this takes 1.
    text = urandom(16).hex()
    return f"req-{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def can_be_looked_up(image_id: str) -> bool:
    """Tell whether an id is worth a lookup: not too long, and without control characters."""
    return len(image_id) <= MAX_ID_LENGTH and not _CONTROL.search(image_id)


def as_identity(identity: object) -> Identity | None:
    """Return what the identity hook returned.

    :raises TypeError: when that is neither an Identity nor None.
    """
    if identity is None or isinstance(identity, Identity):
        return identity
    raise TypeError(f"the identity hook returned {identity!r}, not an Identity or None")


def as_stored_size(size: Any) -> int:
    """Return what the stored_size hook returned, in bytes; 0 for unknown.

    :raises TypeError: when that is no number.
    """
    try:
        return int(size or 0)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the stored_size hook returned {size!r}, not bytes or None") from error


def as_shown(shown: object) -> bool:
    """Return what the show_property hook returned.

    :raises TypeError: when that is not a bool; a string or a coroutine would pass for True.
    """
    if isinstance(shown, bool):
        return shown
    raise TypeError(f"the show_property hook returned {shown!r}, not True or False")


def without_content(headers: WerkzeugHeaders) -> dict[str, list[str]]:
    """Return the headers that hold without the body they came with, such as WWW-Authenticate."""
    names = (name for name in headers.keys() if not name.lower().startswith("content-"))  # noqa: SIM118
    return {name: headers.getlist(name) for name in names}


def send(signal: NamedSignal, image_id: str, identity: Identity | None) -> None:
    """Send a signal about this request, as the application."""
    if signal.receivers:
        app = current_app._get_current_object()  # type: ignore[attr-defined]
        signal.send(app, image_id=image_id, identity=identity)
