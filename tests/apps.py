"""Small applications to ask, and the image that most tests ask for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from flask_imagemeta import ImageMeta

# The documented example of the Image API v1, as a host may keep it.
EXAMPLE: dict[str, Any] = {
    "id": "03bc0a8b-659c-4de9-b6bd-13c6e86e6455",
    "name": "cirros-0.3.4-x86_64-uec-kernel",
    "status": "deactivated",
    "size": 4979632,
    "disk_format": "aki",
    "container_format": "aki",
    "min_disk": 0,
    "min_ram": 0,
    "checksum": "8a40c862b5735975d82605c1dd395796",
    "owner": "13cc6052265b41529e2fd0fc461fa8ef",
    "protected": False,
    "is_public": True,
    "deleted": False,
    "created_at": datetime(2016, 1, 6, 3, 22, 20),
    "updated_at": datetime(2016, 2, 25, 3, 2, 5),
}
PATH = f"/v1/images/{EXAMPLE['id']}"

# Its headers, name for name and value for value.
EXAMPLE_HEADERS = {
    "X-Image-Meta-Checksum": "8a40c862b5735975d82605c1dd395796",
    "X-Image-Meta-Container_format": "aki",
    "X-Image-Meta-Created_at": "2016-01-06T03:22:20.000000",
    "X-Image-Meta-Deleted": "False",
    "X-Image-Meta-Disk_format": "aki",
    "X-Image-Meta-Id": "03bc0a8b-659c-4de9-b6bd-13c6e86e6455",
    "X-Image-Meta-Is_public": "True",
    "X-Image-Meta-Min_disk": "0",
    "X-Image-Meta-Min_ram": "0",
    "X-Image-Meta-Name": "cirros-0.3.4-x86_64-uec-kernel",
    "X-Image-Meta-Owner": "13cc6052265b41529e2fd0fc461fa8ef",
    "X-Image-Meta-Protected": "False",
    "X-Image-Meta-Size": "4979632",
    "X-Image-Meta-Status": "deactivated",
    "X-Image-Meta-Updated_at": "2016-02-25T03:02:05.000000",
}


def make_app(*objects: ImageMeta, **config: Any) -> Flask:
    """Return an application with these settings that serves these objects."""
    app = Flask("tests")
    app.testing = True
    app.config.update(config)
    for imagemeta in objects:
        imagemeta.init_app(app)
    return app


def make_client(image: Any, *, config: dict[str, Any] | None = None, **hooks: Any) -> FlaskClient:
    """Return a client of an application that has one image under any id, or none for None."""
    imagemeta = ImageMeta(lookup=lambda image_id: image, **hooks)
    return make_app(imagemeta, **(config or {})).test_client()


def metadata(response: Any) -> dict[str, str]:
    """Return a response's metadata headers, names in the case they were sent in."""
    return {k: v for k, v in response.headers.items() if k.startswith("X-Image-Meta-")}
