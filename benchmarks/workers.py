"""P9: requests per second of a whole server on PostgreSQL, by workers, threads and connections."""

from collections.abc import Callable, Iterator
from functools import partial

import models
from databases import new_database, why_not
from harness import Figure, spread
from sockets import client, gunicorn, request_rate, serve

KIND = "postgresql"
CONNECTIONS = (1, 4, 16, 64)
SHOWN = 16  # connections, of the figure itself; the note has all
SIZES = ((1, 1), (1, 4), (1, 16), (2, 4), (2, 16), (4, 4))  # workers, threads of each


def title(workers: int, threads: int) -> str:
    """Return what a figure says of itself."""
    size = f"workers: {workers}, threads: {threads}"
    return f"ModelStore on PostgreSQL, gunicorn gthread, {size}, connections: {SHOWN}"


def measure(quick: bool, say: Callable[[str], None]) -> Iterator[Figure]:
    """Run each size of server by itself: two at once would share the processors."""
    if (reason := why_not(KIND)) is not None:
        say(f"P9: skipped: {reason}")
        return
    seconds, rounds = (0.5, 2) if quick else (1, 3)
    with new_database(KIND) as url:
        models.create_database(url)
        for workers, threads in SIZES:
            say(f"P9: workers: {workers}, threads: {threads}, by {client()}")
            with serve(partial(gunicorn, workers=workers, threads=threads), "model", url) as port:
                rates = {
                    count: spread([request_rate(port, count, seconds) for _ in range(rounds)])
                    for count in CONNECTIONS
                }
            median = {str(count): rates[count].median for count in CONNECTIONS}
            note = ", ".join(f"{count}: {rate:.0f}" for count, rate in median.items())
            yield Figure(
                "P9",
                title(workers, threads),
                rates[SHOWN],
                unit="/s",
                note=f"connections: {note}, by {client()}",
                rates=median,
            )
