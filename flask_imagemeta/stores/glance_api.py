"""GlanceAPI: the images of a Glance, read through its API v2."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from heapq import merge
from itertools import chain
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from flask import has_request_context, request
from werkzeug import Response as WerkzeugResponse
from werkzeug.exceptions import Forbidden, Unauthorized

from ..exceptions import StoreUnavailable, short_repr
from ..image import NUMBERS, ImageRecord, can_be_asked_for
from ..query import Query
from ..request_id import REQUEST_ID, current_request_id, logger
from .glance_query import ByTime, as_parameters, can_match
from .members import LazyMembers
from .per_process import PerProcess
from .protocols import Unsupported

if TYPE_CHECKING:
    from keystoneauth1.session import Session
    from requests import Response

    from .transport import Client

T = TypeVar("T")

# What parsing a body may raise if it is not an image, or not a list of members.
_NO_IMAGE = (
    *(ValueError, TypeError, LookupError, AttributeError),
    *(RecursionError, OverflowError),
)
# What a header cannot carry: control characters, white space in front, or text beyond Latin-1.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_TOKEN = re.compile(r"[\x21-\x7e\x80-\xff][\x20-\x7e\x80-\xff]*")
_MAX_BODY = 2**20  # bytes; an image whose headers fit into a response takes far less
_MAX_CHALLENGE = 4096  # bytes; clients refuse a response whose headers take more than 16 KiB
_PAGE = 100  # images requested at once
_MAX_PAGE_BODY = _PAGE * 2**18  # bytes
_NO_MARKER = (400, 403, 404)  # statuses if the marker is gone or hidden
# By id, so that no image moves while they are listed.
_BY_ID = {"sort": "id:asc"}
_ALL = {"visibility": "all", "member_status": "all"}  # by default v2 leaves out some of them
_TEXTS = ("name", "status", "disk_format", "container_format", "checksum", "owner", "visibility")
_TIMES = ("created_at", "updated_at")
# The keys of API v2 that are not properties, besides the fields of an image.
_OTHERS = (
    *("tags", "self", "file", "schema", "stores", "locations", "direct_url"),
    *("os_hidden", "os_hash_algo", "os_hash_value"),
)
_BASE = frozenset(("id", "protected", *_TEXTS, *NUMBERS, *_TIMES, *_OTHERS))


class GlanceAPI:
    """A lookup in a Glance's API v2: ``ImageMeta(lookup=GlanceAPI(endpoint))``.

    By default, each lookup sends the ``X-Auth-Token`` of the current request, and the Glance
    decides what its caller may see. Its 401 and 403 are passed on.

    With a session, each lookup uses the session's credentials, and the image's owner, visibility
    and members decide who may see it. Members are fetched only if the response depends on them.
    The store then counts as unavailable if the Glance answers 401 or 403.

    It also counts as unavailable if a response is late, too large or not an image, or has another
    status. Redirects are not followed, and nothing is retried, except that a session renews a
    refused token once. A Glance that does not answer delays a request by at most
    ``connect_timeout`` + ``read_timeout`` seconds, 7 by default, and the time a session needs to
    get a token. The Glance's own request id is logged.

    :param endpoint: The Glance's URL, such as ``http://glance.example.com:9292``, with or without
        ``/v2`` at the end.
    :param session: A `keystoneauth1.session.Session` with an auth plugin.
    :param connect_timeout: Seconds to connect, for each address of the host.
    :param read_timeout: Seconds for the whole response, once the request is sent.
    :raises ImportError: without the extra ``glance``.
    :raises ValueError: when the endpoint is not an HTTP URL.
    :raises werkzeug.exceptions.Unauthorized: from a lookup or a search, for the Glance's 401.
    :raises werkzeug.exceptions.Forbidden: from a lookup or a search, for the Glance's 403.
    :raises StoreUnavailable: from a lookup or a search, when the Glance cannot answer now.
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
                "GlanceAPI needs keystoneauth1: pip install 'keystoneauth1>=5.6'"
            ) from error
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc:
            raise ValueError(
                f"endpoint is {endpoint!r}, but must be a URL such as http://127.0.0.1:9292"
            )
        self._images = f"{endpoint.rstrip('/').removesuffix('/v2')}/v2/images/"
        self._passes_token = session is None
        self._transport = transport
        prefix, timeouts = self._images, (connect_timeout, read_timeout)
        self._client: PerProcess[Client] = PerProcess(
            partial(transport.TokenClient, prefix, timeouts)
            if session is None
            else partial(transport.SessionClient, session, prefix, timeouts)
        )

    def __call__(self, image_id: str) -> ImageRecord | None:
        """Return the image with exactly this id, or None."""
        if not can_be_asked_for(image_id):  # servers decode %2F before they route
            return None
        url = self._images + quote(image_id, safe="")
        found = self._get(url, _as_image)
        return None if found is None or found.id != image_id else self._as_shown(found)

    def count(self) -> int:
        """Return how many images there are, by listing them all.

        :raises Unsupported: without a session.
        """
        return sum(1 for _ in self._all())

    def walk(self) -> Iterator[ImageRecord]:
        """Yield every image that the session may see, hidden ones included.

        Each is what a lookup of its id returns; members are fetched when they are needed. They
        come page by page, in the order of their ids. An image that is created meanwhile may be
        missing; one that is hidden or unhidden meanwhile may be missing or come twice. The Glance
        must be Stein (2019) or later, and lists the images of all projects only to an admin. It
        never lists deleted or killed images.

        :raises Unsupported: without a session.
        """
        return map(self._as_shown, self._all())

    def search(self, query: Query) -> Iterable[ImageRecord]:
        """Return candidates for a query: ``ImageMeta(lookup=store, search=store.search)``.

        v2 applies the filters that it understands, and sorts by created_at. For any other order,
        all images that pass its filters are read. A page takes at least two requests, because v2
        lists hidden images separately. With a session, each image shared by another project takes
        one more, for its members. v2 never lists deleted or killed images.

        :raises Unsupported: without a session, outside a request.
        :raises StoreUnavailable: while the images are read.
        """
        if not has_request_context():
            self._require_session()
        if not can_match(query):
            return ()
        parameters = as_parameters(query, passes_token=self._passes_token)
        try:
            by_time = ByTime(query)
        except ValueError:
            lists = self._lists({**parameters, **_BY_ID})
            return self._each_once(chain.from_iterable(lists))
        # Room for the marker, and for an image of another second, which ends the last group.
        limit = query.limit + (1 if query.marker is None else 2)
        lists = self._lists({**parameters, **by_time.parameters}, min(limit, _PAGE))
        images = merge(*map(by_time.sort, lists), key=by_time.key, reverse=by_time.is_desc)
        return query.ordered(self._each_once(filter(by_time.is_after_marker, images)))

    def _each_once(self, images: Iterable[ImageRecord]) -> Iterator[ImageRecord]:
        """Yield each image once: one that is hidden meanwhile may be in both lists."""
        seen: set[str] = set()
        for image in images:
            if image.id not in seen:
                seen.add(image.id)
                yield self._as_shown(image)

    def _require_session(self) -> None:
        if self._passes_token:
            raise Unsupported(
                "GlanceAPI without session= uses the token of each request's caller, so it cannot "
                "list all images by itself: give it a session"
            )

    def _all(self) -> Iterator[ImageRecord]:
        self._require_session()
        return chain.from_iterable(self._lists({**_ALL, **_BY_ID}))

    def _lists(
        self, parameters: Mapping[str, str], limit: int = _PAGE
    ) -> list[Iterator[ImageRecord]]:
        """Return v2's two lists: of the visible images, and of the hidden ones."""
        return [self._list(parameters, limit, os_hidden) for os_hidden in ("false", "true")]

    def _list(
        self, parameters: Mapping[str, str], limit: int, os_hidden: str
    ) -> Iterator[ImageRecord]:
        """Yield the images of one of v2's lists.

        :param limit: The size of the first page.
        """
        given = {**parameters, "os_hidden": os_hidden, "limit": limit}
        query: str | None = urlencode(given)
        last: list[str] = []
        sent: set[str | None] = set()
        while query is not None:
            sent.add(query)
            page = self._get_page(query, last)
            ids = [image.id for image in page.images]
            following = page.next_query and _change(page.next_query, limit=str(_PAGE))
            if following in sent or (following is not None and set(ids) <= set(last)):
                raise StoreUnavailable(f"{self._images}?{query} does not lead to other images")
            yield from (image for image in page.images if image.id not in last)
            last, query = ids, following

    def _get_page(self, query: str, last: list[str]) -> _Page:
        """Return a page of images.

        It starts after its marker, the last image of the previous page. If that image is gone, it
        starts after the one before it, and so on.

        :param last: The ids of the previous page.
        """
        url = self._images.removesuffix("/")
        missing = _NO_MARKER if last else ()
        queries = [query, *(_change(query, marker=marker) for marker in reversed(last[:-1]))]
        for attempt in queries:
            page = self._get(f"{url}?{attempt}", _as_page, _MAX_PAGE_BODY, missing)
            if page is not None:
                return page
        raise StoreUnavailable(f"{url}?{query}: every image of the previous page is gone")

    def _as_shown(self, image: ImageRecord) -> ImageRecord:
        """Return an image with the data that decides whether the caller may see it."""
        if self._passes_token:
            return replace(image, access_granted=True)
        if image.visibility in ("public", "private", "community"):
            return image  # v2 refuses to list the members of an image that is not shared
        url = f"{self._images}{quote(image.id, safe='')}/members"
        members = LazyMembers(lambda project_id: self._get(url, _as_members) or ())
        return replace(image, members=members)

    def caller_key(self) -> str | None:
        """Return the token that decides what the current request is shown.

        None with a session, which is the same for every caller.
        """
        return request.headers.get("X-Auth-Token", "") if self._passes_token else None

    def _get(
        self,
        url: str,
        parse: Callable[[Any], T],
        limit: int = _MAX_BODY,
        missing: tuple[int, ...] = (404,),
    ) -> T | None:
        """Return the parsed body at a URL; None if there is nothing.

        :param limit: The maximum size of the body in bytes.
        :param missing: The statuses that mean that there is nothing.
        """
        response, body = self._send(url, limit)
        status = response.status_code
        upstream_id = response.headers.get(REQUEST_ID)
        answer = f"{url} answered {status}, its request id is {short_repr(upstream_id)}"
        logger.info("%s", answer)
        if status in missing:
            return None
        if self._passes_token and status == 401:
            raise Unauthorized(response=_challenge(response))
        if self._passes_token and status == 403:
            raise Forbidden
        if status != 200:
            raise StoreUnavailable(answer)
        if body is None:
            raise StoreUnavailable(f"{answer}: its body is over {limit} bytes")
        try:
            return parse(json.loads(body))
        except _NO_IMAGE as error:
            raise StoreUnavailable(f"{answer}: its body cannot be used: {error!r}") from error

    def _send(self, url: str, limit: int) -> tuple[Response, bytes | None]:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        request_id = current_request_id()
        if request_id is not None:
            headers[REQUEST_ID] = request_id
        token = self.caller_key()
        if token:
            if not _TOKEN.fullmatch(token):  # no valid token looks like this
                raise Unauthorized
            headers["X-Auth-Token"] = token
        try:
            response = self._client.get().get(url, headers)
            return response, self._transport.read_body(response, limit)
        except self._transport.HTTP_ERRORS as error:
            raise StoreUnavailable(str(error)) from error


