"""The applications compared: ours, and the views that a competent user would write instead.

The hand-written views are correct: the same metadata headers, the same encoding, None
omitted, a request id, the caching headers; and fast: anything that can be
precomputed is. `LEFT_OUT` lists what they lack, for the page with the figures.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

import models
import requests
from databases import REDIS
from dogpile.cache import CacheRegion, make_region
from flask import Flask, Response, abort, request
from image import FIELDS, IMAGE_ID, PROPERTIES
from marshmallow import Schema, fields
from models import Image, ImageProperty, db
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.orm import Session

from flask_imagemeta import ImageMeta
from flask_imagemeta.stores import Cached, GlanceAPI, ModelStore

PATH = f"/v1/images/{IMAGE_ID}"
LEFT_OUT = (
    "access, ETag, Last-Modified, conditions, the size check, limits, control characters, "
    "colliding or odd property names, 503, signals"
)
COMMON = {
    "Cache-Control": "private, no-cache",
    "Vary": "X-Auth-Token, Authorization, Cookie",
}


def make_model_app(url: str) -> Flask:
    """Ours, with ModelStore over the application's session."""
    app = models.make_app(url)
    ImageMeta(app, lookup=ModelStore(Image))
    return app


def make_model_engine_app(url: str) -> Flask:
    """Ours, with ModelStore over a connection of its own."""
    app = models.make_app(url)
    ImageMeta(app, lookup=ModelStore(Image, engine=lambda: db.engine))
    return app


EXPIRATION = 60  # seconds


def memory_region() -> CacheRegion:
    return make_region().configure("dogpile.cache.memory", expiration_time=EXPIRATION)


def redis_region() -> CacheRegion:
    """Return a region in Redis, set up as the page on shared caches says."""
    region = make_region(
        serializer=lambda value: json.dumps(value).encode(), deserializer=json.loads
    )
    arguments = {
        "url": REDIS,
        "redis_expiration_time": 2 * EXPIRATION,
        "distributed_lock": True,
        "thread_local_lock": False,
        "lock_timeout": 10,
        "socket_timeout": 1,
    }
    return region.configure("dogpile.cache.redis", expiration_time=EXPIRATION, arguments=arguments)


def make_cached_app(url: str, region: CacheRegion) -> Flask:
    """Ours, with ModelStore behind a cache, under keys that no other run has."""
    app = models.make_app(url)
    ImageMeta(app, lookup=Cached(ModelStore(Image), region, namespace=uuid4().hex))
    return app


def make_glance_app(url: str) -> Flask:
    """Ours, with the Glance at url as the store."""
    app = Flask("benchmark")
    ImageMeta(app, lookup=GlanceAPI(url))
    return app


def make_cached_glance_app(url: str, region: CacheRegion) -> Flask:
    """Ours, with the Glance at url behind a cache."""
    app = Flask("benchmark")
    ImageMeta(app, lookup=Cached(GlanceAPI(url), region, namespace=uuid4().hex))
    return app


def make_dict_app() -> Flask:
    """Ours, with the image in a dict."""
    app = Flask("benchmark")
    ImageMeta(app, lookup={IMAGE_ID: FIELDS | {"properties": PROPERTIES}}.get)
    return app


