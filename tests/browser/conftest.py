"""The browser tests' fixtures: skipped without Playwright or without a Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from ..needs import needs
from .chromium import find_chromium, launch, serve_example

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page


# Not for the session: while Playwright runs, its event loop is in the way of other tests' own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        needs("Playwright: python3 tools/venv.py test browser")
    path = find_chromium()
    if path is None:
        needs("a Chromium: apt-get install chromium")
    with sync_playwright() as playwright, launch(playwright, path) as browser:
        yield browser


@pytest.fixture(scope="package")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return where the example app is served."""
    with serve_example(tmp_path_factory.mktemp("example")) as origin:
        yield origin


@pytest.fixture
def expect(browser: Browser) -> Callable[..., Any]:
    """Return Playwright's assertions, which wait for what they expect."""
    from playwright.sync_api import expect

    expect.set_options(timeout=10_000)
    return expect


@pytest.fixture
def context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """Return a fresh profile of the browser; a parametrized test gives its options."""
    with browser.new_context(**getattr(request, "param", {})) as context:
        context.set_default_timeout(10_000)
        yield context


@pytest.fixture
def page(context: BrowserContext, origin: str) -> Page:
    """Return the demo page, its first answers shown."""
    page = context.new_page()
    page.goto(origin)
    page.locator("#http dt").first.wait_for()
    page.locator("td.answer strong").last.wait_for()
    return page
