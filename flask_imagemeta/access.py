"""Who may see an image: the rule of the Image API v1, and the identities it applies to."""

from __future__ import annotations

from collections import UserString
from collections.abc import Iterable
from dataclasses import dataclass
from types import NoneType
from typing import Any

from flask import request
from marshmallow import fields

from .exceptions import InvalidImage
from .image import PASS_THROUGH_ERRORS, ImageRecord, read_field
from .wire import as_text, from_value

# Members of any other type do the comparison themselves: it may be a query.
_COLLECTIONS = (list, tuple, set, frozenset)


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller of a request.

    :param project_id: The caller's project (tenant), or None for a caller without one.
    :param roles: The names of the caller's roles; any iterable, kept as a frozenset.
    :raises TypeError: when project_id is not text, or roles is not an iterable of strings.
    """

    project_id: str | None = None
    roles: Iterable[str] = frozenset()

    def __post_init__(self) -> None:
        if not isinstance(self.project_id, (str, NoneType)):
            raise TypeError(
                f"project_id is {self.project_id!r}, but must be text or None, as owners are "
                "compared as text: str()?"
            )
        if self.roles is None:
            raise TypeError("roles is None, but must be an iterable: [] for a caller without roles")
        if isinstance(self.roles, str):
            raise TypeError(f"roles is {self.roles!r}, but must be a list: [{self.roles!r}]?")
        roles = frozenset(self.roles)
        if not all(isinstance(role, str) for role in roles):
            raise TypeError(f"roles is {self.roles!r}, but must be names of roles")
        object.__setattr__(self, "roles", roles)

    @property
    def is_admin(self) -> bool:
        """Whether one of the roles is ``admin``, in any case."""
        return any(role.lower() == "admin" for role in self.roles)


def is_deleted(image: Any) -> bool:
    """Return whether an image is deleted. A value that is neither true nor false counts as yes."""
    deleted = read_field(image, "deleted")
    return deleted is not None and not _one_of(deleted, fields.Boolean.falsy)


def may_see(image: Any, identity: Identity | None) -> bool:
    """Return whether an identity (None: anonymous) may see an image.

    An admin sees everything. Anyone else sees an image that is not deleted if it has no owner, is
    public or open to the community, belongs to the caller's own project, or is shared with that
    project, even if the membership is still pending or was rejected. Project ids must match
    exactly. An `ImageRecord` with ``access_granted`` may be seen by the caller it was read for.

    :raises InvalidImage: when reading the host's object fails.
    """
    if identity is not None and identity.is_admin:
        return True
    if is_access_granted(image) or is_open(image):
        return True
    if identity is None or identity.project_id is None or is_deleted(image):
        return False
    if _is_owned_by(image, identity):
        return True
    return _is_shared(image) and _has_member(image, identity.project_id)


def may_be_listed(image: Any, identity: Identity | None, *, is_public: bool | None = True) -> bool:
    """Return whether lists for an identity (None: anonymous) include an image, deleted or not.

    This is the rule of the Image API v1's registry, which is stricter than `may_see`. Every list
    includes public images; a project's list also has its own images and those shared with it, even
    if the membership is still pending or was rejected. Community images appear only in their
    owner's list, and an image without an owner only if it is public. Unlike in the reference, a
    caller without a project never gets shared images. An `ImageRecord` with ``access_granted``
    is listed for the caller it was read for.

    :param is_public: What an admin asks for, ignored for others: True for the rule above, None for
        the images of all projects except others' community images, False for the same without
        public ones.
    :raises InvalidImage: when reading the host's object fails.
    """
    is_admin = identity is not None and identity.is_admin
    if _is_public(image):
        return not is_admin or is_public is not False
    if is_access_granted(image) or _is_owned_by(image, identity):
        return True
    if _one_of(read_field(image, "visibility"), ("community",)):
        return False
    if is_admin and is_public is not True:
        return True
    project_id = identity.project_id if identity else None
    return project_id is not None and _is_shared(image) and _has_member(image, project_id)


def is_open(image: Any) -> bool:
    """Return whether anyone may see an image: not deleted, and public, community or without owner.

    :raises InvalidImage: when reading the host's object fails.
    """
    if is_deleted(image):
        return False
    if read_field(image, "owner") is None:  # an owner of "" is an owner
        return True
    return _one_of(read_field(image, "visibility"), ("community",)) or _is_public(image)


def is_access_granted(image: Any) -> bool:
    """Return whether the store itself decided that this caller may see the image."""
    return isinstance(image, ImageRecord) and image.access_granted


def keystone_identity() -> Identity | None:
    """Return the identity that Keystone's auth_token middleware added to the current request.

    Use it as the identity hook only in an application behind keystonemiddleware: the middleware
    strips these headers from incoming requests. Without it, anyone could claim to be an admin.
    None unless the middleware confirmed the token.
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


def _is_public(image: Any) -> bool:
    if _one_of(read_field(image, "visibility"), ("public",)):
        return True
    return _one_of(read_field(image, "is_public"), fields.Boolean.truthy)


def _is_owned_by(image: Any, identity: Identity | None) -> bool:
    if identity is None or identity.project_id is None:
        return False
    return _as_text(read_field(image, "owner")) == identity.project_id


def _is_shared(image: Any) -> bool:
    visibility = read_field(image, "visibility")
    return visibility is None or _one_of(visibility, ("shared",))


def _has_member(image: Any, project_id: str) -> bool:
    members = read_field(image, "members")
    if isinstance(members, (str, bytes, UserString)):  # "in" would search the text
        raise InvalidImage("members", members, "must be an iterable of project ids")
    try:
        if isinstance(members, _COLLECTIONS):
            members = map(_as_text, members)  # ids may be UUIDs, like an owner
        return members is not None and project_id in members
    except (*PASS_THROUGH_ERRORS, InvalidImage):
        raise
    except Exception as error:
        if _is_of_database(error):
            raise  # it is about the set-up: a row's is an InvalidImage already
        raise InvalidImage("members", members, f"cannot be read: {error!r}") from error


def _is_of_database(error: Exception) -> bool:
    # Imported only now: it takes eight times as long as all of this package.
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    return isinstance(error, SQLAlchemyError)


def _as_text(value: Any) -> str | None:
    """Return an owner or a member as text, as a header would have it; None if it has no text."""
    try:
        return as_text(value)
    except Exception:
        return None


def _one_of(value: Any, words: Iterable[Any]) -> bool:
    try:
        return value in words
    except Exception:  # unhashable or not comparable, so it isn't one of the words
        return False
