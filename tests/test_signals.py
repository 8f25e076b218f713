"""The four signals: when each is sent, by whom, with what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from blinker import NamedSignal

from flask_imagemeta import (
    Identity,
    ImageMeta,
    StoreUnavailable,
    image_hidden,
    image_missing,
    image_shown,
    store_unavailable,
)

from .apps import EXAMPLE, PATH, make_app

pytestmark = pytest.mark.core

SIGNALS = (image_shown, image_hidden, image_missing, store_unavailable)
CALLER = Identity("p")


@pytest.fixture
def sent() -> Iterator[list[tuple[str, Any, dict[str, Any]]]]:
    """The signals that were sent: name, sender, and what came with it."""
    found: list[tuple[str, Any, dict[str, Any]]] = []

    def connect(signal: NamedSignal) -> Any:
        def receive(sender: Any, **data: Any) -> None:
            found.append((signal.name, sender, data))

        signal.connect(receive)
        return receive

    receivers = [(signal, connect(signal)) for signal in SIGNALS]
    yield found
    for signal, receive in receivers:
        signal.disconnect(receive)


def lookup(image_id: str) -> Any:
    if image_id == "down":
        raise StoreUnavailable
    return {EXAMPLE["id"]: EXAMPLE, "hidden": {"owner": "other"}, "bad": {"size": "a"}}.get(
        image_id
    )


@pytest.mark.parametrize(
    ("image_id", "headers", "name"),
    [
        (EXAMPLE["id"], {}, "image-shown"),
        (EXAMPLE["id"], {"If-None-Match": "*"}, "image-shown"),
        ("hidden", {}, "image-hidden"),
        ("missing", {}, "image-missing"),
        ("a" * 256, {}, "image-missing"),
        ("down", {}, "store-unavailable"),
    ],
)
@pytest.mark.parametrize("identity", [CALLER, None])
def test_signal(
    sent: list[Any], image_id: str, headers: dict[str, str], name: str, identity: Identity | None
) -> None:
    """Each outcome sends its one signal, with image_id, identity and request_id."""
    app = make_app(ImageMeta(lookup=lookup, identity=lambda: identity))
    response = app.test_client().head(f"/v1/images/{image_id}", headers=headers)
    [(sent_name, sender, data)] = sent
    assert (sent_name, sender) == (name, app)
    assert data == {
        "image_id": image_id,
        "identity": identity,
        "request_id": response.headers["X-Openstack-Request-Id"],
    }
    assert sent[0][1] is app


@pytest.mark.parametrize(
    ("image_id", "headers"),
    [
        (EXAMPLE["id"], {"X-Image-Meta-Size": "x"}),
        (EXAMPLE["id"], {"X-Image-Meta-Size": "1"}),
        (EXAMPLE["id"], {"If-Match": '"x"'}),
        ("bad", {}),
    ],
)
def test_no_signal(sent: list[Any], image_id: str, headers: dict[str, str]) -> None:
    """A bad request, a mismatch, a failed precondition and a bad image send none."""
    client = make_app(ImageMeta(lookup=lookup)).test_client()
    client.head(f"/v1/images/{image_id}", headers=headers)
    assert sent == []


def test_store_down_before_the_identity(sent: list[Any]) -> None:
    """Where the identity hook itself finds its store down, the identity is None."""

    def identity() -> Identity:
        raise StoreUnavailable

    app = make_app(ImageMeta(lookup=lookup, identity=identity))
    assert app.test_client().head(PATH).status_code == 503
    assert [(name, data["identity"]) for name, _, data in sent] == [("store-unavailable", None)]
