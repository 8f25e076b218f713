"""The validators of an answer, and conditional requests, in the order of RFC 9110, section 13.2.2.

Werkzeug's ``make_conditional`` knows neither If-Unmodified-Since nor that order, so only its
parsers are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from hashlib import blake2b
from typing import TYPE_CHECKING

from werkzeug.http import parse_date, parse_etags

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def evaluate(environ: WSGIEnvironment, etag: str, last_modified: datetime | None) -> int:
    """Return 200, 304 or 412 for a request that would get 200 without conditions.

    :param etag: The strong entity tag, without its quotes.
    :param last_modified: UTC, whole seconds; None makes the conditions on dates void.
    """
    if "HTTP_IF_MATCH" in environ:
        if not parse_etags(environ["HTTP_IF_MATCH"]).contains(etag):
            return 412
    elif "HTTP_IF_UNMODIFIED_SINCE" in environ and last_modified is not None:
        unmodified_since = as_date(environ["HTTP_IF_UNMODIFIED_SINCE"])
        if unmodified_since is not None and last_modified > unmodified_since:
            return 412
    if "HTTP_IF_NONE_MATCH" in environ:
        # Nearly every client sends the one tag back as it came; parsing a list takes 2 µs.
        tags = environ["HTTP_IF_NONE_MATCH"]
        is_same = tags == f'"{etag}"' or parse_etags(tags).contains_weak(etag)
        return 304 if is_same else 200
    if "HTTP_IF_MODIFIED_SINCE" in environ and last_modified is not None:
        modified_since = as_date(environ["HTTP_IF_MODIFIED_SINCE"])
        if modified_since is not None and last_modified <= modified_since:
            return 304
    return 200


def as_date(value: str) -> datetime | None:
    """Return the date that a condition names; None for what is no date, which makes it void."""
    try:
        return parse_date(value)
    except OverflowError:  # a number beyond any date, which Werkzeug does not expect
        return None


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
