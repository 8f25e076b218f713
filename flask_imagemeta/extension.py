"""ImageMeta: the hooks, `init_app`, and what is kept for each application."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakSet

from flask import Flask

from .access import Identity
from .blueprint import add_list_routes, register_blueprint
from .cli import add_commands
from .hooks import Hook, Hooks, check_hook
from .query import Query
from .schema import HeaderSchema, ImageMetaSchema
from .state import State

_AnyHook = TypeVar("_AnyHook", bound=Hook)
_LookupHook = TypeVar("_LookupHook", bound=Callable[[str], Any])
_IdentityHook = TypeVar("_IdentityHook", bound=Callable[[], Any])
_StoredSizeHook = TypeVar("_StoredSizeHook", bound=Callable[[Any], Any])
_ShowPropertyHook = TypeVar("_ShowPropertyHook", bound=Callable[[str, "Identity | None"], Any])
_SearchHook = TypeVar("_SearchHook", bound=Callable[[Query], Any])


class ImageMeta:
    """Answers ``HEAD /v1/images/{image_id}`` with an image's metadata in headers.

    One object serves any number of applications; one application may have several objects
    under different names. The other parameters are the hooks, each described at the method of
    its name. A hook can be set as an argument, with that method as a decorator, or by import
    string in the configuration, which wins. Coroutine functions work with the extra
    ``flask[async]``.

    :param app: An application to initialize at once.
    :param name: A Python identifier: the blueprint's name and, in capitals, the prefix of
        the configuration keys.
    :param schema: A `HeaderSchema`, as a class or an instance; None means `ImageMetaSchema`.
    :raises ValueError: when the name is not an identifier.
    :raises TypeError: when the schema is not a HeaderSchema, or a hook cannot be called.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        name: str = "imagemeta",
        schema: HeaderSchema | type[HeaderSchema] | None = None,
        lookup: Callable[[str], Any] | None = None,
        identity: Callable[[], Any] | None = None,
        stored_size: Callable[[Any], Any] | None = None,
        show_property: Callable[[str, Identity | None], Any] | None = None,
        search: Callable[[Query], Any] | None = None,
    ) -> None:
        if not name.isidentifier():
            raise ValueError(f"name is {name!r}, but must be a Python identifier")
        self.name: str = name
        schema = ImageMetaSchema if schema is None else schema
        self._schema = schema() if isinstance(schema, type) else schema
        if not isinstance(self._schema, HeaderSchema):
            raise TypeError(f"schema is {schema!r}, but must be a HeaderSchema, class or instance")
        self._hooks: dict[str, Hook] = {}
        self._states: WeakSet[State] = WeakSet()
        given = (lookup, identity, stored_size, show_property, search)
        for hook_name, hook in zip(Hooks._fields, given, strict=True):
            if hook is not None:
                self._set(hook_name, hook)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Mount the blueprint on an application, add its commands and read its configuration.

        The page :doc:`configuration` lists the keys and their defaults.

        :raises ConfigurationError: with the key, the value and what would be right.
        :raises RuntimeError: when the application already has an ImageMeta of this name, or
            another one under the same URL prefix.
        :raises TypeError: when app is not a Flask application.
        """
        if not isinstance(app, Flask):
            meant = "ImageMeta(lookup=...)" if callable(app) else "ImageMeta(app)"
            raise TypeError(f"app is {app!r}, but must be a Flask application: {meant}?")
        states: dict[str, State] = app.extensions.setdefault("imagemeta", {})
        if self.name in states:
            raise RuntimeError(
                f"This application already has an ImageMeta named {self.name!r}. Did you call "
                "init_app twice, or make two objects? A second one needs a name of its own: "
                'ImageMeta(name="firmware").'
            )
        state = State(app, self.name, self._schema, self._hooks)
        for other in states.values():
            if _place(other) == _place(state):
                raise RuntimeError(
                    f"ImageMeta {self.name!r} and {other.name!r} would both be mounted at "
                    f"{state.config.url_prefix!r}. Set {self.name.upper()}_URL_PREFIX."
                )
        register_blueprint(app, state)
        add_commands(app)
        states[self.name] = state
        self._states.add(state)

    def lookup(self, hook: _LookupHook) -> _LookupHook:
        """Set the lookup hook: (image_id) -> image, or None if there is none.

        The image is a mapping or any object with the fields' names; a field that is absent
        counts as None. Raise `StoreUnavailable` when the store cannot answer now.

        :raises RuntimeError: when the hook is set already, or a request was already served.
        """
        return self._set("lookup", hook)

    def identity(self, hook: _IdentityHook) -> _IdentityHook:
        """Set the identity hook: () -> Identity, or None for anonymous, from the current request.

        It may refuse a request with ``flask.abort(401)``.

        :raises RuntimeError: when the hook is set already, or a request was already served.
        """
        return self._set("identity", hook)

    def stored_size(self, hook: _StoredSizeHook) -> _StoredSizeHook:
        """Set the stored_size hook: (image) -> bytes really held by the store, or None if unknown.

        :raises RuntimeError: when the hook is set already, or a request was already served.
        """
        return self._set("stored_size", hook)

    def show_property(self, hook: _ShowPropertyHook) -> _ShowPropertyHook:
        """Set the show_property hook: (name, identity) -> whether the property is shown.

        The name is in lower case.

        :raises RuntimeError: when the hook is set already, or a request was already served.
        """
        return self._set("show_property", hook)

    def search(self, hook: _SearchHook) -> _SearchHook:
        """Set the search hook: (query) -> any iterable of candidates, images that may match.

        With it, ``GET {prefix}/images`` and ``GET {prefix}/images/detail`` serve the lists of the
        Image API v1. The extension filters, sorts and cuts what the hook returns, and decides
        which images each caller may list; a hook may ignore the `Query`. A store that sorts in
        its database returns ``query.ordered(images)``, and only as many as the page needs are read.

        :raises RuntimeError: when the hook is set already, or a request was already served.
        """
        check_hook("search", hook)
        for state in self._states:
            if not state.is_settled:
                with suppress(AssertionError):  # from an application that has served a request
                    add_list_routes(state)
        return self._set("search", hook)

    def _set(self, name: str, hook: _AnyHook) -> _AnyHook:
        check_hook(name, hook)
        is_late = [
            state.is_settled or (name == "search" and not state.serves_lists)
            for state in self._states
        ]
        if is_late and all(is_late):
            raise RuntimeError(
                f"The {name} hook of ImageMeta {self.name!r} comes too late: every application "
                "that it was initialized on has served a request. Set hooks while an application "
                "is set up."
            )
        if name in self._hooks:
            raise RuntimeError(
                f"ImageMeta {self.name!r} already has the {name} hook {self._hooks[name]!r}."
            )
        self._hooks[name] = hook
        return hook


def _place(state: State) -> tuple[str | None, str | None, str]:
    """Return where a blueprint is mounted."""
    config = state.config
    return config.host, config.subdomain, config.url_prefix.rstrip("/")
