"""Real clients against the example app: what they show is compared with the images, by field."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from flask import Flask

from example_app.seed import EXAMPLE_ID, IMAGES
from flask_imagemeta import ImageMeta, ImageMetaSchema

from ..local_server import serve_origin
from ..needs import needs
from .running import read_json, run

pytestmark = [pytest.mark.slow, pytest.mark.clients]

PROGRAMS = Path(__file__).parent / "programs"
IDS = [image["id"] for image in IMAGES]
HIDDEN_ID = "3c8e2f95-1d7c-4a8b-9a9f-1e5dac4b8f03"  # private: there for its owner, not for others
LATIN_1_ID = "2b7d1e84-0c6b-4f7a-8f8e-0d4c9b3a7e02"  # its name has characters beyond ASCII

every_image = pytest.mark.parametrize("image", IMAGES, ids=lambda image: image["name"])


def fields_of(image: dict[str, Any]) -> dict[str, Any]:
    """Return the core fields that an admin should see of an image of the example, by name."""
    return {
        "deleted": False,
        "is_public": False,
        "min_disk": 0,
        "min_ram": 0,
        "protected": False,
        **{
            name: value.isoformat(timespec="microseconds") if name.endswith("_at") else value
            for name, value in image.items()
            if name not in ("properties", "visibility", "members")
        },
    }


def properties_of(image: dict[str, Any]) -> dict[str, str]:
    """Return the properties that should be seen: a deleted image has none."""
    return {} if image.get("deleted") else image.get("properties", {})


def as_texts(fields: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in fields.items()}


def without_set_by_the_store(shown: dict[str, Any], image: dict[str, Any]) -> dict[str, Any]:
    """Return what a client shows, except for the times that the store gave an image without any."""
    times = {"created_at", "updated_at"} - image.keys()
    assert times <= shown.keys()
    return {name: value for name, value in shown.items() if name not in times}


def from_latin_1(text: str) -> str:
    """Undo what Python 3's HTTP library does to a header: it reads UTF-8 as Latin-1."""
    return text.encode("latin-1").decode("utf-8")


# curl


@pytest.fixture(scope="module")
def curl() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs curl with arguments of its own."""
    if shutil.which("curl") is None:
        needs("the command curl")
    return lambda *arguments: run("curl", "--silent", "--head", "--max-time", "30", *arguments)


@every_image
def test_curl_shows_every_field(base: str, curl: Any, image: dict[str, Any]) -> None:
    """The header lines that curl prints, read as UTF-8, load back into the image."""
    url = f"{base}/v1/images/{image['id']}"
    lines = curl("--header", "X-Auth-Token: demo-admin", url).stdout.splitlines()
    assert lines[0] == "HTTP/1.1 200 OK"
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    found = {name: value for name, value in headers.items() if name.startswith("X-Image-Meta-")}
    properties = {
        unquote(name.removeprefix("X-Image-Meta-Property-")).lower(): found.pop(name)
        for name in list(found)
        if name.startswith("X-Image-Meta-Property-")
    }
    fields = {name.removeprefix("X-Image-Meta-").lower(): value for name, value in found.items()}
    assert without_set_by_the_store(fields, image) == as_texts(fields_of(image))
    assert properties == properties_of(image)


def test_curl_fails_for_an_image_of_another_project(base: str, curl: Any) -> None:
    """``curl --fail`` ends with its status for an HTTP error when the image is hidden."""
    member = curl("--fail", "-H", "X-Auth-Token: demo-member", f"{base}/v1/images/{HIDDEN_ID}")
    other = curl("--fail", "-H", "X-Auth-Token: demo-other", f"{base}/v1/images/{HIDDEN_ID}")
    assert (member.returncode, other.returncode) == (0, 22)


# python-glanceclient, the library


@pytest.fixture(scope="module")
def glanceclient_shows(base: str, glanceclient: Path) -> dict[str, Any]:
    program = PROGRAMS / "show_with_glanceclient.py"
    shown: dict[str, Any] = read_json(glanceclient / "python", program, base, "demo-admin", *IDS)
    return shown


@every_image
def test_glanceclient_reads_every_field(
    glanceclient_shows: dict[str, Any], image: dict[str, Any]
) -> None:
    """The library gives each field in its type, but virtual_size, which it leaves as text."""
    assert_read_by_glanceclient(glanceclient_shows[image["id"]], image, from_latin_1)


def assert_read_by_glanceclient(
    shown: dict[str, Any], image: dict[str, Any], decode: Callable[[str], str]
) -> None:
    shown = without_set_by_the_store(shown, image)
    properties = {unquote(k): decode(v) for k, v in shown.pop("properties").items()}
    fields = fields_of(image)
    if "virtual_size" in fields:
        fields["virtual_size"] = str(fields["virtual_size"])
    assert shown | {"name": decode(shown["name"])} == fields
    assert properties == properties_of(image)


def test_glanceclient_on_python_2_reads_every_field(
    base: str, old_glanceclient: tuple[str, dict[str, str]]
) -> None:
    """The libraries of old give the same fields, and text as it was stored."""
    _, environ = old_glanceclient
    program = PROGRAMS / "show_with_glanceclient.py"
    shown = read_json("python2.7", program, base, "demo-admin", *IDS, **environ)
    for image in IMAGES:
        assert_read_by_glanceclient(shown[image["id"]], image, str)


def test_glanceclient_reads_text_as_latin_1(glanceclient_shows: dict[str, Any]) -> None:
    """A name with characters beyond ASCII comes out as the Latin-1 reading of its UTF-8."""
    name = glanceclient_shows[LATIN_1_ID]["name"]
    assert "GrÃ¶Ã\x9fe" in name


def test_glanceclient_keeps_percent_in_property_names(glanceclient_shows: dict[str, Any]) -> None:
    """A property name that is not a header name stays percent-encoded in the library's answer."""
    assert "libosinfo%20id" in glanceclient_shows[LATIN_1_ID]["properties"]


