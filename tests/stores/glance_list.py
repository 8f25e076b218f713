"""The lists of a Glance v2 on loopback, by the rules of Glance 2026.1's own code.

They are in ``glance/api/v2/images.py`` (``index`` of controller, deserializer and serializer), in
``image_members.py``, in ``glance/db/sqlalchemy/api.py`` (``_image_get_all``) and in
``glance/common/utils.py`` (operators, quotes).
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from .glance_server import Handler

API_LIMIT_MAX = 1000
PATH = "/v2/images"

Body = tuple[int, dict[str, Any]]
Row = dict[str, Any]

_SORT_KEYS = ("name", "status", "container_format", "disk_format", "size", "id")
_TIMES = ("created_at", "updated_at")
_VISIBILITIES = ("community", "public", "private", "shared", "all")
_STATUSES = ("pending", "accepted", "rejected", "all")
_TEXTS = ("name", "id", "status", "container_format", "disk_format")
_COLUMNS = (
    *("checksum", "owner", "min_disk", "min_ram", "virtual_size", "size", "visibility"),
    *("os_hash_algo", "os_hash_value", "deleted_at"),
)
# What else the class of an image in its database layer has: compared, it is equal to nothing.
_ATTRIBUTES = (
    *("properties", "locations", "members", "tags", "metadata", "registry", "save", "delete"),
    *("update", "get", "keys", "values", "items", "iteritems", "to_dict"),
)
_NO_PROPERTIES = frozenset(
    (
        *(*_TEXTS, *_TIMES, *_COLUMNS),
        *("protected", "os_hidden", "deleted", "tags", "self", "file", "schema", "stores"),
    )
)
_NOW = "2030-01-01T00:00:00Z"  # sent where a time is NULL
_ITEM = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)",?|([^,]+),?|,')
_OPERATORS = {name: getattr(operator, name) for name in ("gt", "lt", "eq")} | {
    "gte": operator.ge,
    "lte": operator.le,
    "neq": operator.ne,
}


class Caller(NamedTuple):
    """Who a token belongs to."""

    project: str | None = None
    is_admin: bool = False


ADMIN = Caller(is_admin=True)


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class GlanceList:
    """The images of a Glance.

    :param images: The rows of the images by id, in the form of v2's bodies; times may have
        microseconds, and ``deleted`` is no key of v2's.
    :param members: The ids of the members by image.
    :param callers: The callers by token; any other token is an admin's without a project.
    :param folds: Whether text is compared without case and trailing spaces, as MariaDB does.
    :param nulls_last: Whether NULL comes last in ascending order, as on PostgreSQL.
    :param limit_max: Glance's ``api_limit_max``.
    :ivar on_page: Called with the ids of each page that is sent.
    """

    def __init__(
        self,
        images: dict[str, Row],
        members: dict[str, list[str]],
        *,
        callers: dict[str, Caller] | None = None,
        folds: bool = False,
        nulls_last: bool = False,
        limit_max: int = API_LIMIT_MAX,
    ) -> None:
        self.images = images
        self.members = members
        self.callers = callers or {}
        self.folds = folds
        self.nulls_last = nulls_last
        self.limit_max = limit_max
        self.on_page: Callable[[list[str]], None] = lambda ids: None

    def __call__(self, handler: Handler) -> None:
        url = urlsplit(handler.path)
        caller = self.callers.get(handler.headers.get("X-Auth-Token", ""), ADMIN)
        try:
            if url.path == PATH:
                pairs = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
                status, body = self.list(dict(pairs), caller)
            elif url.path.endswith("/members"):
                status, body = self.list_members(url.path.split("/")[-2])
            else:
                status, body = self.show(url.path.split("/")[-1], caller)
        except Refused as error:
            status, body = error.status, {}
        handler.send(status, json.dumps(body).encode())

    def show(self, image_id: str, caller: Caller = ADMIN) -> Body:
        row = self.images.get(image_id)
        if row is None or row.get("deleted") or not self._may_see(row, caller):
            return 404, {}
        return 200, as_sent(row)

    def list_members(self, image_id: str) -> Body:
        if self.images[image_id]["visibility"] != "shared":
            return 403, {}
        return 200, {"members": [{"member_id": one} for one in self.members.get(image_id, [])]}

    def list(self, given: dict[str, str], caller: Caller = ADMIN) -> Body:
        filters = dict(given)
        limit = as_limit(filters.pop("limit", "25"), self.limit_max)
        marker = filters.pop("marker", None)
        key, direction = as_order(filters.pop("sort", "created_at:desc"))
        require(filters.get("member_status", "accepted") in _STATUSES)
        status = filters.pop("member_status", "accepted")
        require("changes-since" not in filters)
        is_hidden = as_flag(filters.pop("os_hidden", "false"))
        visibility = filters.pop("visibility", None)
        require(visibility is None or visibility in _VISIBILITIES)
        found = [
            row
            for row in self.images.values()
            if not row.get("deleted")
            and row["status"] != "killed"
            and row.get("os_hidden", False) is is_hidden
            and self._is_listed(row, caller, status)
            and self._is_visible(row, caller, visibility)
        ]
        for name, value in filters.items():
            found = self._filter(found, name, value)
        found.sort(key=lambda row: self._key(row, key), reverse=direction == "desc")
        if marker is not None:
            found = self._after(found, marker, key, direction, caller)
        page = found[:limit]
        body: dict[str, Any] = {"images": [*map(as_sent, page)], "first": PATH}
        if page and len(page) == limit:
            following = {**given, "marker": page[-1]["id"]}
            body["next"] = f"{PATH}?{urlencode(following)}"
        self.on_page([row["id"] for row in page])
        return 200, body

    # Who is listed what

    def lists(self, image_id: str, caller: Caller) -> bool:
        """Return whether v1 would list an image to a caller, by the rules of v2."""
        row = self.images[image_id]
        return self._is_listed(row, caller, "all") and self._is_visible(row, caller, None)

    def _may_see(self, row: Row, caller: Caller) -> bool:
        return (
            caller.is_admin
            or row["owner"] is None
            or row["visibility"] in ("public", "community")
            or row["owner"] == caller.project
            or (row["visibility"] == "shared" and self._is_member(row, caller))
        )

    def _is_member(self, row: Row, caller: Caller) -> bool:
        return caller.project is not None and caller.project in self.members.get(row["id"], [])

    def _is_listed(self, row: Row, caller: Caller, status: str) -> bool:
        """Members here never answered, so that each membership's status is ``pending``."""
        if caller.is_admin or row["visibility"] in ("public", "community"):
            return True
        if caller.project is not None and row["owner"] == caller.project:
            return True
        is_shared = row["visibility"] == "shared" and status in ("pending", "all")
        return is_shared and self._is_member(row, caller)

    def _is_visible(self, row: Row, caller: Caller, visibility: str | None) -> bool:
        if visibility is not None:
            return visibility in ("all", row["visibility"])
        is_own = caller.project is not None and row["owner"] == caller.project
        return is_own or row["visibility"] != "community"

    # Filters

    def _filter(self, rows: list[Row], name: str, value: str) -> list[Row]:
        if name == "properties":
            raise Refused(500)  # its text has no items
        if name == "protected":
            return [row for row in rows if row["protected"] is as_flag(value)]
        if name.endswith(("_min", "_max")):
            return self._range(rows, name, value)
        if name in _TIMES:
            return self._compare_times(rows, name, value)
        if name in _TEXTS:
            wanted = [*map(self._wanted, as_texts(value))]
            return [row for row in rows if self._folded(row[name]) in wanted]
        if name in _COLUMNS:
            return [row for row in rows if row.get(name) is not None and str(row[name]) == value]
        if name in _ATTRIBUTES or name == "deleted":
            return []
        wanted_name, wanted_text = self._wanted(name), self._wanted(value)
        return [
            row
            for row in rows
            if any(
                self._folded(key) == wanted_name and self._folded(text) == wanted_text
                for key, text in row.items()
                if is_property(key) and text is not None
            )
        ]

    def _range(self, rows: list[Row], name: str, value: str) -> list[Row]:
        column = name[:-4]
        if column not in _COLUMNS:
            raise Refused(500)
        require(re.fullmatch(r"\s*[+-]?\d+\s*", value) is not None)
        if abs(int(value)) >= 2**63:
            raise Refused(500)  # PostgreSQL's integers end there
        compare = operator.ge if name.endswith("_min") else operator.le
        return [row for row in rows if row[column] is not None and compare(row[column], int(value))]

    def _compare_times(self, rows: list[Row], name: str, value: str) -> list[Row]:
        word, separator, text = value.partition(":")
        if not separator or is_time(value):
            word, text = "eq", value
        require(word in _OPERATORS and is_time(text))
        compare, wanted = _OPERATORS[word], as_time(text)
        return [row for row in rows if row[name] and compare(as_time(row[name]), wanted)]

    def _wanted(self, text: str) -> str | None:
        if "\0" in text or any(char > "\uffff" for char in text):
            raise Refused(500)  # of PostgreSQL, and of MariaDB
        return self._folded(text)

    def _folded(self, text: str | None) -> str | None:
        return text.casefold().rstrip(" ") if text and self.folds else text

    # Order

    def _key(self, row: Row, key: str) -> list[Any]:
        names = ("id",) if key == "id" else dict.fromkeys((key, "created_at", "id"))
        return [self._part(row[name], name) for name in names]

    def _part(self, value: Any, name: str) -> tuple[Any, ...]:
        if value is None:
            return (2 if self.nulls_last else 0, 0)
        if name in _TIMES:
            return (1, as_time(value))
        return (1, self._folded(value) if name in _TEXTS else value)

    def _after(
        self, rows: list[Row], marker: str, key: str, direction: str, caller: Caller
    ) -> list[Row]:
        row = self.images.get(marker)
        require(row is not None and not row.get("deleted"))
        assert row is not None
        if not self._may_see(row, caller):
            raise Refused(403)
        after = operator.lt if direction == "desc" else operator.gt
        start = self._key(row, key)
        return [one for one in rows if after(self._key(one, key), start)]


