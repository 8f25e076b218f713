"""The demo page: a blueprint with one page, on which real requests can be sent and read.

The table of images is the page's own, for every caller. The Image API's own lists, in which the
page finds images by name, have only the images that the caller may list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    jsonify,
    render_template,
    request,
    url_for,
)
from werkzeug.test import TestResponse

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
    :param images: Returns the images to list: none if the store cannot be listed.
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
    def serves_lists(self) -> bool:
        """Whether images can be found by name."""
        return f"{self.name}.list_details" in current_app.view_functions

    @property
    def package(self) -> str:
        """The package that the schema is imported from."""
        return self.schema.__module__.partition(".")[0]


def demo_callers() -> dict[str, str]:
    """Return the demo's own tokens, each with its caller's name."""
    return {token: token.removeprefix("demo-") for token in TOKENS}


def make_page(*mounts: Mount, callers: Callable[[], Mapping[str, str]] = demo_callers) -> Blueprint:
    """Return a blueprint that serves the page at ``/``, for the given mounts.

    :param callers: Returns the tokens to choose from, each with its caller's name.
    """
    page = Blueprint("page", __name__)
    by_name = {mount.name: mount for mount in mounts}
    projects = {TOKENS[token].project_id: name for token, name in demo_callers().items()}

    @page.get("/")
    def show() -> str:
        return render_template("page.html", mounts=mounts, callers=callers(), projects=projects)

    @page.get("/statuses")
    def statuses() -> Response:
        """Return the status of a HEAD request for each image that is listed, by mount and id."""
        return _make_json(
            {
                mount.name: {
                    image_id: _head(mount, image_id).status_code
                    for image_id in map(_id_of, list(mount.images()))
                }
                for mount in mounts
            }
        )

    @page.get("/answer")
    def answer() -> Response:
        """Return the response to a HEAD request for any image, errors too, as data of a 200.

        The page asks here first, because a browser logs every error that it receives.
        """
        mount = by_name.get(request.args.get("mount", ""))
        if mount is None:
            abort(404)
        head = _head(mount, request.args.get("id", ""))
        status, _, reason = head.status.partition(" ")
        return _make_json(
            {"status": int(status), "statusText": reason, "headers": list(head.headers)}
        )

    @page.after_app_request
    def protect(response: Response) -> Response:
        """Let the page load its own files only; the API's responses stay as they are."""
        if request.blueprint == page.name or request.endpoint == "static":
            response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
            response.headers["Referrer-Policy"] = "no-referrer"
            response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return page


def _id_of(image: Any) -> str:
    image_id: str = image["id"] if isinstance(image, Mapping) else image.id
    return image_id


def _head(mount: Mount, image_id: str) -> TestResponse:
    """Send a HEAD request for an image, with the headers of the current request."""
    url = url_for(f"{mount.name}.show_image", image_id=image_id)
    return current_app.test_client().head(
        url.removeprefix(request.script_root),
        base_url=request.root_url,
        headers=list(request.headers),
    )


def _make_json(data: Any) -> Response:
    response = jsonify(data)
    response.headers["Cache-Control"] = "no-store"
    return response
