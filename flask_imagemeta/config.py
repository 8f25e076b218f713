"""The configuration of one ImageMeta in one application: read and checked once, at init_app."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from flask import Flask
from werkzeug.utils import import_string

from . import wire
from .exceptions import ConfigurationError

# RFC 3986, 3.3: segments of a path.
_URL_PREFIX = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*")

HOOKS = ("lookup", "identity", "stored_size", "show_property")
_KEYS = (
    *map(str.upper, HOOKS),
    *("URL_PREFIX", "MAX_HEADERS", "MAX_HEADER_BYTES", "CACHE_CONTROL", "VARY", "RETRY_AFTER"),
)
Hook = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Config:
    """One application's settings; `read_config` names the keys they come from."""

    url_prefix: str
    max_headers: int
    max_header_bytes: int
    cache_control: str
    vary: str
    retry_after: int
    hooks: dict[str, Hook]


def read_config(app: Flask, name: str) -> Config:
    """Read an application's settings; the keys begin with the object's name in capitals.

    - ``_URL_PREFIX`` ("/v1"): where the blueprint is mounted.
    - ``_LOOKUP``, ``_IDENTITY``, ``_STORED_SIZE``, ``_SHOW_PROPERTY`` (None): import strings
      of hooks, which win over hooks set in code.
    - ``_MAX_HEADERS`` (90): the most headers of ours in one response.
    - ``_MAX_HEADER_BYTES`` (16384): the most bytes of them.
    - ``_CACHE_CONTROL`` ("private, no-cache"): the Cache-Control sent.
    - ``_VARY`` ("X-Auth-Token, Authorization, Cookie"): the Vary sent.
    - ``_RETRY_AFTER`` (5): seconds, sent with 503.

    :raises ConfigurationError: with the key, the value and what would be right; also for a key
        that is one of these but for a slip.
    """
    prefix = name.upper()

    def setting(key: str, default: Any, is_right: Callable[[Any], bool], expected: str) -> Any:
        value = app.config.get(f"{prefix}_{key}", default)
        if not is_right(value):
            raise ConfigurationError(f"{prefix}_{key}", value, expected)
        return value

    known = [f"{prefix}_{key}" for key in _KEYS]
    for key, value in app.config.items():
        if key.startswith(f"{prefix}_") and key not in known:
            for meant in get_close_matches(key, known, n=1, cutoff=0.85):
                raise ConfigurationError(key, value, f"spelt {meant}")

    return Config(
        url_prefix=setting(
            "URL_PREFIX", "/v1", _is_url_prefix, 'a path such as "/v1", or "" for none'
        ),
        # Python's http.client refuses more than 100 headers; a server and proxies add a few.
        max_headers=setting("MAX_HEADERS", 90, _is_positive, "a whole number, 1 or more"),
        max_header_bytes=setting(
            "MAX_HEADER_BYTES", wire.CLIENT_MAX_BYTES, _is_positive, "a whole number, 1 or more"
        ),
        cache_control=setting(
            "CACHE_CONTROL",
            "private, no-cache",
            _is_header,
            'a header value such as "private, no-cache"',
        ),
        vary=setting(
            "VARY",
            "X-Auth-Token, Authorization, Cookie",
            _is_header,
            'a header value such as "X-Auth-Token, Cookie"',
        ),
        retry_after=setting("RETRY_AFTER", 5, _is_whole, "a whole number of seconds, 0 or more"),
        hooks={
            hook: _import_hook(f"{prefix}_{hook.upper()}", import_name)
            for hook in HOOKS
            if (import_name := app.config.get(f"{prefix}_{hook.upper()}")) is not None
        },
    )


def _import_hook(key: str, import_name: Any) -> Hook:
    expected = 'the import string of a callable, such as "package.module:name"'
    if not isinstance(import_name, str):
        raise ConfigurationError(key, import_name, expected)
    try:
        hook: Any = import_string(import_name)
    except (ImportError, ValueError) as error:  # ValueError: there is no module's name in it
        reason = str(error).splitlines()[-1]  # Werkzeug's explanations come before
        raise ConfigurationError(key, import_name, f"{expected} ({reason})") from error
    if not callable(hook):
        raise ConfigurationError(key, import_name, expected)
    return hook  # type: ignore[no-any-return]


def _is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_positive(value: Any) -> bool:
    return _is_whole(value) and value > 0


def _is_header(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and wire.is_value(value)


def _is_url_prefix(value: Any) -> bool:
    return isinstance(value, str) and _URL_PREFIX.fullmatch(value) is not None
