"""A GET request for one of the two lists of images, from its query to its response."""

from __future__ import annotations

import json
from dataclasses import replace

from flask import Response, request

from .access import may_be_listed, may_see
from .answers import make_answer
from .bad_query import BadQuery, make_page
from .documents import INDEX, Document
from .hooks import as_identity
from .image import read_field
from .listing import Listing
from .operation import Operation
from .parameters import parse
from .query import Query
from .signals import images_listed
from .state import State


class ListImages(Operation):
    """One request for a list of images.

    :param is_detailed: Whether each image has all its fields, or only those of the short list.
    """

    def __init__(self, state: State, *, is_detailed: bool) -> None:
        super().__init__(state)
        self._is_detailed = is_detailed

    @property
    def _subject(self) -> str:
        return "list"

    def _answer(self) -> Response:
        self._identity = as_identity(self._hooks.identity())
        try:
            query = self._query()
        except BadQuery as error:
            return self._refuse(error)
        matches = Listing(self._state.schema, self._hooks, query).page()
        self._signal(
            images_listed,
            query=query,
            image_ids=tuple(read_field(match.image, "id") for match in matches),
        )
        return self._send([match.document for match in matches])

    def _query(self) -> Query:
        """Return what the request asks for.

        :raises BadQuery: also when its marker is not an image that the caller may see.
        """
        query, marker_id = parse(request.query_string)
        is_admin = self._identity is not None and self._identity.is_admin
        query = replace(
            query, identity=self._identity, is_public=query.is_public if is_admin else True
        )
        if marker_id is None:
            return query
        marker = self._look_up(marker_id)
        if marker is None or not self._may_mark(marker, query):
            raise BadQuery.of_second_server("Invalid marker. Image could not be found.")
        return replace(query, marker=marker)

    def _may_mark(self, image: object, query: Query) -> bool:
        """Return whether the caller may see an image, or finds it in this list as a deleted one."""
        if may_see(image, self._identity):
            return True
        return query.changes_since is not None and may_be_listed(
            image, self._identity, is_public=query.is_public
        )

    def _send(self, images: list[Document]) -> Response:
        if not self._is_detailed:
            images = [{name: one[name] for name in INDEX if name in one} for one in images]
        body = json.dumps({"images": images}, allow_nan=False).encode("ascii")
        headers = {"Content-Type": "application/json"}
        return make_answer(self._state.caching, 200, headers, body)

    def _refuse(self, error: BadQuery) -> Response:
        accept = request.accept_mimetypes.best_match(["text/html", "application/json"])
        content_type, body = make_page(error, accept)
        return make_answer(self._state.caching, 400, {"Content-Type": content_type}, body)
