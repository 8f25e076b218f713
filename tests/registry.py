"""What tests install from a package registry for themselves; it is kept between runs."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .needs import needs

ENVIRONMENTS = Path(__file__).parents[1] / ".venv-clients"
VERSION = "{}.{}".format(*sys.version_info)
# Say why an installation fails, and ask again, as pip does, where no answer comes.
NPM = [
    *("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"),
    *("--fetch-timeout=15000", "--fetch-retries=5", "--fetch-retry-maxtimeout=5000"),  # ms
]
PYTHON_2 = {"PYENV_VERSION": "2.7"}  # pyenv hides Pythons that are not selected


def make_environment(*requirements: str) -> Path:
    """Return the bin folder of a virtual environment with some requirements, and their own."""
    folder = ENVIRONMENTS / f"{name_of(requirements)}-py{VERSION}"
    with missing(folder) as is_missing:
        if is_missing:
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            install(folder, *pip(folder / "bin" / "python"), *requirements)
    return folder / "bin"


def make_folder(*requirements: str) -> Path:
    """Return a folder with some requirements, and what they need, to be put on Python's path."""
    folder = ENVIRONMENTS / f"{name_of(requirements)}-py{VERSION}-path"
    with missing(folder) as is_missing:
        if is_missing:
            into = ["--upgrade", "--target", str(folder)]
            install(folder, *pip(sys.executable), *into, *requirements)
    return folder


def make_folder_for_python_2(*requirements: str) -> Path:
    """Return such a folder for ``python2.7``."""
    folder = ENVIRONMENTS / f"{name_of(requirements)}-py2.7-path"
    with missing(folder) as is_missing:
        if is_missing:
            into = ["--upgrade", "--target", str(folder)]
            install(folder, *pip("python2.7"), *into, *requirements, **PYTHON_2)
    return folder


def make_node_modules(package: str) -> Path:
    """Return the folder that has a package of npm, and what it needs."""
    folder = ENVIRONMENTS / name_of([package])
    with missing(folder) as is_missing:
        if is_missing:
            install(folder, *NPM, "--prefix", str(folder), package)
    return folder / "node_modules"


def name_of(requirements: Sequence[str]) -> str:
    """Return the name of the folder for some requirements."""
    return "+".join(requirements).replace("==", "-").replace("<", "-below-").replace("@", "-")


def pip(python: str | Path) -> list[str]:
    return [str(python), "-m", "pip", "install", "--quiet"]


@contextmanager
def missing(folder: Path) -> Iterator[bool]:
    """Say whether a folder must be installed; no other process installs it meanwhile."""
    folder.parent.mkdir(exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not (folder / "installed").exists()


def install(folder: Path, *command: str, **environ: str) -> None:
    """Run an installer; what cannot be installed is something the test needs and does not find."""
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=300,
            env=os.environ | environ,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        needs(f"{folder.name} from a package registry: {error}")
    if result.returncode:
        errors = [line for line in result.stderr.splitlines() if "WARNING" not in line]
        needs("\n".join([f"{folder.name} from a package registry:", *errors]))
    (folder / "installed").touch()
