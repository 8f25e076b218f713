"""A short fuzz run, proof that it can find something, and what longer runs have found."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask import Flask, Response, abort

from flask_imagemeta import Identity, ImageMeta, ImageMetaSchema, wire
from flask_imagemeta.access import may_see
from tools.fuzz import Run


def test_a_thousand_odd_images_are_served_by_the_rules() -> None:
    """No record of a short run breaks a rule, and the run has answers of each kind."""
    run = Run(seed=20_260)
    for _ in range(1_000):
        run.next()
    assert run.findings == {}
    assert all(run.counts[status] > 50 for status in ("200", "404", "500"))


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("as_value", lambda text: text),
        ("as_value", lambda text: text.encode("utf-8", "replace").decode("latin-1")),
        ("as_name", str.lower),
        ("header_bytes", lambda headers: sum(map(len, headers.values()))),
    ],
)
def test_a_fuzz_run_finds_a_broken_rule(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: object
) -> None:
    """With one rule of the wire broken, a short run does not stay silent."""
    run = Run(seed=1)
    monkeypatch.setattr(wire, name, broken)
    while not run.counts["found"] and run.done < 1_000:
        run.next()
    assert run.counts["found"]


def test_a_fuzz_run_goes_on_where_it_ended(tmp_path: Path) -> None:
    """A run saved and taken up again ends with the counts of one that was not interrupted."""
    state = tmp_path / "state.json"
    for _ in range(2):
        run = Run(seed=5, state=state)
        for _ in range(20):
            run.next()
        run.save()
    whole = Run(seed=5)
    for _ in range(40):
        whole.next()
    assert json.loads(state.read_text()) == {
        "done": 40,
        "counts": dict(whole.counts),
        "findings": {},
    }


class _NoOffset(tzinfo):
    def utcoffset(self, when: datetime | None) -> timedelta | None:
        return None


class _Hostile:
    def _fail(self, *args: object) -> NoReturn:
        raise RuntimeError("not to be compared")

    __eq__ = __hash__ = _fail  # type: ignore[assignment]


def test_a_zone_without_an_offset_is_no_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time whose zone names no offset is UTC, whatever the machine's own zone."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        image = {"created_at": datetime(2016, 1, 6, 3, tzinfo=_NoOffset())}
        headers = ImageMetaSchema().dump(image)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert headers["X-Image-Meta-Created_at"] == "2016-01-06T03:00:00.000000"


def make_app(image: dict[str, Any], **hooks: Any) -> Flask:
    app = Flask(__name__)
    ImageMeta(app, lookup=lambda image_id: image, **hooks)
    return app


def test_a_deleted_image_counts_no_omitted_properties() -> None:
    """A deleted image shows no properties, nor how many of them collide."""
    image = {"deleted": True, "properties": {"a": 1, "A": 2}}
    app = make_app(image, identity=lambda: Identity(None, ["admin"]))
    answer = app.test_client().head("/v1/images/x")
    assert answer.status_code == 200
    assert "X-Imagemeta-Omitted-Properties" not in answer.headers


@pytest.mark.parametrize("field", ["deleted", "owner", "visibility", "is_public"])
def test_what_cannot_be_compared_hides_an_image(field: str) -> None:
    """An owner or flag that fails when it is compared grants nothing, and does not crash."""
    assert not may_see(
        {"owner": "p", field: _Hostile()}, Identity(None if field == "owner" else "q")
    )


def test_an_owner_that_cannot_be_compared_is_nobody() -> None:
    """A caller with a project is not taken for an owner that fails when it is compared."""
    assert not may_see({"owner": _Hostile()}, Identity("p"))


def test_a_hooks_own_response_keeps_its_status() -> None:
    """A hook that aborts with a response gets that response's status, without its body."""

    def refuse() -> NoReturn:
        abort(Response("why", 401, {"WWW-Authenticate": "Keystone"}))

    answer = make_app({}, identity=refuse).test_client().head("/v1/images/x")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Keystone"
    assert answer.headers["Content-Length"] == "0"
