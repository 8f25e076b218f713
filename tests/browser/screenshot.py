"""Take the documentation's picture of the demo page.

Usage: python -m tests.browser.screenshot docs/demo.png
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import expect, sync_playwright

from .chromium import find_chromium, launch, serve_example


def main(path: str) -> None:
    chromium = find_chromium()
    if chromium is None:
        sys.exit("No Chromium is installed: apt-get install chromium")
    with (
        TemporaryDirectory() as folder,
        serve_example(Path(folder)) as origin,
        sync_playwright() as playwright,
        launch(playwright, chromium) as browser,
    ):
        page = browser.new_page(viewport={"width": 1280, "height": 920}, color_scheme="light")
        page.goto(origin)
        page.get_by_role("radio", name="other").check()
        page.get_by_role("button", name="Ubuntu").click()
        page.mouse.move(0, 0)
        expect(page.locator("#core")).to_contain_text("Größe")
        expect(page.locator(".answer strong")).to_have_count(page.locator("tr.image").count())
        page.screenshot(path=path)


if __name__ == "__main__":
    main(*sys.argv[1:])
