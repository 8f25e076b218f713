"""What the pages say about servers and proxies holds for real ones."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from flask import Flask

from example_app import create_app
from flask_imagemeta import ImageMeta

from ..needs import needs
from .test_examples import ROOT, serve

EXAMPLE = "/v1/images/03bc0a8b-659c-4de9-b6bd-13c6e86e6455"


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of one language on a page of docs/."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)


def head(port: int, path: str) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("HEAD", path)
        return connection.getresponse()
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, **options: object) -> Iterator[None]:
    """Run a server until the block ends; it begins once the server accepts connections."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options) as server:  # type: ignore[call-overload]
        try:
            wait_for(port, server)
            yield
        finally:
            server.terminate()


def wait_for(port: int, server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    server.terminate()
    raise AssertionError(f"{server.args!r} does not listen: {server.communicate()[1]}")


@pytest.mark.slow
@pytest.mark.parametrize("command", blocks("deployment.md", "sh"), ids=lambda c: c.split()[0])
def test_servers_serve_the_example(command: str, tmp_path: Path) -> None:
    """Each command line of the deployment page serves the application that ``wsgi.py`` makes."""
    config = {"SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/images.sqlite"}
    create_app(config)  # fills the database before two processes would at once
    source = blocks("deployment.md", "python")[0].replace("create_app()", f"create_app({config})")
    (tmp_path / "wsgi.py").write_text(source)
    port = free_port()
    program, *arguments = shlex.split(command.replace(":8000", f":{port}"))
    path = Path(sys.executable).parent / program
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    options = {"cwd": tmp_path, "env": environment, "stdout": subprocess.DEVNULL}
    with running([str(path), *arguments], port, **options):
        response = head(port, EXAMPLE)
    assert response.status == 200
    assert response.headers["X-Image-Meta-Size"] == "4979632"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


LOCATION, CACHE = blocks("caching.md", "nginx")
PLAIN_LOCATION = re.sub(r"(?m)^.*proxy_buffer.*\n", "", LOCATION)


@contextmanager
def nginx(location: str, upstream: int, folder: Path) -> Iterator[int]:
    """Run nginx with one location, in front of an application's port; yields nginx' own port."""
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if binary is None:
        needs("the program nginx")
    port = free_port()
    paths = "\n".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        "events {}\n"
        f"http {{ access_log off; {paths}\n"
        f"proxy_cache_path {folder}/cache keys_zone=images:1m;\n"
        f"server {{ listen 127.0.0.1:{port};\n"
        f"{location.replace(':8000', f':{upstream}')} }} }}\n"
    )
    with running([binary, "-p", str(folder), "-c", str(config)], port):
        yield port


@pytest.fixture
def images() -> Iterator[int]:
    """Serve an image with all the metadata that fit by default; yields the port."""
    app = Flask(__name__)
    properties = {f"note{n}": "x" * 500 for n in range(40)}
    ImageMeta(app, lookup=lambda image_id: {"id": image_id, "properties": properties})
    with serve(app) as port:
        yield port


@pytest.mark.slow
def test_nginx_with_the_pages_buffers_passes_the_largest_answer(
    images: int, tmp_path: Path
) -> None:
    """With the buffers that the caching page gives, nginx passes 16 KiB of metadata on."""
    with nginx(LOCATION, images, tmp_path) as port:
        response = head(port, "/v1/images/large")
    assert response.status == 200
    assert sum(len(k) + len(v) + 4 for k, v in response.getheaders()) > 15_000
    assert int(response.headers["X-Imagemeta-Omitted-Properties"]) > 0


@pytest.mark.slow
def test_nginx_with_its_own_buffers_refuses_the_largest_answer(images: int, tmp_path: Path) -> None:
    """Without them, the same answer is a 502."""
    with nginx(PLAIN_LOCATION, images, tmp_path) as port:
        assert head(port, "/v1/images/large").status == 502


@pytest.mark.slow
def test_nginx_cache_needs_to_leave_head_alone(images: int, tmp_path: Path) -> None:
    """A cache in nginx asks with GET, a 405, unless the page's settings keep it from that."""
    caching = LOCATION.rstrip().removesuffix("}") + "proxy_cache images;\n"
    with nginx(caching + "}", images, tmp_path) as port:
        assert head(port, "/v1/images/large").status == 405
    with nginx(caching + CACHE + "}", images, tmp_path) as port:
        assert head(port, "/v1/images/large").status == 200


def test_the_testing_page_is_a_suite_that_passes(tmp_path: Path) -> None:
    """The three files on the page about pytest-flask, put into one folder, pass."""
    for block in blocks("testing.md", "python"):
        (tmp_path / block.split()[1]).write_text(block)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert "3 passed" in result.stdout
