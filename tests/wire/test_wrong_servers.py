"""The faults that the page on servers tells of: a test fails once its server is right."""

from __future__ import annotations

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.needs import needs

from .odd_app import ODD_NAMES
from .servers import PATIENCE, Server, running

pytestmark = [pytest.mark.slow, pytest.mark.clients]

SENT = {image_id: sent for image_id, (_, sent) in ODD_NAMES.items()}
NAME = re.compile(rb"(?i)\r\nx-image-meta-name:[ \t]*([^\r]*?)[ \t]*\r\n")


def name_in(raw: bytes) -> bytes:
    """Return the name in an answer with the status 200."""
    assert re.match(rb"HTTP/[0-9.]+ 200", raw), raw
    return b"".join(NAME.findall(raw))


def names_from(server: Server) -> dict[str, bytes]:
    return {image_id: name_in(server.head(f"/odd/v1/images/{image_id}")) for image_id in SENT}


def encoded_twice(text: bytes) -> bytes:
    return text.decode("latin-1").encode()


def test_granian_encodes_twice(tmp_path: Path) -> None:
    """Granian takes each byte of a header for a character, and encodes it again."""
    with running("granian", tmp_path) as server:
        names = names_from(server)
    assert names == {image_id: encoded_twice(sent) for image_id, sent in SENT.items()}


def test_gunicorn_encodes_twice_in_http_2(tmp_path: Path) -> None:
    """In HTTP/2, gunicorn does so too; its HTTP/1.1 is right."""
    curl = shutil.which("curl") or needs("the command curl")
    names = {}
    with running("gunicorn-h2", tmp_path) as server:
        assert names_from(server) == SENT
        for image_id in SENT:
            url = f"http://127.0.0.1:{server.port}/odd/v1/images/{image_id}"
            command = [curl, "-sI", "--max-time", str(PATIENCE), "--http2-prior-knowledge", url]
            answer = subprocess.run(command, capture_output=True, check=True).stdout
            assert answer.startswith(b"HTTP/2 200")
            names[image_id] = name_in(answer)
    assert names == {image_id: encoded_twice(sent) for image_id, sent in SENT.items()}


def test_a2wsgi_cuts_characters(tmp_path: Path) -> None:
    """a2wsgi drops the bytes A0 and 85 at the end of a value, so what is left is not UTF-8."""
    with running("a2wsgi", tmp_path) as server:
        names = names_from(server)
    assert names == {image_id: sent.rstrip(b"\xa0\x85") for image_id, sent in SENT.items()}


def test_hypercorn_fails(tmp_path: Path) -> None:
    """Hypercorn's own adapter for WSGI turns every answer without a body into a 500."""
    with running("hypercorn", tmp_path) as server:
        answer = server.head("/odd/v1/images/plain")
    assert answer.startswith(b"HTTP/1.1 500")


def test_coroutines_fail_under_gevent(tmp_path: Path) -> None:
    """Where gevent runs requests in turns, only one of them may be in a coroutine."""
    path = "/v1/images/a"
    with running("gunicorn-gevent-async", tmp_path) as server, ThreadPoolExecutor(4) as pool:
        assert server.head(path).startswith(b"HTTP/1.1 200")
        answers = list(pool.map(server.head, [path] * 4))
    assert sorted({answer[9:12] for answer in answers}) == [b"200", b"500"]
    log = server.log.read_text()
    assert "a hook raised RuntimeError" in log
    assert "event loop" in log


def test_apache_turns_head_into_get(tmp_path: Path) -> None:
    """Where Apache compresses, mod_wsgi asks by GET, unless ``WSGIMapHEADToGET`` is off."""
    with running("mod_wsgi-as-it-comes", tmp_path) as server:
        answer = server.head("/odd/v1/images/plain")
    assert answer.startswith(b"HTTP/1.1 405")
