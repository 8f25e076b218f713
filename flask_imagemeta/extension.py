"""ImageMeta: the hooks, `init_app`, and what is kept for each application."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from inspect import iscoroutinefunction
from typing import Any, NamedTuple, TypeVar

from flask import Flask

from .access import Identity
from .blueprint import make_blueprint
from .cli import add_commands
from .config import HOOKS, Config, Hook, read_config
from .schema import HeaderSchema, ImageMetaSchema

AnyHook = TypeVar("AnyHook", bound=Hook)
LookupHook = TypeVar("LookupHook", bound=Callable[[str], Any])
IdentityHook = TypeVar("IdentityHook", bound=Callable[[], Any])
StoredSizeHook = TypeVar("StoredSizeHook", bound=Callable[[Any], Any])
ShowPropertyHook = TypeVar("ShowPropertyHook", bound=Callable[[str, "Identity | None"], Any])


class Hooks(NamedTuple):
    """The four hooks of one application, each ready to be called."""

    lookup: Callable[[str], Any]
    identity: Callable[[], Any]
    stored_size: Callable[[Any], int | None]
    show_property: Callable[[str, Identity | None], bool] | None


class State:
    """What one ImageMeta keeps for one application, in ``app.extensions``.

    :param name: The name of the blueprint, and in capitals the prefix of the keys.
    """

    def __init__(self, app: Flask, owner: ImageMeta, schema: HeaderSchema) -> None:
        self.name: str = owner.name
        self.schema = schema
        self.config: Config = read_config(app, owner.name)
        self._owner = owner
        self._ensure_sync = app.ensure_sync

    @cached_property
    def hooks(self) -> Hooks:
        """The hooks as they are at the first request; from then on they are settled."""
        found = self._owner._settle() | self.config.hooks
        ready = {hook: self._callable(found[hook]) for hook in found}
        return Hooks(
            lookup=ready.get("lookup", self._no_lookup),
            identity=ready.get("identity", lambda: None),
            stored_size=ready.get("stored_size", lambda image: None),
            show_property=ready.get("show_property"),
        )

    @property
    def store(self) -> Hook | None:
        """The lookup as the host set it, which may have methods of a store; None without one."""
        return (self._owner._settle() | self.config.hooks).get("lookup")

    def _callable(self, hook: Hook) -> Hook:
        # An object whose __call__ is a coroutine function does not look like one itself.
        if not iscoroutinefunction(hook) and iscoroutinefunction(hook.__call__):  # type: ignore[operator]
            hook = hook.__call__  # type: ignore[operator]
        return self._ensure_sync(hook)

    def _no_lookup(self, image_id: str) -> Any:
        raise RuntimeError(
            f"ImageMeta {self.name!r} has no lookup hook. Set one in one of three ways: "
            f"ImageMeta(lookup=find_image); @{self.name}.lookup above the function; or "
            f'app.config["{self.name.upper()}_LOOKUP"] = "package.module:find_image".'
        )


class ImageMeta:
    """Answers ``HEAD /v1/images/{image_id}`` with an image's metadata in headers.

    One object serves any number of applications; one application may have several objects
    under different names. Every hook can be set as an argument, with the decorator of its
    name, or by import string in the configuration, which wins. Coroutine functions work
    with the extra ``flask[async]``.

    :param app: An application to initialize at once.
    :param name: A Python identifier: the blueprint's name and, in capitals, the prefix of
        the configuration keys.
    :param schema: A `HeaderSchema`, as a class or an instance; None means `ImageMetaSchema`.
    :param lookup: See `lookup`.
    :param identity: See `identity`.
    :param stored_size: See `stored_size`.
    :param show_property: See `show_property`.
    :raises ValueError: when the name is no identifier.
    :raises TypeError: when the schema is no HeaderSchema, or a hook cannot be called.
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
    ) -> None:
        if not name.isidentifier():
            raise ValueError(f"name is {name!r}, but must be a Python identifier")
        self.name: str = name
        if schema is None:
            schema = ImageMetaSchema
        self._schema = schema() if isinstance(schema, type) else schema
        if not isinstance(self._schema, HeaderSchema):
            raise TypeError(f"schema is {schema!r}, but must be a HeaderSchema, class or instance")
        self._hooks: dict[str, Hook] = {}
        self._settled = False
        given = zip(HOOKS, (lookup, identity, stored_size, show_property), strict=True)
        for hook_name, hook in given:
            if hook is not None:
                self._set(hook_name, hook)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Mount the blueprint on an application, add its commands and read its configuration.

        The keys, here for an object with the default name, and their defaults:

        - ``IMAGEMETA_URL_PREFIX`` ("/v1"): where the blueprint is mounted.
        - ``IMAGEMETA_LOOKUP``, ``IMAGEMETA_IDENTITY``, ``IMAGEMETA_STORED_SIZE``,
          ``IMAGEMETA_SHOW_PROPERTY`` (None): import strings of hooks, which win over code.
        - ``IMAGEMETA_MAX_HEADERS`` (90): the most headers of ours in one response.
        - ``IMAGEMETA_MAX_HEADER_BYTES`` (16384): the most bytes of them.
        - ``IMAGEMETA_CACHE_CONTROL`` ("private, no-cache"): the Cache-Control sent.
        - ``IMAGEMETA_VARY`` ("X-Auth-Token, Authorization, Cookie"): the Vary sent.
        - ``IMAGEMETA_RETRY_AFTER`` (5): seconds, sent with 503.

        :raises ConfigurationError: with the key, the value and what would be right.
        :raises RuntimeError: when the application already has an ImageMeta of this name, or
            another one under the same URL prefix.
        """
        states: dict[str, State] = app.extensions.setdefault("imagemeta", {})
        if self.name in states:
            raise RuntimeError(
                f"This application already has an ImageMeta named {self.name!r}. Did you call "
                "init_app twice, or make two objects? A second one needs a name of its own: "
                'ImageMeta(name="firmware").'
            )
        state = State(app, self, self._schema)
        for other in states.values():
            if other.config.url_prefix.rstrip("/") == state.config.url_prefix.rstrip("/"):
                raise RuntimeError(
                    f"ImageMeta {self.name!r} and {other.name!r} would both be mounted at "
                    f"{state.config.url_prefix!r}. Set {self.name.upper()}_URL_PREFIX."
                )
        app.register_blueprint(make_blueprint(state))
        add_commands(app)
        states[self.name] = state

    def lookup(self, hook: LookupHook) -> LookupHook:
        """Set the lookup hook: (image_id) -> image, or None if there is none.

        The image is a mapping or any object with the fields' names; a field that is absent
        counts as None. Raise `StoreUnavailable` when the store cannot answer now.

        :raises RuntimeError: when the hook is set already, or a request was already served.
        """
        return self._set("lookup", hook)

    def identity(self, hook: IdentityHook) -> IdentityHook:
        """Set the identity hook: () -> Identity, or None for anonymous, from the current request.

        It may refuse a request with ``flask.abort(401)``.

        :raises RuntimeError: when the hook is set already, or a request was already served.
        """
        return self._set("identity", hook)

    def stored_size(self, hook: StoredSizeHook) -> StoredSizeHook:
        """Set the stored_size hook: (image) -> bytes really held by the store, or None if unknown.

        :raises RuntimeError: when the hook is set already, or a request was already served.
        """
        return self._set("stored_size", hook)

    def show_property(self, hook: ShowPropertyHook) -> ShowPropertyHook:
        """Set the show_property hook: (name, identity) -> whether the property is shown.

        The name is in lower case.

        :raises RuntimeError: when the hook is set already, or a request was already served.
        """
        return self._set("show_property", hook)

    def _set(self, name: str, hook: AnyHook) -> AnyHook:
        if not callable(hook):
            raise TypeError(f"the {name} hook is {hook!r}, but must be callable")
        if self._settled:
            raise RuntimeError(
                f"The {name} hook of ImageMeta {self.name!r} comes too late: a request was "
                "already served. Set hooks while the application is set up."
            )
        if name in self._hooks:
            raise RuntimeError(
                f"ImageMeta {self.name!r} has the {name} hook already: {self._hooks[name]!r}."
            )
        self._hooks[name] = hook
        return hook

    def _settle(self) -> dict[str, Hook]:
        self._settled = True
        return self._hooks
