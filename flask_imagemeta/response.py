"""The answer to a request for metadata: headers, and no body."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class HeadResponse(Response):
    """A response whose headers go out as they are given: safe, and complete for its status.

    Werkzeug looks for line breaks in each value when it comes in, and again when it goes
    out, in a copy. That is for headers from anywhere; with the 26 of a usual image it takes
    28 µs, more than a fifth of a whole request. What somebody changes later gets all that care.

    :param headers: Without line breaks; with Content-Type and Content-Length where the
        status has them.
    """

    default_mimetype: str | None = None  # a 304 has none

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        unchecked = Headers()
        unchecked._list.extend(headers.items())
        super().__init__(status=status, headers=unchecked)
        self._made = status, unchecked._list.copy()

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """Return the headers for the server: as given, or by Werkzeug's rules if changed since."""
        if (self.status_code, self.headers._list) == self._made:
            return self.headers
        return super().get_wsgi_headers(environ)
