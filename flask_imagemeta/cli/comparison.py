"""What different callers would get for the images of a store."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from ..access import Identity, is_access_granted
from ..exceptions import InvalidImage, short_repr
from ..image import FIELDS, PASS_THROUGH_ERRORS, read_field
from ..request_id import REQUEST_ID, logger
from ..schema import HeaderSchema, ImageMetaSchema
from ..show import ShowImage
from ..signals import image_hidden, image_missing, image_shown, store_unavailable
from ..state import State
from ..wire import from_value
from .head import Route
from .losses import STRANGER

Answers = dict[str, dict[str, str]]

_SIGNALS = (image_shown, image_hidden, image_missing, store_unavailable)
# When PostgreSQL refuses a batch, psycopg warns of it with the names of host, user and database.
_LOGS = (logger.logger, logging.getLogger("psycopg"))


def choose_callers(image: Any, found: Any) -> dict[str, Identity]:
    """Return an admin, a stranger, an image's owner, and its members in either store.

    A field that cannot be read adds no caller; the responses show that it cannot be read.

    :param found: The image of the same id in the other store.
    """
    callers = {"an admin": Identity(roles=["admin"]), "a stranger": STRANGER}
    owner = _read(image, "owner")
    if owner is not None:
        callers["the owner"] = Identity(project_id=str(owner))
    for member in sorted({*_members(image), *_members(found)}):
        callers[f"the member {member!r}"] = Identity(project_id=member)
    return callers


def _members(image: Any) -> list[str]:
    """Return the members of an image that is shared."""
    if _read(image, "visibility") not in (None, "shared"):
        return []
    members = _read(image, "members")
    if isinstance(members, (str, bytes)) or not isinstance(members, Iterable):
        return []
    with suppress(InvalidImage):  # some are fetched only now
        return [str(member) for member in members if member is not None]
    return []


def _read(image: Any, name: str) -> Any:
    try:
        return read_field(image, name)
    except InvalidImage:
        return None


def is_same_image(one: Any, other: Any, schema: HeaderSchema) -> bool:
    """Return whether two images have the same fields, so that every caller gets the same response.

    False does not mean that answers differ: 0 and None may be sent alike, and a custom
    schema may send anything.
    """
    if type(schema) is not ImageMetaSchema or other is None:
        return False
    if is_access_granted(one) or is_access_granted(other):
        return False
    try:
        return all(
            _comparable(read_field(one, name)) == _comparable(read_field(other, name))
            for name in FIELDS
        )
    except PASS_THROUGH_ERRORS:
        raise
    except Exception:  # a value may have no repr, if it is nested too deep, or no order
        return False


def _comparable(value: Any) -> str:
    """Return text that is the same only for the same value: 1 and True are equal, but differ."""
    if isinstance(value, Mapping):
        return repr(sorted(value.items()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return repr(sorted(map(repr, value)))
    return repr(value)


class Answering:
    """Answers requests for given images, whatever store they come from.

    The hooks stored_size and show_property are left out: they do not depend on the store.

    :param state: The state of the ImageMeta object that answers.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        # A response depends on the caller and the image alone, so any request will do.
        self._environ = Route(state).make_environ("-")

    def find(self, image: Any, callers: dict[str, Identity]) -> Answers:
        """Return the status and the headers that each caller gets for an image, or for None.

        :raises StoreUnavailable: when what the response depends on cannot be fetched now.
        """
        image_id = str(read_field(image, "id")) if image is not None else ""
        found = {}
        with self._state.app.request_context(dict(self._environ)):
            for caller, identity in callers.items():
                seen = self._state.as_seen_by(
                    identity,
                    lookup=lambda _: image,
                    stored_size=lambda _: None,
                    show_property=None,
                )
                response = ShowImage(seen, image_id).answer()
                headers = {k: from_value(v) for k, v in response.headers.items() if k != REQUEST_ID}
                found[caller] = {"status": str(response.status_code), **headers}
        return found


def compare(source: Answers, target: Answers) -> list[tuple[str, str]]:
    """Return each header that differs between answers, and how.

    An ETag is a digest of the other headers, so it is reported only where they are the same.
    """
    found: dict[str, str] = {}
    for caller, expected in source.items():
        actual = target[caller]
        for name in sorted(expected.keys() | actual.keys(), key=lambda name: name == "ETag"):
            one, other = expected.get(name), actual.get(name)
            if one == other or (name == "ETag" and found):
                continue
            was = "nothing" if one is None else short_repr(one)
            now = "nothing" if other is None else short_repr(other)
            found.setdefault(name, f"{caller} would get {now}, not {was}")
    return list(found.items())


@contextmanager
def unnoticed() -> Iterator[None]:
    """Send no signals and log nothing: there is no client, and what is refused is reported."""
    with ExitStack() as stack:
        for log in _LOGS:
            stack.callback(log.setLevel, log.level)
            log.setLevel(logging.CRITICAL + 1)
        for signal in _SIGNALS:
            stack.enter_context(signal.muted())
        yield
