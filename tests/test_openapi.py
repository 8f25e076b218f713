"""The OpenAPI description says what the application does."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from marshmallow import fields
from openapi_spec_validator import validate

from flask_imagemeta import ImageMeta, ImageMetaSchema
from flask_imagemeta.openapi import describe
from flask_imagemeta.parameters import NAMES


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
def two_apis() -> Flask:
    """An application that serves images and firmware."""
    app = Flask(__name__)
    app.config.update(IMAGEMETA_URL_PREFIX="/images/v1", FIRMWARE_URL_PREFIX="/fw")
    app.config.update(IMAGEMETA_RETRY_AFTER=7, IMAGEMETA_VARY="Cookie")
    app.config.update(
        IMAGEMETA_CACHE_CONTROL="private", IMAGEMETA_PUBLIC_CACHE_CONTROL="max-age=60"
    )
    ImageMeta(app, lookup=find_image)
    ImageMeta(app, name="firmware", schema=FirmwareSchema, lookup=find_image)
    return app


def head(app: Flask, path: str) -> dict[str, Any]:
    operation: dict[str, Any] = describe(app)["paths"][path]["head"]
    return operation


def header_schema(app: Flask, path: str, header: str) -> Any:
    return head(app, path)["responses"]["200"]["headers"][header]["schema"]


def test_the_document_is_valid_openapi_3_1(two_apis: Flask) -> None:
    """A validator of the OpenAPI specification accepts the document."""
    document = describe(two_apis)
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_paths_are_those_of_the_application(two_apis: Flask) -> None:
    """Each ImageMeta's path has the prefix that the application's configuration gives it."""
    assert list(describe(two_apis)["paths"]) == [
        "/images/v1/images/{image_id}",
        "/fw/images/{image_id}",
    ]


def test_every_status_is_described(two_apis: Flask) -> None:
    """The operation names each status that the extension answers with."""
    responses = head(two_apis, "/fw/images/{image_id}")["responses"]
    assert list(responses) == ["200", "304", "400", "401", "403", "404", "409", "412", "500", "503"]


def test_request_headers_follow_the_schemas_prefix(two_apis: Flask) -> None:
    """The size check's header has the schema's prefix; conditions are named as they are."""
    parameters = head(two_apis, "/fw/images/{image_id}")["parameters"]
    assert [p["name"] for p in parameters if p["in"] == "header"] == [
        *("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"),
        "X-Firmware-Meta-Size",
    ]


@pytest.mark.parametrize(
    ("header", "schema"),
    [
        ("Size", {"type": "integer"}),
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
def test_a_headers_type_is_the_fields_as_text(two_apis: Flask, header: str, schema: object) -> None:
    """Each field's header has its type and format, those of a subclass included."""
    assert header_schema(two_apis, "/fw/images/{image_id}", f"X-Firmware-Meta-{header}") == schema


@pytest.mark.parametrize(
    ("status", "controls"),
    [
        ("200", ["private", "max-age=60"]),
        ("304", ["private", "max-age=60"]),
        ("404", ["private"]),
        ("503", ["no-store"]),
    ],
)
def test_configured_headers_are_described_with_their_values(
    two_apis: Flask, status: str, controls: list[str]
) -> None:
    """Cache-Control, Vary and Retry-After are described as this application sends them."""
    responses = head(two_apis, "/images/v1/images/{image_id}")["responses"]
    headers = responses[status]["headers"]
    assert headers["Cache-Control"]["schema"]["enum"] == controls
    assert headers["Vary"]["schema"]["const"] == "Cookie, X-Image-Meta-Size"
    assert responses["503"]["headers"]["Retry-After"]["schema"]["const"] == 7


