"""Fixtures for all tests, and the summary of what was skipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from example_app import create_app, db
from flask_imagemeta import ImageMeta

from .apps import EXAMPLE, make_app
from .needs import needs


@pytest.fixture
def images() -> dict[str, Any]:
    """What the application's lookup finds; a test adds to it or changes it."""
    return {EXAMPLE["id"]: dict(EXAMPLE)}


@pytest.fixture
def imagemeta(images: dict[str, Any]) -> ImageMeta:
    """The application's ImageMeta; a test sets hooks on it before its first request."""
    return ImageMeta(lookup=images.get)


@pytest.fixture
def app(imagemeta: ImageMeta) -> Flask:
    """The application that pytest-flask's `client` asks."""
    return make_app(imagemeta)


@pytest.fixture
def demo_app(tmp_path: Path) -> Iterator[Flask]:
    """The example app with its data, in its own database."""
    app = create_app({"SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'images.sqlite'}"})
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def as_coroutine() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a function that makes a coroutine function of a plain one."""
    if find_spec("asgiref") is None:
        needs("flask[async]")

    def convert(function: Callable[..., Any]) -> Callable[..., Any]:
        async def coroutine(*args: Any) -> Any:
            return function(*args)

        return coroutine

    return convert


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report each missing requirement once, with the number of tests that need it."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    if reasons:
        terminalreporter.section("not run here")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count:5} tests: {reason}")
