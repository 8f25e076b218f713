"""How Sphinx builds these pages: ``make docs``."""

import re
from pathlib import Path

import flask_imagemeta

project = "Flask-ImageMeta"
author = "Flask-ImageMeta maintainers"
version = release = flask_imagemeta.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"{project} {version}"
exclude_patterns = ["_build"]

myst_heading_anchors = 3

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
# Other projects' names, which only their own documentation could resolve.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(blinker|collections|dataclasses|datetime|dogpile|flask|keystoneauth1|marshmallow|typing)\..*",
    ),
    ("py:.*", r"(sqlalchemy|werkzeug)\..*"),
    ("py:class", r"CacheRegion"),  # dogpile.cache's, imported for type checkers only
    # What is not public, but named in an annotation of what is.
    (
        "py:class",
        r"flask_imagemeta\.(query\.OrderedImages|stores\.unreadable\.ImageParts|fields\.Line)",
    ),
    ("py:class", r"Session"),  # keystoneauth1's, imported for type checkers only
    ("py:class", r"flask_imagemeta\.extension\.\w+Hook"),  # type variables of the decorators
]
suppress_warnings = ["misc.highlighting_failure"]  # Pygments does not know HAProxy


def add_toctrees(app, docname, source):
    """Add the index's lists of pages, which a code host shows too, to the menu."""
    if docname != "index":
        return
    for caption, section in re.findall(r"(?ms)^## (.+?)$(.+?)(?=^## |\Z)", source[0]):
        pages = "\n".join(re.findall(r"(?m)^- \[[^]]+\]\(([\w-]+)\.md\)", section))
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"


def include_files(app, docname, source):
    """Replace each line that only links a file of the repository, as a code host shows it."""

    def include(link):
        path = Path(app.srcdir, link[1])
        app.env.note_dependency(path)
        return path.read_text("utf-8")

    source[0] = re.sub(r"(?m)^\[[^]]+\]\((\.\./[\w/]+\.md)\)$", include, source[0])


def setup(app):
    app.connect("source-read", add_toctrees)
    app.connect("source-read", include_files)
