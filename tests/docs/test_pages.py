"""What the pages list is what the code has."""

from __future__ import annotations

import inspect
import re
import sys
from ast import literal_eval
from importlib import import_module

import pytest
from click import Context
from flask import Flask
from flask.cli import AppGroup

import flask_imagemeta
from flask_imagemeta import ImageMeta, ImageMetaSchema
from flask_imagemeta.hooks import Hooks

from .test_examples import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def without_version(requirement: str) -> str:
    return re.split(r"[<>=~!;]", requirement)[0].strip().lower()


def test_every_dependency_is_justified() -> None:
    """CONTRIBUTING.md has one line for each requirement in pyproject.toml, and no other."""
    pyproject = tomllib.loads(read("pyproject.toml"))
    requirements = [*pyproject["build-system"]["requires"], *pyproject["project"]["dependencies"]]
    for extra in pyproject["project"]["optional-dependencies"].values():
        requirements += extra
    for group in pyproject["dependency-groups"].values():
        requirements += [entry for entry in group if isinstance(entry, str)]
    justified = re.findall(r"(?m)^- `([^`]+)`: \S", read("CONTRIBUTING.md"))
    assert sorted(justified) == sorted({without_version(name) for name in requirements})


def test_every_field_is_in_the_table_of_headers() -> None:
    """The table of headers has a row for each field of the schema, with the field's header."""
    rows = dict(re.findall(r"(?m)^\| `(X-Image-Meta-\w+)` \| `(\w+)` \|", read("docs/headers.md")))
    schema = ImageMetaSchema()
    fields = schema.fields.keys() - {"properties"}
    assert {field: header for header, field in rows.items()} == {
        field: schema.header_of(field) for field in fields
    }


def test_every_default_is_in_the_table_of_configuration() -> None:
    """The defaults on the configuration page are those that init_app uses."""
    rows = dict(
        re.findall(r"(?m)^\| `IMAGEMETA_(\w+)` \| `([^`]+)` \|", read("docs/configuration.md"))
    )
    app = Flask(__name__)
    ImageMeta(app)
    config = app.extensions["imagemeta"]["imagemeta"].config
    assert {key.lower(): literal_eval(default) for key, default in rows.items()} == {
        name: getattr(config, name) for name in config.__slots__ if name != "hooks"
    }


def test_every_hook_is_in_the_table_of_hooks() -> None:
    """The hooks page has each hook, called as the docstring of its decorator says."""
    rows = dict(re.findall(r"(?m)^\| `(\w+)` \| `(\([^`]*\))` \|", read("docs/hooks.md")))
    assert tuple(rows) == Hooks._fields
    for name, called_as in rows.items():
        docstring = inspect.getdoc(getattr(ImageMeta, name)) or ""
        assert docstring.startswith(f"Set the {name} hook: {called_as} -> ")


def test_every_hook_is_a_parameter() -> None:
    """ImageMeta takes each hook as an argument, by its name."""
    parameters = inspect.signature(ImageMeta).parameters
    assert tuple(parameters)[-len(Hooks._fields) :] == Hooks._fields


def test_every_command_is_documented() -> None:
    """The page on the command line has a row and a section for each command."""
    page = read("docs/command-line.md")
    app = Flask(__name__)
    ImageMeta(app)
    group = app.cli.commands["imagemeta"]
    assert isinstance(group, AppGroup)
    commands = group.list_commands(Context(group))
    rows = re.findall(r"(?m)^\| \[`flask imagemeta (\w+)", page)
    assert sorted(rows) == sorted(commands)
    assert {*rows} <= {*re.findall(r"(?m)^## (\w+)$", page)}


def test_every_public_name_is_documented() -> None:
    """The API page names everything in ``flask_imagemeta.__all__``."""
    page = read("docs/api.md")
    assert [name for name in flask_imagemeta.__all__ if not re.search(rf"\b{name}\b", page)] == []


def test_pages_import_public_names_only() -> None:
    """What the pages import from the package is public, and on the API page."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    imports = re.findall(r"(?m)from (flask_imagemeta[\w.]*) import (.+)$", text)
    assert {module for module, _ in imports} >= {"flask_imagemeta", "flask_imagemeta.stores"}
    for module, names in imports:
        assert {*re.split(r",\s*", names)} <= {*import_module(module).__all__}, names
        assert module in read("docs/api.md")


def test_the_changelog_has_this_version() -> None:
    """The newest heading of the changelog is the version of the package."""
    newest = re.search(r"(?m)^## (\S+)", read("CHANGELOG.md"))
    assert newest
    assert newest[1] == flask_imagemeta.__version__


def test_the_index_lists_every_page() -> None:
    """Each page stands once in the index's lists, from which Sphinx gets its menu."""
    listed = re.findall(r"(?m)^- \[[^\]]+\]\(([\w-]+)\.md\)", read("docs/index.md"))
    assert sorted([*listed, "index"]) == sorted(path.stem for path in (ROOT / "docs").glob("*.md"))


def test_the_readme_has_no_picture_by_a_relative_path() -> None:
    """Where packages are published, only a picture with a full URL shows."""
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)|<img[^>]+src=\"([^\"]+)", read("README.md"))
    assert [path for pair in pictures for path in pair if path and "://" not in path] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_root_pages_lead_somewhere(page: str) -> None:
    """Each relative link on a page that Sphinx does not check leads to a file."""
    links = re.findall(r"\]\(([^)#:]+)\)", read(page))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_installation_lists_the_requirements() -> None:
    """The installation page has the lowest versions of pyproject.toml, for each extra, too."""
    page = read("docs/installation.md")
    project = tomllib.loads(read("pyproject.toml"))["project"]
    required = dict(line.split(">=") for line in project["dependencies"])
    required["python"] = project["requires-python"].removeprefix(">=")
    rows = dict(re.findall(r"(?m)^\| (\S+) \| ([\d.]+) or later \|", page))
    assert {name.lower(): version for name, version in rows.items()} == required
    extras = dict(re.findall(r"(?m)^\| `(\w+)` \| .+ \| (.+) \|$", page))
    installed = {
        extra: ", ".join(line.replace(">=", " ") for line in lines)
        for extra, lines in project["optional-dependencies"].items()
    }
    assert extras == installed
    assert [*extras] == sorted(extras)