def test_glanceclient_raises_for_a_hidden_image(base: str, glanceclient: Path) -> None:
    """An image of another project is HTTPNotFound for the library."""
    program = PROGRAMS / "show_with_glanceclient.py"
    shown = read_json(glanceclient / "python", program, base, "demo-other", HIDDEN_ID, EXAMPLE_ID)
    assert shown[HIDDEN_ID] is None
    assert shown[EXAMPLE_ID]["id"] == EXAMPLE_ID


# python-glanceclient, the command


def glance(glanceclient: Path, base: str, token: str, *arguments: str) -> Any:
    options = ["--os-image-api-version", "1", "--os-image-url", base, "--os-auth-token", token]
    return run(glanceclient / "glance", *options, *arguments)


@every_image
def test_glance_command_shows_every_field(
    base: str, glanceclient: Path, image: dict[str, Any]
) -> None:
    """``glance image-show`` prints a row for every field and property."""
    result = glance(glanceclient, base, "demo-admin", "image-show", image["id"])
    assert result.returncode == 0, result.stderr
    # Not splitlines(): a Latin-1 reading of UTF-8 has characters that it takes for line ends.
    rows = (line.split("|") for line in result.stdout.split("\n") if line.startswith("| "))
    shown = {row[1].strip(): row[2].removeprefix(" ").rstrip(" ") for row in rows}
    assert shown.pop("Property") == "Value"
    properties = {
        unquote(shown_name.removeprefix("Property '").removesuffix("'")): shown.pop(shown_name)
        for shown_name in list(shown)
        if shown_name.startswith("Property '")
    }
    fields = without_set_by_the_store(shown, image)
    assert fields | {"name": from_latin_1(fields["name"])} == as_texts(fields_of(image))
    assert properties == properties_of(image)


def test_glance_command_finds_no_hidden_image(base: str, glanceclient: Path) -> None:
    """After the 404 the command searches for the id as a name, and says that there is none."""
    result = glance(glanceclient, base, "demo-other", "image-show", HIDDEN_ID)
    assert result.returncode == 1
    assert result.stderr.strip() == f"No image with a name or ID of '{HIDDEN_ID}' exists."


