"""A server on loopback, in its own thread."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer, ThreadingHTTPServer
from typing import Any

from flask import Flask
from werkzeug.serving import make_server


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class LocalServer(ThreadingHTTPServer):
    """A server whose clients may hang up at any time, as tests do."""

    def handle_error(self, *args: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*args)


@contextmanager
def serving(server: HTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def serve(app: Flask) -> Iterator[int]:
    """Serve an application on a free port, which is yielded, with the server of ``make demo``."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    with serving(server):
        yield server.port


@contextmanager
def serve_origin(app: Flask) -> Iterator[str]:
    """Serve an application, and yield its origin."""
    with serve(app) as port:
        yield f"http://127.0.0.1:{port}"
