"""A response: its status, headers and body, and what caches may do with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from flask import Response, request
from werkzeug import Response as WerkzeugResponse
from werkzeug.datastructures import Headers as HeaderPairs, HeaderSet
from werkzeug.http import http_date

from .request_id import REQUEST_ID, current_request_id

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Headers = dict[str, str]

CONTENT_TYPE = "text/html; charset=utf-8"  # glanceclient parses what claims to be JSON

# What an empty response to HEAD does not take from a hook's response with a body.
_OF_BODY = {"content-type", "content-length", "content-encoding", "content-range"}
_CONTENT = {"Content-Type": CONTENT_TYPE, "Content-Length": "0"}

# What a 200 has besides metadata and the caching headers, each at its greatest length.
OTHER_HEADERS = {
    **_CONTENT,
    REQUEST_ID: f"req-{UUID(int=0)}",
    "ETag": f'"{UUID(int=0).hex}"',
    "Last-Modified": http_date(0),
    # Sent only for an image from a cache, but always counted: otherwise the same image would
    # lose a property or not, depending on where it came from.
    "Age": "9" * 10,
}


class Caching(NamedTuple):
    """What caches may do with the responses of one application.

    A shared cache reuses a response for every request with the same values in the headers that
    Vary names. Only a 200, a 304 and a 404 are right for all those requests; any other response may
    depend on something else in the request, or be wrong a second later.

    :param control: The Cache-Control of a 200, a 304 or a 404.
    :param public_control: The Cache-Control for an image that anyone may see; None for ``control``.
    :param vary: The request headers that the responses depend on, or ``*``.
    """

    control: str
    public_control: str | None
    vary: str

    def control_of(self, status: int, *, is_public: bool = False) -> str:
        """Return the Cache-Control for one of this extension's answers."""
        if status not in (200, 304, 404):
            return "no-store"
        return self.public_control if is_public and self.public_control else self.control


class CompleteResponse(Response):
    """A response that already has exactly the headers its status calls for.

    When a response is sent, Werkzeug copies its headers and adapts them to status and body. These
    answers need that only if the host has changed the status or added a header.
    """

    default_mimetype: str | None = None  # a 304 has none

    def __init__(
        self,
        caching: Caching,
        status: int,
        headers: Iterable[tuple[str, str]],
        body: bytes | None = None,
    ) -> None:
        super().__init__(body, status=status, headers=headers)
        self._made = status, len(self.headers)
        self._caching = caching

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> HeaderPairs:
        """Return the headers for the server: as made, or adapted by Werkzeug if changed since."""
        # Flask saves a session last, and adds Cookie. See `add_common_headers` about the asterisk.
        if self.headers.get("Vary", "").startswith("*,"):
            self.headers["Vary"] = "*"
        # It may also set a cookie, which a shared cache would give to others with the image.
        control = self.headers.get("Cache-Control")
        if "Set-Cookie" in self.headers and control == self._caching.public_control:
            self.headers["Cache-Control"] = self._caching.control
        if (self.status_code, len(self.headers)) == self._made:
            return self.headers
        return super().get_wsgi_headers(environ)


def make_answer(
    caching: Caching,
    status: int,
    headers: Headers,
    body: bytes = b"",
    *,
    is_public: bool = False,
) -> CompleteResponse:
    """Return a response with the headers that every response has.

    :param headers: The headers specific to this response, including the Content-Type of its body;
        their values must not contain line breaks.
    :param is_public: Whether a shared cache may give the response to anyone.
    """
    content = {} if status == 304 else {**_CONTENT, "Content-Length": str(len(body))}
    common = {
        REQUEST_ID: current_request_id() or "",
        "Cache-Control": caching.control_of(status, is_public=is_public),
        "Vary": caching.vary,
    }
    return CompleteResponse(caching, status, {**content, **headers, **common}.items(), body or None)


def make_answer_of_hook(caching: Caching, response: WerkzeugResponse) -> Response:
    """Return the response to send for one that a hook raised, such as ``abort(401)``.

    It keeps its headers and, except for HEAD, its body with the headers that describe it.
    """
    headers, body = list(response.headers), b""
    if request.method == "HEAD":
        headers = [pair for pair in headers if pair[0].lower() not in _OF_BODY]
    else:
        response.direct_passthrough = False  # of send_file
        body = response.get_data()
    response.close()
    answer = Response(body, status=response.status_code, headers=headers)
    answer.headers.setdefault("Cache-Control", caching.control_of(response.status_code))
    add_common_headers(caching, answer)
    return answer


def add_common_headers(caching: Caching, response: Response) -> None:
    """Add the headers that every response of our routes has to one made by the host or by Flask.

    A request id that is already there is kept; its Vary, in one line or several, is extended.
    """
    response.headers.setdefault(REQUEST_ID, current_request_id())
    names = HeaderSet(_split(",".join(response.headers.getlist("Vary"))))
    names.update(_split(caching.vary))
    # nginx and Varnish recognize the asterisk only if nothing else is listed.
    response.headers["Vary"] = "*" if "*" in names else names.to_header()


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]
