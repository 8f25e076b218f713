"""The configuration of one ImageMeta in one application: read and checked once, at init_app."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from flask import Flask
from werkzeug.utils import ImportStringError, import_string

from . import wire
from .exceptions import ConfigurationError, one_line
from .hooks import Hook, Hooks, check_hook

# RFC 3986, 3.3: segments of a path. Werkzeug merges empty ones, and decodes requests but not rules.
_URL_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*/?")


@dataclass(frozen=True, slots=True)
class Config:
    """One application's settings, each named like its key; the page Configuration describes them.

    :param hooks: The hooks that the configuration sets, each named like its key, too.
    """

    url_prefix: str
    host: str | None
    subdomain: str | None
    max_headers: int
    max_header_bytes: int
    cache_control: str
    public_cache_control: str | None
    vary: str
    retry_after: int
    hooks: dict[str, Hook]


def read_config(app: Flask, name: str) -> Config:
    """Read an application's settings.

    :param name: The object's name; in capitals, the prefix of its keys.
    :raises ConfigurationError: with the key, the value and what would be right; also for a
        misspelled key.
    """
    prefix = name.upper()
    _check_spelling(app, prefix)

    def setting(key: str, default: Any, is_right: Callable[[Any], bool], expected: str) -> Any:
        value = app.config.get(f"{prefix}_{key}", default)
        if not is_right(value):
            raise ConfigurationError(f"{prefix}_{key}", value, expected)
        return value

    return Config(
        url_prefix=setting(
            "URL_PREFIX", "/v1", _is_url_prefix, 'a path such as "/v1", or "" for none'
        ),
        host=setting("HOST", None, *_host_rule(app)),
        subdomain=setting("SUBDOMAIN", None, *_subdomain_rule(app)),
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
        public_cache_control=setting(
            "PUBLIC_CACHE_CONTROL",
            None,
            lambda value: value is None or _is_header(value),
            'a header value such as "public, max-age=300", or None',
        ),
        vary=setting(
            "VARY",
            "X-Auth-Token, Authorization, Cookie",
            _is_header,
            'a header value such as "X-Auth-Token, Cookie"',
        ),
        retry_after=setting("RETRY_AFTER", 5, _is_whole, "a whole number of seconds, 0 or more"),
        hooks=_read_hooks(app, prefix),
    )


def _check_spelling(app: Flask, prefix: str) -> None:
    """Check that no key of an application looks like a misspelled one of ours.

    :raises ConfigurationError: naming the key that is probably meant.
    """
    settings = {*Hooks._fields, *(one.name for one in fields(Config))} - {"hooks"}
    known = [f"{prefix}_{setting.upper()}" for setting in sorted(settings)]
    for key, value in app.config.items():
        if key.startswith(f"{prefix}_") and key not in known:
            for meant in get_close_matches(key, known, n=1, cutoff=0.85):
                raise ConfigurationError(key, value, f"spelled {meant}")


def _read_hooks(app: Flask, prefix: str) -> dict[str, Hook]:
    keys = {hook: f"{prefix}_{hook.upper()}" for hook in Hooks._fields}
    return {
        hook: _import_hook(hook, key, import_name)
        for hook, key in keys.items()
        if (import_name := app.config.get(key)) is not None
    }


def _import_hook(name: str, key: str, import_name: Any) -> Hook:
    expected = 'the import string of a callable, such as "package.module:name"'
    if not isinstance(import_name, str):
        raise ConfigurationError(key, import_name, expected)
    try:
        hook = import_object(import_name)
        check_hook(name, hook)
    except (ImportError, TypeError) as error:
        raise ConfigurationError(key, import_name, f"{expected} ({error})") from error
    return hook  # type: ignore[no-any-return]


def import_object(import_name: str) -> Any:
    """Return what an import string such as ``package.module:name`` stands for.

    :raises ImportError: with the reason in one line, when it stands for nothing.
    """
    if import_name.startswith((":", ".")):
        raise ImportError("it names no module")
    try:
        return import_string(import_name)
    except ImportStringError as error:  # whose own message explains imports at length
        raise ImportError(one_line(str(error.exception))) from error
    except ValueError as error:  # an empty name, for one
        raise ImportError(one_line(str(error))) from error


_Rule = tuple[Callable[[Any], bool], str]


def _host_rule(app: Flask) -> _Rule:
    """Return the check of HOST: an application matches hosts in every rule or in none."""
    if app.url_map.host_matching:
        return _is_text, 'a host such as "images.example.com", as this application matches hosts'
    return _is_none, "None, as this application does not match hosts: Flask(host_matching=True)?"


def _subdomain_rule(app: Flask) -> _Rule:
    """Return the check of SUBDOMAIN, which Flask finds in a request by its SERVER_NAME."""
    if not app.subdomain_matching or app.url_map.host_matching:
        return _is_none, (
            "None, as this application does not match subdomains: Flask(subdomain_matching=True)?"
        )
    if not app.config["SERVER_NAME"]:
        return _is_none, "None, unless SERVER_NAME is set, which says what a subdomain is"
    return lambda value: value is None or _is_text(value), 'a subdomain such as "images", or None'


def _is_none(value: Any) -> bool:
    return value is None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_positive(value: Any) -> bool:
    return _is_whole(value) and value > 0


def _is_header(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and wire.is_value(value)


def _is_url_prefix(value: Any) -> bool:
    return isinstance(value, str) and _URL_PREFIX.fullmatch(value) is not None
