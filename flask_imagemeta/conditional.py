"""The validators of an answer, and conditional requests, in the order of RFC 9110, section 13.2.2.

Werkzeug's ``make_conditional`` knows neither If-Unmodified-Since nor that order, so only its
parsers are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from hashlib import blake2b

from flask import Request


def evaluate(request: Request, etag: str, last_modified: datetime | None) -> int:
    """Return 200, 304 or 412 for a request that would get 200 without conditions.

    :param etag: The strong entity tag, without its quotes.
    :param last_modified: UTC, whole seconds; None makes the conditions on dates void.
    """
    environ = request.environ
    # A header's parser is asked only where there is that header: even to find none takes 3 µs.
    if "HTTP_IF_MATCH" in environ:
        if not request.if_match.contains(etag):
            return 412
    elif "HTTP_IF_UNMODIFIED_SINCE" in environ and last_modified is not None:
        unmodified_since = request.if_unmodified_since
        if unmodified_since is not None and last_modified > unmodified_since:
            return 412
    if "HTTP_IF_NONE_MATCH" in environ:
        # Nearly every client sends the one tag back as it came; parsing a list takes 2 µs.
        is_same = environ["HTTP_IF_NONE_MATCH"] == f'"{etag}"'
        return 304 if is_same or request.if_none_match.contains_weak(etag) else 200
    if "HTTP_IF_MODIFIED_SINCE" in environ and last_modified is not None:
        modified_since = request.if_modified_since
        if modified_since is not None and last_modified <= modified_since:
            return 304
    return 200


def digest(headers: Mapping[str, str]) -> str:
    """Return the entity tag, without quotes, for the metadata in headers."""
    lines = "\n".join(map(":".join, headers.items()))
    return blake2b(lines.encode("latin-1"), digest_size=16).hexdigest()


def as_last_modified(updated_at: str | None) -> datetime | None:
    """Return the time in a header as a Last-Modified may carry it: whole seconds, not to come.

    None for an image without that time, or with one in another form than the schema's own.
    """
    try:
        time = datetime.fromisoformat(updated_at or "")
    except ValueError:
        return None
    time = time.replace(microsecond=0, tzinfo=time.tzinfo or timezone.utc)
    # RFC 9110, 8.8.2.1: an origin server must not send a time later than its own.
    now = datetime.now(timezone.utc)
    return time if time <= now else now.replace(microsecond=0)
