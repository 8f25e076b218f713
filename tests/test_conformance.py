"""The recorded cases of the real v1 server, through ImageMixin, ModelStore and an identity hook.

Each case answers as recorded, or is in one of the tables below, which say what it answers
instead and why. A case that differs for any other reason fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_imagemeta import Identity, ImageMeta, ImageMixin, StoreUnavailable
from flask_imagemeta.stores import ModelStore
from flask_imagemeta.wire import from_value

from .recorded import CASE, as_columns, ask

pytestmark = pytest.mark.core

RECORDED = json.loads((Path(__file__).parent / "data/glance-v1-head.json").read_text())
CASES = {case["case"]: case for case in RECORDED["cases"]}

# Answers with another status than the recorded one: the rule, and the cases' statuses.
LOGIN = "the old pipeline demanded a token: behind an optional identity, none is anonymous"
ROUTER = "the old server's or router's own answer, from in front of the operation"
OTHER_STATUS: dict[str, tuple[str, int]] = {
    **{
        f"visibility.{image}.no_token": (LOGIN, status)
        for status, images in {
            200: "v2_community_a v2_public full owner_none file_ok_public",
            404: "private_a shared_rejected_b shared_removed_b v2_private_with_member_b deleted_a "
            "status_saving status_killed bool_publicFalse_protectedFalse name_unicode",
        }.items()
        for image in images.split()
    },
    "auth.no_token.unknown_id": (LOGIN, 404),
    **dict.fromkeys(
        ["reqid.len65.no_token", "reqid.empty.no_token", "reqid.space.no_token"], (LOGIN, 200)
    ),
    **dict.fromkeys(
        [
            "id.members_suffix",
            "id.id_9k",
            "url.v1_noslash",
            "url.v1_images",
            "url.v1_1",
            "url.v3",
            "url.unversioned",
            "url.unversioned_accept_v1",
            "url.unversioned_accept_v1_1",
            "url.accept_unknown",
            "url.root",
            "url.versions",
            "url.members",
            "reqid.utf8.missing_image",
        ],
        (ROUTER, 404),
    ),
    **dict.fromkeys(
        [
            "id.stored_nonuuid.detail",
            "http.0_9ish",
            "hdr.content_length_junk",
            "hdr.hdr_huge_40k",
            "hdr.hdr_huge_70k",
            "hdr.hdr_dup_token",
            "reqid.len65",
            "reqid.utf8",
        ],
        (ROUTER, 200),
    ),
    "show.db_year_1899": ("every date goes out; the old server's year began at 1900", 200),
    "id.newline": ("an id with a control character is not looked up", 404),
    **dict.fromkeys(
        [
            "id.id_12_wide",
            "id.id_37_wide",
            "id.latin1_escape",
            "id.bad_utf8",
            "id.emoji",
        ],
        ("non-ASCII ids work", 404),
    ),
    "id.utf8": ("non-ASCII ids work", 200),
    **dict.fromkeys(["p2.unicode_tenant_owner", "p2.unicode_user_public"], ("non-ASCII", 200)),
    "p2.unicode_tenant_other": ("non-ASCII callers work", 404),
    **dict.fromkeys(["hdr.size_different", "hdr.size_different.queued"], ("409 as promised", 409)),
    **dict.fromkeys(
        ["hdr.size_negative", "hdr.size_junk", "hdr.size_empty"],
        ("400 for a size that is no whole number", 400),
    ),
    **dict.fromkeys(
        ["hdr.if_none_match_star", "hdr.if_modified_since_future"], ("conditional requests", 304)
    ),
    **dict.fromkeys(
        ["hdr.if_match_other", "hdr.if_match_same", "hdr.if_unmodified_since_past"],
        ("conditional requests, the ETag over the metadata", 412),
    ),
    "registry_down.full": ("503 when the store is down", 503),
}

# Answers that differ in metadata: the rule, and each header as it is here, None where it is not.
CONTROLS = "control characters never reach the wire"
NAMES = "invalid property names are percent-encoded"
TRIMMED = "no white space around a value, which HTTP/2 forbids"
LIMITS = "the limits of a response: what is left out is counted"
PROPERTY = "X-Image-Meta-Property-"
OTHER_HEADERS: dict[str, tuple[str, dict[str, str | None]]] = {
    "show.v2_crlf_name": (CONTROLS, {"X-Image-Meta-Name": "line1  X-Injected-Name: yes"}),
    "show.v2_nul_name": (CONTROLS, {"X-Image-Meta-Name": "nul byte"}),
    "show.v2_name_255_wide": (CONTROLS, {f"{PROPERTY}Ctl": ""}),
    "p2.v2_spaces": (
        f"{CONTROLS}; {TRIMMED}; {LIMITS}",
        {
            "X-Image-Meta-Name": "v2 spaces",
            f"{PROPERTY}Lead": "x",
            f"{PROPERTY}Only": "",
            f"{PROPERTY}Tabs": "x",
            f"{PROPERTY}Trail": "x",
            f"{PROPERTY}Cr": "a b",
            f"{PROPERTY}Lf": "a b",
            f"{PROPERTY}Nel": "a b",
            f"{PROPERTY}Nl_end": "x",
            f"{PROPERTY}Vt_ff": "a  b",
            f"{PROPERTY}Big": None,
        },
    ),
    "show.v2_props": (
        NAMES,
        {
            f"{PROPERTY}Colon:key": None,
            f"{PROPERTY}Colon%3Akey": "c",
            f"{PROPERTY}With space": None,
            f"{PROPERTY}With%20space": "sp",
        },
    ),
    "p2.v2_odd_keys": (
        NAMES,
        {
            f"{PROPERTY}{name}": value
            for raw, encoded, text in [
                ("A,b", "A%2Cb", "comma"),
                ("A/b", "A%2Fb", "slash"),
                ("A;b", "A%3Bb", "semi"),
                ("A=b", "A%3Db", "eq"),
            ]
            for name, value in [(raw, None), (encoded, text)]
        },
    ),
    "p2.props_128": (LIMITS, {f"{PROPERTY}Prop_{n:03}": None for n in range(70, 128)}),
}


def metadata(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers if name.startswith("X-Image-Meta-")}


# What the old server said of each image at some time, for the cases in which it refused to.
AS_RECORDED = {
    headers["X-Image-Meta-Id"]: headers
    for case in RECORDED["cases"]
    if (headers := metadata(case["response"]["headers"]))
}


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Image(ImageMixin, db.Model):
    visibility: Mapped[str] = mapped_column(sa.String(9))
    members: Mapped[list[str]] = mapped_column(sa.JSON)


@contextmanager
def make_app(url: str, records: Iterable[dict[str, Any]]) -> Iterator[Flask]:
    """Yield an application over an empty database, filled with recorded images."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db.init_app(app)
    store = ModelStore(Image)

    def lookup(image_id: str) -> Any:
        if request.environ[CASE]["case"].startswith("registry_down"):
            raise StoreUnavailable("as it was when the case was recorded")
        return store(image_id)

    def identity() -> Identity | None:
        caller = request.environ[CASE]["identity"]
        return caller and Identity(from_value(caller["project_id"]), caller["roles"])

    ImageMeta(app, lookup=lookup, identity=identity)
    with app.app_context():
        db.create_all()
        db.session.add_all(Image(**as_columns(record)) for record in records)
        db.session.commit()
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(scope="module")
def heads_app() -> Iterator[Flask]:
    with make_app("sqlite://", RECORDED["images"].values()) as app:
        yield app


