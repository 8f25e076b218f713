"""The application that faults are tried on; environment variables say over which store."""

from __future__ import annotations

import os

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from flask_imagemeta import ImageMeta, ImageMixin
from flask_imagemeta.stores import GlanceAPI, GlanceDatabase, ModelStore

# Seconds; what a request may take in all follows from them.
CONNECT, STATEMENT, POOL, READ = 2, 1, 1, 2
POOL_SIZE = 3
DATABASE_BOUND = POOL + CONNECT + STATEMENT + 2
API_BOUND = CONNECT + READ
# A host's own engine needs its own time-outs; these are what the documentation advises.
MODEL_OPTIONS = {
    "pool_pre_ping": True,
    "pool_size": POOL_SIZE,
    "max_overflow": 0,
    "pool_timeout": POOL,
}
CONNECT_ARGS = {
    "postgresql": {"connect_timeout": CONNECT, "options": f"-c statement_timeout={STATEMENT}000"},
    "mariadb": {"connect_timeout": CONNECT, "read_timeout": STATEMENT, "write_timeout": STATEMENT},
}


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Image(ImageMixin, db.Model):
    pass


def create_app() -> Flask:
    app = Flask(__name__)
    store, url = os.environ["FAULTS_STORE"], os.environ["FAULTS_URL"]
    if store == "GlanceAPI":
        lookup = GlanceAPI(url, connect_timeout=CONNECT, read_timeout=READ)
    elif store == "GlanceDatabase":
        lookup = GlanceDatabase(
            url,
            connect_timeout=CONNECT,
            statement_timeout=STATEMENT,
            pool_size=POOL_SIZE,
            pool_timeout=POOL,
        )
    else:
        connect_args = CONNECT_ARGS[url.partition("+")[0]]
        app.config["SQLALCHEMY_DATABASE_URI"] = url
        app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {**MODEL_OPTIONS, "connect_args": connect_args}
        db.init_app(app)
        lookup = ModelStore(Image)
    ImageMeta(app, lookup=lookup)
    return app
