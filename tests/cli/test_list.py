from __future__ import annotations

import json
import shutil

from sqlalchemy import text

from .apps import db


def test_table(run, put):
    """The table has one line for each image, in the order of ids, deleted ones too."""
    put(
        {"id": "b", "name": "two", "status": "active", "size": 12, "disk_format": "raw"},
        {"id": "a", "deleted": True, "owner": "p1"},
    )
    result = run("list")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["ID", "STATUS", "SIZE", "FORMAT", "OWNER", "NAME"],
        ["a", "deleted", "-", "-", "p1", "-"],
        ["b", "active", "12", "raw", "-", "two"],
    ]


def test_table_is_one_line_an_image(run, put):
    """A name cannot break the table or send control characters to the terminal."""
    put({"id": "a", "name": "x\ny\x1b[2J"})
    lines = run("list").stdout.splitlines()
    assert len(lines) == 2
    assert lines[1].endswith(r"x\ny\x1b[2J")


def test_json(run, put):
    """As JSON every image is an object on a line of its own, with typed values."""
    put({"id": "a", "size": 12, "properties": {"os": "linux"}}, {"id": "b", "name": "é"})
    first, second = map(json.loads, run("list", "--json").stdout.splitlines())
    assert (first["id"], first["size"], first["properties"]) == ("a", 12, {"os": "linux"})
    assert second["name"] == "é"


def test_json_of_an_image_that_cannot_be_sent(app, run, put):
    """An image that cannot be sent is listed with the reason, and those after it too."""
    put({"id": "a"}, {"id": "b"})
    with app.app_context():
        db.session.execute(text("UPDATE image SET size = 'abc' WHERE id = 'a'"))
        db.session.commit()
    first, second = map(json.loads, run("list", "--json").stdout.splitlines())
    assert first == {"id": "a", "refused": "size = 'abc': not a whole number, zero or more"}
    assert second["id"] == "b"


def test_empty_store(run):
    """An empty store is a table without rows."""
    result = run("list")
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1)


def test_lookup_that_is_no_store(run):
    """A plain function cannot be listed, and the message says what is missing."""
    result = run("list", "--name", "firmware")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "This lookup cannot be listed" in result.stderr
    assert "has no walk()" in result.stderr


def test_a_database_without_the_table(app, run):
    """A store that fails is an error with the driver's words."""
    with app.app_context():
        db.drop_all()
    result = run("list")
    assert result.exit_code == 2
    assert "The database says: no such table: image" in result.stderr


def test_a_database_out_of_reach(app, run, tmp_path):
    """A store that cannot answer now is an error, too."""
    with app.app_context():
        db.engine.dispose()
    shutil.rmtree(tmp_path)
    result = run("list")
    assert result.exit_code == 2
    assert "StoreUnavailable: unable to open database file" in result.stderr
