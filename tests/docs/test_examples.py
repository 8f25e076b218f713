"""Every example of the README and of docs/ is run as written."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser

import example_app

from ..local_server import serve
from ..needs import needs

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# What differs from one run to the next, or from one machine to another.
VARYING = [
    # Werkzeug's reason phrases are in capitals before 3.2.
    (re.compile(r"(?m)^((?:HTTP/1\.[01] )?[1-5][0-9]{2}) [A-Za-z ]+$"), r"\1 REASON"),
    (re.compile(r"(?m)^(Date): .*$"), r"\1: DATE"),
    (re.compile(r"(?m)^(Server): .*$"), r"\1: SERVER"),
    (re.compile(r"req-[0-9a-f-]{36}"), "REQUEST-ID"),
]


def run_console(example: Example) -> None:
    """Run a block's commands and compare what they print; ``...`` stands for anything.

    A command sees the application that the page has made, or else the example app.
    """
    app = example.namespace.get("app") or example_app.create_app()
    for command, expected in re.findall(r"(?m)^\$ (.*)\n((?:(?!\$ ).*\n?)*)", example.parsed):
        program, *arguments = shlex.split(command, comments=True)
        output = PROGRAMS[program](app, arguments)
        shown, wanted = mask(output.rstrip() + "\n"), mask(expected.rstrip() + "\n")
        assert OutputChecker().check_output(wanted, shown, ELLIPSIS), (
            f"line {example.line}: {command}\nexpected:\n{wanted}\ngot:\n{shown}"
        )


def run_curl(app: Flask, arguments: list[str]) -> str:
    if shutil.which("curl") is None:
        needs("the command curl")
    with serve(app) as port:
        arguments = [a.replace("127.0.0.1:5000", f"127.0.0.1:{port}") for a in arguments]
        command = ["curl", "--silent", "--show-error", "--max-time", "10", *arguments]
        return subprocess.run(command, capture_output=True, check=True).stdout.decode()


def run_flask(app: Flask, arguments: list[str]) -> str:
    if arguments[:1] == ["--app"]:
        arguments = arguments[2:]
    return app.test_cli_runner().invoke(args=arguments).output


PROGRAMS = {"curl": run_curl, "flask": run_flask}


def mask(text: str) -> str:
    text = text.replace("\r\n", "\n")
    for pattern, replacement in VARYING:
        text = pattern.sub(replacement, text)
    return text


SYBIL = Sybil(
    parsers=[
        PythonCodeBlockParser(doctest_optionflags=ELLIPSIS),
        CodeBlockParser("console", run_console),
    ],
    path=str(ROOT),
)


# Importing keystonemiddleware imports webob, which still imports cgi where Python has it.
@pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning")
# Flask-Limiter 4.1 imports names that Flask 3.2 deprecates.
@pytest.mark.filterwarnings("ignore:'\\w+' has merged with:DeprecationWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page's blocks run in their order and print what the page says.

    They are one module, or several if blocks begin with a file's name.
    """
    monkeypatch.chdir(tmp_path)  # where relative paths and instance folders go
    (tmp_path / "tests").symlink_to(ROOT / "tests")  # a page reads from tests/data
    create_app = example_app.create_app
    database = {"SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/example.sqlite"}
    monkeypatch.setattr(
        example_app, "create_app", lambda config=None: create_app(database | (config or {}))
    )
    document = SYBIL.parse(page)
    namespace: dict[str, Any] = {}
    for example in document.examples():
        file = re.match(r"# (\w+)\.py\n", str(example.parsed))
        if file or not namespace:
            module = ModuleType(file[1] if file else "myapp")
            monkeypatch.setitem(sys.modules, module.__name__, module)
            namespace = vars(module)
        example.namespace = namespace
        example.evaluate()
