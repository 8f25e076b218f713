"""Real proxies, with the pages' settings, pass the largest answer that is sent by default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from flask_imagemeta import ImageMeta

from ..docs.test_examples import serve
from .programs import apache, blocks, haproxy, head, nginx

pytestmark = pytest.mark.slow

LOCATION, _ = blocks("caching.md", "nginx")
(HAPROXY,) = blocks("caching.md", "haproxy")
(APACHE,) = blocks("caching.md", "apache")

# What runs a proxy, its settings on the page, and without what our headers need.
PROXIES = {
    "nginx": (nginx, LOCATION, re.sub(r"(?m)^.*proxy_buffer.*\n", "", LOCATION)),
    "haproxy": (haproxy, HAPROXY, HAPROXY.replace("tune.bufsize 32768", "")),
    "apache": (apache, APACHE, APACHE.replace("responsefieldsize=32768", "")),
}


@pytest.fixture
def proxied_port() -> Iterator[int]:
    """Serve images with all the metadata that fit by default; yields the port."""
    app = Flask(__name__)
    properties = {f"note{n}": "x" * 500 for n in range(40)}
    images = {
        "large": {"id": "large", "properties": properties},
        "long": {"id": "long", "name": "x" * 15_000, "properties": {"a": "x" * 500}},
    }
    ImageMeta(app, lookup=images.get)
    with serve(app) as port:
        yield port


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_with_the_pages_settings_passes_the_largest_answer(
    name: str, proxied_port: int, tmp_path: Path
) -> None:
    """With the settings that the caching page gives, a proxy passes 16 KiB of metadata on."""
    run, settings, _ = PROXIES[name]
    with run(settings, proxied_port, tmp_path) as port:
        response = head(port, "/v1/images/large")
        long = head(port, "/v1/images/long")
    assert response.status == long.status == 200
    assert sum(len(k) + len(v) + 4 for k, v in response.getheaders()) > 15_000
    assert int(response.headers["X-Imagemeta-Omitted-Properties"]) > 0
    assert len(long.headers["X-Image-Meta-Name"]) == 15_000


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_as_it_comes_refuses_the_largest_answer(
    name: str, proxied_port: int, tmp_path: Path
) -> None:
    """Without them, such an answer is an error of the proxy's."""
    run, _, settings = PROXIES[name]
    with run(settings, proxied_port, tmp_path) as port:
        assert head(port, "/v1/images/long").status in (500, 502)
