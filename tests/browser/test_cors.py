"""What docs/cors.md says, in a real browser: the page on one port, the API on another."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask

from ..local_server import serve_origin

pytestmark = pytest.mark.browser

GUIDE = (Path(__file__).parents[2] / "docs" / "cors.md").read_text(encoding="utf-8")


def blocks(language: str) -> str:
    """Return the guide's code in one language, in one piece."""
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL))


@pytest.fixture
def dashboard(context):
    """Return a page of another origin than the API's."""
    app = Flask("dashboard")
    app.add_url_rule("/", view_func=lambda: "<!doctype html><title>Dashboard</title>")
    with serve_origin(app) as origin:
        page = context.new_page()
        page.goto(origin)
        yield page


def run_guide(dashboard, **changes: str):
    """Return the guide's own names, its code run for the dashboard's origin."""
    origin = dashboard.evaluate("location.origin")
    code = blocks("python").replace("https://dashboard.example.com", origin)
    for old, new in changes.items():
        assert old in code
        code = code.replace(old, new)
    names = {"__name__": "guide"}
    exec(code, names)
    return names


def ask(dashboard, api: str, code: str = blocks("js")):
    """Return what the guide's script reads from an API at another address."""
    script = code.replace("https://images.example.com", api)
    return dashboard.evaluate(
        f"async () => {{ {script};return [response.status, name, distro, text('ETag') !== null]; }}"
    )


def test_headers_are_readable(dashboard):
    """With the guide's settings a page of another origin reads every image header and the ETag."""
    with serve_origin(run_guide(dashboard)["app"]) as api:
        assert ask(dashboard, api) == [200, "CirrOS, kleinste Größe", "cirros", True]


def test_repeat_is_304(dashboard):
    """A page of another origin that sends the ETag as If-None-Match sees the 304."""
    repeat = """async (url) => {
      const headers = { "X-Auth-Token": "secret" };
      const first = await fetch(url, { method: "HEAD", headers, cache: "no-store" });
      headers["If-None-Match"] = first.headers.get("ETag");
      return (await fetch(url, { method: "HEAD", headers, cache: "no-store" })).status;
    }"""
    with serve_origin(run_guide(dashboard)["app"]) as api:
        assert dashboard.evaluate(repeat, f"{api}/v1/images/cirros") == 304


def test_with_cookies(dashboard):
    """With credentials, the headers that the guide lists by name are readable."""
    code = blocks("js").replace('method: "HEAD",', 'method: "HEAD", credentials: "include",')
    with serve_origin(run_guide(dashboard)["cookie_app"]) as api:
        assert ask(dashboard, api, code) == [200, "CirrOS, kleinste Größe", "cirros", True]


def test_wildcard_fails_with_cookies(dashboard):
    """With credentials the wildcard exposes nothing, which is why the guide lists names."""
    code = blocks("js").replace('method: "HEAD",', 'method: "HEAD", credentials: "include",')
    names = run_guide(dashboard, **{"expose_headers=exposed": 'expose_headers="*"'})
    with serve_origin(names["cookie_app"]) as api:
        assert ask(dashboard, api, code) == [200, None, None, False]


def test_unexposed_headers_are_missing(dashboard):
    """Without exposed headers a page gets the status and finds every image header missing."""
    names = run_guide(dashboard, **{'expose_headers="*"': "expose_headers=None"})
    with serve_origin(names["app"]) as api:
        assert ask(dashboard, api) == [200, None, None, False]


def test_other_origins_are_refused(dashboard):
    """A page of an origin that is not listed gets no answer."""
    origin = dashboard.evaluate("location.origin")
    names = run_guide(dashboard, **{origin: "https://elsewhere.example.com"})
    with serve_origin(names["app"]) as api:
        refused = dashboard.evaluate(
            """(url) => fetch(url, { method: "HEAD" }).then(() => false, () => true)""",
            f"{api}/v1/images/cirros",
        )
    assert refused
