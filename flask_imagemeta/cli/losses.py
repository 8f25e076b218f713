"""What of an image does not arrive at a client as its store keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from marshmallow import missing

from .. import wire
from ..access import is_deleted
from ..blueprint import can_be_looked_up
from ..exceptions import InvalidImage, describe
from ..fields import Properties, by_name
from ..image import read_field
from ..limits import Limits
from ..schema import HeaderSchema


class Loss(NamedTuple):
    """One thing that does not arrive.

    :param kind: ``refused`` (the whole image: a client gets no metadata at all), ``omitted``
        or ``altered``.
    :param field: The field, in the schema's words.
    :param reason: What becomes of it, or why.
    """

    kind: str
    field: str
    reason: str


def find_losses(image: Any, schema: HeaderSchema, limits: Limits) -> list[Loss]:
    """Return everything that does not arrive when a client asks for an image and may see it.

    The properties of a deleted image are hidden from everybody, and not counted as a loss.
    """
    try:
        image_id = str(read_field(image, "id"))
        if not image_id or "/" in image_id or not can_be_looked_up(image_id):
            return [Loss("refused", "id", f"no request can ask for {describe(image_id)}")]
        headers = schema.to_headers(image)
        shows_properties = not is_deleted(image)
        if not shows_properties:
            headers = {k: v for k, v in headers.items() if not _is_property(k, schema)}
        sent, _ = limits.fit(headers)
        return list(_compare(image, schema, sent, shows_properties))
    except InvalidImage as error:
        return [Loss("refused", error.field, str(error))]


def _compare(
    image: Any, schema: HeaderSchema, sent: Mapping[str, str], shows_properties: bool
) -> Iterator[Loss]:
    for name, field in schema.dump_fields.items():
        if isinstance(field, Properties):
            if shows_properties:
                properties = schema.get_attribute(image, field.attribute or name, None)
                yield from _compare_properties(properties or {}, field, sent)
            continue
        text = field.serialize(name, image, accessor=schema.get_attribute)
        if text is not None and text is not missing and (header := str(field.data_key)) in sent:
            yield from _compare_text(name, wire.as_any_text(text), sent[header])


def _is_property(header: str, schema: HeaderSchema) -> bool:
    prefix = schema.property_prefix
    return bool(prefix) and header.startswith(prefix)


def _compare_properties(
    properties: Mapping[Any, Any], field: Properties, sent: Mapping[str, str]
) -> Iterator[Loss]:
    named = [(wire.as_text(name), value) for name, value in properties.items() if value is not None]
    winners: dict[str, str] = {}
    for name, value in sorted(named, key=by_name):
        label = f"properties[{describe(name)}]"
        as_sent = wire.as_name(name)
        header = f"{field.data_key}{as_sent}"
        winner = winners.setdefault(header, name)
        if winner != name:
            reason = f"{describe(winner)} has the same header, {header}"
            yield Loss("omitted", label, reason)
        elif header not in sent:
            reason = "no room is left for it in a response (MAX_HEADERS, MAX_HEADER_BYTES)"
            yield Loss("omitted", label, reason)
        else:
            if as_sent.lower() != name:
                yield Loss("altered", label, f"the name arrives as {describe(as_sent.lower())}")
            yield from _compare_text(label, wire.as_any_text(value), sent[header])


def _compare_text(label: str, text: str, sent: str) -> Iterator[Loss]:
    # RFC 9110, 5.5: white space around a value is not part of it.
    cleaned, received = wire.from_value(sent), wire.from_value(sent.strip(" \t"))
    if cleaned != text:
        reason = "characters that no header can carry are replaced"
    elif received != text:
        reason = "white space around it is dropped"
    else:
        return
    yield Loss("altered", label, f"{reason}: {describe(text)} arrives as {describe(received)}")
