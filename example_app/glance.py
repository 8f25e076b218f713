"""A Glance at /v1, instead of the example's own model: ``make demo GLANCE_DATABASE_URL=...``.

Here a token is ``admin`` or the id of any project. Only a GlanceAPI without a session takes the
Glance's own tokens; its images cannot be listed for the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from flask import request

from flask_imagemeta import Identity, ImageMeta, ImageMetaError, InvalidImage
from flask_imagemeta.stores import GlanceAPI, GlanceDatabase

KEYS = ("GLANCE_DATABASE_URL", "GLANCE_URL", "GLANCE_TOKEN")

_LISTED = 100  # images
_ASKED_FOR_MEMBERS = 10  # shared images: with an API, each is a request
_OFFERED = 3  # owners, and members
_SHOWN = ("id", "name", "status", "owner", "visibility")


class Glance:
    """A Glance's images, and the callers who may see different ones of them.

    :param store: The store that reads them.
    """

    def __init__(self, store: GlanceDatabase | GlanceAPI) -> None:
        self.store = store
        self.imagemeta = ImageMeta(lookup=store, identity=_caller, search=store.search)

    def images(self) -> list[dict[str, Any]]:
        """Return the first images as the page shows them; none if they cannot be listed."""
        return [{name: _read(image, name) for name in _SHOWN} for image in self._walk()]

    def callers(self) -> dict[str, str]:
        """Return tokens to choose from, each with a label: owners, members and others."""
        images = self._walk()
        if not images:
            return {}
        owners = (_read(image, "owner") for image in images)
        shared = (image for image in images if _read(image, "visibility") == "shared")
        members = (
            member
            for image in islice(shared, _ASKED_FOR_MEMBERS)
            for member in _read(image, "members") or ()
        )
        callers = {"admin": "admin"}
        for role, projects in (("owner", owners), ("member", members)):
            others = dict.fromkeys(one for one in projects if one and one not in callers)
            callers |= {project: f"{role} {project:.8}" for project in islice(others, _OFFERED)}
        return callers | {"stranger": "stranger"}

    def _walk(self) -> list[Any]:
        try:
            return list(islice(self.store.walk(), _LISTED))
        except ImageMetaError:  # it is unreachable, or has no session to list them
            return []


def find_glance(config: Mapping[str, Any]) -> Glance | None:
    """Return the Glance that the configuration names; None if it names none.

    :raises ValueError: when it cannot be the address of one.
    """
    if config.get("GLANCE_DATABASE_URL"):
        return Glance(GlanceDatabase(config["GLANCE_DATABASE_URL"]))
    if not config.get("GLANCE_URL"):
        return None
    return Glance(GlanceAPI(config["GLANCE_URL"], session=_session(config)))


def _session(config: Mapping[str, Any]) -> Any:
    if not config.get("GLANCE_TOKEN"):
        return None
    from keystoneauth1.session import Session
    from keystoneauth1.token_endpoint import Token

    return Session(Token(config["GLANCE_URL"], config["GLANCE_TOKEN"]))


def _caller() -> Identity | None:
    token = request.headers.get("X-Auth-Token")
    if not token:
        return None
    return Identity(roles=["admin"]) if token == "admin" else Identity(project_id=token)


def _read(image: Any, name: str) -> Any:
    """Return a field of an image; None if it cannot be read."""
    try:
        return image[name] if isinstance(image, Mapping) else getattr(image, name)
    except InvalidImage:
        return None
