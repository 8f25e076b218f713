"""An image in the JSON form of the Image API v1's lists, made from the schema's fields."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn

from marshmallow import fields

from . import wire
from .fields import Line, Properties
from .schema import HeaderSchema

Document = dict[str, Any]

INDEX = ("name", "container_format", "disk_format", "checksum", "id", "size")

# The reference's order; a subclass's own fields come after these.
_DETAIL = (
    *("status", "deleted_at", "name", "deleted", "container_format", "created_at", "disk_format"),
    *("updated_at", "min_disk", "protected", "id", "min_ram", "checksum", "owner", "is_public"),
    *("virtual_size", "properties", "size"),
)

_IN_JSON = (fields.Number, fields.List, fields.Tuple, fields.Mapping, fields.Nested)


def as_document(schema: HeaderSchema, image: Any) -> Document:
    """Return an image with a JSON value for each field of a schema, None for one without a header.

    Whatever the schema, or a hook of a subclass, leaves out of the headers is left out here. Text
    and property names are as the image has them: unlike a header's, the text keeps its control
    characters and the names their case, so two that differ only in case are both included. So is a
    property whose value is None.

    :raises InvalidImage: when the image cannot be sent.
    """
    names = [name for name in _DETAIL if name in schema.dump_fields]
    document: Document = dict.fromkeys([*names, *schema.dump_fields])
    texts: dict[str, dict[str | None, str]] = {name: {} for name in document}
    for line in _listed_lines(schema, image):
        texts[line.field][line.property] = line.text
    for name, field in schema.dump_fields.items():
        if isinstance(field, Properties):
            document[name] = _properties(schema, field, image, texts[name])
        elif texts[name]:
            document[name] = _as_json(schema.fields[name], texts[name][None])
    return document


def sent_lines(schema: HeaderSchema, image: Any) -> Iterable[Line]:
    """Return the lines that are sent, with the text that a subclass made of theirs."""
    lines: dict[str, Line] = {}  # of several lines with one header, the first is sent
    for line in schema.lines(image):
        lines.setdefault(line.header, line)
    if not schema.has_own_code:
        return lines.values()
    sent = schema.to_headers(image)
    return [
        line
        if wire.as_value(line.text) == sent[header]
        else line._replace(text=wire.from_value(sent[header]))
        for header, line in lines.items()
        if header in sent
    ]


def _listed_lines(schema: HeaderSchema, image: Any) -> Iterable[Line]:
    """Return the lines that are sent, and those of properties that lose their header to others.

    What a subclass would make of the latter is not known, so then they are left out.
    """
    if schema.has_own_code:
        return sent_lines(schema, image)
    lines = list(schema.lines(image))
    winners = {line.header: line.field for line in reversed(lines)}  # the first one is sent
    return [line for line in lines if line.field == winners[line.header]]


def _properties(
    schema: HeaderSchema, field: Properties, image: Any, texts: dict[str | None, str]
) -> dict[str, str | None]:
    """Return properties in the image's order, including those of None, which have no header."""
    name = str(field.name)
    values = field.get_value(image, name, accessor=schema.get_attribute, default=None) or {}
    named = {wire.as_text(key): value for key, value in values.items()}
    return {key: texts.get(key) for key, value in named.items() if value is None or key in texts}


def _as_json(field: fields.Field[Any], text: str) -> Any:
    """Return a header's text as the field's JSON value, or as it is if it cannot be parsed."""
    if isinstance(field, fields.Boolean):
        return {"True": True, "False": False}.get(text, text)
    if isinstance(field, _IN_JSON):
        try:
            return json.loads(text, parse_constant=_refuse, parse_float=_finite)
        except ValueError:
            return text
    return text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not in JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)
