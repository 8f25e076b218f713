"""Throw-away database servers of a test's own, to be killed, stopped and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import sqlalchemy as sa

from ..needs import needs

START_TIMEOUT = 60  # seconds


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def find_program(name: str) -> str:
    """Return a server's program, also from where Debian keeps PostgreSQL's."""
    places = [os.environ.get("PATH", ""), "/usr/sbin"]
    places += sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    return shutil.which(name, path=os.pathsep.join(places)) or needs(name)


class DatabaseServer:
    """A server on a free port, with its data in a folder of its own."""

    account: ClassVar[str]  # what root runs it as: neither server runs as root
    orderly: ClassVar[int]  # the signal that ends it, and its connections, in good order

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="imagemeta-")
        self._user = self.account if os.getuid() == 0 else None
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = self._prepare()
        self.start()

    def _prepare(self) -> str:
        """Make the data and return the server's URL."""
        raise NotImplementedError

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _run(self, *command: str) -> None:
        subprocess.run(
            command, user=self._user, cwd=self.folder, check=True, capture_output=True, timeout=120
        )

    def start(self) -> float:
        """Start the server and return the monotonic time at which it answered."""
        self._process = subprocess.Popen(
            self._command(),
            user=self._user,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self.wait()

    def wait(self) -> float:
        """Return the monotonic time at which the server answers a statement."""
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                with engine.connect() as connection:
                    connection.execute(sa.text("SELECT 1"))
                return time.monotonic()
            except sa.exc.DBAPIError:  # noqa: PERF203 - that is what is waited for
                assert time.monotonic() < deadline, f"{self._command()} does not answer"

    def signal(self, number: int) -> None:
        """Send a signal to the server and its children, each of which leads a group of its own."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in [pid, *map(int, children)]:
            with suppress(ProcessLookupError):
                os.kill(one, number)

    def restart(self) -> float:
        """Start the server that was told to end, when it has, and return when it answered."""
        assert self._process is not None
        self._process.wait(timeout=START_TIMEOUT)
        return self.start()

    def remove(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGKILL)
            self._process.wait(timeout=START_TIMEOUT)
        shutil.rmtree(self.folder, ignore_errors=True)


class PostgreSQL(DatabaseServer):
    account = "postgres"
    orderly = signal.SIGINT

    def _prepare(self) -> str:
        self._run(find_program("initdb"), "-A", "trust", "-U", "postgres", "-D", "data", "-N")
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def _command(self) -> list[str]:
        return [find_program("postgres"), "-D", "data", "-p", f"{self.port}", "-k", self.folder]


class MariaDB(DatabaseServer):
    account = "mysql"
    orderly = signal.SIGTERM

    def _prepare(self) -> str:
        self._run(
            find_program("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={self.folder}/data",
            "--auth-root-authentication-method=normal",
        )
        return f"mariadb+pymysql://root@127.0.0.1:{self.port}/test"

    def _command(self) -> list[str]:
        return [
            find_program("mariadbd"),
            "--no-defaults",
            f"--datadir={self.folder}/data",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={self.folder}/socket",
            "--pid-file=pid",
        ]