def test_glance_command_reports_405_without_lists(glanceclient: Path) -> None:
    """Where no lists are served, the command reports the search after a 404, not the 404."""
    app = Flask("without lists")
    ImageMeta(app, lookup={}.get)
    with serve_origin(app) as base:
        result = glance(glanceclient, base, "demo-other", "image-show", HIDDEN_ID)
    assert result.returncode == 1
    assert result.stderr.strip() == "HTTP HTTPMethodNotAllowed"


# python-openstackclient


def test_openstack_command_shows_every_field(base: str, openstackclient: Path) -> None:
    """``openstack image show ID`` gives the same fields as JSON, text read as Latin-1."""
    image = next(image for image in IMAGES if image["id"] == LATIN_1_ID)
    options = ["--os-image-api-version", "1", "--os-auth-type", "admin_token"]
    options += ["--os-endpoint", base, "--os-token", "demo-admin"]
    command = [openstackclient / "openstack", *options, "image", "show", "-f", "json", LATIN_1_ID]
    assert_read_by_glanceclient(read_json(*command), image, from_latin_1)


# tempest


@pytest.fixture(scope="module")
def tempest_shows(base: str, tempest: Path) -> dict[str, Any]:
    program = PROGRAMS / "show_with_tempest.py"
    shown: dict[str, Any] = read_json(tempest / "python", program, base, "demo-admin", *IDS)
    return shown


@every_image
def test_tempest_reads_every_field(tempest_shows: dict[str, Any], image: dict[str, Any]) -> None:
    """``check_image`` gives headers, names in lower case, that load back into the image."""
    headers = tempest_shows[image["id"]]
    schema = ImageMetaSchema()
    loaded = schema.load(headers)
    for name, value in fields_of(image).items():
        read = loaded[name]
        assert (read.isoformat(timespec="microseconds") if name.endswith("_at") else read) == value
    assert loaded["properties"] == properties_of(image)
    assert headers["status"] == "200"


def test_tempest_reads_text_as_latin_1(tempest_shows: dict[str, Any]) -> None:
    """A name with characters beyond ASCII comes out as the Latin-1 reading of its UTF-8."""
    assert "GrÃ¶Ã\x9fe" in tempest_shows[LATIN_1_ID]["x-image-meta-name"]


def test_tempest_raises_for_a_hidden_image(base: str, tempest: Path) -> None:
    """An image of another project is NotFound for ``check_image``."""
    program = PROGRAMS / "show_with_tempest.py"
    shown = read_json(tempest / "python", program, base, "demo-other", HIDDEN_ID, EXAMPLE_ID)
    assert shown[HIDDEN_ID] is None
    assert shown[EXAMPLE_ID]["x-image-meta-id"] == EXAMPLE_ID


# openclient


@pytest.fixture(scope="module")
def openclient_shows(base: str, openclient: Path) -> dict[str, Any]:
    program = PROGRAMS / "show_with_openclient.js"
    shown: dict[str, Any] = read_json("node", program, openclient, base, "demo-admin", *IDS)
    return shown


@every_image
def test_openclient_reads_every_field(
    openclient_shows: dict[str, Any], image: dict[str, Any]
) -> None:
    """The library gives each field and property as text, read as Latin-1."""
    shown = without_set_by_the_store(openclient_shows[image["id"]], image)
    properties = {unquote(k): from_latin_1(v) for k, v in shown.pop("properties").items()}
    assert shown | {"name": from_latin_1(shown["name"])} == as_texts(fields_of(image))
    assert properties == properties_of(image)


def test_openclient_gives_404_for_a_hidden_image(base: str, openclient: Path) -> None:
    """An image of another project is an error with the status 404 for the library."""
    program = PROGRAMS / "show_with_openclient.js"
    shown = read_json("node", program, openclient, base, "demo-other", HIDDEN_ID, EXAMPLE_ID)
    assert shown[HIDDEN_ID] == 404
    assert shown[EXAMPLE_ID]["id"] == EXAMPLE_ID
