"""The application whose commands the tests run: two ImageMeta objects, one of them a store."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

from flask import Flask, abort, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from flask_imagemeta import Identity, ImageMeta, ImageMixin
from flask_imagemeta.stores import ModelStore


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Image(ImageMixin, db.Model):
    pass


def identity() -> Identity | None:
    token = request.headers.get("X-Auth-Token")
    return Identity(project_id=token) if token else None


def only_with_token() -> Identity | None:
    return identity() or abort(401)


def refuse(environ: Any, start_response: Any) -> list[bytes]:
    start_response("401 Unauthorized", [("Content-Length", "0")])
    return []


class Walked:
    """A store that can be walked and finds none of its images."""

    def __init__(self, *images: Any) -> None:
        self.images = images

    def __call__(self, image_id: str) -> None:
        return None

    def walk(self) -> Iterator[Any]:
        yield from self.images


class Interrupted:
    """A store whose user presses Ctrl-C while it is walked."""

    def __call__(self, image_id: str) -> None:
        return None

    def walk(self) -> Iterator[dict[str, Any]]:
        # A process that was started in the background ignores the signal.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGINT)
        yield {"id": "a"}


class Broken(Interrupted):
    def walk(self) -> Iterator[dict[str, Any]]:
        raise ZeroDivisionError("in the store")


FIRMWARE = {"bios": {"id": "bios", "name": "SeaBIOS", "size": 131072, "status": "active"}}


def create_app() -> Flask:
    """Return the application for the database that the environment names."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    app.config["FIRMWARE_URL_PREFIX"] = "/firmware/v1"
    app.config.from_prefixed_env()
    db.init_app(app)
    ImageMeta(lookup=ModelStore(Image), identity=identity).init_app(app)
    ImageMeta(name="firmware", lookup=FIRMWARE.get, identity=only_with_token).init_app(app)
    app.config["INTERRUPTED_URL_PREFIX"], app.config["BROKEN_URL_PREFIX"] = (
        "/interrupted",
        "/broken",
    )
    ImageMeta(name="interrupted", lookup=Interrupted()).init_app(app)
    ImageMeta(name="broken", lookup=Broken()).init_app(app)
    app.wsgi_app = refuse  # type: ignore[method-assign]
    with app.app_context():
        db.create_all()
    return app
