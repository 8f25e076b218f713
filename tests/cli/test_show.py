from __future__ import annotations

import json
import re
import shutil
from importlib.util import find_spec

import pytest
from flask import Flask, redirect, request
from sqlalchemy import text

from flask_imagemeta import ImageMeta
from flask_imagemeta.stores import GlanceAPI

from ..needs import needs
from ..stores.glance_server import RECORDED, running_glance
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
    """Each caller gets what they would get: anonymous, a member, a stranger, an admin."""
    put(PRIVATE)
    assert run("show", "i1", *caller).exit_code == exit_code


def test_caller_ends_with_the_command(command_app, run, put):
    """The identity hook is asked again after the command."""
    put(PRIVATE)
    run("show", "i1", "--as", "admin")
    assert run("show", "i1").exit_code == 1


def test_an_application_below_a_path(command_app, run, put):
    """An application that is mounted below a path of a server answers as it does there."""
    command_app.config["APPLICATION_ROOT"] = "/images-of-ours"
    put(PRIVATE)
    assert run("show", "i1", "--as", "p1").exit_code == 0


@pytest.mark.parametrize(
    ("image_id", "reason"),
    [
        ("i1", "deleted or this caller may not see it; --as admin shows it"),
        ("i2", "there is no image"),
    ],
)
def test_reason_of_a_404(run, put, image_id, reason):
    """A hidden image and a missing one are told apart here, and on standard error."""
    put(PRIVATE)
    result = run("show", image_id)
    assert re.match("404 not found\n", result.stdout, re.IGNORECASE)
    assert reason in result.stderr


