"""The projects that an image is shared with, fetched only when a response depends on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from .errors import ImpossibleValue

T = TypeVar("T")


class LazyMembers(Iterable[str]):
    """The ids of the projects an image is shared with, fetched only if a response depends on them.

    :param fetch: Returns the members that may equal the given project id, or all for None.
    """

    def __init__(self, fetch: Callable[[str | None], Iterable[str]]) -> None:
        self._fetch = fetch

    def __contains__(self, project_id: object) -> bool:
        return isinstance(project_id, str) and project_id in self._fetch(project_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._fetch(None))

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (list(self),)


class MembersOfSeveral:
    """The members of several images, fetched together as soon as those of one are needed.

    :param fetch: Returns pairs of an image's id and a member: those that may equal the given
        project id, or all for None.
    """

    def __init__(self, fetch: Callable[[str | None], Iterable[tuple[Any, str]]]) -> None:
        self._fetch = fetch
        self._fetched: dict[str | None, dict[Any, list[str]]] = {}

    def of(self, image_id: Any) -> LazyMembers:
        """Return the members of one image."""

        def fetch(project_id: str | None) -> list[str]:
            if project_id not in self._fetched:
                by_id: dict[Any, list[str]] = {}
                for of, member in self._fetch(project_id):
                    by_id.setdefault(of, []).append(member)
                self._fetched[project_id] = by_id
            return self._fetched[project_id].get(image_id, [])

        return LazyMembers(fetch)


def of_possible_projects(
    fetch: Callable[[str | None], Sequence[T]],
) -> Callable[[str | None], Sequence[T]]:
    """Return a function like fetch that finds no members for a project the database cannot store.

    :param fetch: Returns the members that may equal the given project id, or all for None.
    """

    def find(project_id: str | None) -> Sequence[T]:
        if project_id is not None and "\0" in project_id:  # which PostgreSQL's text cannot hold
            return ()
        try:
            return fetch(project_id)
        except ImpossibleValue:
            return ()

    return find
