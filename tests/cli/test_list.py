from __future__ import annotations

import json
import shutil
from datetime import datetime, timezone

import pytest
from flask import Flask
from marshmallow import post_dump
from marshmallow.fields import Integer, String
from marshmallow.validate import Length
from sqlalchemy import text

from flask_imagemeta import ImageMeta, ImageMetaSchema, StoreUnavailable
from flask_imagemeta.cli.output import as_json
from flask_imagemeta.exceptions import InvalidImage

from .apps import Walked, db


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


def test_json_of_an_image_that_cannot_be_sent(command_app, run, put):
    """An image that cannot be sent is listed with the reason, and those after it too."""
    put({"id": "a"}, {"id": "b"})
    with command_app.app_context():
        db.session.execute(text("UPDATE image SET size = 'abc' WHERE id = 'a'"))
        db.session.commit()
    first, second = map(json.loads, run("list", "--json").stdout.splitlines())
    assert first == {"id": "a", "refused": "size = 'abc': not a whole number"}
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


def test_a_database_without_the_table(command_app, run):
    """A store that fails is an error with the driver's words."""
    with command_app.app_context():
        db.drop_all()
    result = run("list")
    assert result.exit_code == 2
    assert "The database says: no such table: image" in result.stderr


def test_a_database_out_of_reach(command_app, run, tmp_path):
    """A store that cannot answer now is an error, too."""
    with command_app.app_context():
        db.engine.dispose()
    shutil.rmtree(tmp_path)
    result = run("list")
    assert result.exit_code == 2
    assert "StoreUnavailable: unable to open database file" in result.stderr


def listed(result):
    assert result.exit_code == 0, result.output
    return [json.loads(line)["id"] for line in result.stdout.splitlines()]


IMAGES = (
    {"id": "a", "name": "in:x", "size": 5, "status": "active", "properties": {"os": "linux"}},
    {"id": "b", "name": "x", "size": 7, "status": "active", "owner": "p1", "deleted": True},
    {"id": "c", "name": "x", "size": 9, "status": "queued", "owner": "p2"},
)


@pytest.mark.parametrize(
    ("parameters", "ids"),
    [
        (["name=x"], ["c"]),
        (["name=in:x"], ["c"]),  # an operator of v1's
        (["name=eq:in:x"], ["a"]),
        (["size_min=5", "size_max=5"], ["a"]),
        (["property-os=linux", "status=active"], ["a"]),
        (["changes-since=2020-01-01", "sort_key=id", "sort_dir=asc"], ["a", "b", "c"]),
        (["sort_key=id", "limit=1"], ["c"]),
        (["is_public=true"], []),
    ],
)
def test_parameters(run, put, parameters, ids):
    """Parameters of v1's lists filter, sort and limit as they do there, for an admin."""
    put(*IMAGES)
    assert listed(run("list", "--json", *parameters)) == ids


def test_more_than_a_page(run, put):
    """Without a limit all matches are listed, however many a page has."""
    put(*({"id": f"{number:04}", "status": "active"} for number in range(1005)))
    found = listed(run("list", "--json", "sort_key=id", "sort_dir=asc", "status=active"))
    assert found == [f"{number:04}" for number in range(1005)]
    assert len(listed(run("list", "--json", "limit=1000"))) == 1000
    assert len(listed(run("list", "--json", "limit=1003"))) == 1003


@pytest.mark.parametrize(
    ("parameter", "reason"),
    [
        ("nmae=x", "'nmae=x' is not PARAMETER=VALUE: the parameters are name, status"),
        ("name", "'name' is not PARAMETER=VALUE"),
        ("marker=a", "'marker=a' is not PARAMETER=VALUE"),
        ("limit=x", "limit param must be an integer"),
        ("size_min=x", "Bad value passed to filter size_min got x"),
        ("name=a\udcff", "a\\udcff is not valid UTF-8."),
        ("property-\udcff=a", "property-\\udcff is not valid UTF-8."),
        ("sort_key=owner", "Unsupported sort_key. Acceptable values: name, status"),
    ],
)
def test_bad_parameters(run, parameter, reason):
    """What a list would refuse or ignore is an error that says what there is."""
    result = run("list", parameter)
    assert (result.exit_code, result.stdout) == (2, "")
    assert reason in result.stderr


def test_parameters_for_other_lookups(command_app):
    """A store without a search is walked, and a lookup with a search hook is searched."""
    app = Flask(__name__)
    ImageMeta(app, lookup=Walked(*IMAGES), show_property=lambda name, identity: False)
    app.config["HOOK_URL_PREFIX"] = "/hook"
    ImageMeta(app, name="hook", lookup=lambda image_id: None, search=lambda query: IMAGES)
    for name in ("imagemeta", "hook"):
        arguments = ["imagemeta", "list", "--json", "--name", name, "property-os=linux"]
        assert listed(app.test_cli_runner().invoke(args=arguments)) == ["a"]


class Unreadable:
    """An image of which nothing can be read but its id."""

    id = "a"

    def __getattr__(self, name):
        raise InvalidImage(name, None, "is\x1b damaged")


