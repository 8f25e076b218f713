"""The applications as servers find them: ``server:make_app()``, named by the environment."""

import os

import apps
from flask import Flask


def make_app() -> Flask:
    """Return the application BENCHMARK_APP, on the database or the Glance at BENCHMARK_URL."""
    return apps.APPS[os.environ["BENCHMARK_APP"]](os.environ["BENCHMARK_URL"])
