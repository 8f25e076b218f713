"""The age of the current request's image, passed from the cache that held it to the Age header."""

from __future__ import annotations

from flask import has_request_context, request

_KEY = "flask_imagemeta.age"


def note_age(seconds: float) -> None:
    """Record how long ago the current request's image was found; outside a request, do nothing.

    :param seconds: The age; a negative one, which clock skew may produce, counts as 0.
    """
    if has_request_context():
        request.environ[_KEY] = max(int(seconds), request.environ.get(_KEY, 0))


def current_age() -> int | None:
    """Return the age in seconds, or None if the image has just come from the store."""
    age: int | None = request.environ.get(_KEY)
    return age
