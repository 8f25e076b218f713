"""An OpenAPI 3.1 description of the HEAD operation, from an application as it is set up.

Needs apispec: the extra ``openapi``.
"""

from __future__ import annotations

from typing import Any

from flask import Flask
from marshmallow import fields, missing
from marshmallow.fields import Field

from .blueprint import MAX_ID_LENGTH, REQUEST_ID
from .extension import State
from .fields import Timestamp, WholeNumber
from .schema import OMITTED, HeaderSchema

try:
    from apispec import APISpec
    from apispec.ext.marshmallow import MarshmallowPlugin
    from apispec.ext.marshmallow.openapi import OpenAPIConverter
except ImportError as _error:
    raise ImportError(
        "flask_imagemeta.openapi needs apispec: pip install 'Flask-ImageMeta[openapi]'"
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
    "401": "The application wants to know who asks.",
    "403": "The application refuses the caller.",
    "404": "There is no such image, or the caller may not see it.",
    "412": "A condition of the request does not hold.",
    "500": "The image cannot be described in headers; the application's log says why.",
}


def describe(app: Flask, *, title: str = "Image metadata", version: str = "1") -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of every ImageMeta of an application, ready for JSON.

    Paths, limits and header names are those of the application: of its configuration, and of
    each object's schema with the fields that a subclass adds. Headers of properties are
    named in words, OpenAPI has no form for a header with an open name.

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
            path = rule.rule.replace("<image_id>", "{image_id}")
            spec.path(path=path, operations={"head": _operation(state, converter)})
    document: dict[str, Any] = spec.to_dict()
    return document


def _operation(state: State, converter: OpenAPIConverter) -> dict[str, Any]:
    config, schema = state.config, state.schema
    size_header = schema.header_of("size")
    common = {
        REQUEST_ID: _header(_REQUEST_ID, required=True),
        "Cache-Control": _header({"type": "string", "const": config.cache_control}, required=True),
        "Vary": _header({"type": "string", "const": config.vary}, required=True),
    }
    validators = {"ETag": _header(_ETAG, required=True), "Last-Modified": _header(_DATE)}
    shown = "The image's metadata, in headers alone."
    if schema.property_prefix:
        shown += f" Each property has a header {schema.property_prefix}<name>."
    responses: dict[str, Any] = {
        "200": _response(shown, common | validators | _metadata(schema, converter)),
        "304": _response("The metadata is as the request knows it.", common | validators),
        **{status: _response(text, common) for status, text in _ERRORS.items()},
        "503": _response(
            "The image store is out of reach. Try again, after that many seconds.",
            common | {"Retry-After": _header({"type": "integer", "const": config.retry_after})},
        ),
    }
    parameters = [
        {
            "in": "path",
            "name": "image_id",
            "required": True,
            "description": f"Any text; more than {MAX_ID_LENGTH} characters name no image.",
            "schema": {"type": "string", "pattern": "^[^/]+$"},
        },
        *(_parameter(name, text, _TEXT) for name, text in _CONDITIONS.items()),
    ]
    if size_header is not None:
        parameters.append(_parameter(size_header, "409 unless it is the image's size.", _COUNT))
        responses["400"] = _response(f"{size_header} is no whole number of bytes.", common)
        responses["409"] = _response(f"{size_header} is not the image's size.", common)
    return {
        "operationId": f"{state.name}_show_image",
        "summary": "Show image metadata",
        "parameters": parameters,
        "responses": dict(sorted(responses.items())),
    }


def _metadata(schema: HeaderSchema, converter: OpenAPIConverter) -> dict[str, Any]:
    """Return the description of each header that carries a field, from the schema's fields."""
    headers: dict[str, Any] = {}
    for name, field in schema.dump_fields.items():
        header = schema.header_of(name)
        if header is not None:
            always = field.dump_default is not missing and field.dump_default is not None
            headers[header] = _header(converter.field2property(field), required=always)
    if schema.property_prefix:
        headers[OMITTED] = _header({"type": "integer", "minimum": 1})
    return headers


def _as_header_text(self: OpenAPIConverter, field: Field[Any], ret: JSONSchema) -> JSONSchema:
    """Correct what apispec says of a field in JSON to what the field is in a header.

    apispec merges the answer into ret, which it passes with what it has said so far.
    """
    for key in ("default", "nullable", "readOnly"):  # of a JSON body
        ret.pop(key, None)
    if isinstance(ret.get("type"), list):  # with "null", which has no header
        ret["type"] = next(kind for kind in ret["type"] if kind != "null")
    if isinstance(field, fields.Boolean):
        return {"type": "string", "enum": ["True", "False"]}
    if isinstance(field, Timestamp):
        return {"format": "date-time-local"}  # of the OpenAPI format registry: no zone
    if isinstance(field, WholeNumber):
        return {"minimum": 0}
    if ret.get("type") in ("array", "object"):
        for key in ("items", "properties", "additionalProperties"):
            ret.pop(key, None)
        return {"type": "string", "contentMediaType": "application/json"}
    return {}


def _header(schema: JSONSchema, *, required: bool = False) -> dict[str, Any]:
    return {"schema": schema, "required": True} if required else {"schema": schema}


def _parameter(name: str, description: str, schema: JSONSchema) -> dict[str, Any]:
    return {"in": "header", "name": name, "description": description, "schema": schema}


def _response(description: str, headers: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "headers": headers}
