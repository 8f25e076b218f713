from __future__ import annotations

import json
import shutil

import pytest
from flask import Flask
from sqlalchemy import text

from flask_imagemeta import ImageMeta

from .apps import Image, db

PRIVATE = {"id": "i1", "name": "Größe", "owner": "p1", "size": 7, "status": "active"}


def test_headers(run, put):
    """The status comes first, then the headers, readable."""
    put(PRIVATE)
    result = run("show", "i1", "--as", "p1")
    lines = result.stdout.splitlines()
    assert (result.exit_code, lines[0], result.stderr) == (0, "200 OK", "")
    assert {"X-Image-Meta-Name: Größe", "X-Image-Meta-Size: 7", "Content-Length: 0"} <= set(lines)


def test_json(run, put):
    """As JSON there are the status, the headers, and the image with typed values."""
    put(PRIVATE | {"properties": {"os": "linux"}})
    answer = json.loads(run("show", "i1", "--as", "p1", "--json").stdout)
    assert (answer["status"], answer["reason"]) == (200, None)
    assert answer["headers"]["X-Image-Meta-Property-Os"] == "linux"
    assert answer["image"]["name"] == "Größe"
    assert answer["image"]["size"] == 7
    assert answer["image"]["deleted"] is False


@pytest.mark.parametrize(
    ("caller", "exit_code"),
    [((), 1), (("--as", "p2"), 1), (("--as", "p1"), 0), (("--as", "admin"), 0)],
)
def test_callers(run, put, caller, exit_code):
    """Each caller gets what they would get: nobody, a member, a stranger, an admin."""
    put(PRIVATE)
    assert run("show", "i1", *caller).exit_code == exit_code


def test_caller_ends_with_the_command(app, run, put):
    """The identity hook is asked again after the command."""
    put(PRIVATE)
    run("show", "i1", "--as", "admin")
    assert run("show", "i1").exit_code == 1


def test_an_application_below_a_path(app, run, put):
    """An application that is mounted below a path of a server answers as it does there."""
    app.config["APPLICATION_ROOT"] = "/images-of-ours"
    put(PRIVATE)
    assert run("show", "i1", "--as", "p1").exit_code == 0


@pytest.mark.parametrize(
    ("image_id", "reason"), [("i1", "may not see it"), ("i2", "there is no image")]
)
def test_reason_of_a_404(run, put, image_id, reason):
    """A hidden image and a missing one are told apart here, and on standard error."""
    put(PRIVATE)
    result = run("show", image_id)
    assert result.stdout.startswith("404 NOT FOUND\n")
    assert reason in result.stderr


def test_reason_of_a_500(app, run, put):
    """An image that cannot be sent is a 500, with the field at fault."""
    put(PRIVATE)
    with app.app_context():
        db.session.execute(text("UPDATE image SET size = 'abc'"))
        db.session.commit()
    result = run("show", "i1", "--as", "admin", "--json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["status"], answer["image"]) == (1, 500, None)
    assert "size = 'abc'" in answer["reason"]


def test_reason_of_a_503(app, run, tmp_path):
    """A database out of reach is a 503, with the driver's words."""
    with app.app_context():
        db.engine.dispose()
    shutil.rmtree(tmp_path)
    result = run("show", "i1")
    assert result.stdout.startswith("503 ")
    assert "unable to open database file" in result.stderr


def test_reason_of_a_crash(app, run, caplog):
    """A database without the table is a 500, which the application's log explains."""
    with app.app_context():
        db.drop_all()
    result = run("show", "i1")
    assert result.stdout.startswith("500 ")
    assert "A client would get 500: the application failed, see its log." in result.stderr
    assert "no such table: image" in caplog.text


def test_identity_hook_that_refuses(run):
    """Without --as the identity hook is asked, and its refusal is the answer."""
    result = run("show", "bios", "--name", "firmware")
    assert (result.exit_code, result.stdout.split()[0]) == (1, "401")
    assert "A client would get 401" in result.stderr


def test_other_object(run):
    """--name chooses another ImageMeta object, whose lookup may be a plain function."""
    result = run("show", "bios", "--name", "firmware", "--as", "p1")
    assert result.exit_code == 0
    assert "X-Image-Meta-Name: SeaBIOS" in result.stdout


def test_id_of_several_segments(run):
    """An id with a slash is one that no route takes."""
    result = run("show", "a/b", "--as", "admin")
    assert (result.exit_code, result.stdout.split()[0]) == (1, "404")


def test_unknown_name(run):
    """An unknown object is an error that names those there are."""
    result = run("show", "i1", "--name", "firm")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no ImageMeta named 'firm', only imagemeta, firmware" in result.stderr


def test_session_of_the_command_sees_the_image(app, run):
    """What was just added is shown."""
    with app.app_context():
        db.session.add(Image(id="new"))
        db.session.commit()
    assert run("show", "new").exit_code == 0


def test_no_lookup():
    """An object without a lookup has nothing to show, and the message says so."""
    app = Flask(__name__)
    ImageMeta(app)
    result = app.test_cli_runner().invoke(args=["imagemeta", "show", "i1"])
    assert result.exit_code == 2
    assert "ImageMeta 'imagemeta' has no lookup hook" in result.output
