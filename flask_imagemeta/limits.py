"""How much of an image's metadata one response carries."""

from __future__ import annotations

from collections.abc import Mapping

from . import wire
from .exceptions import InvalidImage
from .schema import OMITTED, HeaderSchema

# The room reserved for the count of omitted properties: a number of ten digits.
_OMITTED_BYTES = wire.line_bytes(OMITTED, "9" * 10)


class Limits:
    """The room for metadata in one application's answers, calculated once.

    :param max_headers: The maximum number of headers that the extension sends in one response.
    :param max_bytes: Their maximum total size in bytes.
    :param others: The headers that every answer has besides metadata, at their longest.
    """

    def __init__(
        self, schema: HeaderSchema, max_headers: int, max_bytes: int, others: Mapping[str, str]
    ) -> None:
        other_bytes = sum(wire.line_bytes(*pair) for pair in others.items())
        self._schema = schema
        self._headers = max_headers - len(others) - 1
        self._bytes = max_bytes - other_bytes - _OMITTED_BYTES
        self._core_bytes = max(self._bytes, wire.CLIENT_MAX_BYTES - other_bytes - _OMITTED_BYTES)

    def fit(self, headers: dict[str, str]) -> tuple[dict[str, str], int]:
        """Return the metadata headers to send and the number of properties left out.

        The core fields are always sent. Properties follow in the order of their names, each one
        that still fits: a long one is skipped, and shorter ones after it can still fit.

        :raises InvalidImage: naming the longest field, when the core fields alone exceed what
            HTTP clients accept.
        """
        omitted = int(headers.pop(OMITTED, 0))
        used = sum(map(len, headers)) + sum(map(len, headers.values())) + 4 * len(headers)
        if len(headers) <= self._headers and used <= self._bytes:
            return headers, omitted
        core = {k: v for k, v in headers.items() if self._schema.property_of(k) is None}
        used = sum(wire.line_bytes(*pair) for pair in core.items())
        if used > self._core_bytes:
            longest = max(core, key=lambda header: len(core[header]))
            raise InvalidImage(
                self._schema.field_of(longest),
                core[longest],
                f"the core fields take {used} bytes as headers; clients accept {self._core_bytes}",
            )
        fitting = core
        for header, value in headers.items():
            if header in core:
                continue
            size = wire.line_bytes(header, value)
            if len(fitting) < self._headers and used + size <= self._bytes:
                fitting[header] = value
                used += size
        return fitting, omitted + len(headers) - len(fitting)
