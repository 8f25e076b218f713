"""One call for all threads that need its result at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, TypeVar

from ..exceptions import StoreUnavailable

T = TypeVar("T")

_WAIT = 5  # seconds that a thread waits for another thread's call


class _Flight(Future[Any]):
    """A call under way; it is overdue once a thread has waited for it in vain."""

    is_overdue = False


class Flights:
    """Calls under way: threads that need the same result share one call.

    A call that hangs costs those that wait for it at most 5 seconds; the next thread calls again.
    Of several calls then under way, only the result of the one that began last may be kept.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[str, list[_Flight]] = {}  # by key, the oldest first

    def share(self, key: str, call: Callable[[Callable[[], bool]], T]) -> T:
        """Return what the call returns, or what another thread's call for the same key does.

        :param call: Gets a function that returns whether its result may be kept. It may not if
            the key was forgotten meanwhile, or if a call that began later has asked the same.
        :raises StoreUnavailable: when the other thread's call takes too long or was ended.
        """
        flight, is_mine = self._join(key)
        if not is_mine:
            theirs: T = _result(flight)
            return theirs
        try:
            result = call(partial(self._may_keep, key, flight))
        except BaseException as error:
            # If this thread is ended, those that wait for it must continue.
            is_ours = isinstance(error, Exception)
            flight.set_exception(error if is_ours else StoreUnavailable("the lookup was ended"))
            raise
        else:
            flight.set_result(result)
            return result
        finally:
            self._end(key, flight)

    def forget(self, key: str) -> None:
        """Let no call that has begun be joined by another thread, or its result be kept."""
        with self._lock:
            self._under_way.pop(key, None)

    def _join(self, key: str) -> tuple[_Flight, bool]:
        """Return the flight to wait for, and whether it is the caller's own to make."""
        with self._lock:
            flights = self._under_way.setdefault(key, [])
            is_mine = not flights or flights[-1].is_overdue
            if is_mine:
                flights.append(_Flight())
            return flights[-1], is_mine

    def _may_keep(self, key: str, flight: _Flight) -> bool:
        with self._lock:
            flights = self._under_way.get(key, [])
            if flight not in flights:
                return False
            del flights[: flights.index(flight)]  # results of earlier calls may no longer be kept
            return True

    def _end(self, key: str, flight: _Flight) -> None:
        with self._lock:
            flights = self._under_way.get(key, [])
            if flight in flights:
                flights.remove(flight)
            if not flights:
                self._under_way.pop(key, None)


def _result(flight: _Flight) -> Any:
    if not wait([flight], _WAIT).done:
        flight.is_overdue = True
        raise StoreUnavailable(f"another request's lookup took more than {_WAIT} seconds")
    return flight.result()
