"""A real Chromium, and a real server for it to talk to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.serving import make_server

from example_app import create_app, db

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Playwright

# The browser talks to nobody on its own; no GPU is needed to draw a page.
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def find_chromium() -> str | None:
    """Return the path of the system's own Chromium, None where there is none."""
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
def serve(app: Flask) -> Iterator[str]:
    """Serve an application on a free port of this machine; yield its origin."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serve_example(folder: Path) -> Iterator[str]:
    """Serve the example app with its data in a database of its own."""
    app = create_app({"SQLALCHEMY_DATABASE_URI": f"sqlite:///{folder / 'images.sqlite'}"})
    with serve(app) as origin:
        yield origin
    with app.app_context():
        db.engine.dispose()
