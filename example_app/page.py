"""The demo page: a blueprint with one page, on which real HEAD requests can be sent and read.

What the page lists is the example's own affair. The Image API has no part in it: its HEAD
operation answers for one image, to callers who may see it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from flask import Blueprint, Response, render_template, request, url_for

from flask_imagemeta import HeaderSchema

from .seed import TOKENS

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Mount(NamedTuple):
    """One ImageMeta of the application, as the page shows it.

    :param title: The heading of its part of the table.
    :param name: The name of the ImageMeta.
    :param schema: Its schema's class.
    :param images: Returns the images to list: none where the store cannot be listed.
    """

    title: str
    name: str
    schema: type[HeaderSchema]
    images: Callable[[], Iterable[Any]]

    @property
    def url(self) -> str:
        """What an image's URL begins with, up to its id."""
        return url_for(f"{self.name}.show_image", image_id="-").removesuffix("-")

    @property
    def package(self) -> str:
        """The package that the schema is imported from."""
        return self.schema.__module__.partition(".")[0]


def make_page(*mounts: Mount) -> Blueprint:
    """Return a blueprint that serves the page at ``/``, for the given mounts."""
    page = Blueprint("page", __name__)
    names = {token: token.removeprefix("demo-") for token in TOKENS}
    projects = {TOKENS[token].project_id: name for token, name in names.items()}

    @page.get("/")
    def show() -> str:
        return render_template("page.html", mounts=mounts, callers=names, projects=projects)

    @page.after_app_request
    def protect(response: Response) -> Response:
        """Let the page load its own files only; the API's answers stay as they are."""
        if request.blueprint == page.name or request.endpoint == "static":
            response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
            response.headers["Referrer-Policy"] = "no-referrer"
            response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return page