def ask_for(app: Flask, case: dict[str, Any]) -> tuple[int, dict[str, str]]:
    """Send a recorded request and return the status and the metadata headers."""
    status, headers, _ = ask(app, case)
    return status, metadata(headers.items())


@pytest.mark.parametrize("name", CASES)
def test_recorded_case(heads_app: Flask, name: str) -> None:
    """A request gets the recorded status and metadata, except for what the tables say."""
    case = CASES[name]
    expected_status = case["response"]["status"]
    expected = metadata(case["response"]["headers"])
    if name in OTHER_STATUS:
        _, expected_status = OTHER_STATUS[name]
        expected = AS_RECORDED.get(case["image"], {}) if expected_status == 200 else {}
    if name in OTHER_HEADERS:
        _, changes = OTHER_HEADERS[name]
        merged = expected | changes
        expected = {header: value for header, value in merged.items() if value is not None}

    status, headers = ask_for(heads_app, case)

    assert status == expected_status
    if expected or status != 200:
        assert headers == expected
    else:  # the old server never described this image: its own record is what there is
        record = RECORDED["images"][from_value(headers["X-Image-Meta-Id"])]
        assert headers["X-Image-Meta-Created_at"] == record["created_at"].replace(" ", "T")


@pytest.mark.parametrize("name", [*OTHER_STATUS, *OTHER_HEADERS])
def test_listed_difference_is_one(heads_app: Flask, name: str) -> None:
    """A case in the tables does differ from the recording: no entry outlives its reason."""
    case = CASES[name]
    recorded = case["response"]["status"], metadata(case["response"]["headers"])
    assert ask_for(heads_app, case) != recorded


def test_every_case_is_there() -> None:
    """All recorded cases run, each under its own name."""
    assert len(CASES) == len(RECORDED["cases"]) == 326
