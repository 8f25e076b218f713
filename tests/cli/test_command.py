"""The real command, in a process of its own."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from .images import unpack

ROOT = Path(__file__).parent.parent.parent


class Answer(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def flask(tmp_path):
    environ = os.environ | {
        "FLASK_SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'images.sqlite'}",
        "PYTHONIOENCODING": "utf-8",
    }
    start = [sys.executable, "-m", "flask", "--app", "tests.cli.apps", "imagemeta"]

    def flask(*arguments: object, terminal: bool = False) -> Answer:
        """Run the command; with a terminal, standard error is one."""
        command = [*start, *map(str, arguments)]
        if not terminal:
            result = subprocess.run(
                command,
                check=False,
                cwd=ROOT,
                env=environ,
                capture_output=True,
                encoding="utf-8",
                timeout=60,
            )
            return Answer(result.returncode, result.stdout, result.stderr)
        master, slave = pty.openpty()
        with subprocess.Popen(
            command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=slave, encoding="utf-8"
        ) as process:
            os.close(slave)
            shown = b""
            try:
                while chunk := os.read(master, 65_536):
                    shown += chunk
            except OSError:  # how Linux says that the other end is closed
                pass
            os.close(master)
            assert process.stdout is not None
            out = process.stdout.read()
        return Answer(process.returncode, out, shown.decode())

    return flask


def test_help(flask):
    """The group lists its commands."""
    answer = flask("--help")
    assert answer.status == 0
    assert re.findall(r"^  (\w+)  ", answer.out, re.MULTILINE) == ["add", "check", "list", "show"]


def test_a_store_from_beginning_to_end(flask, tmp_path):
    """An image file is added, shown, listed and checked."""
    pytest.importorskip("flask_imagemeta.files")
    path = unpack("disk.qcow2", tmp_path)
    added = flask("add", path, "--id", "i1", "--property", "Os=linux")
    assert added[0] == 0
    assert added.out.startswith(f"i1: added {path}: qcow2, ")
    shown = flask("show", "i1")
    assert shown.status == 0
    assert "X-Image-Meta-Property-Os: linux\n" in shown.out
    assert "i1  active" in flask("list").out
    checked = flask("check")
    assert (checked.status, checked.out) == (
        1,
        "i1: altered: properties['Os']: the name arrives as 'os'\n",
    )


def test_exit_status_of_a_404(flask):
    """The exit status says that a client would not get a 200."""
    answer = flask("show", "none")
    assert answer.status == 1
    assert answer.err == "A client would get 404: there is no image 'none'.\n"


def test_exit_status_of_trouble(flask):
    """A command that cannot do its work has an exit status of its own, and no traceback."""
    answer = flask("list", "--name", "firmware")
    assert answer.status == 2
    assert answer.err.startswith("Error: This lookup cannot be listed")


def test_progress_of_a_large_file(flask, tmp_path):
    """Somebody who watches sees a bar grow while a large file is read."""
    pytest.importorskip("flask_imagemeta.files")
    path = tmp_path / "large.img"
    with path.open("wb") as file:
        file.truncate(80_000_000)
    answer = flask("add", path, terminal=True)
    assert (answer.status, answer.out.count("\n")) == (0, 1)
    assert "large.img" in answer.err
    assert "100%" in answer.err


def test_progress_of_a_check(flask, tmp_path):
    """A check shows a bar on standard error, and its reports on standard output."""
    pytest.importorskip("flask_imagemeta.files")
    flask("add", unpack("disk.qcow2", tmp_path), "--id", "i1", "--image-name", "x ")
    answer = flask("check", terminal=True)
    assert (answer.status, answer.out.split(":")[0]) == (1, "i1")
    assert "Checking" in answer.err
    assert "1 images checked" in answer.err


def test_no_progress_without_a_terminal(flask, tmp_path):
    """Nothing but the summary is written where nobody watches."""
    assert flask("check").err == (
        "0 images checked, 0 to report: 0 altered, 0 omitted, 0 refused\n"
    )


def test_an_application_imports_no_command():
    """An application that only serves imports neither the commands nor what they need."""
    code = (
        "import sys, flask\n"
        "from flask_imagemeta import ImageMeta\n"
        "ImageMeta(flask.Flask('app'))\n"
        "print([name for name in sys.modules if name.startswith("
        "('flask_imagemeta.cli.', 'flask_imagemeta.files', 'oslo_utils', 'cryptography'))])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"
