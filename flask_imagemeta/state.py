"""What one ImageMeta keeps for one application: its configuration, schema, hooks and limits."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from inspect import iscoroutinefunction, unwrap
from typing import Any

from flask import Flask, current_app

from .access import Identity
from .answers import OTHER_HEADERS, Caching
from .config import Config, read_config
from .hooks import Hook, Hooks
from .limits import Limits
from .request_id import logger
from .schema import HeaderSchema


class State:
    """What one ImageMeta keeps for one application, in ``app.extensions["imagemeta"]``.

    :param name: The name of the blueprint and, in capitals, the prefix of the keys.
    :param hooks: The hooks set in code so far; read at the first request.
    """

    def __init__(
        self, app: Flask, name: str, schema: HeaderSchema, hooks: Mapping[str, Hook]
    ) -> None:
        self.app: Flask = app
        self.name: str = name
        self.schema: HeaderSchema = schema
        self.config: Config = read_config(app, name)
        self.size_header: str | None = schema.header_of("size")
        # Where the WSGI environ has the size that a request names.
        self.size_key: str = f"HTTP_{(self.size_header or '').upper().replace('-', '_')}"
        self.updated_header: str | None = schema.header_of("updated_at")
        self.caching: Caching = Caching(
            self.config.cache_control,
            self.config.public_cache_control,
            _vary(self.config.vary, self.size_header),
        )
        longest = max(self.caching.control, self.caching.public_control or "", key=len)
        self.limits: Limits = Limits(
            schema,
            self.config.max_headers,
            self.config.max_header_bytes,
            {**OTHER_HEADERS, "Cache-Control": longest, "Vary": self.caching.vary},
        )
        self._in_code = hooks
        self._settled: Hooks | None = None

    @property
    def hooks(self) -> Hooks:
        """The hooks as they were at this application's first request."""
        if self._settled is None:
            self._settled = self._settle()
        return self._settled

    @property
    def is_settled(self) -> bool:
        """Whether a request has been served; hooks set later do not apply to this application."""
        return self._settled is not None

    @property
    def serves_lists(self) -> bool:
        """Whether the application has the routes of the lists."""
        return f"{self.name}.list_images" in self.app.view_functions

    @property
    def has_search(self) -> bool:
        """Whether a search hook has been set."""
        return "search" in self._given

    @property
    def store(self) -> Any:
        """The lookup as the host set it, which may have a store's methods; None without one.

        If it is a function made with ``functools.wraps``, this is the store that it wraps.
        """
        hook = self._given.get("lookup")
        return None if hook is None else unwrap(hook)

    def as_seen_by(self, identity: Identity | None, **hooks: Any) -> State:
        """Return a copy of this state in which this identity is the caller of every request.

        :param hooks: Hooks that the copy has instead of this state's.
        """
        other = copy(self)
        other._settled = self.hooks._replace(identity=lambda: identity, **hooks)
        return other

    @property
    def _given(self) -> dict[str, Hook]:
        """The hooks that were set so far; configuration wins over code."""
        return {**self._in_code, **self.config.hooks}

    def _settle(self) -> Hooks:
        ready: dict[str, Any] = {name: self._callable(hook) for name, hook in self._given.items()}
        if "identity" in ready and not getattr(self.store, "has_owner", True):
            logger.warning(
                "ImageMeta %r has an identity hook, but the model of its store has no field "
                "named owner, so anyone can see its images. If its owner has another name, give "
                "the model a synonym or a column property named owner.",
                self.name,
            )
        return Hooks(**{"lookup": self._no_lookup, **ready})

    def _callable(self, hook: Hook) -> Hook:
        # An object whose __call__ is a coroutine function does not look like one itself.
        if not iscoroutinefunction(hook) and iscoroutinefunction(hook.__call__):  # type: ignore[operator]
            hook = hook.__call__  # type: ignore[operator]
        return self.app.ensure_sync(hook)

    def _no_lookup(self, image_id: str) -> Any:
        raise RuntimeError(
            f"ImageMeta {self.name!r} has no lookup hook. Set one in one of three ways: "
            f"ImageMeta(lookup=find_image); @{self.name}.lookup above the function; or "
            f'app.config["{self.name.upper()}_LOOKUP"] = "package.module:find_image".'
        )


def get_state(name: str) -> State:
    """Return the state of the current application's ImageMeta object with this name.

    :raises KeyError: when there is no such object.
    """
    state: State = current_app.extensions["imagemeta"][name]
    return state


def _vary(configured: str, size_header: str | None) -> str:
    """Return the Vary of every response: the configured one, and the header for the size check."""
    names = [name.strip().lower() for name in configured.split(",")]
    if "*" in names:
        return "*"
    if size_header is None or size_header.lower() in names:
        return configured
    return f"{configured}, {size_header}"
