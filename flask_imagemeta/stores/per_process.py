"""One object for each process, such as a pool of connections."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One object for each process: if two shared connections, they would mix up their answers.

    After a fork, each child gets a new object. It keeps a reference to the parent's, because
    closing that in a child could end the parent's connections.

    :param make: Makes an object, without connecting yet. Concurrent threads may each make one;
        only one is kept.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}

    def get(self) -> T:
        """Return this process's object."""
        pid = os.getpid()
        if pid not in self._made:
            self._made.setdefault(pid, self._make())
        return self._made[pid]
