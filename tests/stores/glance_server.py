"""A Glance on loopback that answers as a real one was recorded to, or in no good way at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from ..local_server import LocalServer, serving
from .databases import DATA

RECORDED = json.loads((DATA / "glance-2026.1-v2.json").read_text())
MEMBERS = {"members": [{"member_id": "projB", "status": "rejected"}]}
REQUEST_ID = "req-0000-of-the-upstream"

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a body waits 40 ms for the answer to its headers
    server: Glance

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        self.server.answer(self)

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        headers |= {"Content-Length": str(len(body)), "X-Openstack-Request-Id": REQUEST_ID}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, data: bytes) -> None:
        """Send bytes one by one until the test is over."""
        for byte in data * 1000:
            if self.server.over.wait(0.02):
                break
            self.wfile.write(bytes([byte]))
        self.close_connection = True

    def log_message(self, *args: Any) -> None:
        pass


class Glance(LocalServer):
    """What was asked of it, and how it answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.connections = 0
        self.over = threading.Event()
        self.answer: Answer = as_recorded

    def process_request(self, *args: Any) -> None:
        self.connections += 1
        super().process_request(*args)


def as_recorded(handler: Handler) -> None:
    path = handler.path.removeprefix("/v2/images/")
    for image in RECORDED.values():
        if path == image["id"] and image["http_status"] == 200:
            return handler.send(200, json.dumps(image["v2"]).encode())
        if path == f"{image['id']}/members":
            return handler.send(200, json.dumps(MEMBERS).encode())
    return handler.send(404, b"<html>no such image</html>")


@contextmanager
def running_glance() -> Iterator[Glance]:
    glance = Glance()
    with serving(glance):
        yield glance
        glance.over.set()
