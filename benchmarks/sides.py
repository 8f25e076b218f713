"""P10: the processor's time of a request, in the application and in what it asks."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time

import apps
import models
import sqlalchemy as sa
from databases import new_database, redis_client, why_not
from harness import Figure, Spread, in_fresh_process, make_call, spread

LABELS = {
    "model": "ModelStore on PostgreSQL",
    "model, engine": "ModelStore with engine= on PostgreSQL",
    "cached, redis": "Cached in Redis",
}
# Where each application asks.
SIDES = {"model": "PostgreSQL", "model, engine": "PostgreSQL", "cached, redis": "Redis"}
HERE = "the application"
MEMORY = "Cached in Redis: memory of an image with its key"
ROUNDS = 10
TICK = os.sysconf("SC_CLK_TCK")  # a second's parts in which Linux counts a process's time


def backends_time(url: str) -> float | None:
    """Return the seconds that PostgreSQL's processes have worked for a database.

    None if they are not on this machine.
    """
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    statement = (
        "SELECT pid FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with engine.connect() as connection:
        pids = connection.exec_driver_sql(statement).scalars().all()
    stats = [Path(f"/proc/{pid}/stat") for pid in pids]
    if not stats or not all(stat.exists() for stat in stats):
        return None
    fields = [stat.read_text().rpartition(")")[2].split() for stat in stats]
    return sum(int(times[11]) + int(times[12]) for times in fields) / TICK


def redis_time() -> float:
    cpu = redis_client().info("cpu")
    return cpu["used_cpu_user"] + cpu["used_cpu_sys"]


def time_sides(name: str, url: str, count: int) -> list[tuple[float, float | None]]:
    """Return for each round the microseconds of a request here, and where it asks."""
    call = make_call(apps.APPS[name](url))
    for _ in range(100):
        call()

    def there() -> float | None:
        return redis_time() if name == "cached, redis" else backends_time(url)

    rounds: list[tuple[float, float | None]] = []
    for _ in range(ROUNDS):
        before, start = there(), process_time()
        for _ in range(count):
            call()
        here, after = process_time() - start, there()
        other = None if before is None or after is None else (after - before) / count * 1e6
        rounds.append((here / count * 1e6, other))
    return rounds


def title(name: str, side: str) -> str:
    """Return what a figure says of itself."""
    return f"{LABELS[name]}: processor time of a request in {side}"


def measure_memory() -> Figure:
    """Return what one image takes in Redis, its key included."""
    client = redis_client()
    key = next(client.scan_iter("imagemeta:*"))
    size = client.memory_usage(key)
    assert isinstance(size, int)
    return Figure("P10", MEMORY, Spread(size, size, size), unit="bytes")


def measure(quick: bool, say: Callable[[str], None]) -> Iterator[Figure]:
    if (reason := why_not("postgresql")) is not None:
        say(f"P10: skipped: {reason}")
        return
    sides = dict(SIDES)
    if (reason := why_not("redis")) is not None:
        say(f"P10: skipped: {reason}")
        del sides["cached, redis"]
    with new_database("postgresql") as url:
        models.create_database(url)
        for name, where in sides.items():
            say(f"P10: {name}: the application's time, and {where}'s")
            rounds = in_fresh_process(time_sides, name, url, 200 if quick else 1000)
            here = spread([here for here, _ in rounds])
            yield Figure("P10", title(name, HERE), here, unit="µs")
            if where == "Redis":
                yield measure_memory()
            there = [time for _, time in rounds if time is not None]
            if there:
                yield Figure("P10", title(name, where), spread(there), unit="µs")
