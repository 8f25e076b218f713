"""GlanceAPI: the images of a Glance, by its API v2."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

from flask import request
from werkzeug import Response as WerkzeugResponse
from werkzeug.exceptions import Forbidden, Unauthorized

from ..exceptions import StoreUnavailable, describe
from ..image import ImageRecord
from .lazy import LazyMembers, PerProcess

if TYPE_CHECKING:
    from keystoneauth1.session import Session
    from requests import Response

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("flask_imagemeta")

_MAX_BODY = 2**20  # bytes; an image whose headers fit into an answer takes far less
_TEXTS = ("name", "status", "disk_format", "container_format", "checksum", "owner", "visibility")
_NUMBERS = ("size", "virtual_size", "min_disk", "min_ram")
_TIMES = ("created_at", "updated_at")
# The keys of API v2 that are no properties, besides the fields of an image.
_OTHERS = (
    *("tags", "self", "file", "schema", "stores", "locations", "direct_url"),
    *("os_hidden", "os_hash_algo", "os_hash_value"),
)
_BASE = frozenset(("id", "protected", *_TEXTS, *_NUMBERS, *_TIMES, *_OTHERS))


class GlanceAPI:
    """A lookup in a Glance's API v2: ``ImageMeta(lookup=GlanceAPI(endpoint))``.

    Each lookup asks with the ``X-Auth-Token`` of the current request. The Glance decides who
    sees what: what it shows goes out, its 401 and 403 are passed on.

    With a session of the host's own, each lookup asks with the session's credentials, and
    who may see the image is decided here, by its owner, its visibility and its members;
    members are fetched only when the answer depends on them. A 401 or 403 is then the
    service's own trouble, and the store counts as unavailable.

    An answer that is late, too large or no image, and any other status, count as unavailable,
    too. Redirects are not followed, nothing is asked twice (but that a session whose token
    was refused gets a new one, once). A Glance that does not answer costs a request at most
    ``connect_timeout`` + ``read_timeout`` seconds, 7 by default, and what a session needs
    for its token. The Glance's own request id goes to the log.

    :param endpoint: Where the Glance is, such as ``http://glance.example.com:9292``; a
        ``/v2`` at the end makes no difference.
    :param session: A `keystoneauth1.session.Session` with an auth plugin.
    :param connect_timeout: Seconds until a connection stands, for each address that the
        host's name has.
    :param read_timeout: Seconds for an answer as a whole, from the request's last byte.
    :raises ImportError: without the extra ``glance``.
    :raises ValueError: when the endpoint is no URL of HTTP.
    :raises werkzeug.exceptions.Unauthorized: from a lookup, when the Glance answered so (401).
    :raises werkzeug.exceptions.Forbidden: from a lookup, when the Glance answered so (403).
    :raises StoreUnavailable: from a lookup, when the Glance has no answer now.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        session: Session | None = None,
        connect_timeout: float = 2,
        read_timeout: float = 5,
    ) -> None:
        try:
            from . import transport  # noqa: PLC0415 - needs an extra
        except ImportError as error:
            raise ImportError(
                "GlanceAPI needs keystoneauth1: pip install 'Flask-ImageMeta[glance]'"
            ) from error
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc:
            raise ValueError(
                f"endpoint is {endpoint!r}, but must be a URL such as http://127.0.0.1:9292"
            )
        self._images = f"{endpoint.rstrip('/').removesuffix('/v2')}/v2/images/"
        self._passes_token = session is None
        self._transport = transport
        self._session = PerProcess(partial(transport.make_session, session, self._images))
        self._timeout = connect_timeout, read_timeout

    def __call__(self, image_id: str) -> ImageRecord | None:
        """Return the image with exactly this id, or None."""
        # A path segment cannot be one of these, and servers decode %2F before they route.
        if image_id in ("", ".", "..") or "/" in image_id:
            return None
        url = self._images + quote(image_id, safe="")
        found = self._get(url, _as_image)
        if found is None or found.id != image_id:
            return None
        if self._passes_token:
            return replace(found, access_granted=True)
        members = LazyMembers(lambda project_id: self._get(f"{url}/members", _as_members) or ())
        return replace(found, members=members)

    def _get(self, url: str, parse: Callable[[Any], T]) -> T | None:
        """Return what is at the URL, parsed; None where there is nothing."""
        response, body = self._send(url)
        status = response.status_code
        upstream_id = response.headers.get("X-Openstack-Request-Id")
        answer = f"{url} answered {status}, its request id is {describe(upstream_id)}"
        logger.info("%s", answer)
        if status == 404:
            return None
        if self._passes_token and status == 401:
            raise Unauthorized(response=_challenge(response))
        if self._passes_token and status == 403:
            raise Forbidden
        if status != 200:
            raise StoreUnavailable(answer)
        if body is None:
            raise StoreUnavailable(f"{answer}: its body is over {_MAX_BODY} bytes")
        try:
            return parse(json.loads(body))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise StoreUnavailable(f"{answer}: its body cannot be used: {error!r}") from error

    def _send(self, url: str) -> tuple[Response, bytes | None]:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if self._passes_token and "X-Auth-Token" in request.headers:
            headers["X-Auth-Token"] = request.headers["X-Auth-Token"]
        try:
            response = self._session.get().get(
                url,
                headers=headers,
                authenticated=not self._passes_token,
                timeout=self._timeout,
                stream=True,
                redirect=False,
                connect_retries=0,
                status_code_retries=0,
                raise_exc=False,
                log=False,  # which would read the body, whatever its size
            )
            return response, self._transport.read_body(response, _MAX_BODY)
        except self._transport.HTTP_ERRORS as error:
            raise StoreUnavailable(str(error)) from error


def _challenge(response: Response) -> WerkzeugResponse:
    """Return an empty 401 with the WWW-Authenticate of the upstream's."""
    challenge = response.headers.get("WWW-Authenticate")
    headers = {"WWW-Authenticate": " ".join(challenge.split())} if challenge else {}
    return WerkzeugResponse(status=401, headers=headers)


def _as_image(body: Any) -> ImageRecord:
    properties = {name: value for name, value in body.items() if name not in _BASE}
    return ImageRecord(
        id=body["id"],
        protected=body.get("protected", False),
        created_at=_as_time(body.get("created_at")),
        updated_at=_as_time(body.get("updated_at")),
        properties=MappingProxyType(properties),
        **{name: body.get(name) for name in (*_TEXTS, *_NUMBERS)},
    )


def _as_members(body: Any) -> list[str]:
    return [member["member_id"] for member in body["members"]]


def _as_time(text: str | None) -> datetime | None:
    """Return a time of API v2 (ISO 8601, ends in Z) in UTC without a zone."""
    if text is None:
        return None
    time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return time.astimezone(timezone.utc).replace(tzinfo=None) if time.tzinfo else time
