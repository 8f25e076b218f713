"""The recorded cases of the real v1 lists, over a plain mapping of images.

Each case answers as recorded, the order of the keys included, or is in one of the tables below,
which say why it does not. A case that differs for any other reason fails.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from flask_imagemeta import ImageMeta

from ..recorded import ask
from .recorded import CASES, IMAGES, identity, listed_ids

pytestmark = pytest.mark.core

ALL = "34 33 32 31 30 29 26 25 24 23 22 21 20 19 18 17 16 13 05 04 03 02 01"
ALL_OF_ADMIN = ALL.replace("29 26", "29 27 26")

# Cases with another answer, by the rule they differ by: the images listed here.
LOGIN = "the old pipeline demanded a token: behind an optional identity, none is anonymous"
LEAK = "a caller without a project is listed no shared image"
UTF8 = "a name outside ASCII is found"
COLON = "a value with a colon that is no operator is compared as it is"
NULL_MARKER = "a page after an image without the value that is sorted by goes on"
CASE = "text is compared exactly on every database"
CODE_POINTS = "text is sorted by code point on every database"
NULLS_FIRST = "None comes first in ascending order on every database"
NUMBER = "what is no number equals no number"
NUL = "a NUL matches nothing, it is no error"
OPERATOR = "the operator's list is broken, so that it is none"
CAPS = "limits are the reference's defaults"

OTHER_IDS: dict[str, tuple[str, str]] = {
    "see.detail.nobody": (LOGIN, ALL),
    "see.index.nobody": (LOGIN, ALL),
    "see.detail.admin_no_tenant": (LEAK, ALL),
    "name.utf8": (UTF8, "05"),
    "name.utf8_raw": (UTF8, "05"),
    "name.colon": (COLON, "21"),
    "name.colon_index": (COLON, "21"),
    "name.neq": (COLON, ""),
    "name.in_bad_quotes": (OPERATOR, ""),
    "marker.sort_size_null": (
        NULL_MARKER,
        "18 03 04 05 13 19 20 21 22 23 25 26 27 29 30 31 32 33 34 17 24 01 02",
    ),
    "capped.limit_100": (CAPS, ALL_OF_ADMIN),
    "database.mariadb.name.mixed": (CASE, ""),
    "database.mariadb.name.lower": (CASE, "01"),
    "database.mariadb.name.trailing_space": (CASE, ""),
    "database.mariadb.name.colon": (COLON, "21"),
    "database.mariadb.name.accent_folded": (CASE, ""),
    "database.mariadb.property.case": (CASE, ""),
    "database.mariadb.property_name.case": (CASE, ""),
    "database.mariadb.status.case": (CASE, ""),
    "database.mariadb.sort.name.asc": (
        CODE_POINTS,
        "19 20 31 34 30 24 05 23 33 27 01 17 02 22 29 32 13 16 21 26 25 18 03 04",
    ),
    "database.mariadb.sort.name.desc": (
        CODE_POINTS,
        "04 03 18 25 26 21 16 13 32 29 22 02 17 01 27 33 23 05 24 30 34 31 20 19",
    ),
    "database.mariadb.min_disk.abc": (NUMBER, ""),
    "database.postgresql.name.colon": (COLON, "21"),
    "database.postgresql.name.nul": (NUL, ""),
    "database.postgresql.sort.name.asc": (
        NULLS_FIRST,
        "19 20 31 34 30 24 05 23 33 27 01 17 02 22 29 32 13 16 21 26 25 18 03 04",
    ),
    "database.postgresql.sort.name.desc": (
        NULLS_FIRST,
        "04 03 18 25 26 21 16 13 32 29 22 02 17 01 27 33 23 05 24 30 34 31 20 19",
    ),
    "database.postgresql.sort.size.asc": (
        NULLS_FIRST,
        "16 18 03 04 05 13 19 20 21 22 23 25 26 27 29 30 31 32 33 34 17 24 01 02",
    ),
    "database.postgresql.sort.updated_at.asc": (
        NULLS_FIRST,
        "32 01 02 03 04 05 13 16 17 18 19 20 21 22 23 24 25 26 27 29 30 31 33 34",
    ),
    "database.postgresql.sort.updated_at.desc": (
        NULLS_FIRST,
        "34 33 31 30 29 27 26 25 24 23 22 21 20 19 18 17 16 13 05 04 03 02 01 32",
    ),
    "database.postgresql.sort.disk_format.asc": (
        NULLS_FIRST,
        "16 01 02 03 04 05 13 17 18 19 20 21 22 23 25 26 27 29 30 31 32 33 34 24",
    ),
    "database.postgresql.sort.disk_format.desc": (
        NULLS_FIRST,
        "24 34 33 32 31 30 29 27 26 25 23 22 21 20 19 18 17 13 05 04 03 02 01 16",
    ),
    "database.postgresql.marker.size_null": (
        NULL_MARKER,
        "18 03 04 05 13 19 20 21 22 23 25 26 27 29 30 31 32 33 34 17 24 01 02",
    ),
    "database.postgresql.marker.updated_null": (
        NULL_MARKER,
        "01 02 03 04 05 13 16 17 18 19 20 21 22 23 24 25 26 27 29 30 31 33 34",
    ),
}

# Cases that answer with another status or text: the rule, the status and the text.
ROUTER = "the old server's or router's own answer, from in front of the operation"
EMPTY_405 = "a method that is not there is refused without a body"
ANY_ID = "an id need not be a UUID: any marker is looked up"
OTHER_TEXT: dict[str, tuple[str, int, str | None]] = {
    **dict.fromkeys(
        ["route.detail_slash", "route.v1", "route.unversioned_detail"], (ROUTER, 404, None)
    ),
    **dict.fromkeys(
        ["route.post_detail", "route.delete_index", "route.put_index"], (EMPTY_405, 405, "")
    ),
    "marker.not_uuid": (ANY_ID, 400, CASES["marker.empty"]["response"]["text"]),
}


@pytest.fixture(scope="module")
def lists_app() -> Flask:
    app = Flask("tests")
    ImageMeta(app, lookup=IMAGES.get, identity=identity, search=lambda query: IMAGES.values())
    return app


def as_kept(case: dict[str, Any], body: Any) -> Any:
    """Return a recorded body; MariaDB has kept whole seconds of times, where here are all."""
    for image in body.get("images", ()) if case["server"]["database"] == "mariadb" else ():
        for name in ("created_at", "updated_at") if "created_at" in image else ():
            image[name] = IMAGES[image["id"]][name]
    return body


@pytest.mark.parametrize("name", [name for name in CASES if name not in OTHER_IDS | OTHER_TEXT])
def test_recorded_case(lists_app: Flask, name: str) -> None:
    """A request gets the recorded status, content type and body, keys in their order."""
    case = CASES[name]
    recorded = case["response"]
    status, headers, body = ask(lists_app, case)
    assert status == recorded["status"]
    if "body" in recorded:
        assert headers["Content-Type"] == "application/json"
        answer, expected = json.loads(body), as_kept(case, recorded["body"])
        assert answer == expected
        for image, expected_image in zip(
            answer.get("images", [answer]), expected.get("images", [expected]), strict=True
        ):
            assert list(image) == list(expected_image)
    else:
        assert body.decode() == recorded.get("text", "")
        if body:
            assert headers["Content-Type"] == dict(recorded["headers"])["Content-Type"]


@pytest.mark.parametrize("name", OTHER_IDS)
def test_other_images(lists_app: Flask, name: str) -> None:
    """A case of the table lists the images that its rule says, and was recorded otherwise."""
    case = CASES[name]
    status, _, body = ask(lists_app, case)
    ids = [image["id"][-2:] for image in json.loads(body)["images"]]
    assert status == 200
    assert ids == OTHER_IDS[name][1].split()
    assert ids != listed_ids(case)


@pytest.mark.parametrize("name", OTHER_TEXT)
def test_other_text(lists_app: Flask, name: str) -> None:
    """A case of the table answers with the status and text that its rule says."""
    _, expected_status, text = OTHER_TEXT[name]
    status, _, body = ask(lists_app, CASES[name])
    assert status == expected_status
    assert text is None or body.decode() == text
    assert (status, body.decode()) != (
        CASES[name]["response"]["status"],
        CASES[name]["response"].get("text"),
    )


def test_every_case_is_there() -> None:
    """All recorded cases run, each under its own name."""
    assert len(CASES) == 232
