"""The demo, by its real command, in a fresh copy of the tree."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .apps import EXAMPLE_HEADERS, PATH
from .needs import needs

ROOT = Path(__file__).parent.parent
NOT_COPIED = shutil.ignore_patterns(
    ".*_cache", ".cov*", ".git", ".hypothesis", ".nox", ".venv*", "__pycache__", "instance"
)


@contextmanager
def demo(folder: Path) -> Iterator[int]:
    """Run ``make demo`` in a folder, named from elsewhere, and yield the port it printed."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "VIRTUAL_ENV"))}
    process = subprocess.Popen(
        ["make", "-f", str(folder / "Makefile"), "demo", "PORT=0"],
        cwd=folder.parent,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    said: list[str] = []
    try:
        for line in process.stdout:
            said.append(line)
            if address := re.search(r"curl -I http://127\.0\.0\.1:(\d+)" + PATH, line):
                yield int(address[1])
                return
        if "pip install" in said[-1]:
            needs("a package registry that pip reaches")
        pytest.fail("".join(said))
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)


def head(port: int, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("HEAD", path)
    response = connection.getresponse()
    assert response.read() == b""
    connection.close()
    return response


@pytest.mark.slow  # it makes an environment of its own
def test_demo_answers_with_the_documented_example(tmp_path: Path) -> None:
    """A fresh copy, in a folder with a space, sets itself up and answers as documented, twice."""
    if shutil.which("make") is None:
        needs("make")
    folder = tmp_path / "a fresh copy"
    shutil.copytree(ROOT, folder, ignore=NOT_COPIED)

    with demo(folder) as port:
        first = head(port, PATH)
    database = folder / "instance" / "images.sqlite"
    filled = database.read_bytes()
    with demo(folder) as port:
        second = head(port, PATH)

    for answer in (first, second):
        headers = answer.getheaders()
        assert answer.status == 200
        assert {k: v for k, v in headers if k.startswith("X-Image-Meta-")} == EXAMPLE_HEADERS
        assert {"ETag", "Last-Modified", "Cache-Control", "Vary"} <= {name for name, _ in headers}
        assert answer.headers["Content-Length"] == "0"
        assert re.fullmatch(r"req-[0-9a-f-]{36}", answer.headers["X-Openstack-Request-Id"])
    assert first.headers["X-Openstack-Request-Id"] != second.headers["X-Openstack-Request-Id"]
    assert database.read_bytes() == filled
