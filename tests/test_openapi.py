"""The OpenAPI description says what the application does."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from flask import Flask
from marshmallow import fields
from openapi_spec_validator import validate

from flask_imagemeta import ImageMeta, ImageMetaSchema
from flask_imagemeta.openapi import describe


class FirmwareSchema(ImageMetaSchema):
    prefix = "X-Firmware-Meta-"
    release = fields.String(metadata={"description": "As printed on the box"}, allow_none=True)
    signed = fields.Boolean()
    seen_at = fields.AwareDateTime()
    weight = fields.Float()
    boards = fields.List(fields.String())


def find_image(image_id: str) -> dict[str, Any] | None:
    return {"id": "x", "size": 1, "release": "2.4"} if image_id == "x" else None


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.config.update(IMAGEMETA_URL_PREFIX="/images/v1", FIRMWARE_URL_PREFIX="/fw")
    app.config.update(IMAGEMETA_RETRY_AFTER=7, IMAGEMETA_CACHE_CONTROL="no-store")
    ImageMeta(app, lookup=find_image)
    ImageMeta(app, name="firmware", schema=FirmwareSchema, lookup=find_image)
    return app


def head(app: Flask, path: str) -> dict[str, Any]:
    operation: dict[str, Any] = describe(app)["paths"][path]["head"]
    return operation


def header_schema(app: Flask, path: str, header: str) -> Any:
    return head(app, path)["responses"]["200"]["headers"][header]["schema"]


def test_the_document_is_valid_openapi_3_1(app: Flask) -> None:
    """A validator of the OpenAPI specification accepts the document."""
    document = describe(app)
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_paths_are_those_of_the_application(app: Flask) -> None:
    """Each ImageMeta's path has the prefix that the application's configuration gives it."""
    assert list(describe(app)["paths"]) == [
        "/images/v1/images/{image_id}",
        "/fw/images/{image_id}",
    ]


def test_every_status_is_described(app: Flask) -> None:
    """The operation names each status that the extension answers with."""
    responses = head(app, "/fw/images/{image_id}")["responses"]
    assert list(responses) == ["200", "304", "400", "401", "403", "404", "409", "412", "500", "503"]


def test_request_headers_follow_the_schemas_prefix(app: Flask) -> None:
    """The size check's header has the schema's prefix; conditions are named as they are."""
    parameters = head(app, "/fw/images/{image_id}")["parameters"]
    assert [p["name"] for p in parameters if p["in"] == "header"] == [
        *("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"),
        "X-Firmware-Meta-Size",
    ]


@pytest.mark.parametrize(
    ("header", "schema"),
    [
        ("Size", {"type": "integer", "minimum": 0}),
        ("Name", {"type": "string"}),
        ("Protected", {"type": "string", "enum": ["True", "False"]}),
        ("Created_at", {"type": "string", "format": "date-time-local"}),
        ("Release", {"type": "string", "description": "As printed on the box"}),
        ("Signed", {"type": "string", "enum": ["True", "False"]}),
        ("Seen_at", {"type": "string", "format": "date-time"}),
        ("Weight", {"type": "number"}),
        ("Boards", {"type": "string", "contentMediaType": "application/json"}),
    ],
)
def test_a_headers_type_is_the_fields_as_text(app: Flask, header: str, schema: object) -> None:
    """Each field's header has its type and format, those of a subclass included."""
    assert header_schema(app, "/fw/images/{image_id}", f"X-Firmware-Meta-{header}") == schema


def test_configured_headers_are_described_with_their_values(app: Flask) -> None:
    """Cache-Control and Retry-After are described as this application sends them."""
    responses = head(app, "/images/v1/images/{image_id}")["responses"]
    assert responses["404"]["headers"]["Cache-Control"]["schema"]["const"] == "no-store"
    assert responses["503"]["headers"]["Retry-After"]["schema"]["const"] == 7


@pytest.mark.parametrize("image_id", ["x", "missing"])
def test_an_answer_has_what_the_description_requires_and_no_more(app: Flask, image_id: str) -> None:
    """Required headers are there, and no header of ours is missing from the description."""
    answer = app.test_client().head(f"/fw/images/{image_id}")
    described = head(app, "/fw/images/{image_id}")["responses"][str(answer.status_code)]["headers"]
    assert {name for name, header in described.items() if header.get("required")} <= set(
        answer.headers.keys()
    )
    assert set(answer.headers.keys()) - {"Content-Type", "Content-Length"} <= set(described)


def test_an_application_without_imagemeta_is_told_so() -> None:
    """Describing an application without an ImageMeta names the likely mistake."""
    with pytest.raises(RuntimeError, match="Did you forget init_app"):
        describe(Flask(__name__))


def test_a_missing_apispec_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without apispec the import says what to install."""
    monkeypatch.delitem(sys.modules, "flask_imagemeta.openapi")
    monkeypatch.setitem(sys.modules, "apispec", None)
    with pytest.raises(ImportError, match=r"Flask-ImageMeta\[openapi\]"):
        import flask_imagemeta.openapi  # noqa: F401


def test_schema_without_size_and_properties() -> None:
    """What a schema does not have, the description does not promise."""
    app = Flask(__name__)
    bare = ImageMetaSchema(exclude=["size", "properties"])
    ImageMeta(app, schema=bare, lookup=find_image)
    operation = head(app, "/v1/images/{image_id}")
    assert not {"400", "409"} & set(operation["responses"])
    assert "property" not in operation["responses"]["200"]["description"]
    assert "X-Imagemeta-Omitted-Properties" not in operation["responses"]["200"]["headers"]
