"""What real clients send to find an image by its name, recorded against the real server.

Each call is sent again, request by request. The next request of a client depends on the answer
before, so every marker and every id that it sends has to be in an answer of ours.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from flask import Flask, request

from flask_imagemeta import Identity, ImageMeta

from ..recorded import ask
from .recorded import IMAGES

CALLS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data/glance-v1-list-clients.json").read_text()
)

# How many of the images that are listed have the name that a call is about.
FOUND = {
    "one": 1,
    "none": 0,
    "two": 2,
    "utf8": 1,
    "private": 1,
    "space": 1,
    "colon": 1,
    "empty": 1,
    "missing_id": 0,
    "number": 0,
    "id_without_dashes": 0,
}
BY_NAME = "images.list(limit=3, page_size=2, sort_key='name', sort_dir='asc')"
FOUND_OTHERWISE = {
    (BY_NAME, "two"): 0,  # it ends before that name
    ("as admin: glance image-show NAME", "private"): 0,  # no list of an admin's own project has it
    ("images.list(filters={'properties': {'os_distro': 'debian'}, 'name': NAME})", "two"): 1,
}

# The requests that the real server answers with a 500, and the status they get here.
OTHER_STATUS = {
    "GET /v1/images/detail?limit=20&name=release%3Av1": 200,
    "HEAD /v1/images/Gr%C3%B6%C3%9Fe%20%E2%9C%93%20%E6%97%A5%E6%9C%AC": 404,
    "GET /v1/images/00000000-0000-4000-8000-000000000002": 405,
}


def caller() -> Identity:
    """Return the caller of a recorded token, ``user:project:role``, as an identity hook."""
    _, project, role = unquote(request.headers["X-Auth-Token"]).split(":")
    return Identity(project, [role])


@pytest.fixture(scope="module")
def replaying_app() -> Flask:
    app = Flask("tests")
    ImageMeta(app, lookup=IMAGES.get, identity=caller, search=lambda query: IMAGES.values())
    return app


def name_of(call: dict[str, Any]) -> str:
    return f"{call['client']}: {call['call']}, {call['name_kind']}"


@pytest.mark.parametrize("call", [call for call in CALLS if call["requests"]], ids=name_of)
def test_client_call(replaying_app: Flask, call: dict[str, Any]) -> None:
    """A client finds as many images as it did, in pages with the same ends, and no 500."""
    listed: dict[str, Any] = {}
    for recorded in call["requests"]:
        method, path, _ = recorded["request"].split(" ")
        query = parse_qs(urlsplit(path).query)
        if method == "HEAD" and listed:
            assert path.rpartition("/")[2] in listed
        if "marker" in query and call["call"] != BY_NAME:  # PostgreSQL put None last: not here
            assert query["marker"] == list(listed)[-1:]
        case = {"request": {"method": method, "path": path, "headers": recorded["headers"]}}
        status, _, body = ask(replaying_app, case)
        expected = recorded["status"] if recorded["status"] < 500 else None
        assert status == (expected or OTHER_STATUS[f"{method} {path}"])
        if method == "GET" and status == 200:
            listed |= {image["id"]: image for image in json.loads(body)["images"]}
    if any("/detail" in recorded["request"] for recorded in call["requests"]):
        found = sum(image["name"] == call["name"] for image in listed.values())
        key = (call["call"], call["name_kind"])
        assert found == FOUND_OTHERWISE.get(key, FOUND[call["name_kind"]])


def test_every_call_is_there() -> None:
    """All recorded calls are replayed, but those that failed before they sent anything."""
    assert len(CALLS) == 119
    assert sum(bool(call["requests"]) for call in CALLS) == len(CALLS) - 5
