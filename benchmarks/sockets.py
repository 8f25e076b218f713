"""P4: requests per second over a socket, from one worker process of a WSGI server.

Also how a server is run and asked, for P8 and P9.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import models
from apps import PATH
from harness import Figure, Spread, spread

HERE = Path(__file__).parent
THREADS = 16
START = 60  # seconds in which a server has to answer
PAIRS = [("model", "core"), ("model", "idiomatic"), ("dict", "constant")]
NAMES = {
    "model": "ModelStore",
    "core": "Core view",
    "idiomatic": "idiomatic view",
    "dict": "lookup in a dict",
    "constant": "constant headers",
}


def gunicorn(port: int, workers: int = 1, threads: int = THREADS) -> list[str]:
    return [
        *(sys.executable, "-m", "gunicorn", "--worker-class", "gthread"),
        *("--workers", str(workers), "--threads", str(threads), "--no-control-socket"),
        *("--keep-alive", "60", "--graceful-timeout", "1"),
        *("--log-level", "error", "--bind", f"127.0.0.1:{port}", "server:make_app()"),
    ]


def uwsgi(port: int) -> list[str]:
    return [
        *(str(Path(sys.executable).parent / "uwsgi"), "--http-socket", f"127.0.0.1:{port}"),
        *("--master", "--processes", "1", "--threads", str(THREADS), "--die-on-term"),
        *("--disable-logging", "--module", "server:make_app()", "--pythonpath", str(HERE)),
    ]


SERVERS = {"gunicorn gthread": gunicorn, "uWSGI": uwsgi}


@contextmanager
def serve(command: Callable[[int], list[str]], app: str, url: str) -> Iterator[int]:
    """Run a server for one of the applications, and yield its port when it answers.

    :raises RuntimeError: with the server's last words, when it ends, or takes too long.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {"BENCHMARK_APP": app, "BENCHMARK_URL": url}
    with (
        TemporaryDirectory() as folder,
        open(Path(folder) / "log", "w+b") as log,
        subprocess.Popen(
            command(port), cwd=HERE, env=environment, stdout=log, stderr=log
        ) as process,
    ):
        try:
            deadline = monotonic() + START
            while not answers(port):
                if process.poll() is not None or monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"{command(port)[0]}: {log.read()[-500:]!r}")
                sleep(0.05)
            yield port
        finally:
            process.terminate()


def answers(port: int) -> bool:
    """Return whether a server responds; uWSGI listens before it has loaded the application."""
    connection = HTTPConnection("127.0.0.1", port, timeout=START)
    try:
        connection.request("HEAD", PATH)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def request_rate(port: int, connections: int, seconds: float) -> float:
    """Return the answers per second that wrk counts, or else the client here.

    :raises RuntimeError: when an answer has another status than 200, or none comes.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        command = [sys.executable, HERE / "client.py", port, PATH, connections, seconds]
        run = subprocess.run([str(part) for part in command], capture_output=True, check=True)
        return float(run.stdout)
    command = [wrk, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}"]
    command += ["-s", HERE / "head.lua", f"http://127.0.0.1:{port}{PATH}"]
    run = subprocess.run([str(part) for part in command], capture_output=True, check=True)
    report = run.stdout.decode()
    # wrk counts as an error of reading what uWSGI does after each answer: it closes.
    if "Non-2xx" in report or re.search(r"(connect|timeout) [1-9]", report):
        raise RuntimeError(report)
    return float(re.findall(r"Requests/sec:\s+([\d.]+)", report)[0])


def client() -> str:
    """Return by what the answers are counted."""
    return "wrk" if shutil.which("wrk") else "client.py, as wrk is not here"


def rates_of(
    ports: Mapping[str, int], connections: int, rounds: int, seconds: float
) -> list[dict[str, float]]:
    """Return the rates of each server by name, round by round; asked there and back again."""
    rates = []
    for turn in range(rounds):
        order = reversed(list(ports)) if turn % 2 else ports
        rates.append({name: request_rate(ports[name], connections, seconds) for name in order})
    return rates


def medians(rates: list[dict[str, float]]) -> dict[str, float]:
    """Return the median rate of each server, by name."""
    return {name: spread([row[name] for row in rates]).median for name in rates[0]}


def compare(rates: list[dict[str, float]], of: str, to: str) -> tuple[Spread, str]:
    """Return the ratio of the rates of two, and a note of both."""
    median = medians(rates)
    note = f"{median[of]:.0f} / {median[to]:.0f} requests per second, by {client()}"
    return spread([row[of] / row[to] for row in rates]), note


def measure(quick: bool, say: Callable[[str], None]) -> Iterator[Figure]:
    """Compare servers that run side by side, asked turn by turn."""
    seconds, rounds = (0.5, 2) if quick else (1, 5)
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'images.sqlite'}"
        models.create_database(url)
        for server, command in SERVERS.items():
            with ExitStack() as stack:
                ports = {name: stack.enter_context(serve(command, name, url)) for name in NAMES}
                for connections in (1, 16):
                    say(f"P4: {server}, connections: {connections}, by {client()}")
                    rates = rates_of(ports, connections, rounds, seconds)
                    for of, to in PAIRS:
                        ratio, note = compare(rates, of, to)
                        compared = f"{NAMES[of]} / {NAMES[to]}"
                        row = f"{server}, connections: {connections}: {compared}"
                        yield Figure("P4", row, ratio, note=note, rates=medians(rates))
