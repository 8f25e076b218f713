"""The example app under gunicorn, and an environment for each client."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from example_app import Image, create_app, db

from ..registry import (
    PYTHON_2,
    make_environment,
    make_folder_for_python_2,
    make_node_modules,
)
from .running import run

ROOT = Path(__file__).parents[2]
# More than a page of the clients', which is 20, and the names that the example does not have.
MORE_NAMES = [*(f"filler {number:02}" for number in range(25)), "twin", "twin", "release:v1"]


def make_image(number: int, name: str) -> dict[str, Any]:
    """Return an image older than the example's own."""
    return {
        "id": f"more-{number:02}",
        "name": name,
        "status": "active",
        "is_public": True,
        "created_at": datetime(2015, 1, 1) + timedelta(hours=number),
    }


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of the example app with more images, served by gunicorn on a free port."""
    database = tmp_path_factory.mktemp("clients") / "images.sqlite"
    config = {"SQLALCHEMY_DATABASE_URI": f"sqlite:///{database}"}
    with create_app(config).app_context():
        db.session.add_all(Image(**make_image(*pair)) for pair in enumerate(MORE_NAMES))
        db.session.commit()
        db.session.remove()
        db.engine.dispose()
    command = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0"]
    command += [f"example_app:create_app({config!r})"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        try:
            yield read_url(server)
        finally:
            server.terminate()


def read_url(server: subprocess.Popen[str]) -> str:
    """Return the URL that gunicorn says it listens at, once its worker runs."""
    assert server.stderr is not None
    log = ""
    for line in server.stderr:
        log += line
        if "Booting worker" in line and (listening := re.search(r"http://\S+", log)):
            return listening[0]
    raise AssertionError(f"gunicorn ended:\n{log}")


@pytest.fixture(scope="session")
def glanceclient() -> Path:
    return make_environment("python-glanceclient==4.13.0")


@pytest.fixture(scope="session", params=["0.12.0", "2.17.1"])
def old_glanceclient(request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    """Return a version and the environment variables with which ``python2.7`` finds it."""
    try:
        missing = run("python2.7", "-m", "pip", "--version", **PYTHON_2).returncode != 0
    except FileNotFoundError:
        missing = True
    if missing:  # not needs(): distributions have dropped it, so CI cannot install it
        pytest.skip("needs Python 2.7 with pip")
    version: str = request.param
    # A registry may not say that newer releases of rfc3986 are for Python 3 only.
    folder = make_folder_for_python_2(f"python-glanceclient=={version}", "rfc3986<2")
    return version, {**PYTHON_2, "PYTHONPATH": str(folder)}


@pytest.fixture(scope="session")
def openstackclient() -> Path:
    # It imports simplejson without requiring it.
    return make_environment("python-openstackclient==5.1.0", "simplejson")


@pytest.fixture(scope="session")
def tempest() -> Path:
    return make_environment("tempest==35.0.0")


@pytest.fixture(scope="session")
def openclient() -> Path:
    return make_node_modules("openclient@1.7.10")
