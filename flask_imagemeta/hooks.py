"""The hooks: what a host's callables are given, and the checks of what they return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from .access import Identity, is_deleted
from .exceptions import short_repr
from .query import Query
from .wire import as_int

Hook = Callable[..., Any]


class Hooks(NamedTuple):
    """The hooks of one application, ready to be called; each is described in `ImageMeta`."""

    lookup: Callable[[str], Any]
    identity: Callable[[], Any] = lambda: None
    stored_size: Callable[[Any], Any] = lambda image: None
    show_property: Callable[[str, Identity | None], Any] | None = None
    search: Callable[[Query], Any] | None = None


def check_hook(name: str, hook: object) -> None:
    """Check that a hook is callable and not a class, which a call would instantiate.

    :raises TypeError: otherwise, saying what was probably meant.
    """
    if isinstance(hook, type):
        meant = f"{hook.__name__}(...)"
        if name in ("lookup", "search"):
            method = ".search" if name == "search" else ""
            meant = f"ModelStore({hook.__name__}){method}"
        raise TypeError(
            f"the {name} hook is the class {hook.__name__}, but must be a function or an object "
            f"that can be called: {meant}?"
        )
    if not callable(hook):
        raise TypeError(f"the {name} hook is {hook!r}, but must be callable")


def as_identity(identity: object) -> Identity | None:
    """Return what the identity hook returned.

    :raises TypeError: when that is neither an Identity nor None.
    """
    if identity is None or isinstance(identity, Identity):
        return identity
    raise TypeError(f"the identity hook returned {identity!r}, not an Identity or None")


def as_stored_size(size: Any) -> int:
    """Return what the stored_size hook returned, in bytes; 0 for unknown.

    :raises TypeError: when that is not a whole number.
    """
    try:
        return as_int(size or 0)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(
            f"the stored_size hook returned {short_repr(size)}, not a number of bytes or None"
        ) from error


def as_shown(shown: object) -> bool:
    """Return what the show_property hook returned.

    :raises TypeError: when that is not a bool; a string or a coroutine would pass for True.
    """
    if isinstance(shown, bool):
        return shown
    raise TypeError(f"the show_property hook returned {shown!r}, not True or False")


def property_filter(
    hooks: Hooks, image: object, identity: Identity | None
) -> Callable[[str], bool] | None:
    """Return the function that says whether a caller is shown a property of an image.

    It takes the property's name in lower case. None if all of them are shown; a deleted image
    shows none.
    """
    show = hooks.show_property
    if is_deleted(image):
        return lambda name: False
    if show is None:
        return None
    return lambda name: as_shown(show(name, identity))


def as_candidates(found: Any) -> Iterable[Any]:
    """Return what the search hook returned.

    :raises TypeError: when that is not an iterable, or is a single text or mapping.
    """
    if isinstance(found, Iterable) and not isinstance(found, (str, bytes, Mapping)):
        return found
    raise TypeError(f"the search hook returned {short_repr(found)}, not an iterable of images")
