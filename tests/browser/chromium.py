"""A real Chromium, and a real server for it to talk to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from example_app import create_app, db

from ..local_server import serve_origin

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Playwright

# The browser talks to nobody on its own; no GPU is needed to draw a page.
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def find_chromium() -> str | None:
    """Return the path of the system's own Chromium, None if there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def launch(playwright: Playwright, path: str) -> Browser:
    """Start the browser; without its sandbox, which root cannot use and our own page needs not."""
    return playwright.chromium.launch(
        executable_path=path,
        chromium_sandbox=False,
        args=[*QUIET, "--disable-gpu", "--no-first-run"],
    )


@contextmanager
def serve_example(folder: Path) -> Iterator[str]:
    """Serve the example app with its data in its own database."""
    app = create_app({"SQLALCHEMY_DATABASE_URI": f"sqlite:///{folder / 'images.sqlite'}"})
    with serve_origin(app) as origin:
        yield origin
    with app.app_context():
        db.engine.dispose()
