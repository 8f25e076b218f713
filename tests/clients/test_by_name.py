"""Real clients find images by name in the lists of the example app."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from example_app.seed import IMAGES

from ..needs import needs
from .conftest import MORE_NAMES
from .running import read_json, run

pytestmark = [pytest.mark.slow, pytest.mark.clients]

PROGRAMS = Path(__file__).parent / "programs"
ID_OF = {image["name"]: image["id"] for image in IMAGES}
PAYROLL, UBUNTU = "payroll appliance", "Ubuntu 24.04 (noble) — Größe geprüft ✓"
MISSING_ID = "11111111-2222-4333-8444-555555555555"
# What the owner of the private image should find by each name.
IDS: dict[str, list[str]] = {
    "Debian 12 generic amd64": [ID_OF["Debian 12 generic amd64"]],
    UBUNTU: [ID_OF[UBUNTU]],
    PAYROLL: [ID_OF[PAYROLL]],
    "release:v1": ["more-27"],
    "filler 03": ["more-03"],  # older than those on the first page
    "twin": ["more-26", "more-25"],
    "nope": [],
    MISSING_ID: [],
}
# What a client says for names that not exactly one image has.
NONE = "No image with a name or ID of '{}' exists."
SEVERAL = "Multiple image matches found for '{}', use an ID to be more specific."

Found = Mapping[str, "list[str] | str"]
Find = Callable[..., Found]  # (token, *names)


def assert_found(find: Find, several: str = SEVERAL, **different: str) -> None:
    """Check what a client finds that asks its user where not exactly one image has a name."""
    found = {**find("demo-member", *IDS), "hidden": find("demo-other", PAYROLL)[PAYROLL]}
    messages = {0: NONE, 2: several}
    expected: dict[str, list[str] | str] = {
        name: messages[len(ids)].format(name) if len(ids) in messages else ids
        for name, ids in IDS.items()
    }
    assert found == expected | {"hidden": NONE.format(PAYROLL)} | different


def test_curl(base: str) -> None:
    """Curl prints the list of the images of that name."""
    if shutil.which("curl") is None:
        needs("the command curl")

    def find(token: str, name: str) -> list[str]:
        data = ["--get", "--data-urlencode", f"name={name}", "--header", f"X-Auth-Token: {token}"]
        found = read_json("curl", "--silent", "--max-time", "30", *data, f"{base}/v1/images")
        return [image["id"] for image in found["images"]]

    assert {name: find("demo-member", name) for name in IDS} == IDS
    assert find("demo-other", PAYROLL) == []


def test_glanceclient(base: str, glanceclient: Path) -> None:
    """The library of today finds each image, and says when there is none or more than one."""
    program = PROGRAMS / "find_with_glanceclient.py"
    python = glanceclient / "python"
    assert_found(lambda token, *names: read_json(python, program, base, token, *names))


def test_glanceclient_reads_all_pages(base: str, glanceclient: Path) -> None:
    """The library follows the markers: it lists each image once, the newest first."""
    program = PROGRAMS / "find_with_glanceclient.py"
    listed = read_json(glanceclient / "python", program, base, "demo-member")
    older = [f"more-{number:02}" for number in reversed(range(len(MORE_NAMES)))]
    assert listed[-len(older) :] == older
    public_or_own = {image["id"] for image in IMAGES if not image.get("deleted")} - {
        "5ea041b7-3f9e-4cad-bbc1-307fce6dab05",  # private, of another project
        "6fb152c8-40af-4dbe-8cd2-4180df7ebc06",  # of another project's community
    }
    assert sorted(listed[: -len(older)]) == sorted(public_or_own)


def test_glance_command(base: str, glanceclient: Path) -> None:
    """``glance image-show NAME`` shows the image of that name."""
    options = ["--os-image-api-version", "1", "--os-image-url", base, "--os-auth-token"]

    def find(token: str, *names: str) -> Found:
        return {name: find_one(token, name) for name in names}

    def find_one(token: str, name: str) -> list[str] | str:
        result = run(glanceclient / "glance", *options, token, "image-show", name)
        if result.returncode == 0:
            return re.findall(r"(?m)^\| id +\| (\S+)", result.stdout)
        return result.stderr.strip()

    assert_found(find)


def test_glanceclient_on_python_2(base: str, old_glanceclient: tuple[str, dict[str, str]]) -> None:
    """The libraries of old find the same images; 2.17.1 cannot search for text beyond ASCII."""
    version, environ = old_glanceclient
    program = PROGRAMS / "find_with_glanceclient.py"
    assert_found(
        lambda token, *names: read_json("python2.7", program, base, token, *names, **environ),
        **({UBUNTU: "UnicodeEncodeError"} if version == "2.17.1" else {}),
    )


def test_openstackclient(base: str, openstackclient: Path) -> None:
    """``openstack image show NAME`` walks the list for an image of that name."""
    options = [
        "--os-auth-type",
        "admin_token",
        "--os-endpoint",
        base,
        "--os-image-api-version",
        "1",
    ]

    def find(token: str, *names: str) -> Found:
        return {name: find_one(token, name) for name in names}

    def find_one(token: str, name: str) -> list[str] | str:
        command = [openstackclient / "openstack", *options, "--os-token", token]
        result = run(*command, "image", "show", "-f", "json", name)
        if result.returncode == 0:
            return [json.loads(result.stdout)["id"]]
        return result.stderr.splitlines()[-1]

    assert_found(find, several="More than one image exists with the name '{}'.")


def test_tempest(base: str, tempest: Path) -> None:
    """``list_images(detail=True, name=NAME)`` lists the images of that name."""
    program = PROGRAMS / "find_with_tempest.py"
    python = tempest / "python"
    assert read_json(python, program, base, "demo-member", *IDS) == IDS
    assert read_json(python, program, base, "demo-other", PAYROLL) == {PAYROLL: []}


def test_openclient(base: str, openclient: Path) -> None:
    """``images.all({query: {name: NAME}})`` lists the images of that name."""
    program = PROGRAMS / "find_with_openclient.js"
    assert read_json("node", program, openclient, base, "demo-member", *IDS) == IDS
    assert read_json("node", program, openclient, base, "demo-other", PAYROLL) == {PAYROLL: []}
