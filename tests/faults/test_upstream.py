"""A Glance v2 that hangs, dies or answers badly, with several clients at work."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ..stores.glance_server import Answer, Glance, Handler, as_recorded, running_glance
from . import app
from .load import Load, serving

pytestmark = [pytest.mark.slow, pytest.mark.alone]

IMAGE_ID = "ed4d9afa-f3f5-413b-bc43-690d5368e933"  # a public one


@pytest.fixture(scope="module")
def glance() -> Iterator[Glance]:
    with running_glance() as glance:
        yield glance


@pytest.fixture(scope="module")
def port(glance: Glance) -> Iterator[int]:
    with serving("GlanceAPI", glance.url) as port:
        yield port


def hang(handler: Handler) -> None:
    handler.server.over.wait(2 * app.READ)
    handler.close_connection = True


def close(handler: Handler) -> None:
    handler.close_connection = True


def fail(handler: Handler) -> None:
    handler.send(500, b"<html>oops</html>")


def answer_garbage(handler: Handler) -> None:
    handler.wfile.write(b"\x00\x01 no HTTP\r\n\r\n")
    handler.close_connection = True


def overflow(handler: Handler) -> None:
    body = f'{{"id": "{IMAGE_ID}", "created_at": "0001-01-01T00:00:00+14:00"}}'
    handler.send(200, body.encode())


@pytest.mark.parametrize("bad", [hang, close, fail, answer_garbage, overflow])
def test_upstream_faults(glance: Glance, port: int, bad: Answer) -> None:
    """While the Glance misbehaves each answer is a 503 in time; with it back, a 200 at once."""
    with Load(port, f"/v1/images/{IMAGE_ID}", {"X-Auth-Token": "x"}) as load:
        load.wait_for(200, 50, since=0)
        begun = time.monotonic()
        glance.answer = bad
        load.wait_for(503, 12, since=begun)
        glance.answer = as_recorded
        load.check(time.monotonic(), app.API_BOUND)
