"""The log lines: which, how loud, and that no value can forge one."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Any

import pytest
from blinker import NamedSignal
from flask import got_request_exception
from marshmallow import post_dump

from flask_imagemeta import ImageMeta, ImageMetaSchema, InvalidImage, StoreUnavailable
from flask_imagemeta.exceptions import MAX_LENGTH, printable, short_repr
from flask_imagemeta.request_id import logger
from flask_imagemeta.signals import image_missing, image_shown, store_unavailable

from .apps import EXAMPLE, PATH, make_app, make_client

pytestmark = pytest.mark.core

EVIL = "a\r\nERROR forged\x1b[2J\x85\u2028"
ESCAPED = r"a\r\nERROR forged\x1b[2J\x85\u2028"


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError


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
    """An unreachable store is logged as a warning with the image's id and the store's message."""

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
        f"image 'a': cannot be sent: size = '{ESCAPED}': not a whole number",
    )


def test_invalid_property(caplog: pytest.LogCaptureFixture) -> None:
    """A property's name in a log line is escaped, too."""
    response = make_client({"properties": {EVIL: object()}}).head("/v1/images/a")
    assert f"properties['{ESCAPED}'] = <object object>: " in only_line(caplog, response)[1]


def test_invalid_header_of_a_schema(caplog: pytest.LogCaptureFixture) -> None:
    """A header's name that a schema's own hook made is escaped and bounded like a value."""

    class Schema(ImageMetaSchema):
        @post_dump
        def add(self, headers: dict[str, str], **kwargs: Any) -> dict[str, str]:
            return {**headers, f"X-{EVIL}{'x' * 10**6}": "a"}

    response = make_client({"id": "a"}, schema=Schema).head("/v1/images/a")
    text = only_line(caplog, response)[1]
    assert text.startswith(f"image 'a': cannot be sent: X-{ESCAPED}x")
    assert len(text) < 1000


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


CALLERS_ID = "req-0123ABCD-0123-4567-89ab-0123456789ab"


@pytest.mark.parametrize(
    ("sent", "logged"),
    [
        (CALLERS_ID, CALLERS_ID),
        (None, None),
        ("req-1", None),
        (f"{CALLERS_ID}\x1b[2J", None),
        (f"x{CALLERS_ID}", None),
        (CALLERS_ID[4:], None),
    ],
)
def test_one_id_for_a_request(
    caplog: pytest.LogCaptureFixture, sent: str | None, logged: str | None
) -> None:
    """Each record has the request's id, and a valid one of the caller's, as data and in words."""
    headers = {} if sent is None else {"X-Openstack-Request-Id": sent}
    image = {"size": 5, "properties": {"a": 1, "A": 2}}
    client = make_client(image, stored_size=lambda image: logging.getLogger("host").warning("x"))
    response = client.head("/v1/images/a", headers=headers)
    ours = response.headers["X-Openstack-Request-Id"]
    (record,) = [record for record in caplog.records if record.name == "flask_imagemeta"]
    assert (record.request_id, record.caller_request_id) == (ours, logged)  # type: ignore[attr-defined]
    caller = f" (the caller's {logged})" if logged else ""
    assert record.getMessage() == f"{ours}{caller}: image 'a': 1 properties omitted"


def test_no_id_outside_a_request(caplog: pytest.LogCaptureFixture) -> None:
    """A record that is not of a request says so, and its message stands alone."""
    logger.info("walking %d", 5, extra={"host": "a"})
    (record,) = caplog.records
    assert (record.getMessage(), record.request_id) == ("walking 5", None)  # type: ignore[attr-defined]
    assert record.host == "a"  # type: ignore[attr-defined]


@pytest.mark.parametrize("hook", ["lookup", "identity", "stored_size", "show_property"])
def test_a_crash_in_a_hook(caplog: pytest.LogCaptureFixture, hook: str) -> None:
    """A crash in a hook is one line of ours, with the id that the client gets."""

    def crash(*args: Any) -> Any:
        raise ZeroDivisionError(EVIL)

    hooks: dict[str, Any] = {"lookup": lambda image_id: {**EXAMPLE, "properties": {"a": "b"}}}
    imagemeta = ImageMeta(**{**hooks, hook: crash})
    app = make_app(imagemeta, PROPAGATE_EXCEPTIONS=False)
    crashes = []
    got_request_exception.connect(lambda sender, exception: crashes.append(exception), weak=False)
    response = app.test_client().head(PATH)
    assert response.status_code == 500
    ours = [record for record in caplog.records if record.name == "flask_imagemeta"]
    text = ours[0].getMessage()
    assert len(ours) == 1
    assert text.startswith(f"{response.headers['X-Openstack-Request-Id']}: image {EXAMPLE['id']!r}")
    assert "ZeroDivisionError" in text
    assert text.isprintable()
    assert isinstance(crashes[-1], ZeroDivisionError)


