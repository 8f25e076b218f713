"""How Sphinx builds these pages: ``make docs``."""

import flask_imagemeta

project = "Flask-ImageMeta"
author = "the Flask-ImageMeta authors"
version = release = flask_imagemeta.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"{project} {version}"
exclude_patterns = ["_build"]

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
# Other projects' names, which only their own documentation could resolve.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(blinker|collections|datetime|flask|keystoneauth1|marshmallow|sqlalchemy|werkzeug)\..*",
    ),
    ("py:class", r"Session"),  # keystoneauth1's, imported for type checkers only
    ("py:class", r"flask_imagemeta\.extension\.\w+Hook"),  # type variables of the decorators
]
