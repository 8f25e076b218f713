"""The log lines: which, how loud, and that no value can forge one."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from flask_imagemeta import ImageMeta, InvalidImage, StoreUnavailable
from flask_imagemeta.exceptions import describe, printable

from .apps import EXAMPLE, PATH, make_app, make_client

pytestmark = pytest.mark.core

EVIL = "a\r\nERROR forged\x1b[2J\x85\u2028"
ESCAPED = r"a\r\nERROR forged\x1b[2J\x85\u2028"


@pytest.fixture(autouse=True)
def every_level(caplog: pytest.LogCaptureFixture) -> None:
    """Record every line of ours, whatever its level."""
    caplog.set_level(logging.DEBUG, logger="flask_imagemeta")


def only_line(caplog: pytest.LogCaptureFixture, response: Any) -> tuple[int, str]:
    """Return the level and the text of the one line, which begins with the request's id."""
    (record,) = caplog.records
    assert record.name == "flask_imagemeta"
    request_id, _, text = record.getMessage().partition(": ")
    assert request_id == response.headers["X-Openstack-Request-Id"]
    assert text.isprintable()
    return record.levelno, text


def test_store_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    """A store out of reach is a warning with the image's id and the store's own words."""

    def lookup(image_id: str) -> Any:
        raise StoreUnavailable(f"db7: {EVIL}")

    response = make_app(ImageMeta(lookup=lookup)).test_client().head("/v1/images/a")
    line = f"image 'a': store unavailable: db7: {ESCAPED}"
    assert only_line(caplog, response) == (logging.WARNING, line)


def test_invalid_image(caplog: pytest.LogCaptureFixture) -> None:
    """An image that cannot be sent is an error with image, field, value and reason."""
    response = make_client({"size": EVIL}).head("/v1/images/a")
    assert only_line(caplog, response) == (
        logging.ERROR,
        f"image 'a': cannot be sent: size = '{ESCAPED}': not a whole number, zero or more",
    )


def test_invalid_property(caplog: pytest.LogCaptureFixture) -> None:
    """A property's name in a log line is escaped, too."""
    response = make_client({"properties": {EVIL: object()}}).head("/v1/images/a")
    assert f"properties['{ESCAPED}'] = <object object at" in only_line(caplog, response)[1]


@pytest.mark.parametrize(("asked", "stored"), [("1", None), (None, 1)])
def test_size_mismatch(
    caplog: pytest.LogCaptureFixture, asked: str | None, stored: int | None
) -> None:
    """Another size, in the request or in the store, is worth a line of information."""
    headers = {"X-Image-Meta-Size": asked} if asked else {}
    response = make_client(EXAMPLE, stored_size=lambda image: stored).head(PATH, headers=headers)
    line = f"image {EXAMPLE['id']!r}: size mismatch"
    assert only_line(caplog, response) == (logging.INFO, line)


def test_omitted_properties(caplog: pytest.LogCaptureFixture) -> None:
    """Omitted properties are a warning with their number."""
    image = {"properties": {"a": 1, "A": 2, "B": 3, "b": 4}}
    response = make_client(image).head("/v1/images/x")
    assert only_line(caplog, response) == (logging.WARNING, "image 'x': 2 properties omitted")


@pytest.mark.parametrize(
    "headers",
    [{}, {"If-None-Match": "*"}, {"If-Match": '"x"'}, {"X-Image-Meta-Size": "x"}],
    ids=str,
)
@pytest.mark.parametrize("image", [EXAMPLE, None])
def test_nothing_to_log(
    caplog: pytest.LogCaptureFixture, headers: dict[str, str], image: Any
) -> None:
    """What is in order, missing or badly asked for is not logged."""
    make_client(image).head(PATH, headers=headers)
    assert caplog.records == []


def test_image_ids_are_escaped(caplog: pytest.LogCaptureFixture) -> None:
    """An id with characters that are not printable comes out escaped."""
    response = make_client({"size": "x"}).head("/v1/images/a%E2%80%A8b")
    assert only_line(caplog, response)[1].startswith(r"image 'a\u2028b': ")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (EVIL, ESCAPED),
        ("plain é 日本", "plain é 日本"),
        ("\ud800", r"\ud800"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    """Only what is not printable is escaped."""
    assert printable(text) == shown


def test_describe_is_short() -> None:
    """However long a value is, a log line of it is not."""
    for value in ("x" * 10**6, ["x" * 1000] * 1000, {"a": {"b": "c" * 10**6}}, 10**4000):
        assert len(describe(value)) < 1000


def test_describe_survives_a_broken_repr() -> None:
    """A value whose own repr fails is named by its type."""

    class Broken:
        def __repr__(self) -> str:
            raise ValueError

    assert "Broken" in describe(Broken())
    assert describe(10**5000) == "<int>"


def test_invalid_image_carries_its_data() -> None:
    """An InvalidImage knows the field and the value, and is a ValueError."""
    error = InvalidImage("size", "abc", "no\nnumber")
    assert isinstance(error, ValueError)
    assert (error.field, error.value) == ("size", "abc")
    assert str(error) == r"size = 'abc': no\nnumber"
