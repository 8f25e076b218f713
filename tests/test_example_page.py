"""The demo page without a browser: its route, its markup and its headers."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

import example_app
from example_app import db
from example_app.seed import EXAMPLE_ID, FIRMWARE, IMAGES, TOKENS

STATIC = Path(example_app.__file__).parent / "static"


@pytest.fixture
def client(demo_app):
    return demo_app.test_client()


def test_lists_every_image(client):
    """The table lists every image of both stores, hidden and deleted ones too."""
    listed = re.findall(r'data-id="([^"]+)"', client.get("/").text)
    assert sorted(listed) == sorted([*(image["id"] for image in IMAGES), *FIRMWARE])


def test_offers_every_caller(client):
    """Each of the demo's tokens can be chosen, and no token."""
    callers = re.findall(r'name="caller" value="([^"]*)"', client.get("/").text)
    assert set(callers) == {"", "own", *TOKENS}


def test_names_the_mounts(client):
    """Each mount's URL and prefix reach the script through the markup."""
    text = client.get("/").text
    for url, prefix in [
        ("/v1/images/", "X-Image-Meta-"),
        ("/firmware/v1/images/", "X-Firmware-Meta-"),
    ]:
        assert re.search(rf'data-url="{url}"\s+data-prefix="{prefix}"', text)


def test_below_a_path(client):
    """Mounted below a path, the page names its files and images below that path."""
    text = client.get("/", environ_overrides={"SCRIPT_NAME": "/images-demo"}).text
    assert 'src="/images-demo/static/page.js"' in text
    assert 'data-url="/images-demo/v1/images/"' in text


def test_escapes_what_the_store_holds(demo_app, client):
    """Markup in an image's name is shown as text."""
    with demo_app.app_context():
        db.session.get(example_app.Image, EXAMPLE_ID).name = "<script>alert(1)</script>"
        db.session.commit()
    text = client.get("/").text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/static/page.css"])
def test_protective_headers(client, path):
    """The page and its files say that only their own host's content is to be loaded."""
    with client.get(path) as answer:
        assert answer.status_code == 200
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy.split("; ")
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_api_answers_are_untouched(client):
    """The API's own answers carry nothing of the page's."""
    answer = client.head(f"/v1/images/{EXAMPLE_ID}")
    assert answer.status_code == 200
    assert "Content-Security-Policy" not in answer.headers


def test_no_inline_script_or_style(client):
    """No script, style or handler stands in the markup, where the policy would refuse it."""
    text = client.get("/").text
    assert re.findall(r"<script(?![^>]*\ssrc=)", text) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", text) == []


def test_no_other_host(client):
    """Neither the markup nor the files name another host."""
    files = [path.read_text() for path in STATIC.iterdir()]
    hosts = re.findall(r"(?:https?:)?//[\w.-]+\.\w+", "".join([client.get("/").text, *files]))
    assert set(hosts) <= {"http://www.w3.org"}  # the name of SVG, never fetched


def test_controls_are_labelled(client):
    """Every field stands in a label, and every heading level follows the one above it."""
    text = client.get("/").text
    outside = re.sub(r"<label.*?</label>", "", text, flags=re.DOTALL)
    assert re.findall(r"<(?:input|select)", outside) == []
    levels = [int(level) for level in re.findall(r"<h([1-6])", text)]
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))