def require(is_right: bool) -> None:
    if not is_right:
        raise Refused(400)


def as_limit(text: str, limit_max: int) -> int:
    require(re.fullmatch(r"\d+", text) is not None)
    return min(limit_max, int(text))


def as_order(text: str) -> tuple[str, str]:
    key, _, direction = text.partition(":")
    require(key in (*_SORT_KEYS, *_TIMES) and direction in ("asc", "desc"))
    return key, direction


def as_flag(text: str) -> bool:
    require(text in ("true", "false"))
    return text == "true"


def as_texts(value: str) -> list[str]:
    """Return the texts of a filter; in quotes, a backslash stays."""
    word, separator, text = value.partition(":")
    if not separator:
        return [value]
    require(word in ("eq", "in"))
    if word == "eq":
        return [text]
    quotes = [match.start() for match in re.finditer(r'(?<!\\)"', text)]
    require(len(quotes) % 2 == 0)
    for number, at in enumerate(quotes):
        beside = text[:at][-1:] if number % 2 == 0 else text[at + 1 :][:1]
        require(beside in ("", ","))
    return [quoted or plain for quoted, plain in _ITEM.findall(text)]


def is_property(name: str) -> bool:
    return name not in _NO_PROPERTIES


def is_time(text: str) -> bool:
    try:
        as_time(text)
    except ValueError:
        return False
    return True


def as_time(text: str) -> datetime:
    time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return time.astimezone(timezone.utc) if time.tzinfo else time.replace(tzinfo=timezone.utc)


def as_sent(row: Row) -> dict[str, Any]:
    """Return the body of an image: NULL becomes an empty property, or the time of the request."""
    times = {name: f"{row[name][:19]}Z" if row[name] else _NOW for name in _TIMES}
    properties = {name: row[name] or "" for name in row if is_property(name)}
    sent = {name: row[name] for name in row if name not in properties and name != "deleted"}
    return {**properties, **sent, **times}
