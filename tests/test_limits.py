"""How much goes out: the core fields always, properties while they fit, the rest counted."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask.testing import FlaskClient

from flask_imagemeta import ImageMetaSchema
from flask_imagemeta.schema import OMITTED

from .apps import EXAMPLE, EXAMPLE_HEADERS, PATH, make_client, metadata

pytestmark = pytest.mark.core


def make(properties: dict[str, str], **config: Any) -> FlaskClient:
    keys = {f"IMAGEMETA_{key.upper()}": value for key, value in config.items()}
    return make_client({**EXAMPLE, "properties": properties}, config=keys)


def numbered(count: int, size: int = 1) -> dict[str, str]:
    return {f"p{number:05}": "x" * size for number in range(count)}


def header_bytes(response: Any) -> int:
    return sum(len(name) + len(value) + 4 for name, value in response.headers.items())


@pytest.mark.parametrize("count", [0, 60, 66])
def test_what_fits_goes_out(count: int) -> None:
    """As long as everything fits, every property goes out and none is counted."""
    response = make(numbered(count)).head(PATH)
    assert len(metadata(response)) == len(EXAMPLE_HEADERS) + count
    assert OMITTED not in response.headers


def test_default_limit_of_headers() -> None:
    """No answer has more than 90 headers, Age among them, and what is left out is counted."""
    response = make(numbered(1000)).head(PATH)
    assert len(response.headers) == 90 - len(["Age"])
    sent = len(metadata(response)) - len(EXAMPLE_HEADERS)
    assert response.headers[OMITTED] == str(1000 - sent)


def test_default_limit_of_bytes() -> None:
    """No answer has more than 16 KiB of headers, and it comes near to them."""
    response = make(numbered(60, size=1000)).head(PATH)
    assert 15_000 < header_bytes(response) <= 16_384
    assert metadata(response).items() >= EXAMPLE_HEADERS.items()


@pytest.mark.parametrize("most", [24, 30, 90])
def test_limit_of_headers(most: int) -> None:
    """The configured count is reached, the count of omitted ones and an Age included."""
    response = make(numbered(100), max_headers=most).head(PATH)
    assert len(response.headers) == most - len(["Age"])


def test_limit_of_bytes() -> None:
    """The configured bytes are never passed."""
    response = make(numbered(20, size=100), max_header_bytes=2000).head(PATH)
    assert 1800 < header_bytes(response) <= 2000
    assert OMITTED in response.headers


def test_limit_of_bytes_is_reached() -> None:
    """A property that fills the last byte goes out; the count omitted has room for ten digits."""
    properties = {"a": "1", "b": "x" * 20_000}
    full = header_bytes(make(properties).head(PATH)) + len("9" * 10) - len("1")
    full += len("Age: 9999999999\r\n")
    for most_bytes, omitted in [(full, "1"), (full - 1, "2")]:
        response = make(properties, max_header_bytes=most_bytes).head(PATH)
        assert response.headers[OMITTED] == omitted


@pytest.mark.parametrize("limit", ["max_headers", "max_header_bytes"])
def test_core_fields_always_go_out(limit: str) -> None:
    """However low the limit, every core field goes out, and every property is counted."""
    response = make(numbered(3), **{limit: 1}).head(PATH)
    assert response.status_code == 200
    assert metadata(response) == EXAMPLE_HEADERS
    assert response.headers[OMITTED] == "3"


def test_a_long_cache_control_counts() -> None:
    """A property goes out only with room for the longer Cache-Control, that of public images."""
    has_property = set()
    for most in range(500, 1300, 10):
        control = {"public_cache_control": f"public, max-age=300, {'x' * 200}"}
        response = make({"a": "b"}, max_header_bytes=most, **control).head(PATH)
        assert response.headers["Cache-Control"].startswith("public")
        shown = "X-Image-Meta-Property-A" in response.headers
        assert not shown or header_bytes(response) <= most
        has_property.add(shown)
    assert has_property == {True, False}


def test_properties_go_out_in_name_order() -> None:
    """The first properties by name are the ones that go out, whatever their order in the store."""
    backwards = dict(reversed(numbered(50).items()))
    response = make(backwards, max_headers=len(EXAMPLE_HEADERS) + 8 + 1 + 2).head(PATH)
    names = [name for name in metadata(response) if "Property" in name]
    assert names == ["X-Image-Meta-Property-P00000", "X-Image-Meta-Property-P00001"]


def test_long_property_costs_itself() -> None:
    """A property that does not fit leaves room for those after it."""
    response = make({"a": "1", "b": "x" * 20_000, "c": "3"}).head(PATH)
    assert response.headers["X-Image-Meta-Property-A"] == "1"
    assert response.headers["X-Image-Meta-Property-C"] == "3"
    assert response.headers[OMITTED] == "1"


def test_lost_and_omitted_are_counted_together() -> None:
    """A property that lost its name and one that does not fit make two."""
    response = make({"a": "1", "A": "2", "b": "x" * 20_000}).head(PATH)
    assert response.headers[OMITTED] == "2"


def test_omitted_properties_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What is left out is logged as a warning with the image's id."""
    response = make({"b": "x" * 20_000}).head(PATH)
    (record,) = caplog.records
    request_id = response.headers["X-Openstack-Request-Id"]
    assert record.levelno == logging.WARNING
    assert record.message == f"{request_id}: image {EXAMPLE['id']!r}: 1 properties omitted"


@pytest.mark.parametrize("most", [1, 16_384])
def test_core_fields_beyond_every_client(most: int, caplog: pytest.LogCaptureFixture) -> None:
    """Core fields that no client accepts are the image's fault; the log names the longest."""
    image = {**EXAMPLE, "name": "x" * 17_000}
    response = make_client(image, config={"IMAGEMETA_MAX_HEADER_BYTES": most}).head(PATH)
    assert response.status_code == 500
    assert "name = 'xxx" in caplog.text
    assert "clients accept" in caplog.text


def test_core_fields_within_a_raised_limit() -> None:
    """A host that raises the limit may send longer core fields."""
    image = {**EXAMPLE, "name": "x" * 17_000}
    response = make_client(image, config={"IMAGEMETA_MAX_HEADER_BYTES": 32_768}).head(PATH)
    assert response.status_code == 200


def test_limits_count_bytes_not_characters() -> None:
    """A character counts as the bytes of its UTF-8."""
    response = make(dict.fromkeys(numbered(20), "日" * 300)).head(PATH)
    assert header_bytes(response) <= 16_384
    assert OMITTED in response.headers


def test_schema_without_properties_has_nothing_to_omit() -> None:
    """Without properties in the schema the limits have nothing to leave out."""
    schema = ImageMetaSchema(exclude=["properties"])
    client = make_client(EXAMPLE, schema=schema, config={"IMAGEMETA_MAX_HEADERS": 1})
    response = client.head(PATH)
    assert metadata(response) == EXAMPLE_HEADERS
    assert OMITTED not in response.headers