def as_header(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return str(value).encode().decode("latin-1")


def header_name(prefix: str, name: str) -> str:
    return prefix + "-".join(piece.capitalize() for piece in name.split("-"))


CORE_HEADERS = {name: header_name("X-Image-Meta-", name) for name in sorted(FIELDS)}


NO_PROPERTIES = ("tags", "self", "file", "schema")  # of API v2's keys


FIND_IMAGE = select(Image.__table__).where(Image.__table__.c.id == bindparam("image_id"))
FIND_PROPERTIES = (
    select(ImageProperty.__table__.c.name, ImageProperty.__table__.c.value)
    .where(ImageProperty.__table__.c.image_id == bindparam("image_id"))
    .order_by(ImageProperty.__table__.c.name)
)


def show_with_core(database: Session | Connection, image_id: str) -> Response:
    """SQLAlchemy Core: one select for the image's row, one for the rows of its properties."""
    row = database.execute(FIND_IMAGE, {"image_id": image_id}).mappings().first()
    if row is None:
        abort(404)
    headers = {"X-Openstack-Request-Id": f"req-{uuid4()}", **COMMON}
    for name, header in CORE_HEADERS.items():
        if row[name] is not None:
            headers[header] = as_header(row[name])
    for name, value in database.execute(FIND_PROPERTIES, {"image_id": image_id}):
        if value is not None:
            headers[header_name("X-Image-Meta-Property-", name)] = as_header(value)
    return Response(headers=headers)


def make_core_app(url: str) -> Flask:
    """SQLAlchemy Core over the application's session, as is usual with Flask-SQLAlchemy."""
    app = models.make_app(url)

    @app.route("/v1/images/<image_id>", methods=["HEAD"])
    def show_image(image_id: str) -> Response:
        return show_with_core(db.session, image_id)

    return app


def make_engine_app(url: str) -> Flask:
    """SQLAlchemy Core over the engine: faster, but blind to the session and its transaction."""
    app = models.make_app(url)

    @app.route("/v1/images/<image_id>", methods=["HEAD"])
    def show_image(image_id: str) -> Response:
        with db.engine.connect() as connection:
            return show_with_core(connection, image_id)

    return app


class PlainSchema(Schema):
    """An image as most APIs would dump it, for a view that makes headers of what comes out."""

    checksum = fields.String()
    container_format = fields.String()
    created_at = fields.DateTime(format="%Y-%m-%dT%H:%M:%S.%f")
    deleted = fields.Boolean()
    deleted_at = fields.DateTime(format="%Y-%m-%dT%H:%M:%S.%f")
    disk_format = fields.String()
    id = fields.String()
    is_public = fields.Boolean()
    min_disk = fields.Integer()
    min_ram = fields.Integer()
    name = fields.String()
    owner = fields.String()
    protected = fields.Boolean()
    size = fields.Integer()
    status = fields.String()
    updated_at = fields.DateTime(format="%Y-%m-%dT%H:%M:%S.%f")
    virtual_size = fields.Integer()
    properties = fields.Function(lambda image: {row.name: row.value for row in image.properties})


def make_idiomatic_app(url: str) -> Flask:
    """The idioms of Flask-SQLAlchemy and marshmallow: an entity, its relationship, a schema."""
    app = models.make_app(url)
    schema = PlainSchema()

    @app.route("/v1/images/<image_id>", methods=["HEAD"])
    def show_image(image_id: str) -> Response:
        image = db.session.get(Image, image_id)
        if image is None:
            abort(404)
        dumped = schema.dump(image)
        properties = dumped.pop("properties")
        response = Response()
        response.headers["X-Openstack-Request-Id"] = f"req-{uuid4()}"
        response.headers.update(COMMON)
        for name, value in dumped.items():
            if value is not None:
                response.headers[header_name("X-Image-Meta-", name)] = as_header(value)
        for name, value in sorted(properties.items()):
            if value is not None:
                header = header_name("X-Image-Meta-Property-", name)
                response.headers[header] = as_header(value)
        return response

    return app


def make_proxy_app(url: str) -> Flask:
    """A bare proxy: requests asks the Glance at url, and what it says becomes headers."""
    app = Flask("benchmark")
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=32))

    @app.route("/v1/images/<image_id>", methods=["HEAD"])
    def show_image(image_id: str) -> Response:
        token = {"X-Auth-Token": request.headers.get("X-Auth-Token")}
        answer = session.get(f"{url}/v2/images/{image_id}", headers=token, timeout=(2, 5))
        if answer.status_code != 200:
            abort(404 if answer.status_code == 404 else 503)
        image = answer.json()
        headers = {"X-Openstack-Request-Id": f"req-{uuid4()}", **COMMON}
        headers["X-Image-Meta-Is_public"] = str(image.pop("visibility") == "public")
        headers["X-Image-Meta-Deleted"] = "False"
        for name, value in image.items():
            if value is None or name in NO_PROPERTIES:
                continue
            is_time = name.endswith("_at")
            header = CORE_HEADERS.get(name) or header_name("X-Image-Meta-Property-", name)
            headers[header] = as_header(
                datetime.fromisoformat(value.replace("Z", "")) if is_time else value
            )
        return Response(headers=headers)

    return app


def make_constant_app() -> Flask:
    """A bare view that returns the same headers from a constant: the least that Flask costs."""
    app = Flask("benchmark")
    headers = dict(make_dict_app().test_client().head(PATH).headers)

    @app.route("/v1/images/<image_id>", methods=["HEAD"])
    def show_image(image_id: str) -> Response:
        return Response(headers=headers)

    return app


# Every application, by name; each gets the URL of a database, or of a Glance where it asks one.
APPS: dict[str, Callable[[str], Flask]] = {
    "model": make_model_app,
    "model, engine": make_model_engine_app,
    "core": make_core_app,
    "engine": make_engine_app,
    "idiomatic": make_idiomatic_app,
    "dict": lambda url: make_dict_app(),
    "constant": lambda url: make_constant_app(),
    "cached, memory": lambda url: make_cached_app(url, memory_region()),
    "cached, redis": lambda url: make_cached_app(url, redis_region()),
    "glance": make_glance_app,
    "glance, memory": lambda url: make_cached_glance_app(url, memory_region()),
    "glance, redis": lambda url: make_cached_glance_app(url, redis_region()),
    "proxy": make_proxy_app,
}
