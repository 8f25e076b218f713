"""The real command, in its own process."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from ..needs import needs
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

    def flask(
        *arguments: object, terminal: bool = False, shell: str = "", **variables: str
    ) -> Answer:
        """Run the command; with a terminal, standard error is one.

        :param shell: What a shell is to do with the command, which is "$@" there.
        """
        command = [*start, *map(str, arguments)]
        environ.update(variables)
        if shell:
            command = ["bash", "-c", f"set -o pipefail; {shell}", "bash", *command]
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
    assert re.findall(r"^  (\w+)  ", answer.out, re.MULTILINE) == [
        "add",
        "check",
        "copy",
        "list",
        "show",
    ]


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


@pytest.mark.slow
def test_progress_of_a_large_file(flask, tmp_path):
    """Somebody who watches sees a bar grow while a large file is read."""
    pytest.importorskip("flask_imagemeta.files")
    path = tmp_path / "large\x1b]0;x.img"
    with path.open("wb") as file:
        file.truncate(80_000_000)
    answer = flask("add", path, terminal=True)
    assert (answer.status, answer.out.count("\n")) == (0, 1)
    assert r"large\x1b]0;x.img" in answer.err
    assert "100%" in answer.err


def test_progress_of_a_check(flask, tmp_path):
    """A check shows a bar on standard error, and its reports on standard output."""
    pytest.importorskip("flask_imagemeta.files")
    flask("add", unpack("disk.qcow2", tmp_path), "--id", "i1", "--image-name", "x ")
    answer = flask("check", terminal=True)
    assert (answer.status, answer.out.split(":")[0]) == (1, "i1")
    assert "Checking" in answer.err
    assert "1 image checked" in answer.err


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("COUNTED", r"Copying .* [1-9]\d%"),
        pytest.param("KILLED", "Copying", marks=pytest.mark.slow),
    ],
)
def test_progress_of_a_copy(flask, source, shown):
    """A copy shows a bar, with the percentage done if the source can be counted."""
    answer = flask("copy", "--no-verify", f"tests.cli.copy_app:{source}", terminal=True)
    assert (answer.status, answer.out) == (0, "")
    assert re.search(shown, answer.err)
    assert "300 images copied, 0 refused\r\n" in answer.err


def test_no_progress_without_a_terminal(flask, tmp_path):
    """Nothing but the summary is written where no one watches."""
    assert flask("check").err == (
        "0 images checked, 0 to report: 0 altered, 0 omitted, 0 refused\n"
    )


def test_an_application_imports_no_command():
    """An application that only serves imports neither the commands nor what they need."""
    code = (
        "import sys, flask\n"
        "from flask_imagemeta import ImageMeta\n"
        "ImageMeta(flask.Flask('app'))\n"
        "print([name for name in sys.modules if name.startswith(('flask_imagemeta.cli.', "
        "'flask_imagemeta.files', 'sqlalchemy.orm', 'oslo_utils', 'cryptography'))])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout == "['flask_imagemeta.cli.output', 'flask_imagemeta.cli.group']\n"


def test_help_after_a_command(run):
    """A command that was imported hides nothing that the group needs."""
    assert run("list").exit_code == 0
    assert run("--help").exit_code == 0


@pytest.fixture
def stored(put):
    """The store has an image."""
    put({"id": "i1", "name": "日本 "})


@pytest.mark.parametrize(
    "command",
    ["list --json", *(pytest.param(c, marks=pytest.mark.slow) for c in ("show i1", "list --help"))],
)
@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ('"$@" > /dev/full', "No space left on device"),
        ('"$@" | true', "Broken pipe"),
    ],
)
@pytest.mark.usefixtures("stored")
def test_output_that_cannot_be_written(flask, command, shell, words):
    """Output that cannot be written ends a command with words and the status of a failure."""
    if not Path("/dev/full").exists():
        needs("/dev/full")
    answer = flask(*command.split(), shell=shell)
    assert (answer.status, answer.out) == (2, "")
    assert re.fullmatch(f"(.* checked, .*\n)?Error: .*{words}.*\n", answer.err), answer.err


@pytest.mark.usefixtures("stored")
def test_nothing_can_be_written(flask):
    """When the error cannot be written either, the status is the same."""
    answer = flask("list", shell='"$@" 2>&1 | true')
    assert (answer.status, answer.out, answer.err) == (2, "", "")


def test_closed_output(flask):
    """A command without a standard output says so."""
    answer = flask("list", shell='"$@" >&-')
    assert (answer.status, answer.err) == (2, "Error: Standard output is closed.\n")


@pytest.mark.slow
def test_closed_errors(flask):
    """A command without a standard error has the same exit status."""
    assert flask("check", shell='"$@" 2>&-').status == 0
    assert flask("show", "none", shell='"$@" 2>&-').status == 1
    assert flask("show", "--name", "x", "none", shell='"$@" 2>&-').status == 2


@pytest.mark.slow
def test_added_but_not_reported(flask, tmp_path):
    """When the ids of added images cannot be written to standard output, the error has them."""
    pytest.importorskip("flask_imagemeta.files")
    path = unpack("disk.qcow2", tmp_path)
    answer = flask("add", path, "--id", "i1", shell='"$@" > /dev/full')
    assert answer.status == 2
    assert "But the images were added: i1." in answer.err
    assert "i1  active" in flask("list").out


@pytest.mark.parametrize("command", ["list", "show i1"])
@pytest.mark.usefixtures("stored")
def test_encoding_that_lacks_characters(flask, command):
    """What an encoding lacks is escaped."""
    answer = flask(*command.split(), PYTHONIOENCODING="latin-1")
    assert r"\u65e5\u672c" in answer.out
    assert "Traceback" not in answer.err


def test_interrupt(flask):
    """Ctrl-C ends a command with the status that shells expect."""
    answer = flask("list", "--name", "interrupted", terminal=True)
    assert (answer.status, answer.out) == (130, "")
    assert "Interrupted." in answer.err


def test_crash(flask):
    """A store that crashes ends a command with a traceback and the status of a failure."""
    answer = flask("check", "--name", "broken")
    assert answer.status == 2
    assert "ZeroDivisionError: in the store" in answer.err
