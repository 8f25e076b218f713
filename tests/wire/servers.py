"""The servers under test, each started as its users start it, on a free loopback port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.local_server import free_port
from tests.needs import needs
from tests.registry import make_folder

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30  # seconds, for a server to start and for one answer, on a busy machine

GUNICORN = ("-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--no-control-socket")
MOD_WSGI = (  # compressing, as Debian's Apache does
    *("-m", "mod_wsgi.express.cli", "start-server", "--host", "127.0.0.1", "--port", "{port}"),
    *("--server-root", "{folder}/apache", "--working-directory", "{folder}", "--log-to-terminal"),
    *("--locale", "C.UTF-8", "--compress-responses", "--application-type", "module"),
)
COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "gunicorn-sync": ("gunicorn", (*GUNICORN, "tests.wire.wsgi")),
    "gunicorn-gthread": ("gunicorn", (*GUNICORN, "--threads", "2", "tests.wire.wsgi")),
    "uwsgi": (
        "pyuwsgi",
        (
            *("-c", "import sys, pyuwsgi; sys.exit(pyuwsgi.run())", "--die-on-term", "--master"),
            *("--http11-socket", "127.0.0.1:{port}", "--module", "tests.wire.wsgi"),
            *("--buffer-size", "16384", "--socket-timeout", "1"),
        ),
    ),
    "waitress": (
        "waitress",
        ("-m", "waitress", "--listen", "127.0.0.1:{port}", "tests.wire.wsgi:application"),
    ),
    "gunicorn-gevent": ("gevent", (*GUNICORN, "--worker-class", "gevent", "tests.wire.wsgi")),
    "cheroot": (
        "cheroot",
        ("-m", "cheroot", "--bind", "127.0.0.1:{port}", "tests.wire.wsgi:application"),
    ),
    "gevent": ("gevent", ("-m", "tests.wire.serve_gevent", "{port}")),
    "mod_wsgi": ("mod_wsgi", (*MOD_WSGI, "--map-head-to-get", "Off", "tests.wire.wsgi")),
    "werkzeug": ("werkzeug", ("-m", "tests.wire.serve_werkzeug", "{port}")),
    # What follows is wrong, each in a way of its own: see test_wrong_servers.py.
    "mod_wsgi-as-it-comes": ("mod_wsgi", (*MOD_WSGI, "tests.wire.wsgi")),
    "gunicorn-h2": (
        "gunicorn",
        (
            *(*GUNICORN, "--threads", "2", "--http-protocols", "h2,h1"),
            *("--http2-cleartext", "both", "tests.wire.wsgi"),
        ),
    ),
    "gunicorn-gevent-async": (
        "gevent",
        (*GUNICORN, "--worker-class", "gevent", "tests.wire.async_app"),
    ),
    "granian": (
        "granian",
        (
            *("-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", "{port}"),
            "tests.wire.wsgi:application",
        ),
    ),
    "hypercorn": (
        "hypercorn",
        ("-m", "hypercorn", "--bind", "127.0.0.1:{port}", "wsgi:tests.wire.wsgi:application"),
    ),
    "a2wsgi": ("a2wsgi", ("-m", "uvicorn", "--port", "{port}", "tests.wire.asgi:application")),
}
INSTALLED = {  # from a package registry, in folders of their own
    "mod_wsgi": ("mod_wsgi",),
    "mod_wsgi-as-it-comes": ("mod_wsgi",),
    "gunicorn-h2": ("h2",),
    "granian": ("granian",),
    "hypercorn": ("hypercorn",),
    "a2wsgi": ("a2wsgi", "uvicorn"),
}
RIGHT = tuple(COMMANDS)[: tuple(COMMANDS).index("werkzeug") + 1]
SLOW = ("gunicorn-gevent", "cheroot", "gevent", "mod_wsgi")  # those that only the slow tests run
# The others close after each answer, and say so.
KEEPS_ALIVE = ("gunicorn-gthread", "uwsgi", "waitress", *SLOW)
PIPELINES = ("gunicorn-gthread", "waitress", *SLOW)  # uWSGI answers the first request of several


@dataclass(frozen=True)
class Server:
    """A running server.

    :param log: The file with all that it and the application wrote.
    """

    name: str
    port: int
    log: Path

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def send(self, request: bytes) -> bytes:
        """Send raw bytes on a connection of their own and return all that comes until it ends."""
        with self.connect() as connection:
            connection.sendall(request)
            answer = read_head(connection)
            connection.shutdown(socket.SHUT_WR)  # uWSGI keeps alive, whatever Connection says
            return answer + b"".join(iter(lambda: connection.recv(65536), b""))

    def head(self, path: str, *lines: str, version: str = "1.1", method: str = "HEAD") -> bytes:
        """Return the whole raw answer to a HEAD request with these header lines."""
        head = [f"{method} {path} HTTP/{version}", "Host: localhost", "Connection: close", *lines]
        return self.send("".join(f"{line}\r\n" for line in (*head, "")).encode())


def read_head(connection: socket.socket) -> bytes:
    """Return what comes up to and with the first empty line, or the connection's end."""
    answer = b""
    while b"\r\n\r\n" not in answer and (chunk := connection.recv(1)):
        answer += chunk
    return answer


@contextmanager
def running(name: str, folder: Path) -> Iterator[Server]:
    """Run one of the servers, its database and log in a folder."""
    module, arguments = COMMANDS[name]
    path = [str(ROOT)]
    if name in INSTALLED:
        path.append(str(make_folder(*INSTALLED[name])))
    elif find_spec(module) is None:
        needs(f"{module}, to serve with {name}")
    port = free_port()
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "WIRE_DATABASE_URI": f"sqlite:///{folder / 'images.sqlite'}",
    }
    prefix = as_nobody(folder) if COMMANDS[name][0] == "mod_wsgi" else []
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*prefix, sys.executable, *(a.format(port=port, folder=folder) for a in arguments)],
            cwd=folder,
            env=environ,
            stdout=output,
            stderr=output,
        )
    server = Server(name, port, log)
    try:
        wait_for(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(PATIENCE)


def as_nobody(folder: Path) -> list[str]:
    """Return what runs a command as another user, who owns the folder, where this is root.

    Apache refuses to serve as root. The user may read every file, as root may: Python itself may
    be in a place of root's.
    """
    if os.getuid() != 0:
        return []
    program = shutil.which("setpriv") or needs("setpriv, since Apache does not serve as root")
    shutil.chown(folder, "nobody", "nogroup")
    may_read = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return [program, "--reuid=nobody", "--regid=nogroup", "--clear-groups", *may_read]


def wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Return as soon as the server answers."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if server.head("/odd/v1/images/plain").startswith(b"HTTP/1.1 "):
                return
        except OSError:  # noqa: PERF203
            time.sleep(0.02)
    raise AssertionError(f"{server.name} does not serve:\n{server.log.read_text()}")
