"""Who may see an image, and the identities it depends on."""

from __future__ import annotations

from collections import UserString
from enum import Enum
from typing import Any

import pytest
from flask import Flask
from werkzeug.exceptions import Forbidden

from flask_imagemeta import Identity, InvalidImage, StoreUnavailable, keystone_identity
from flask_imagemeta.access import is_deleted, may_see

pytestmark = pytest.mark.core

ADMIN = Identity("p0", ["Admin"])
OWNER = Identity("p1", ["member"])
MEMBER = Identity("p2", ["member"])
STRANGER = Identity("p3", ["member"])
UNSCOPED = Identity(None, ["member"])
EVERYBODY = {ADMIN, OWNER, MEMBER, STRANGER, UNSCOPED, None}


class Visibility(Enum):
    COMMUNITY = "community"
    PRIVATE = "private"


def image(**fields: Any) -> dict[str, Any]:
    return {"owner": "p1", "members": ["p2"], **fields}


@pytest.mark.parametrize(
    ("seen", "by"),
    [
        (image(owner=None, visibility="private"), EVERYBODY),
        ({}, EVERYBODY),
        (image(is_public=True), EVERYBODY),
        (image(is_public="1"), EVERYBODY),
        (image(visibility="public"), EVERYBODY),
        (image(visibility="community"), EVERYBODY),
        (image(visibility=Visibility.COMMUNITY), EVERYBODY),
        (image(visibility="shared"), {ADMIN, OWNER, MEMBER}),
        (image(), {ADMIN, OWNER, MEMBER}),
        (image(visibility=None, is_public=False), {ADMIN, OWNER, MEMBER}),
        (image(visibility="private"), {ADMIN, OWNER}),
        (image(visibility=Visibility.PRIVATE), {ADMIN, OWNER}),
        (image(visibility="unheard of"), {ADMIN, OWNER}),
        (image(members=None), {ADMIN, OWNER}),
        (image(owner="P1"), {ADMIN, MEMBER}),
        (image(is_public=[]), {ADMIN, OWNER, MEMBER}),
        (image(owner=None, deleted=True), {ADMIN}),
        (image(visibility="public", deleted=True), {ADMIN}),
        (image(deleted="no"), {ADMIN, OWNER, MEMBER}),
        (image(deleted="perhaps"), {ADMIN}),
        (image(deleted=[]), {ADMIN}),
    ],
)
def test_may_see(seen: Any, by: set[Identity | None]) -> None:
    """An image is seen by exactly those whom the rule names."""
    assert {identity for identity in EVERYBODY if may_see(seen, identity)} == by


@pytest.mark.parametrize("make", [list, tuple, set, iter, dict.fromkeys])
def test_members_are_any_iterable(make: Any) -> None:
    """Members are any iterable of project ids."""
    assert may_see(image(members=make(["p1", "p2"])), MEMBER)


def test_membership_is_exact() -> None:
    """A member's project compares to the letter."""
    assert not may_see(image(members=["P2", "p22"]), MEMBER)


def test_members_are_read_last() -> None:
    """Members are not read when the answer does not depend on them."""

    class Members:
        def __contains__(self, project: object) -> bool:
            raise AssertionError

    for seen, identity in [
        (image(), OWNER),
        (image(visibility="public"), MEMBER),
        (image(visibility="private"), MEMBER),
        (image(), None),
        (image(), ADMIN),
    ]:
        seen["members"] = Members()
        may_see(seen, identity)


@pytest.mark.parametrize("members", ["p2", b"p2", UserString("p2"), 7])
def test_members_have_to_be_several(members: object) -> None:
    """Members that are not an iterable of ids are a fault of the image, not an open door."""
    with pytest.raises(InvalidImage, match=r"^members = "):
        may_see(image(members=members), MEMBER)


@pytest.mark.parametrize("answer", [StoreUnavailable("down"), Forbidden()])
def test_answers_of_members_pass(answer: Exception) -> None:
    """What lazy members raise as an answer is not a fault of the image."""

    class Members:
        def __contains__(self, project: object) -> bool:
            raise answer

    with pytest.raises(type(answer)):
        may_see(image(members=Members()), MEMBER)


