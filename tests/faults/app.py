"""The application that faults are tried on; environment variables say over which store."""

from __future__ import annotations

import json
import os
from functools import cached_property
from typing import Any

from dogpile.cache import make_region, register_backend
from dogpile.cache.backends.memcached import PyMemcacheBackend
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from pymemcache import HashClient
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase

from flask_imagemeta import ImageMeta, ImageMixin
from flask_imagemeta.stores import Cached, GlanceAPI, GlanceDatabase, ModelStore, cached

# Seconds; what a request may take in all follows from them.
CONNECT, STATEMENT, POOL, READ = 2, 1, 1, 2
POOL_SIZE = 3
DATABASE_BOUND = POOL + CONNECT + STATEMENT + 2
API_BOUND = CONNECT + READ
CACHE = 0.2  # time-out of the cache, each for a connection and a command
FRESH, STALE = 0.2, 60  # of the cache: short, so that it is read and written all the time
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


def make_lookup(app: Flask, store: str, url: str) -> Any:
    if store == "Cached":
        return make_cached(GlanceAPI(url, connect_timeout=CONNECT, read_timeout=READ))
    if store == "GlanceAPI":
        return GlanceAPI(url, connect_timeout=CONNECT, read_timeout=READ)
    if store == "GlanceDatabase":
        return GlanceDatabase(
            url,
            connect_timeout=CONNECT,
            statement_timeout=STATEMENT,
            pool_size=POOL_SIZE,
            pool_timeout=POOL,
        )
    connect_args = CONNECT_ARGS[url.partition("+")[0]]
    options = {**MODEL_OPTIONS, "connect_args": connect_args}
    if store == "Replica":  # with a primary that nothing asks
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
        db.init_app(app)
        return ModelStore(Image, engine=create_engine(url, **options))
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = options
    db.init_app(app)
    return ModelStore(Image)


def make_cached(store: Any) -> Cached:
    """Return a store with a cache, set up as the page on it advises."""
    if os.environ.get("FAULTS_VERSION"):
        use_another_version()
    region = make_region(
        serializer=lambda value: json.dumps(value).encode(), deserializer=json.loads
    )
    url = os.environ["FAULTS_CACHE"]
    region.configure(
        "dogpile.cache.redis" if url.startswith("redis:") else "faults.memcached",
        expiration_time=float(os.environ.get("FAULTS_FRESH", FRESH)),
        arguments={
            "url": url,
            "distributed_lock": "FAULTS_LOCK" in os.environ,
            "lock_timeout": 10,
            **(redis_options() if url.startswith("redis:") else MEMCACHED_OPTIONS),
        },
    )
    return Cached(store, region, stale_if_error=float(os.environ.get("FAULTS_STALE", "0")))


def redis_options() -> dict[str, Any]:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return {
        "redis_expiration_time": STALE + 60,
        "thread_local_lock": False,
        "socket_timeout": CACHE,
        "socket_connect_timeout": CACHE,
        "connection_kwargs": {"retry": Retry(NoBackoff(), 0)},
    }


MEMCACHED_OPTIONS = {"memcached_expire_time": STALE + 60}


class Memcached(PyMemcacheBackend):
    """dogpile.cache's backend, with timeouts."""

    @cached_property
    def client(self) -> HashClient:
        return HashClient(
            self.url,
            connect_timeout=CACHE,
            timeout=CACHE,
            dead_timeout=1,
            retry_attempts=0,
            default_noreply=False,
            use_pooling=True,
        )


register_backend("faults.memcached", __name__, "Memcached")


def use_another_version() -> None:
    """Write and read another format, as a version of the package to come may."""
    write, read = cached.to_plain_data, cached.from_plain_data

    def read_another(data: str) -> Any:
        number, image = json.loads(data)
        assert number == cached.VERSION
        return read(image)

    cached.VERSION += 1
    cached.to_plain_data = lambda image: json.dumps([cached.VERSION, write(image)])
    cached.from_plain_data = read_another


def create_app() -> Flask:
    app = Flask(__name__)
    ImageMeta(app, lookup=make_lookup(app, os.environ["FAULTS_STORE"], os.environ["FAULTS_URL"]))
    return app
