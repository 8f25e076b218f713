"""The applications as servers find them: ``server:make_app()``, named by the environment."""

import os

import apps
from flask import Flask


def make_app() -> Flask:
    """Return the application that BENCHMARK_APP names, on the database BENCHMARK_URL."""
    name, url = os.environ["BENCHMARK_APP"], os.environ["BENCHMARK_URL"]
    made = {
        "model": lambda: apps.make_model_app(url),
        "core": lambda: apps.make_core_app(url),
        "idiomatic": lambda: apps.make_idiomatic_app(url),
        "constant": apps.make_constant_app,
        "dict": apps.make_dict_app,
    }
    return made[name]()
