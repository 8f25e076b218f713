"""Images of which some fields cannot be read, so that the others still can."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from ..exceptions import InvalidImage
from .errors import unreadable

S = TypeVar("S")


class ImageParts(Mapping[str, Any]):
    """An image with fields that may be unreadable; reading such a field raises its error.

    :param values: The values by field; for an unreadable field, its InvalidImage.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Any:
        value = self._values[name]
        if isinstance(value, InvalidImage):
            raise value
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def unreadable_fields(statements: Mapping[str, S], fetch: Callable[[S], object]) -> dict[str, Any]:
    """Return the error of each field that cannot be read.

    :param statements: The statements that each read one field.
    :param fetch: Sends one of them.
    """
    found = {name: _field_error(name, partial(fetch, one)) for name, one in statements.items()}
    return {name: error for name, error in found.items() if error is not None}


def _field_error(name: str, fetch: Callable[[], object]) -> InvalidImage | None:
    try:
        fetch()
    except InvalidImage as error:
        return unreadable(error.__cause__, name)
    return None
