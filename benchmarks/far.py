"""What the figures say about a large installation: tables and arithmetic for the documentation.

Nothing here is typed by hand but the two numbers that are asked for: images and requests.
"""

import math
from collections.abc import Mapping
from typing import Any

import scale
import sides
import upstream
import workers

IMAGES = 1_000_000
REQUESTS = 10_000  # a second
HIT_RATES = (0.0, 0.5, 0.9, 0.99)  # of the requests, those that the cache answers


def render(results: Mapping[str, Any]) -> str:
    """Return the tables in Markdown, from what results.json holds."""
    figures = {figure["compared"]: figure for figure in results["figures"]}
    parts = [
        *one_worker(figures),
        *rates(figures),
        *costs(figures),
        *arithmetic(figures),
        *space(figures),
    ]
    return "\n".join([*parts, f"Measured on {results['machine']}.", ""])


def table(*rows: list[str]) -> list[str]:
    title, *others = rows
    lines = [title, ["---"] * len(title), *others]
    return [f"| {' | '.join(row)} |" for row in lines] + [""]


def median(figures: Mapping[str, Any], compared: str) -> float:
    value: float = figures[compared]["spread"]["median"]
    return value


def one_worker(figures: Mapping[str, Any]) -> list[str]:
    """Return what one process of gunicorn serves, by where its images are."""
    in_dict = "gunicorn gthread, connections: 16: lookup in a dict / constant headers"
    glance = figures[upstream.title(upstream.PAIRS[0])]["rates"]
    found = {
        "in a dict in memory (P4), 16 threads": figures[in_dict]["rates"]["dict"],
        "in PostgreSQL (P9), 4 threads": figures[workers.title(1, 4)]["rates"]["16"],
        "in a Glance that takes 5 ms (P8), 16 threads": glance["glance"],
        "the same, `Cached` in Redis (P8), 16 threads": glance["glance, redis"],
    }
    rows = [[name, f"{rate:.0f}", str(math.ceil(REQUESTS / rate))] for name, rate in found.items()]
    titles = ["images", "requests per second", f"workers for {REQUESTS:,} a second"]
    return ["**One worker, asked on 16 connections**", "", *table(titles, *rows)]


def rates(figures: Mapping[str, Any]) -> list[str]:
    """Return the requests per second of a server, by its size and the connections."""
    counts = [str(count) for count in workers.CONNECTIONS]
    rows = []
    for size in workers.SIZES:
        found = figures[workers.title(*size)]["rates"]
        rows.append([*map(str, size), *(f"{found[count]:.0f}" for count in counts)])
    titles = [
        "workers",
        "threads of each",
        "1 connection",
        *(f"{count} connections" for count in counts[1:]),
    ]
    return ["**Requests per second, images in PostgreSQL (P9)**", "", *table(titles, *rows)]


def costs(figures: Mapping[str, Any]) -> list[str]:
    """Return the processor's time of a request on each side."""
    rows = []
    for name, where in sides.SIDES.items():
        here, there = (median(figures, sides.title(name, side)) for side in (sides.HERE, where))
        rows.append([sides.LABELS[name], f"{here:.0f} µs", f"{where}: {there:.0f} µs"])
    titles = ["one request by", "in the application", "in what it asks"]
    return ["**Processor time (P10)**", "", *table(titles, *rows)]


def arithmetic(figures: Mapping[str, Any]) -> list[str]:
    """Return how many processors the requests keep busy, by how many of them a cache answers."""
    plain, hit = (
        [median(figures, sides.title(name, side)) for side in (sides.HERE, sides.SIDES[name])]
        for name in ("model", "cached, redis")
    )
    rows = []
    for rate in HIT_RATES:
        miss = 1 - rate
        # A miss costs what a hit does, the look into the cache, and what it finds in the store.
        here = plain[0] if not rate else hit[0] + miss * plain[0]
        cache = 0 if not rate else hit[1]
        cores = [f"{time * REQUESTS / 1e6:.1f}" for time in (here, miss * plain[1], cache)]
        rows.append(["no cache" if not rate else f"{rate:.0%}", *cores])
    titles = ["answered by the cache", "the application", "PostgreSQL", "Redis"]
    heading = f"**Processors that {REQUESTS:,} requests a second keep busy (computed from P10)**"
    return [heading, "", *table(titles, *rows)]


def space(figures: Mapping[str, Any]) -> list[str]:
    """Return what the images take on disk and in memory."""
    disk = median(figures, scale.disk_title(IMAGES)) / 1024
    memory = median(figures, sides.MEMORY) * IMAGES / 2**30
    titles = [f"{IMAGES:,} images", "size"]
    rows = [
        ["in PostgreSQL, indexes included", f"{disk:.1f} GiB"],
        ["in Redis, all of them at once", f"{memory:.1f} GiB"],
    ]
    return ["**Space (P5, P10)**", "", *table(titles, *rows)]
