"""How two things are compared: turn by turn in one process, as the ratio of their times.

What disturbs a measurement (another process, a slower clock, a fuller heap) then disturbs
both. Each round times a block of calls of the one, then of the other, and the order changes
from round to round; a round gives one ratio. Fresh processes repeat the whole, because the
layout of a process's memory favours one or the other by a few percent.
"""

import gc
import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from multiprocessing import get_context
from time import process_time
from typing import Any, NamedTuple

from apps import PATH
from flask import Flask

Call = Callable[[], object]
BLOCK = 0.002  # seconds that one block of calls takes, about


class Spread(NamedTuple):
    """The median of many samples, and the quartiles around it."""

    low: float
    median: float
    high: float


def spread(samples: list[float]) -> Spread:
    """Return the median and the quartiles of two samples or more."""
    return Spread(*statistics.quantiles(samples, n=4, method="inclusive"))


def time_block(call: Call, count: int) -> float:
    """Return the seconds that one of count calls takes."""
    start = process_time()
    for _ in range(count):
        call()
    return (process_time() - start) / count


def time_rounds(calls: list[Call], rounds: int) -> list[list[float]]:
    """Return for each round the seconds per call of each of the calls, timed turn by turn."""
    counts = []
    for call in calls:
        time_block(call, 50)
        counts.append(max(1, round(BLOCK / time_block(call, 50))))
    times = []
    for turn in range(rounds):
        gc.collect()
        order = range(len(calls)) if turn % 2 == 0 else reversed(range(len(calls)))
        taken = {index: time_block(calls[index], counts[index]) for index in order}
        times.append([taken[index] for index in range(len(calls))])
    return times


def ratios(times: list[list[float]], of: int = 0, to: int = 1) -> list[float]:
    """Return one ratio for each round."""
    return [row[of] / row[to] for row in times]


def in_fresh_process(function: Callable[..., Any], *args: Any) -> Any:
    """Return what a module's function returns when it is called in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def make_call(app: Flask, status: int = 200, path: str = PATH, **headers: str) -> Call:
    """Return a function that sends a HEAD request to an application, as a WSGI server does.

    :param headers: More of the WSGI environ, such as ``HTTP_IF_NONE_MATCH``.
    :raises AssertionError: from the call, when the answer has another status.
    """
    wsgi_app = app.wsgi_app
    environ = {
        "REQUEST_METHOD": "HEAD",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_ACCEPT": "*/*",
        "HTTP_USER_AGENT": "python-glanceclient",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **headers,
    }
    expected = str(status)

    def start_response(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        assert line.startswith(expected), f"{line}, not {expected}"

    def call() -> None:
        body = wsgi_app(environ.copy(), start_response)
        for _ in body:
            pass
        body.close()

    return call