@pytest.mark.parametrize("image_id", ["x", "missing"])
def test_an_answer_has_what_the_description_requires_and_no_more(
    two_apis: Flask, image_id: str
) -> None:
    """Required headers are there, and no header of ours is missing from the description."""
    answer = two_apis.test_client().head(f"/fw/images/{image_id}")
    described = head(two_apis, "/fw/images/{image_id}")["responses"][str(answer.status_code)][
        "headers"
    ]
    assert {name for name, header in described.items() if header.get("required")} <= set(
        answer.headers.keys()
    )
    assert set(answer.headers.keys()) - {"Content-Type", "Content-Length"} <= set(described)


# The lists

FIRMWARE = {
    "id": "x",
    "is_public": True,
    "size": 1,
    "release": "2.4",
    "signed": True,
    "weight": 2.5,
    "boards": ["a"],
    "properties": {"Os": "x", "n": None},
    "created_at": "2024-01-01",
}


@pytest.fixture
def lists() -> Flask:
    """An application that serves lists of firmware, but not of images."""
    app = Flask(__name__)
    app.config.update(FIRMWARE_URL_PREFIX="/fw", FIRMWARE_RETRY_AFTER=7)
    ImageMeta(app, lookup=find_image)
    ImageMeta(
        app,
        name="firmware",
        schema=FirmwareSchema,
        lookup=find_image,
        search=lambda query: [FIRMWARE, {"id": "y", "is_public": True}],
    )
    return app


def test_lists_are_described_where_they_are_served(lists: Flask) -> None:
    """Each list has a path, if there is a search hook, and the document is valid with them."""
    document = describe(lists)
    validate(document)
    assert list(document["paths"]) == [
        "/v1/images/{image_id}",
        "/fw/images/{image_id}",
        "/fw/images",
        "/fw/images/detail",
    ]
    operations = [document["paths"][path]["get"] for path in ("/fw/images", "/fw/images/detail")]
    for operation in operations:
        assert list(operation["responses"]) == ["200", "400", "401", "403", "500", "503"]
        assert tuple(one["name"] for one in operation["parameters"]) == NAMES
        assert "property-<name>" in operation["description"]
    assert len({operation["operationId"] for operation in operations}) == 2


@pytest.mark.parametrize("path", ["/fw/images", "/fw/images/detail"])
def test_a_list_is_as_described(lists: Flask, path: str) -> None:
    """The JSON of a list has all that the description requires, of its types, and no more."""
    response = describe(lists)["paths"][path]["get"]["responses"]["200"]
    schema = response["content"]["application/json"]["schema"]
    answer = lists.test_client().get(path)
    Draft202012Validator(schema).validate(answer.get_json())
    [one, other] = answer.get_json()["images"]
    items = schema["properties"]["images"]["items"]
    assert sorted(one) == sorted(other) == sorted(items["required"]) == sorted(items["properties"])
    assert set(answer.headers.keys()) - {"Content-Type", "Content-Length"} == set(
        response["headers"]
    )
    for name in one:
        wrong = {**one, name: {"a": 1} if name != "properties" else 7}
        assert not Draft202012Validator(schema).is_valid({"images": [wrong]}), name


@pytest.mark.parametrize("accept", ["", "*/*", "application/json"])
def test_a_refused_query_is_as_described(lists: Flask, accept: str) -> None:
    """The body of a 400 is of a described type."""
    answer = lists.test_client().get("/fw/images?limit=x", headers={"Accept": accept})
    response = describe(lists)["paths"]["/fw/images"]["get"]["responses"]["400"]
    assert answer.status_code == 400
    assert answer.mimetype in response["content"]


def test_an_application_without_imagemeta_is_told_so() -> None:
    """Describing an application without an ImageMeta names the likely mistake."""
    with pytest.raises(RuntimeError, match="Did you forget init_app"):
        describe(Flask(__name__))


def test_a_missing_apispec_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without apispec the import says what to install."""
    monkeypatch.delitem(sys.modules, "flask_imagemeta.openapi")
    monkeypatch.setitem(sys.modules, "apispec", None)
    with pytest.raises(ImportError, match=r"pip install .apispec>="):
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
