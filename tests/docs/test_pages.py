"""What the pages list is what the code has."""

from __future__ import annotations

import re
import sys
from ast import literal_eval

import pytest
from flask import Flask

import flask_imagemeta
from flask_imagemeta import ImageMeta, ImageMetaSchema
from flask_imagemeta.config import HOOKS

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
    """The hooks page names each hook, in the extension's order."""
    assert tuple(re.findall(r"(?m)^\| `(\w+)` \|", read("docs/hooks.md"))) == HOOKS


def test_every_public_name_is_documented() -> None:
    """The API page names everything in ``flask_imagemeta.__all__``."""
    page = read("docs/api.md")
    assert [name for name in flask_imagemeta.__all__ if not re.search(rf"\b{name}\b", page)] == []


def test_the_changelog_has_this_version() -> None:
    """The newest heading of the changelog is the version of the package."""
    newest = re.search(r"(?m)^## (\S+)", read("CHANGELOG.md"))
    assert newest
    assert newest[1] == flask_imagemeta.__version__


def test_the_index_lists_every_page_twice() -> None:
    """Each page stands in the index's list, for the repository, and in a toctree, for Sphinx."""
    text, _, toctrees = read("docs/index.md").partition("```{toctree}")
    listed = re.findall(r"(?m)^- \[[^\]]+\]\(([\w-]+)\.md\)", text)
    assert listed == re.findall(r"(?m)^([\w-]+)$", toctrees)
    assert {*listed, "index"} == {path.stem for path in (ROOT / "docs").glob("*.md")}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_root_pages_lead_somewhere(page: str) -> None:
    """Each relative link on a page that Sphinx does not check leads to a file."""
    links = re.findall(r"\]\(([^)#:]+)\)", read(page))
    assert [link for link in links if not (ROOT / link).exists()] == []
