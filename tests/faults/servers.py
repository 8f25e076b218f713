"""Throw-away database servers of a test's own, to be killed, stopped and started again."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import ClassVar

import redis
import sqlalchemy as sa
from pymemcache import Client, MemcacheError, MemcacheServerError

from ..local_server import free_port
from ..needs import needs

START_TIMEOUT = 60  # seconds


def find_program(name: str) -> str:
    """Return a server's program, also from where Debian keeps PostgreSQL's."""
    places = [os.environ.get("PATH", ""), "/usr/sbin"]
    places += sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    return shutil.which(name, path=os.pathsep.join(places)) or needs(name)


class DatabaseServer:
    """A server on a free port, with its data in its own folder."""

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


class CacheServer:
    """A cache on a free port, with nothing on disk."""

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = tempfile.mkdtemp(prefix="imagemeta-")
        self.start()

    @property
    def url(self) -> str:
        raise NotImplementedError

    def _command(self) -> list[str]:
        raise NotImplementedError

    def count(self) -> int:
        """Return how many values it has.

        :raises Exception: while it does not answer.
        """
        raise NotImplementedError

    def flush(self) -> None:
        raise NotImplementedError

    def full(self) -> AbstractContextManager[None]:
        """Let it take no more values meanwhile."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._process = subprocess.Popen(
            self._command(),
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                self.count()
                return
            except (OSError, redis.ConnectionError, MemcacheError):  # noqa: PERF203
                assert time.monotonic() < deadline, f"{self._command()} does not answer"

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(timeout=START_TIMEOUT)

    def remove(self) -> None:
        if self._process.poll() is None:
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


class Redis(CacheServer):
    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _command(self) -> list[str]:
        program = find_program("redis-server")
        return [program, "--port", f"{self.port}", "--bind", "127.0.0.1", "--save", ""]

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def count(self) -> int:
        return int(self.client().dbsize())

    def flush(self) -> None:
        self.client().flushall()

    @contextmanager
    def full(self) -> Iterator[None]:
        self.client().config_set("maxmemory", "1")
        try:
            yield
        finally:
            self.client().config_set("maxmemory", "0")


class Memcached(CacheServer):
    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _command(self) -> list[str]:
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        # -M: refuses what has no room, rather than that it forgets something else
        program = find_program("memcached")
        return [program, "-l", "127.0.0.1", "-p", f"{self.port}", "-U", "0", "-M", "-m", "8", *user]

    @contextmanager
    def client(self) -> Iterator[Client]:
        client = Client(self.url, connect_timeout=1, timeout=1, default_noreply=False)
        try:
            yield client
        finally:
            client.close()

    def count(self) -> int:
        with self.client() as client:
            return int(client.stats()[b"curr_items"])

    def flush(self) -> None:
        with self.client() as client:
            client.flush_all()

    @contextmanager
    def full(self) -> Iterator[None]:
        with self.client() as client:
            for size in range(100, 4000, 50):  # it has a part of its memory for each size
                with suppress(MemcacheServerError):
                    for number in itertools.count():
                        client.set(f"{size}-{number}", b"x" * size)
        try:
            yield
        finally:
            self.flush()
