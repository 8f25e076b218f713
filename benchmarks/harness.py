"""How two things are compared: turn by turn in one process, as the ratio of their times.

What disturbs a measurement (another process, a slower clock, a fuller heap) then disturbs
both. Each round times a block of calls of each, and the order turns round from one round to
the next; a round gives one ratio. Fresh processes repeat the whole, because the layout of a
process's memory favours one or the other by a few percent.
"""

import gc
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from multiprocessing import get_context
from time import process_time
from types import MappingProxyType
from typing import Any, NamedTuple

from apps import PATH
from flask import Flask

Call = Callable[[], object]
BLOCK = 0.008  # seconds that one block of calls takes, about


class Spread(NamedTuple):
    """The median of many samples, and the quartiles around it."""

    low: float
    median: float
    high: float


class Figure(NamedTuple):
    """One line of the table.

    :param spread: Of a ratio, or of a quantity in the unit.
    :param goal: The most (or, with is_floor, the least) that the median may be; None: no goal.
    :param note: Shown beside the figure: absolute values.
    :param microseconds: What a request took, by the name of what was compared.
    :param rates: Requests per second, by the name of what was compared or the connections.
    """

    id: str
    compared: str
    spread: Spread
    goal: float | None = None
    is_floor: bool = False
    unit: str = ""
    note: str = ""
    microseconds: Mapping[str, float] = MappingProxyType({})
    rates: Mapping[str, float] = MappingProxyType({})

    @property
    def is_met(self) -> bool:
        """Whether the median is on the goal's right side."""
        if self.goal is None:
            return True
        return self.spread.median >= self.goal if self.is_floor else self.spread.median <= self.goal


def spread(samples: Sequence[float]) -> Spread:
    """Return the median and the quartiles of two samples or more."""
    return Spread(*statistics.quantiles(samples, n=4, method="inclusive"))


def time_rounds(
    calls: Sequence[Call], rounds: int, clock: Callable[[], float] = process_time
) -> list[list[float]]:
    """Return for each round the seconds per call of each of the calls, timed turn by turn.

    :param clock: The processor's time of this process; a wall clock where others work too.
    """

    def time_block(call: Call, count: int) -> float:
        call()  # what the one before left in the processor's caches is not its fault
        start = clock()
        for _ in range(count):
            call()
        return (clock() - start) / count

    counts = []
    for call in calls:
        time_block(call, 50)
        counts.append(max(1, round(BLOCK / time_block(call, 50))))
    times = []
    for turn in range(rounds):
        gc.collect()
        order: Iterable[int] = range(len(calls))
        taken = {
            i: time_block(calls[i], counts[i]) for i in (reversed(order) if turn % 2 else order)
        }
        times.append([taken[i] for i in range(len(calls))])
    return times


def ratios(times: list[list[float]], of: int = 0, to: int = 1) -> list[float]:
    """Return one ratio for each round."""
    return [row[of] / row[to] for row in times]


def in_fresh_process(function: Callable[..., Any], *args: Any) -> Any:
    """Return what a module's function returns when it is called in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def make_call(app: Flask, status: int = 200, path: str = PATH, **more: str) -> Call:
    """Return a function that sends a HEAD request to an application, as a WSGI server does.

    :param more: More of the WSGI environ, such as ``HTTP_IF_NONE_MATCH``.
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
        **more,
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
