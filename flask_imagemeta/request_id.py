"""The id of a request: in its response, its signals and every log record of the extension."""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any
from uuid import uuid4

from flask import has_request_context, request

REQUEST_ID = "X-Openstack-Request-Id"

_KEY = "flask_imagemeta.request_id"
_VALID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def current_request_id() -> str | None:
    """Return the current request's id, made on first use; None outside a request."""
    if not has_request_context():
        return None
    environ = request.environ
    if _KEY not in environ:
        environ[_KEY] = f"req-{uuid4()}"
    request_id: str = environ[_KEY]
    return request_id


def _callers_request_id() -> str | None:
    """Return the request id that the caller sent; None unless it is valid."""
    sent = request.headers.get(REQUEST_ID, "")
    return sent if _VALID.fullmatch(sent) else None


class _RequestLogger(logging.LoggerAdapter):  # type: ignore[type-arg] # since Python 3.11
    """Adds the request's id to the start of each message, and to each record as ``request_id``.

    A valid id that the caller sent follows it, and is the record's ``caller_request_id``. Both
    are None outside a request.
    """

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        request_id = current_request_id()
        callers_id = None
        if request_id is not None:
            callers_id = _callers_request_id()
            caller = f" (the caller's {callers_id})" if callers_id else ""
            msg = f"{request_id}{caller}: {msg}"
        extra = {"request_id": request_id, "caller_request_id": callers_id}
        return msg, {**kwargs, "extra": {**extra, **(kwargs.get("extra") or {})}}


logger: logging.LoggerAdapter[logging.Logger] = _RequestLogger(logging.getLogger("flask_imagemeta"))
