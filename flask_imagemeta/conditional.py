"""Validators and conditional requests, in the order of RFC 9110, section 13.2.2.

Werkzeug's ``make_conditional`` supports neither If-Unmodified-Since nor that order, so only the
request's parsed headers are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from hashlib import blake2b

from werkzeug.http import parse_date
from werkzeug.wrappers import Request

# The longest If-Match or If-None-Match that is parsed, in characters: 28 of our tags fit. Before
# Werkzeug 3.1.9 parsing took quadratic time: 8 s for 100,000 spaces between two letters.
MAX_TAGS_LENGTH = 1024


def evaluate(request: Request, etag: str, last_modified: datetime | None) -> int:
    """Return 200, 304 or 412 for a request that would get 200 without its conditions.

    :param etag: The strong entity tag, without quotes.
    :param last_modified: In UTC and whole seconds; if None, conditions on dates are ignored.
    """
    environ = request.environ
    if "HTTP_IF_MATCH" in environ:
        if not _can_be_parsed(environ["HTTP_IF_MATCH"]) or not request.if_match.contains(etag):
            return 412
    elif last_modified is not None:
        unmodified_since = _as_date(environ.get("HTTP_IF_UNMODIFIED_SINCE"))
        if unmodified_since is not None and last_modified > unmodified_since:
            return 412
    if "HTTP_IF_NONE_MATCH" in environ:
        tags = environ["HTTP_IF_NONE_MATCH"]
        is_same = _can_be_parsed(tags) and request.if_none_match.contains_weak(etag)
        return 304 if is_same else 200
    if last_modified is not None:
        modified_since = _as_date(environ.get("HTTP_IF_MODIFIED_SINCE"))
        if modified_since is not None and last_modified <= modified_since:
            return 304
    return 200


def _can_be_parsed(tags: str) -> bool:
    """Return whether a list of tags is short enough to parse; a longer one matches nothing.

    That is safe in both headers: If-None-Match only saves a transfer, so the whole response is
    sent (RFC 9110, 13.1.2); If-Match requires a tag that is known to match, so the response is 412
    (13.1.1).
    """
    return len(tags) <= MAX_TAGS_LENGTH


def _as_date(value: str | None) -> datetime | None:
    """Return the date of a condition, or None for anything else: such a condition is ignored."""
    try:
        return parse_date(value)
    except OverflowError:  # too large for a date, which Werkzeug does not expect
        return None


def digest(headers: Mapping[str, str]) -> str:
    """Return the entity tag of metadata headers, without quotes."""
    lines = "\n".join(map(":".join, headers.items()))
    return blake2b(lines.encode("latin-1"), digest_size=16).hexdigest()


def as_last_modified(updated_at: str | None) -> datetime | None:
    """Return a header's time as Last-Modified may have it: UTC, whole seconds, not in the future.

    None if the image has no such time, or one outside the range of UTC dates.
    """
    try:
        time = datetime.fromisoformat(updated_at or "")
        time = time.astimezone(timezone.utc) if time.tzinfo else time.replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError):
        return None
    # RFC 9110, 8.8.2.1: an origin server must not send a time later than its own.
    return min(time, datetime.now(timezone.utc)).replace(microsecond=0)
