"""Nothing leaks: not whether an image is hidden, not why a request failed."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from .parsers import status_of
from .servers import Server

ODD = "/odd/v1/images/"
CHANGING = re.compile(rb"req-[0-9a-f-]{36}|Date: [^\r]*")

REQUESTS = [
    [],
    ['If-None-Match: "x"', "If-Modified-Since: Thu, 25 Feb 2016 03:02:05 GMT"],
    ["If-None-Match: *"],
    ["If-Match: *"],
    ['If-Match: "x"'],
    ["If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT"],
    ["X-Image-Meta-Size: 12"],
    ["X-Image-Meta-Size: 13"],
    ["X-Image-Meta-Size: twelve"],
]


@pytest.mark.parametrize("lines", REQUESTS, ids=["+".join(lines) or "plain" for lines in REQUESTS])
def test_hidden_deleted_and_missing_images_are_the_same(server: Server, lines: list[str]) -> None:
    """Hidden, deleted and missing get the same bytes, except for the request id and the date."""
    raws = [server.head(ODD + image_id, *lines) for image_id in ("hidden", "deleted", "missing")]
    hidden, deleted, missing = (CHANGING.sub(b"*", raw) for raw in raws)
    assert hidden == deleted == missing
    assert status_of(raws[0]) == (400 if "X-Image-Meta-Size: twelve" in lines else 404)


@pytest.mark.parametrize("image_id", ["crash", "bad-size", "unavailable", "plain"])
def test_no_answer_says_why_it_failed(server: Server, image_id: str) -> None:
    """A failing hook, image or store tells the client a status and the log the reason."""
    lines = ["X-Auth-Token: refused"] if image_id == "plain" else []
    raw = server.head(ODD + image_id, *lines)
    status = {"crash": 500, "bad-size": 500, "unavailable": 503, "plain": 401}[image_id]
    assert status_of(raw) == status
    for secret in (b"secret", b"SELECT", b"Traceback", b"FORGED", b'File "', b".py"):
        assert secret not in raw


def test_nothing_forges_a_log_line(server: Server) -> None:
    """Control characters of an id, a value or an error are escaped in the log."""
    server.head(ODD + "bad-size")
    server.head(ODD + quote("unavailable\u2028FORGED\u202e"))
    log = server.log.read_text(errors="replace").replace(r"\\", "\\")  # Apache doubles them
    assert r"size = '/srv/secret SELECT password\nTraceback FORGED'" in log
    assert r"image 'unavailable\u2028FORGED\u202e': store unavailable: /srv/secret" in log
    assert r"password\nTraceback FORGED" in log
    assert not any(line.startswith(("FORGED", "Traceback FORGED")) for line in log.split("\n"))


def test_a_refusal_keeps_its_challenge_and_loses_its_body(server: Server) -> None:
    """A hook's 401 arrives with WWW-Authenticate and a request id."""
    raw = server.head(ODD + "plain", "X-Auth-Token: refused")
    assert status_of(raw) == 401
    assert b'\r\nWWW-Authenticate: Keystone uri="http://localhost:5000"\r\n' in raw.replace(
        b"Www-", b"WWW-"
    )
    assert b"\r\nX-Openstack-Request-Id: req-" in raw
