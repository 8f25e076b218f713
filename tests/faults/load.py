"""Several clients that ask for one image again and again, and what they were told."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

CLIENTS = 6
PAUSE = 0.005  # seconds between a client's requests
BACK = 1  # second after the store, the service is back
SLACK = 1  # second for a busy machine, beyond the stated time-outs
QUIET = 0.3  # seconds without an answer
PATIENCE = 30  # seconds that any wait here may take


class Answer(NamedTuple):
    """One answer; times are monotonic, in seconds."""

    status: int
    headers: dict[str, str]
    started: float
    ended: float

    @property
    def metadata(self) -> dict[str, str]:
        return {k: v for k, v in self.headers.items() if k.startswith("X-Image-Meta-")}


@contextmanager
def serving(
    store: str,
    url: str,
    *,
    workers: int = 1,
    threads: int = CLIENTS + 2,
    log: list[str] | None = None,
    **environ: str,
) -> Iterator[int]:
    """Serve the application under gunicorn, processes of several threads; yields the port.

    :param log: Gets the lines of the log.
    :param environ: More of what the application reads, without the prefix.
    """
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "--bind=127.0.0.1:0", "--worker-class=gthread"),
            *(f"--threads={threads}", f"--workers={workers}", "tests.faults.app:create_app()"),
        ],
        env=os.environ
        | {"FAULTS_STORE": store, "FAULTS_URL": url}
        | {f"FAULTS_{name.upper()}": value for name, value in environ.items()},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = [] if log is None else log
    try:
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", line):
                break
        else:
            raise AssertionError("".join(said))
        # The log has to be read, or the server would wait for its reader.
        reader = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
        reader.start()
        port = int(found[1])
        first = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        first.request("HEAD", "/")  # answered when a process has made the application
        first.getresponse()
        first.close()
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)
        reader.join()
        process.stderr.close()


class Load:
    """Clients at work while the context lasts, each on a connection that it keeps."""

    def __init__(self, port: int, path: str, headers: dict[str, str] | None = None) -> None:
        self.answers: list[Answer] = []
        self.failures: list[Exception] = []
        self._target = port, path, headers or {}
        self._news = threading.Condition()
        self._end = threading.Event()
        self._clients = [threading.Thread(target=self._work) for _ in range(CLIENTS)]

    def __enter__(self) -> Load:  # noqa: PYI034 - Self is of Python 3.11
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._end.set()
        for client in self._clients:
            client.join(PATIENCE)

    def _work(self) -> None:
        port, path, headers = self._target
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        while not self._end.wait(PAUSE):
            started = time.monotonic()
            try:
                connection.request("HEAD", path, headers=headers)
                response = connection.getresponse()
                response.read()
            except Exception as error:
                self.failures.append(error)
                connection.close()
                continue
            answer = Answer(response.status, dict(response.getheaders()), started, time.monotonic())
            with self._news:
                self.answers.append(answer)
                self._news.notify_all()
        connection.close()

    def wait_for(self, status: int, count: int, since: float) -> None:
        """Wait until so many requests sent since then were answered with a status."""

        def enough() -> bool:
            found = [a for a in self.answers if a.status == status and a.started >= since]
            return len(found) >= count

        with self._news:
            assert self._news.wait_for(enough, PATIENCE), self.summary(since)

    def wait_for_quiet(self, since: float) -> None:
        """Wait until nothing has been answered for a while: every client waits for something."""
        deadline = time.monotonic() + PATIENCE
        quiet_since = since
        while time.monotonic() < quiet_since + QUIET:
            assert time.monotonic() < deadline, self.summary(since)
            with self._news:
                if self._news.wait(QUIET):
                    quiet_since = time.monotonic()

    def check(self, back: float, bound: float) -> None:
        """Wait until the service is back from a fault, and check all that was said until then.

        :param back: When the fault was over: by a second later every answer is a 200 again.
        :param bound: Seconds that a request may take by the stated time-outs.
        """
        self.wait_for(200, 50, since=back + BACK)
        assert not self.failures
        first = self.answers[0]
        for answer in self.answers:
            assert answer.ended - answer.started <= bound + SLACK
            if answer.status == 200:
                assert answer.metadata == first.metadata
                assert first.metadata["X-Image-Meta-Size"] == "12000"
                continue
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "5"
            assert not answer.metadata
            assert answer.started <= back + BACK

    def summary(self, since: float) -> str:
        statuses = [a.status for a in self.answers if a.started >= since]
        counts = {status: statuses.count(status) for status in set(statuses)}
        return f"{counts}, failures {self.failures[:3]}"
