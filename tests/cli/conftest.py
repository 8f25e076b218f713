from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from .apps import Image, create_app, db

Run = Callable[..., Result]
Put = Callable[..., None]


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'images.sqlite'}"


@pytest.fixture
def command_app(uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setenv("FLASK_SQLALCHEMY_DATABASE_URI", uri)
    app = create_app()
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def run(command_app: Flask) -> Run:
    """Run a command of the group in this process."""
    runner = command_app.test_cli_runner()

    def run(*arguments: object) -> Result:
        result = runner.invoke(args=["imagemeta", *map(str, arguments)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def put(command_app: Flask) -> Put:
    """Put images with these fields into the store."""

    def put(*images: dict[str, Any]) -> None:
        with command_app.app_context():
            db.session.add_all(Image(**image) for image in images)
            db.session.commit()

    return put


@pytest.fixture
def stored_images(command_app: Flask) -> Callable[[], list[Image]]:
    """Return the images in the store, by name."""

    def images() -> list[Image]:
        with command_app.app_context():
            return list(db.session.scalars(db.select(Image).order_by(Image.name)))

    return images
