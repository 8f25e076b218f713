"""A HEAD request for an image, as the application gets it from a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from flask import Request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BuildError, MapAdapter
from werkzeug.test import EnvironBuilder

from ..exceptions import short_repr
from ..image import can_be_asked_for
from ..state import State
from .output import CommandError


class Route:
    """The route of an ImageMeta object, as requests from this machine reach it.

    They go to ``SERVER_NAME``, or else to the first of ``TRUSTED_HOSTS``, with
    ``PREFERRED_URL_SCHEME``.

    :param state: The state of the ImageMeta object.
    """

    def __init__(self, state: State) -> None:
        self._app = state.app
        config = self._app.config
        host = config["SERVER_NAME"] or (config.get("TRUSTED_HOSTS") or ["localhost"])[0]
        self._root = config["APPLICATION_ROOT"].rstrip("/")
        self._endpoint = f"{state.name}.show_image"
        self._builder = self._app.url_map.bind(
            host.lstrip("."), script_name=self._root, url_scheme=config["PREFERRED_URL_SCHEME"]
        )
        self._matchers: dict[str, MapAdapter] = {}

    def make_environ(
        self, image_id: str, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Return the WSGI environ of a HEAD request for an image.

        :raises CommandError: when no request can ask for it, or the route's host is not known.
        """
        try:
            url = self._url(image_id)
        except UnicodeEncodeError as error:
            raise CommandError(f"No request can ask for the id {short_repr(image_id)}.") from error
        return EnvironBuilder(
            path=url.path.removeprefix(self._root),
            base_url=f"{url.scheme}://{url.netloc}{self._root}",
            method="HEAD",
            headers=list((headers or {}).items()),
            environ_base={"REMOTE_ADDR": "127.0.0.1"},
        ).get_environ()

    def leads_to(self, image_id: str) -> bool:
        """Return whether a request can ask for an id, and would reach this route with it.

        :raises CommandError: when the route's host is not known.
        """
        if not can_be_asked_for(image_id):
            return False
        try:
            url = self._url(image_id)
        except UnicodeEncodeError:  # a lone surrogate
            return False
        if url.netloc not in self._matchers:
            environ = self.make_environ(image_id)
            adapter = self._app.create_url_adapter(Request(environ))
            assert adapter is not None  # it is None only outside a request
            self._matchers[url.netloc] = adapter
        matcher = self._matchers[url.netloc]
        try:
            found = matcher.match(unquote(url.path.removeprefix(self._root)), method="HEAD")
        except HTTPException:  # a redirect, too
            return False
        return found == (self._endpoint, {"image_id": image_id})

    def _url(self, image_id: str) -> SplitResult:
        try:
            wanted = {"image_id": image_id}
            return urlsplit(self._builder.build(self._endpoint, wanted, force_external=True))
        except BuildError as error:
            raise CommandError(f"The host of this route is not known: {error}") from error