def _challenge(response: Response) -> WerkzeugResponse:
    """Return an empty 401 with the upstream's WWW-Authenticate."""
    challenge = response.headers.get("WWW-Authenticate")
    clean = _CONTROL.sub(" ", challenge or "").strip()
    headers = {"WWW-Authenticate": clean} if 0 < len(clean) <= _MAX_CHALLENGE else {}
    return WerkzeugResponse(status=401, headers=headers)


def _as_image(body: Any) -> ImageRecord:
    properties = {name: value for name, value in body.items() if name not in _BASE}
    # Without these, an image would count as one that anyone may see.
    if not isinstance(body["owner"], (str, NoneType)) or not isinstance(body["visibility"], str):
        raise TypeError("owner or visibility is not text")
    return ImageRecord(
        id=body["id"],
        protected=body.get("protected", False),
        created_at=_as_time(body.get("created_at")),
        updated_at=_as_time(body.get("updated_at")),
        properties=properties,
        **{name: body.get(name) for name in (*_TEXTS, *NUMBERS)},
    )


class _Page(NamedTuple):
    """One page of a list.

    :param images: The images.
    :param next_query: The query of the next page's URL, None for the last page.
    """

    images: list[ImageRecord]
    next_query: str | None


def _as_page(body: Any) -> _Page:
    # Only the link's query is used: credentials go to the configured endpoint alone.
    link = body.get("next")
    return _Page([*map(_as_image, body["images"])], urlsplit(link).query if link else None)


def _change(query: str, **parameters: str) -> str:
    return urlencode({**dict(parse_qsl(query, keep_blank_values=True)), **parameters})


def _as_members(body: Any) -> list[str]:
    return [member["member_id"] for member in body["members"]]


def _as_time(text: str | None) -> datetime | None:
    """Return a time of API v2 (ISO 8601, ends in Z) in UTC without a zone."""
    if text is None:
        return None
    time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return time.astimezone(timezone.utc).replace(tzinfo=None) if time.tzinfo else time
