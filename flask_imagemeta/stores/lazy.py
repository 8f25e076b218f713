"""What stores make only when it is needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class LazyMembers(Iterable[str]):
    """The project ids that an image is shared with, fetched only when an answer depends on them.

    :param fetch: Returns the members that may equal the given project id, or all for None.
    """

    def __init__(self, fetch: Callable[[str | None], Iterable[str]]) -> None:
        self._fetch = fetch

    def __contains__(self, project_id: object) -> bool:
        return isinstance(project_id, str) and project_id in self._fetch(project_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._fetch(None))


class PerProcess(Generic[T]):
    """A pool of connections for each process: two that shared one would read each other's answers.

    A server that forks gets a new pool in each child. The parent's stays referenced there,
    because closing it in a child could end the parent's connections.

    :param make: Makes a pool; must not connect yet. Threads that meet here may each make
        one, of which one is kept.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}

    def get(self) -> T:
        """Return this process's pool."""
        pid = os.getpid()
        if pid not in self._made:
            self._made.setdefault(pid, self._make())
        return self._made[pid]