@pytest.fixture
def run_on_odd_store():
    """Run a command on a store with an image that cannot be read, and one that can."""
    app = Flask(__name__)
    ImageMeta(app, lookup=Walked(Unreadable(), {"id": "b", "status": "active"}))
    return lambda *arguments: app.test_cli_runner().invoke(args=["imagemeta", *arguments])


def test_table_with_an_unreadable_image(run_on_odd_store):
    """What cannot be read is a question mark, with the reason on standard error."""
    result = run_on_odd_store("list")
    assert result.exit_code == 0
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [
        ["a", "?"],
        ["b", "active"],
    ]
    (reasons,) = result.stderr.splitlines()
    assert reasons.startswith("a: deleted = None: ")
    assert reasons.isprintable()


def test_json_with_an_unreadable_image(run_on_odd_store):
    """As JSON it is refused, and those after it are listed."""
    first, second = map(json.loads, run_on_odd_store("list", "--json").stdout.splitlines())
    assert (first["id"], set(first)) == ("a", {"id", "refused"})
    assert second["id"] == "b"


def test_check_of_an_unreadable_image(run_on_odd_store):
    """For a check it is refused, and those after it are checked."""
    result = run_on_odd_store("check")
    assert result.exit_code == 1
    assert result.stdout.startswith("a: refused: ")
    assert result.stderr == "2 images checked, 1 to report: 0 altered, 0 omitted, 1 refused\n"


def test_json_has_the_values_of_a_load():
    """The values of every kind of field are those that the schema loads from the headers."""

    class Schema(ImageMetaSchema):
        release = Integer()
        serial = String(validate=Length(min=5))

    image = {
        "id": "a",
        "name": " é",
        "size": 2**40,
        "protected": 1,
        "visibility": "public",
        "created_at": datetime(2026, 1, 2, 3, 4, 5),
        "updated_at": datetime(2026, 1, 2, 3, 4, 5, 678),
        "deleted": True,
        "properties": {"Key": "v", "KEY": "lost", "a b": ["é"], "none": None},
        "release": 7,
        "serial": "s",
    }

    app = Flask(__name__)
    ImageMeta(app, schema=Schema, lookup=Walked(image))
    listed = app.test_cli_runner().invoke(args=["imagemeta", "list", "--json"])
    schema = Schema(exclude=["serial"])
    loaded = schema.load(schema.to_headers(image)) | {"serial": "s"}
    assert json.loads(listed.stdout) == json.loads(as_json(loaded))


class SameSchema(ImageMetaSchema):
    """A schema with custom code: its images are listed by their headers."""

    @post_dump
    def leave(self, headers, **kwargs):
        return headers


ODD_TEXTS = ["", " é ", "a\tb ", "a\x00b\n", "\ud800", "\u3000x", "\x85", "x" * 20_000]


@pytest.mark.parametrize(
    "image",
    [
        {},
        {"id": 5, "size": "7", "min_disk": -1, "protected": "yes", "deleted": 0, "is_public": "0"},
        {
            "created_at": "2026-01-02T03:04:05Z",
            "deleted_at": datetime(2026, 1, 2, tzinfo=timezone.utc),
        },
        {"id": "a", "size": "abc"},
        {"id": "a", "properties": ["not", "a mapping"]},
        {"id": "a", "properties": {"Key": "1", "KEY": "2", "key": "3", "größe %": None}},
        {"id": "a", "properties": {"Größe %": 1, "a-b": [True], "": "", "\ud800": {"a": 1.5}}},
        *({"id": text, "name": text, "properties": {text: text}} for text in ODD_TEXTS),
    ],
    ids=ascii,
)
def test_json_is_the_same_by_fields_and_by_headers(image):
    """The values are those of the headers, also where the headers themselves are not made."""
    listed = []
    for schema in (ImageMetaSchema, SameSchema):
        app = Flask(__name__)
        ImageMeta(app, schema=schema, lookup=Walked(image))
        result = app.test_cli_runner().invoke(args=["imagemeta", "list", "--json"])
        listed.append(json.loads(result.stdout))
    assert listed[0] == listed[1]


def test_no_lookup():
    """An object without a lookup has nothing to list, and the message says so."""
    app = Flask(__name__)
    ImageMeta(app)
    result = app.test_cli_runner().invoke(args=["imagemeta", "list"])
    assert result.exit_code == 2
    assert "ImageMeta 'imagemeta' has no lookup hook, so it has no images." in result.output


class Lazy:
    """An image whose fields are fetched when they are read."""

    def __init__(self, error):
        self._error = error

    @property
    def id(self):
        raise self._error


def run_on(image, *arguments):
    app = Flask(__name__)
    ImageMeta(app, lookup=Walked(image))
    return app.test_cli_runner().invoke(args=["imagemeta", *arguments])


def test_id_that_cannot_be_read():
    """An image whose id cannot be read is listed, too."""
    result = run_on(Lazy(ZeroDivisionError()), "list")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].startswith("? ")
    assert result.stderr.startswith("?: id = None: ")


def test_store_that_becomes_unavailable():
    """A store that is gone when a field is read is no fault of the image."""
    result = run_on(Lazy(StoreUnavailable("gone")), "list")
    assert result.exit_code == 2
    assert "StoreUnavailable: gone" in result.stderr
