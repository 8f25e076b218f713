"""P8: requests per second over a Glance that takes 5 ms for each answer."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from databases import why_not
from harness import Figure
from sockets import HERE, THREADS, client, compare, gunicorn, medians, rates_of, serve

MILLISECONDS = 5


class Pair(NamedTuple):
    """Two applications, by name, and the least that the ratio of their rates may be."""

    compared: str
    of: str
    to: str
    goal: float | None = None


PAIRS = [
    Pair("GlanceAPI / bare requests proxy", "glance", "proxy", 0.9),
    Pair("Cached in memory / GlanceAPI", "glance, memory", "glance"),
    Pair("Cached in Redis / GlanceAPI", "glance, redis", "glance"),
]


def title(pair: Pair) -> str:
    """Return what a figure says of itself."""
    return f"a Glance of {MILLISECONDS} ms, {THREADS} threads: {pair.compared}"


@contextmanager
def slow_glance() -> Iterator[str]:
    """Run the Glance and yield its URL."""
    command = [sys.executable, "glance.py", str(MILLISECONDS)]
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def measure(quick: bool, say: Callable[[str], None]) -> Iterator[Figure]:
    """Compare servers of one worker, as many threads as connections, asked turn by turn."""
    seconds, rounds = (0.5, 2) if quick else (1, 7)
    pairs = PAIRS
    if (reason := why_not("redis")) is not None:
        say(f"P8: skipped: {reason}")
        pairs = [pair for pair in PAIRS if "redis" not in pair.of]
    names = dict.fromkeys(name for pair in pairs for name in (pair.of, pair.to))
    with ExitStack() as stack:
        url = stack.enter_context(slow_glance())
        ports = {name: stack.enter_context(serve(gunicorn, name, url)) for name in names}
        say(f"P8: a Glance of {MILLISECONDS} ms, by {client()}: {' | '.join(names)}")
        rates = rates_of(ports, THREADS, rounds, seconds)
    for pair in pairs:
        ratio, note = compare(rates, pair.of, pair.to)
        yield Figure(
            "P8",
            title(pair),
            ratio,
            pair.goal,
            is_floor=True,
            note=note,
            rates=medians(rates),
        )