def test_reason_of_a_500(command_app, run, put):
    """An image that cannot be sent is a 500, with the field at fault."""
    put(PRIVATE)
    with command_app.app_context():
        db.session.execute(text("UPDATE image SET size = 'abc'"))
        db.session.commit()
    result = run("show", "i1", "--as", "admin", "--json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["status"], answer["image"]) == (1, 500, None)
    assert "size = 'abc'" in answer["reason"]


def test_reason_of_a_503(command_app, run, tmp_path):
    """An unreachable database is a 503, with the driver's words."""
    with command_app.app_context():
        db.engine.dispose()
    shutil.rmtree(tmp_path)
    result = run("show", "i1")
    assert result.stdout.startswith("503 ")
    assert "unable to open database file" in result.stderr


def test_reason_of_a_crash(command_app, run, caplog):
    """A database without the table is a 500, which the application's log explains."""
    with command_app.app_context():
        db.drop_all()
    result = run("show", "i1")
    assert result.stdout.startswith("500 ")
    assert "A client would get 500: image 'i1': a hook raised OperationalError" in result.stderr
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
    assert (
        "no ImageMeta named 'firm', only imagemeta, firmware, interrupted, broken" in result.stderr
    )


def test_session_of_the_command_sees_the_image(command_app, run):
    """What was just added is shown."""
    with command_app.app_context():
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


def test_token(run, put):
    """--token is what the identity hook finds in the request."""
    put(PRIVATE)
    assert run("show", "i1", "--token", "p1").exit_code == 0
    assert run("show", "i1", "--token", "p2").exit_code == 1


@pytest.mark.parametrize("token", ["a\nb", "é", "a\x1b"])
def test_token_that_is_none(run, token):
    """A token that no header can carry is refused."""
    assert run("show", "i1", "--token", token).exit_code == 2


def show(app, *arguments):
    return app.test_cli_runner().invoke(args=["imagemeta", "show", *arguments])


@pytest.fixture
def small() -> Flask:
    """An application with one image, i1, and no database."""
    app = Flask(__name__)
    ImageMeta(app, lookup={"i1": {"id": "i1", "status": "active"}, "7": {"id": "7"}}.get)
    return app


@pytest.mark.parametrize("host", ["images.example.com", ".example.com"])
def test_trusted_hosts(small, host):
    """An application that trusts certain hosts only is asked as one of them."""
    small.config["TRUSTED_HOSTS"] = [host]
    assert show(small, "i1").exit_code == 0


def test_address_of_the_caller(small):
    """The request has an address that it comes from, as it has with a server."""
    seen = []
    small.before_request(lambda: seen.append((request.remote_addr, request.environ["REMOTE_ADDR"])))
    assert show(small, "i1").exit_code == 0
    assert seen == [("127.0.0.1", "127.0.0.1")]


@pytest.mark.parametrize("image_id", ["i1", "i2"])
def test_crash_after_our_answer(small, image_id):
    """When the host's own code fails after our answer, that is the reason."""

    @small.after_request
    def fail(response):
        raise ZeroDivisionError

    result = show(small, image_id)
    ours = 200 if image_id == "i1" else 404
    assert result.exit_code == 1
    expected = f"500: ImageMeta answers {ours}, but the application makes that 500, see its log."
    assert expected in result.stderr


def test_answer_before_ours(small):
    """The host's own answer is not ours, whatever its status."""
    small.before_request(lambda: ("", 200))
    result = show(small, "i1")
    assert result.exit_code == 1
    assert "200: the application answers before ImageMeta can." in result.stderr


def test_route_of_the_host():
    """The host's own route that answers for some ids is not ours."""
    app = Flask(__name__)
    app.add_url_rule("/v1/images/special", "own", lambda: "")
    ImageMeta(app, lookup=lambda image_id: {"id": image_id})
    assert show(app, "special").exit_code == 1
    assert show(app, "other").exit_code == 0


def test_address_of_a_list():
    """An image whose id is the address of a list cannot be asked for, and the message says so."""
    app = Flask(__name__)
    ImageMeta(app, lookup=lambda image_id: {"id": image_id}, search=lambda query: [])
    result = show(app, "detail")
    assert result.exit_code == 1
    assert "405: another route has this address, or none, so no request can" in result.stderr


def test_data_of_the_host(small):
    """The host's own route that serves data at the same address does not matter."""
    small.add_url_rule("/v1/images/<int:image_id>", "data", lambda image_id: "data")
    assert "X-Image-Meta-Id: 7" in show(small, "7").stdout


def test_redirect_to_https(small):
    """An application that redirects to HTTPS can be asked by HTTPS, and the message says how."""

    @small.before_request
    def force_https():
        return None if request.is_secure else redirect(request.url.replace("http", "https", 1))

    result = show(small, "i1")
    assert result.exit_code == 1
    assert "set PREFERRED_URL_SCHEME = 'https' in its configuration" in result.stderr
    small.config["PREFERRED_URL_SCHEME"] = "https"
    assert show(small, "i1").exit_code == 0


def test_server_name(small):
    """An application with a name is asked by that name."""
    small.config["SERVER_NAME"] = "images.example.com:8080"
    seen = []
    small.before_request(lambda: seen.append(request.host))
    assert show(small, "i1").exit_code == 0
    assert seen == ["images.example.com:8080"]


@pytest.mark.parametrize(
    ("host", "status"), [("images.example.com", 0), ("<tenant>.example.com", 2)]
)
def test_route_of_one_host(host, status):
    """A route that is bound to a host is asked there, if that can be known."""
    app = Flask(__name__, host_matching=True, static_host="static.example.com")
    app.config["IMAGEMETA_HOST"] = host
    ImageMeta(app, lookup={"i1": {"id": "i1"}}.get)
    result = show(app, "i1")
    assert result.exit_code == status
    assert not status or "The host of this route is not known" in result.stderr


def test_identity_of_concurrent_requests(small):
    """The state of the application is as before after the command."""
    state = small.extensions["imagemeta"]["imagemeta"]
    show(small, "i1", "--as", "admin")
    assert small.extensions["imagemeta"]["imagemeta"] is state


def test_token_for_a_glance():
    """A Glance behind GlanceAPI gets the token that was given."""
    if find_spec("keystoneauth1") is None:
        needs("keystoneauth1")
    image_id = RECORDED["full"]["id"]
    with running_glance() as glance:
        app = Flask(__name__)
        ImageMeta(app, lookup=GlanceAPI(glance.url))
        result = show(app, image_id, "--token", "t0ken")
        (request,) = glance.requests
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "200 OK")
    assert request[1]["X-Auth-Token"] == "t0ken"


@pytest.mark.parametrize(
    "arguments", [("i1", "\x1b[2J"), ("--name", "\x1b[2J", "i1"), ("--\x1b[2J",), ("i1", "--as")]
)
def test_errors_on_the_terminal(run, arguments):
    """An error cannot send what was typed to the terminal as control characters."""
    result = run("show", *arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert all(line.isprintable() for line in result.stderr.split("\n"))
