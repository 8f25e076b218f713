"""The application whose commands the tests run: two ImageMeta objects, one of them a store."""

from __future__ import annotations

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
    app.wsgi_app = refuse  # type: ignore[method-assign]
    with app.app_context():
        db.create_all()
    return app
