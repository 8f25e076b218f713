"""An OpenAPI 3.1 description of an application's operations as configured.

Needs apispec: the extra ``openapi``.
"""

from __future__ import annotations

from functools import partial
from typing import Any, get_args

from flask import Flask
from marshmallow import fields, missing
from marshmallow.fields import Field

from .answers import Caching
from .documents import INDEX
from .fields import Properties, Timestamp
from .image import MAX_ID_LENGTH
from .parameters import DEFAULT_LIMIT, MAX_LIMIT, PROPERTY
from .query import SortDir, SortKey
from .request_id import REQUEST_ID
from .schema import OMITTED, HeaderSchema
from .state import State

try:
    from apispec import APISpec
    from apispec.ext.marshmallow import MarshmallowPlugin
    from apispec.ext.marshmallow.openapi import OpenAPIConverter
except ImportError as _error:
    raise ImportError(
        "flask_imagemeta.openapi needs apispec: pip install 'apispec>=6.8'"
    ) from _error

JSONSchema = dict[str, Any]

_COUNT = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
# RFC 9110, 5.6.7. JSON Schema has no format for it.
_DATE = {"type": "string", "examples": ["Thu, 25 Feb 2016 03:02:05 GMT"]}
_ETAG = {"type": "string", "pattern": '^"[0-9a-f]{32}"$'}
_REQUEST_ID = {"type": "string", "pattern": "^req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}

_CONDITIONS = {
    "If-Match": "412 unless it names the image's current ETag.",
    "If-None-Match": "304 if it names the image's current ETag.",
    "If-Modified-Since": "304 if the image was not updated since.",
    "If-Unmodified-Since": "412 if the image was updated since.",
}
_ERRORS = {
    401: "The caller must authenticate.",
    403: "The application refuses the caller.",
    404: "There is no such image, or the caller may not see it.",
    412: "A condition of the request does not hold.",
    500: "The image cannot be described in headers; the application's log says why.",
}

_WORDS = "One word, in:a,b for several, or eq: before a word that begins with in: or eq:."
_FLAG = "[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[01]"
_QUERY: dict[str, tuple[str, JSONSchema]] = {
    "name": (_WORDS, _TEXT),
    "status": (_WORDS, _TEXT),
    "disk_format": (_WORDS, _TEXT),
    "container_format": (_WORDS, _TEXT),
    "min_disk": ("In GiB; any other text matches no image.", _TEXT),
    "min_ram": ("In MiB.", _COUNT),
    "protected": ("Whether the image is protected.", {"type": "string", "pattern": f"^({_FLAG})$"}),
    "size_min": ("The smallest size in bytes.", _COUNT),
    "size_max": ("The largest size in bytes.", _COUNT),
    "changes-since": (
        "Only images updated later, deleted ones included; ISO 8601.",
        {"type": "string", "format": "date-time"},
    ),
    "is_public": (
        "For admins: none lists the images of all projects, false only those that are not public.",
        {"type": "string", "pattern": f"^({_FLAG}|[Nn][Oo][Nn][Ee])$"},
    ),
    "sort_key": ("The field to sort by.", {"type": "string", "enum": [*get_args(SortKey)]}),
    "sort_dir": ("The sort direction.", {"type": "string", "enum": [*get_args(SortDir)]}),
    "limit": (
        f"The maximum number of images on the page, at most {MAX_LIMIT}.",
        {**_COUNT, "default": DEFAULT_LIMIT},
    ),
    "marker": ("The id of the last image of the previous page.", _TEXT),
}


def describe(app: Flask, *, title: str = "Image metadata", version: str = "1") -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of every ImageMeta of an application, ready for JSON.

    Paths, limits, headers and the JSON of lists are those of the application's configuration and
    of each object's schema. The headers and parameters of properties are described in words,
    because OpenAPI cannot describe names that are not fixed.

    :param title: The document's ``info.title``.
    :param version: The document's ``info.version``.
    :raises RuntimeError: when the application has no ImageMeta.
    """
    states: dict[str, State] = app.extensions.get("imagemeta", {})
    if not states:
        raise RuntimeError("This application has no ImageMeta. Did you forget init_app(app)?")
    plugin = MarshmallowPlugin()
    spec = APISpec(title, version, openapi_version="3.1.0", plugins=[plugin])
    converter: Any = plugin.converter  # made by APISpec
    converter.add_attribute_function(_as_header_text)
    for state in states.values():
        for rule in app.url_map.iter_rules(f"{state.name}.show_image"):
            images = rule.rule[: rule.rule.rindex("/")]
            head = _operation(state, converter)
            spec.path(path=f"{images}/{{image_id}}", operations={"head": head})
            for path, is_detailed in ((images, False), (f"{images}/detail", True)):
                if state.serves_lists:
                    lists = {"get": _list_operation(state, converter, is_detailed=is_detailed)}
                    spec.path(path=path, operations=lists)
    document: dict[str, Any] = spec.to_dict()
    return document


def _operation(state: State, converter: OpenAPIConverter) -> dict[str, Any]:
    schema, size_header = state.schema, state.size_header
    response = partial(_response, state)
    validators = {
        "ETag": _header(_ETAG, required=True),
        "Last-Modified": _header(_DATE),
        "Age": _header(_COUNT),
    }
    shown = "The image's metadata, only in headers."
    if schema.property_prefix:
        shown += f" Each property has a header {schema.property_prefix}<name>."
    responses: dict[str, Any] = {
        "200": response(200, shown, validators | _metadata(schema, converter)),
        "304": response(304, "The client's copy of the metadata is current.", validators),
        **{str(status): response(status, text) for status, text in _ERRORS.items()},
        "503": _unavailable(state),
    }
    parameters = [
        {
            "in": "path",
            "name": "image_id",
            "required": True,
            "description": f"Any text; more than {MAX_ID_LENGTH} characters match no image.",
            "schema": {"type": "string", "pattern": "^[^/]+$"},
        },
        *(_parameter("header", name, text, _TEXT) for name, text in _CONDITIONS.items()),
    ]
    if size_header is not None:
        parameters.append(
            _parameter("header", size_header, "409 unless it is the image's size.", _COUNT)
        )
        responses["400"] = response(400, f"{size_header} is not a whole number of bytes.")
        responses["409"] = response(409, f"{size_header} is not the image's size.")
    return {
        "operationId": f"{state.name}_show_image",
        "summary": "Show image metadata",
        "parameters": parameters,
        "responses": dict(sorted(responses.items())),
    }


def _common(caching: Caching, status: int) -> dict[str, Any]:
    """Return the description of the headers that every response has."""
    controls = [caching.control_of(status)]
    if status in (200, 304) and caching.public_control:
        controls.append(caching.public_control)
    # A hook refuses with a response of its own, which may have this header.
    control = _TEXT if status in (401, 403) else {"type": "string", "enum": controls}
    return {
        REQUEST_ID: _header(_REQUEST_ID, required=True),
        "Cache-Control": _header(control, required=True),
        "Vary": _header({"type": "string", "const": caching.vary}, required=True),
    }


def _metadata(schema: HeaderSchema, converter: OpenAPIConverter) -> dict[str, Any]:
    """Return the description of each header that carries a field, from the schema's fields."""
    headers: dict[str, Any] = {}
    for name, field in schema.fields.items():
        header = schema.header_of(name)
        if header is not None:
            always = field.dump_default is not missing and field.dump_default is not None
            headers[header] = _header(converter.field2property(field), required=always)
    if schema.property_prefix:
        headers[OMITTED] = _header({"type": "integer", "minimum": 1})
    return headers


def _as_header_text(self: OpenAPIConverter, field: Field[Any], ret: JSONSchema) -> JSONSchema:
    """Return what to change in apispec's description of a field, for its text in a header.

    apispec passes its description as ret, and merges the result into it.
    """
    for key in ("default", "nullable", "readOnly"):  # of a JSON body
        ret.pop(key, None)
    if isinstance(ret.get("type"), list):  # with "null", which has no header
        ret["type"] = next(kind for kind in ret["type"] if kind != "null")
    if isinstance(field, fields.Boolean):
        return {"type": "string", "enum": ["True", "False"]}
    if isinstance(field, Timestamp):
        return {"format": "date-time-local"}  # of the OpenAPI format registry: no zone
    if ret.get("type") in ("array", "object"):
        for key in ("items", "properties", "additionalProperties"):
            ret.pop(key, None)
        return {"type": "string", "contentMediaType": "application/json"}
    return {}


def _header(schema: JSONSchema, *, required: bool = False) -> dict[str, Any]:
    return {"schema": schema, "required": True} if required else {"schema": schema}


def _parameter(where: str, name: str, description: str, schema: JSONSchema) -> dict[str, Any]:
    return {"in": where, "name": name, "description": description, "schema": schema}


def _response(
    state: State, status: int, text: str, headers: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {"description": text, "headers": _common(state.caching, status) | (headers or {})}


def _unavailable(state: State) -> dict[str, Any]:
    retry_after = _header({"type": "integer", "const": state.config.retry_after})
    text = "The image store is unreachable. Retry-After says when to try again."
    return _response(state, 503, text, {"Retry-After": retry_after})


# The lists


def _list_operation(
    state: State, converter: OpenAPIConverter, *, is_detailed: bool
) -> dict[str, Any]:
    properties = _json_fields(state.schema, converter)
    if not is_detailed:
        properties = {name: properties[name] for name in INDEX if name in properties}
    image = {"type": "object", "required": [*properties], "properties": properties}
    images = {"type": "array", "maxItems": MAX_LIMIT, "items": image}
    listed = {"type": "object", "required": ["images"], "properties": {"images": images}}
    error = dict.fromkeys(("message", "code", "title"), _TEXT)
    refused = {
        "text/plain": {"schema": _TEXT},
        "text/html": {"schema": _TEXT},
        "application/json": {"schema": {"type": "object", "properties": error}},
    }
    response = partial(_response, state)
    name = "detailed_images" if is_detailed else "images"
    description = "One page of the images that the caller may list."
    if state.schema.property_prefix:
        description += f" A parameter {PROPERTY}<name> is the text that a property must have."
    return {
        "operationId": f"{state.name}_list_{name}",
        "summary": f"List images{' with all their fields' if is_detailed else ''}",
        "description": description,
        "parameters": [_parameter("query", one, *about) for one, about in _QUERY.items()],
        "responses": {
            "200": response(200, "The images of the page; it is full unless it is the last.")
            | {"content": {"application/json": {"schema": listed}}},
            "400": response(400, "A parameter is wrong, or the marker is unknown.")
            | {"content": refused},
            "401": response(401, _ERRORS[401]),
            "403": response(403, _ERRORS[403]),
            "500": response(500, "The application failed; its log says why."),
            "503": _unavailable(state),
        },
    }


def _json_fields(schema: HeaderSchema, converter: OpenAPIConverter) -> dict[str, JSONSchema]:
    """Return the description of each field in a list's JSON."""
    described: dict[str, JSONSchema] = {}
    for name in schema.dump_fields:
        field = schema.fields[name]
        if isinstance(field, Properties):
            values = {"type": ["string", "null"]}
            described[name] = {"type": "object", "additionalProperties": values}
            continue
        one = dict(converter.field2property(field))
        kind = one.get("type", "string")
        if isinstance(field, fields.Boolean):
            del one["enum"]
            kind = "boolean"
        elif one.pop("contentMediaType", None):
            kind = "array" if isinstance(field, (fields.List, fields.Tuple)) else "object"
        if "enum" in one:
            one["enum"] = [*one["enum"], None]
        described[name] = one | {"type": [kind, "null"]}
    return described


__all__ = ["describe"]