def test_field_that_fails_is_named() -> None:
    """A field that raises is an InvalidImage that names it."""

    class Image:
        @property
        def deleted(self) -> bool:
            raise OSError("disk on fire")

    with pytest.raises(InvalidImage, match=r"^deleted = None: cannot be read: .*disk on fire"):
        is_deleted(Image())


@pytest.mark.parametrize("deleted", [True, 1, "true", "perhaps", [], 2])
def test_deleted(deleted: object) -> None:
    """Whatever is not clearly false counts as deleted."""
    assert is_deleted({"deleted": deleted})


@pytest.mark.parametrize("deleted", [False, 0, "false", None])
def test_not_deleted(deleted: object) -> None:
    """False in any of its words, or no word at all, is not deleted."""
    assert not is_deleted({"deleted": deleted})


@pytest.mark.parametrize("role", ["admin", "ADMIN", "Admin"])
def test_admin_in_any_case(role: str) -> None:
    """The admin role counts in any case."""
    assert Identity(roles=["member", role]).is_admin


@pytest.mark.parametrize("roles", [[], ["member"], ["administrator"], ["cloud-admin"]])
def test_no_admin(roles: list[str]) -> None:
    """No other role makes an admin."""
    assert not Identity("admin", roles).is_admin


def test_identity_is_a_value() -> None:
    """Identities with the same project and roles are equal, hash alike and cannot be changed."""
    assert {Identity("a", ["b", "c"]), Identity("a", iter(["c", "b"]))} == {
        Identity("a", {"b", "c"})
    }
    with pytest.raises(AttributeError):
        Identity("a").project_id = "b"  # type: ignore[misc]


def test_roles_are_several() -> None:
    """A single string of roles, which would be taken letter by letter, is refused."""
    with pytest.raises(TypeError, match=r"roles is 'admin'.*\['admin'\]\?"):
        Identity("a", "admin")


@pytest.mark.parametrize("project_id", [5, b"a", ["a"]])
def test_a_project_is_text(project_id: object) -> None:
    """A project that is not text, and so would never equal an owner, is refused."""
    with pytest.raises(TypeError, match=r"project_id is .* must be text or None"):
        Identity(project_id)  # type: ignore[arg-type]


CONFIRMED = {"HTTP_X_IDENTITY_STATUS": "Confirmed"}


@pytest.mark.parametrize(
    ("environ", "identity"),
    [
        (
            {**CONFIRMED, "HTTP_X_PROJECT_ID": "p", "HTTP_X_ROLES": "member, admin,,"},
            Identity("p", ["member", "admin"]),
        ),
        (CONFIRMED, Identity()),
        ({**CONFIRMED, "HTTP_X_PROJECT_ID": ""}, Identity()),
        ({**CONFIRMED, "HTTP_X_PROJECT_ID": "\xc3\xa9"}, Identity("é")),
        ({"HTTP_X_IDENTITY_STATUS": "Invalid", "HTTP_X_PROJECT_ID": "p"}, None),
        ({"HTTP_X_PROJECT_ID": "p", "HTTP_X_ROLES": "admin"}, None),
        ({}, None),
    ],
)
def test_keystone_identity(environ: dict[str, str], identity: Identity | None) -> None:
    """Keystone's middleware is believed only where it confirmed the token."""
    with Flask("tests").test_request_context(environ_overrides=environ):
        assert keystone_identity() == identity


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ((5,), "must be text or None"),
        (("p", "admin"), r"must be a list: \['admin'\]\?"),
        (("p", None), r"must be an iterable: \[\]"),
        (("p", [b"admin"]), "must be names of roles"),
    ],
)
def test_an_identity_of_other_values(arguments: Any, meant: str) -> None:
    """What cannot be a caller is refused where it is made, with what was probably meant."""
    with pytest.raises(TypeError, match=meant):
        Identity(*arguments)
