"""A request for one image, from its id to its response, with one method for each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, request
from werkzeug.http import http_date

from . import wire
from .access import is_access_granted, is_open, may_see
from .age import current_age
from .answers import Headers
from .conditional import as_last_modified, digest, evaluate
from .exceptions import short_repr
from .hooks import as_identity, as_stored_size, property_filter
from .operation import Operation
from .request_id import logger
from .schema import OMITTED
from .signals import image_hidden, image_missing, image_shown
from .state import State


class ShowImage(Operation):
    """One request for an image's metadata; its response is empty, whatever its status.

    :param image_id: The id in the request's path.
    """

    def __init__(self, state: State, image_id: str) -> None:
        super().__init__(state)
        self._image_id: str = image_id

    @property
    def _subject(self) -> str:
        return f"image {short_repr(self._image_id)}"

    def _answer(self) -> Response:
        wanted_size = self._wanted_size()
        if wanted_size == "":
            return self._end(400)
        self._identity = as_identity(self._hooks.identity())
        image = self._find()
        if image is None:
            return self._end(404)
        # Sizes are compared as they are sent, since the host may have them in any form.
        headers = self._state.schema.to_headers(image)
        if not self._is_of_size(image, headers, wanted_size):
            logger.info("%s: size mismatch", self._subject)
            return self._end(409)
        return self._send(image, self._fit(self._select_properties(image, headers)))

    def _find(self) -> Any:
        """Return the image, or None if there is none or the caller may not see it."""
        image = self._look_up(self._image_id)
        if image is None:
            self._signal(image_missing, image_id=self._image_id)
            return None
        if not may_see(image, self._identity):
            self._signal(image_hidden, image_id=self._image_id)
            return None
        return image

    def _wanted_size(self) -> str | None:
        """Return the size in the request, None if it has none, or "" if it is not a number."""
        sent = request.environ.get(self._state.size_key)
        return None if sent is None else wire.whole_number(sent) or ""

    def _is_of_size(self, image: object, headers: Headers, wanted: str | None) -> bool:
        """Return whether the image's size is that in the request, and that in the store."""
        header = self._state.size_header
        size = headers.get(header) if header else None
        stored = as_stored_size(self._hooks.stored_size(image))
        return wanted in (None, size) and (not stored or str(stored) == size)

    def _select_properties(self, image: object, headers: Headers) -> Headers:
        """Leave out the properties that are hidden from this caller.

        The number of properties lost to a name collision is left out as well, since it could
        reveal hidden ones.
        """
        is_shown = property_filter(self._hooks, image, self._identity)
        if is_shown is None:
            return headers
        schema = self._state.schema
        return {
            header: value
            for header, value in headers.items()
            if header != OMITTED
            and ((name := schema.property_of(header)) is None or is_shown(name))
        }

    def _fit(self, headers: Headers) -> Headers:
        """Leave out the properties that do not fit, and count them."""
        headers, omitted = self._state.limits.fit(headers)
        if omitted:
            headers[OMITTED] = str(omitted)
            logger.warning("%s: %d properties omitted", self._subject, omitted)
        return headers

    def _send(self, image: object, headers: Headers) -> Response:
        """Return a 200 with the metadata, or a 304 or 412 if the request's conditions say so."""
        updated_header = self._state.updated_header
        updated_at = as_last_modified(headers.get(updated_header) if updated_header else None)
        etag = digest(headers)
        status = evaluate(request, etag, updated_at)
        if status == 412:
            return self._end(412)
        is_public = self._is_public(image)
        self._signal(image_shown, image_id=self._image_id)
        headers = headers if status == 200 else {}  # a 304 has no metadata
        headers["ETag"] = f'"{etag}"'
        if updated_at is not None and status == 200:
            headers["Last-Modified"] = http_date(updated_at)
        age = current_age()  # never sent with a 404: it would reveal that a hidden image exists
        if age is not None:
            headers["Age"] = str(age)
        return self._end(status, headers, is_public=is_public)

    def _is_public(self, image: object) -> bool:
        """Return whether a shared cache may give this response to anyone."""
        return (
            self._state.config.public_cache_control is not None
            and self._hooks.show_property is None
            and not is_access_granted(image)
            and is_open(image)
        )


class RefuseData(ShowImage):
    """One GET request for an image's data, which this extension does not serve.

    It is routed only where lists are served: after a 404 for an id, clients search by name.

    :param allow: Returns the methods that the address allows.
    """

    def __init__(self, state: State, image_id: str, allow: Callable[[], str]) -> None:
        super().__init__(state, image_id)
        self._allow = allow

    def _answer(self) -> Response:
        self._identity = as_identity(self._hooks.identity())
        if self._find() is None:
            return self._end(404)
        return self._end(405, {"Allow": self._allow()})
