"""The example app under gunicorn, and a virtual environment for each client."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..needs import needs

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".venv-clients"  # kept between runs: a client takes a minute to install


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the example app, served by gunicorn on a free port."""
    database = tmp_path_factory.mktemp("clients") / "images.sqlite"
    config = {"SQLALCHEMY_DATABASE_URI": f"sqlite:///{database}"}
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
def environment() -> Callable[[str], Path]:
    """Return the bin folder of a virtual environment that has one requirement, and what it needs.

    A requirement that cannot be installed is something the test needs and does not find.
    """

    def make(requirement: str) -> Path:
        version = "{}.{}".format(*sys.version_info)
        folder = ENVIRONMENTS / f"{requirement.replace('==', '-')}-py{version}"
        stamp = folder / "installed"
        if not stamp.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", requirement]
            result = subprocess.run(pip, capture_output=True, text=True, check=False)
            if result.returncode:
                reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
                needs(f"{requirement} from a package registry: {reason}")
            stamp.touch()
        return folder / "bin"

    return make
