"""Who may see an image: the rule of the Image API v1, and the identities it looks at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import NoneType
from typing import Any

from flask import request
from marshmallow import fields

from .exceptions import InvalidImage
from .image import ANSWERS, ImageRecord, read_field
from .wire import as_text, from_value


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks.

    :param project_id: The caller's project (tenant), or None for a caller without one.
    :param roles: The names of the caller's roles; any iterable, kept as a frozenset.
    :raises TypeError: when project_id is no text, or roles is a single string or holds what is
        none.
    """

    project_id: str | None = None
    roles: Iterable[str] = frozenset()

    def __post_init__(self) -> None:
        if not isinstance(self.project_id, (str, NoneType)):
            raise TypeError(
                f"project_id is {self.project_id!r}, but must be text or None, as owners are "
                "compared as text: str()?"
            )
        if isinstance(self.roles, str):
            raise TypeError(f"roles is {self.roles!r}, but must be several: [{self.roles!r}]?")
        roles = frozenset(self.roles)
        if not all(isinstance(role, str) for role in roles):
            raise TypeError(f"roles is {self.roles!r}, but must be names of roles")
        object.__setattr__(self, "roles", roles)

    @property
    def is_admin(self) -> bool:
        """Whether one of the roles is ``admin``, in any case."""
        return any(role.lower() == "admin" for role in self.roles)


def is_deleted(image: Any) -> bool:
    """Tell whether an image is deleted. What is neither true nor false counts as deleted."""
    deleted = read_field(image, "deleted")
    return deleted is not None and not _one_of(deleted, fields.Boolean.falsy)


def may_see(image: Any, identity: Identity | None) -> bool:
    """Tell whether an identity (None: anonymous) may see an image.

    An admin sees everything. Anybody else sees what is not deleted and has no owner, or is
    public, or is open to the community, or belongs to the caller's own project, or is shared
    with it, whatever the state of that membership. Projects compare exactly. An `ImageRecord`
    with ``access_granted`` is for whoever the store gave it to.

    :raises InvalidImage: when the host's object fails while it is read.
    """
    if identity is not None and identity.is_admin:
        return True
    if isinstance(image, ImageRecord) and image.access_granted:
        return True
    if is_deleted(image):
        return False
    owner = read_field(image, "owner")
    visibility = read_field(image, "visibility")
    if owner is None or _one_of(visibility, ("public", "community")):
        return True
    if _one_of(read_field(image, "is_public"), fields.Boolean.truthy):
        return True
    if identity is None or identity.project_id is None:
        return False
    if _as_text(owner) == identity.project_id:
        return True
    if visibility is not None and not _one_of(visibility, ("shared",)):
        return False
    return _has_member(image, identity.project_id)


def keystone_identity() -> Identity | None:
    """Return the identity that Keystone's auth_token middleware put into the current request.

    An identity hook for an application behind keystonemiddleware, and only there: the
    middleware takes these headers away from what clients send, without it anybody could
    claim to be an admin. None unless the middleware confirmed the token.
    """
    environ = request.environ
    if environ.get("HTTP_X_IDENTITY_STATUS") != "Confirmed":
        return None
    project = environ.get("HTTP_X_PROJECT_ID")
    roles = from_value(environ.get("HTTP_X_ROLES", ""))
    return Identity(
        project_id=from_value(project) if project else None,
        roles=[role.strip() for role in roles.split(",") if role.strip()],
    )


def _has_member(image: Any, project_id: str) -> bool:
    members = read_field(image, "members")
    if isinstance(members, (str, bytes)):  # "in" would search the text
        raise InvalidImage("members", members, "must be an iterable of project ids")
    try:
        return members is not None and project_id in members
    except ANSWERS:
        raise
    except Exception as error:
        raise InvalidImage("members", members, f"cannot be read: {error!r}") from error


def _as_text(owner: Any) -> str | None:
    """Return an owner as its header shows it, such as a UUID's text; None where it cannot."""
    try:
        return as_text(owner)
    except Exception:
        return None


def _one_of(value: Any, words: Iterable[Any]) -> bool:
    try:
        return value in words
    except Exception:  # not hashable, or not to be compared: so no word
        return False
