"""How much of an image's metadata one response carries."""

from __future__ import annotations

from collections.abc import Mapping

from . import wire
from .exceptions import InvalidImage
from .schema import OMITTED, HeaderSchema

# The room reserved for the count of omitted properties: a number of ten digits.
_OMITTED_BYTES = wire.header_bytes({OMITTED: "9" * 10})


class Limits:
    """The room for metadata in one application's answers, calculated once.

    :param max_headers: The maximum number of headers that the extension sends in one response.
    :param max_bytes: Their maximum total size in bytes.
    :param others: The headers that every response has besides metadata, at their longest.
    """

    def __init__(
        self, schema: HeaderSchema, max_headers: int, max_bytes: int, others: Mapping[str, str]
    ) -> None:
        other_bytes = wire.header_bytes(others) + _OMITTED_BYTES
        self._schema = schema
        self._max_headers = max_headers - len(others) - 1
        self._max_bytes = max_bytes - other_bytes
        self._max_core_bytes = max(self._max_bytes, wire.CLIENT_MAX_BYTES - other_bytes)

    def fit(self, headers: dict[str, str]) -> tuple[dict[str, str], int]:
        """Return the metadata headers to send and the number of properties left out.

        The core fields are always sent. Properties follow in the order of their names, each one
        that still fits: a long one is skipped, and shorter ones after it can still fit.

        :raises InvalidImage: naming the longest field, when the core fields alone exceed what
            HTTP clients accept.
        """
        omitted = int(headers.pop(OMITTED, 0))
        used = wire.header_bytes(headers)
        if len(headers) <= self._max_headers and used <= self._max_bytes:
            return headers, omitted
        sent = {k: v for k, v in headers.items() if self._schema.property_of(k) is None}
        used = wire.header_bytes(sent)
        if used > self._max_core_bytes:
            longest = max(sent, key=lambda header: len(sent[header]))
            raise InvalidImage(
                self._schema.field_of(longest),
                sent[longest],
                f"the core fields take {used} bytes as headers; "
                f"clients accept {self._max_core_bytes}",
            )
        for header, value in headers.items():
            if header in sent:
                continue
            size = wire.header_bytes({header: value})
            if len(sent) < self._max_headers and used + size <= self._max_bytes:
                sent[header] = value
                used += size
        return sent, omitted + len(headers) - len(sent)
