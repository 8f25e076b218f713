from __future__ import annotations

import json
import tracemalloc

import pytest
from flask import Flask
from sqlalchemy import text

from flask_imagemeta import ImageMeta

from .apps import Image, Walked, db


def test_nothing_to_report(run, put):
    """A store whose images arrive whole is silent, and a success."""
    put({"id": "a", "name": "é"})
    result = run("check")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("1 image checked, 0 to report")


def test_every_kind(command_app, run, put):
    """Each loss is a line of its own, and the exit status tells that there are some."""
    put(
        {"id": "a", "name": "x\ny", "properties": {"Key": "v"}},
        {"id": "b", "properties": {"k": "1", "K": "2"}},
        {"id": "c"},
        {"id": "d"},
    )
    with command_app.app_context():
        db.session.execute(text("UPDATE image SET size = 'abc' WHERE id = 'd'"))
        db.session.commit()
    result = run("check")
    assert result.exit_code == 1
    assert [line.split(": ")[:3] for line in result.stdout.splitlines()] == [
        ["a", "altered", "name"],
        ["a", "altered", "properties['Key']"],
        ["b", "omitted", "properties['K']"],
        ["d", "refused", "size"],
    ]
    summary = "4 images checked, 3 to report: 1 altered, 1 omitted, 1 refused"
    assert result.stderr.strip() == summary


def test_json(run, put):
    """As JSON every image reported is an object with its losses."""
    put({"id": "a", "name": " x"}, {"id": "b"})
    result = run("check", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "id": "a",
        "losses": [
            {
                "kind": "altered",
                "field": "name",
                "reason": "white space around it is dropped: ' x' arrives as 'x'",
            }
        ],
    }


def test_a_hosts_own_store():
    """A custom lookup can be checked when it has walk()."""
    app = Flask(__name__)
    ImageMeta(app, lookup=Walked({"id": "a", "name": "x "}))
    result = app.test_cli_runner().invoke(args=["imagemeta", "check"])
    assert (result.exit_code, result.stdout.split(": ")[:3]) == (1, ["a", "altered", "name"])


def test_lookup_that_is_no_store(run):
    """A plain function cannot be checked, which is not the same as nothing to report."""
    result = run("check", "--name", "firmware")
    assert result.exit_code == 2
    assert "This lookup cannot be checked" in result.stderr


def test_no_lookup_at_all():
    """An application without a lookup has nothing to check, and the message says so."""
    app = Flask(__name__)
    ImageMeta(app)
    result = app.test_cli_runner().invoke(args=["imagemeta", "check"])
    assert result.exit_code == 2
    assert "has no lookup hook" in result.stderr


@pytest.fixture
def peak(command_app, run):
    def peak(count: int) -> int:
        with command_app.app_context():
            db.session.execute(
                db.insert(Image),
                [{"id": f"{count}-{n:06}", "name": "x" * 200} for n in range(count)],
            )
            db.session.commit()
            db.session.remove()
        tracemalloc.start()
        try:
            assert run("check").exit_code == 0
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return peak


def test_constant_memory(peak):
    """Five times as many images do not take twice the memory: none is kept."""
    few, many = peak(500), peak(2_500)
    assert many < few * 2