def fail_to_receive(*args: Any, **data: Any) -> Any:
    raise ZeroDivisionError(EVIL)


def be_down(image_id: str) -> Any:
    raise StoreUnavailable("down")


@pytest.mark.parametrize(
    ("lookup", "signal"),
    [
        (be_down, store_unavailable),
        (lambda image_id: None, image_missing),
        (lambda image_id: EXAMPLE, image_shown),
    ],
)
def test_a_crash_in_a_receiver(
    caplog: pytest.LogCaptureFixture, lookup: Any, signal: NamedSignal
) -> None:
    """A crash in a signal's receiver is logged, and has an empty answer that no cache keeps."""
    app = make_app(ImageMeta(lookup=lookup), PROPAGATE_EXCEPTIONS=False)
    with signal.connected_to(fail_to_receive):
        response = app.test_client().head(PATH)
    assert (response.status_code, response.data) == (500, b"")
    assert response.headers["Cache-Control"] == "no-store"
    request_id = response.headers["X-Openstack-Request-Id"]
    assert f"{request_id}: image {EXAMPLE['id']!r}: a hook raised ZeroDivisionError" in caplog.text


def test_a_hook_that_cannot_be_called(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A coroutine function without Flask's extra for it is a crash in a hook like any other."""

    async def find(image_id: str) -> None: ...

    app = make_app(ImageMeta(), PROPAGATE_EXCEPTIONS=False, IMAGEMETA_LOOKUP=None)
    monkeypatch.setitem(sys.modules, "asgiref.sync", None)
    imagemeta = ImageMeta(name="b", lookup=find)
    app.config["B_URL_PREFIX"] = "/b"
    imagemeta.init_app(app)
    response = app.test_client().head("/b/images/a")
    assert (response.status_code, response.data) == (500, b"")
    assert f"{response.headers['X-Openstack-Request-Id']}: image 'a': a hook" in caplog.text


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
    nested: list[object] = ["x" * 200] * 9
    for _ in range(8):
        nested = [nested] * 9
    for value in (
        *("x" * 10**6, b"x" * 10**6, "\U000e0001" * 10**6, ["x" * 1000] * 1000, nested),
        *({"a": {"b": "c" * 10**6}}, 10**4000, type("x" * 10**6, (), {})()),
    ):
        assert len(short_repr(value)) <= MAX_LENGTH


def test_invalid_image_is_short() -> None:
    """However long field, value and reason are, a message of them is not."""
    error = InvalidImage("f" * 10**6, ["v" * 10**6] * 10, "r\n" * 10**6)
    assert len(str(error)) < 1000
    assert str(error).isprintable()


def test_no_address_in_a_message() -> None:
    """No address in memory is in a message, wherever an object stands in a value."""
    thing = object()
    values = [thing, [thing], {"a": {thing}}, test_printable, partial(print, thing), Unprintable()]
    for value in (*values, 10**5000, "x".join):
        error = InvalidImage("size", value, f"cannot read {object()!r}")
        assert " at 0x" not in str(error)


def test_a_text_like_an_address_stays() -> None:
    """A text that reads like an address is a value like any other."""
    assert short_repr("jump at 0xdead") == "'jump at 0xdead'"


def test_describe_survives_a_broken_repr() -> None:
    """A value whose own repr fails is named by its type."""
    assert short_repr(Unprintable()) == "<Unprintable>"
    assert short_repr([Unprintable()]) == "[<Unprintable>]"
    assert short_repr(10**5000) == "<int>"


def test_invalid_image_carries_its_data() -> None:
    """An InvalidImage knows the field and the value, and is a ValueError."""
    error = InvalidImage("size", "abc", "no\nnumber")
    assert isinstance(error, ValueError)
    assert (error.field, error.value) == ("size", "abc")
    assert str(error) == r"size = 'abc': no\nnumber"
