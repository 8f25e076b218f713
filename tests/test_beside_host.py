"""An application's own routes, hosts and subdomains, beside ours."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, Response

from flask_imagemeta import ConfigurationError, ImageMeta

from .apps import EXAMPLE, PATH, make_app

pytestmark = pytest.mark.core

IMAGE = {**EXAMPLE, "id": "7"}


def make_imagemeta() -> ImageMeta:
    return ImageMeta(lookup={"7": IMAGE}.get)


def serve_data(**parts: object) -> str:
    return "data"


@pytest.mark.parametrize(
    "part",
    ["<int:i>", "<name>", "<string(length=1):i>", "<any('7', '8'):i>", "<path:p>", "<float:f>"],
)
@pytest.mark.parametrize("is_host_first", [True, False])
def test_a_host_keeps_get_of_the_same_address(part: str, is_host_first: bool) -> None:
    """GET is the host's and HEAD is ours, in any order, whatever converter the host's rule has."""
    app = Flask("tests")
    path = "/v1/images/7.0" if "float" in part else "/v1/images/7"
    imagemeta = ImageMeta(lookup=lambda image_id: IMAGE)
    if not is_host_first:
        imagemeta.init_app(app)
    app.add_url_rule(f"/v1/images/{part}", view_func=serve_data)
    if is_host_first:
        imagemeta.init_app(app)
    client = app.test_client()
    assert client.get(path).text == "data"
    assert client.head(path).headers["X-Image-Meta-Id"] == "7"
    assert client.options(path).headers["Allow"] == "GET, HEAD, OPTIONS"
    assert client.delete(path).headers["Allow"] == "GET, HEAD, OPTIONS"


def test_a_rule_without_a_parameter_is_the_hosts() -> None:
    """An address that the host serves by its full name is the host's, HEAD included."""
    app = make_app(make_imagemeta())
    app.add_url_rule("/v1/images/7", view_func=serve_data)
    assert "X-Image-Meta-Id" not in app.test_client().head("/v1/images/7").headers


def test_several_objects_beside_a_host() -> None:
    """Each of several objects keeps HEAD of its own addresses."""
    app = make_app(
        make_imagemeta(), ImageMeta(name="b", lookup={"7": IMAGE}.get), B_URL_PREFIX="/b"
    )
    app.add_url_rule("/<path:p>", view_func=serve_data)
    for path in ("/v1/images/7", "/b/images/7"):
        assert app.test_client().head(path).headers["X-Image-Meta-Id"] == "7"


# Hosts and subdomains


@pytest.mark.parametrize("host", ["images.example.com", "<host>", "<tenant>.example.com"])
def test_host(host: str) -> None:
    """In an application that matches hosts, the routes are on the host that is configured."""
    app = Flask("tests", host_matching=True, static_host="static.example.com")
    app.config["IMAGEMETA_HOST"] = host
    make_imagemeta().init_app(app)
    client = app.test_client()
    found = client.head("/v1/images/7", base_url="http://images.example.com")
    assert found.headers["X-Image-Meta-Id"] == "7"
    elsewhere = client.head("/v1/images/7", base_url="http://other.test")
    assert (elsewhere.status_code == 200) == (host == "<host>")
    assert client.get("/v1/images/7", base_url="http://images.example.com").status_code == 405


def test_subdomain() -> None:
    """In an application that matches subdomains, the routes are on the one configured."""
    app = Flask("tests", subdomain_matching=True)
    app.config.update(SERVER_NAME="example.com", IMAGEMETA_SUBDOMAIN="images")
    make_imagemeta().init_app(app)
    client = app.test_client()
    assert client.head("/v1/images/7", base_url="http://images.example.com").status_code == 200
    assert client.head("/v1/images/7", base_url="http://example.com").status_code == 404


def test_two_objects_under_one_prefix_on_two_subdomains() -> None:
    """The same prefix on another subdomain is another address."""
    app = Flask("tests", subdomain_matching=True)
    app.config.update(SERVER_NAME="example.com", B_SUBDOMAIN="b", C_SUBDOMAIN="b")
    make_imagemeta().init_app(app)
    ImageMeta(app, name="b", lookup=lambda image_id: None)
    with pytest.raises(RuntimeError, match="would both be mounted"):
        ImageMeta(app, name="c")


@pytest.mark.parametrize(
    ("options", "config", "key", "expected"),
    [
        ({}, {"IMAGEMETA_HOST": "a.test"}, "HOST", "does not match hosts"),
        ({"host_matching": True, "static_host": "a"}, {}, "HOST", "this application matches hosts"),
        ({"host_matching": True, "static_host": "a"}, {"IMAGEMETA_HOST": ""}, "HOST", "a host"),
        ({}, {"IMAGEMETA_SUBDOMAIN": "a"}, "SUBDOMAIN", "does not match subdomains"),
        ({"subdomain_matching": True}, {"IMAGEMETA_SUBDOMAIN": "a"}, "SUBDOMAIN", "SERVER_NAME"),
        (
            {"subdomain_matching": True},
            {"IMAGEMETA_SUBDOMAIN": 1, "SERVER_NAME": "a.test"},
            "SUBDOMAIN",
            "a subdomain such as",
        ),
    ],
)
def test_what_the_application_cannot_match(
    options: dict[str, Any], config: dict[str, Any], key: str, expected: str
) -> None:
    """A host or a subdomain that no request would reach fails at init_app."""
    app = Flask("tests", **options)
    app.config.update(config)
    with pytest.raises(ConfigurationError, match=f"IMAGEMETA_{key} is .*{expected}"):
        ImageMeta(app)


# Answers that the host makes on our routes


@pytest.mark.parametrize(
    ("headers", "control", "vary"),
    [
        ({"Cache-Control": "no-store", "Vary": "Accept"}, "no-store", "Accept, "),
        ({"cache-control": "public, max-age=9", "Vary": "cookie"}, "public, max-age=9", "cookie, "),
        ({}, None, ""),
    ],
)
def test_an_answer_before_the_request(
    headers: dict[str, str], control: str | None, vary: str
) -> None:
    """The host's own answer keeps its status, body and Cache-Control; our names join its Vary."""
    app = make_app(make_imagemeta())
    app.before_request(lambda: Response("closed", status=503, headers=headers))
    answer = app.test_client().head("/v1/images/7")
    assert answer.status_code == 503
    assert answer.headers.get("Cache-Control") == control
    ours = "X-Auth-Token, Authorization, Cookie, X-Image-Meta-Size"
    if vary == "cookie, ":
        ours = ours.replace("Cookie, ", "")
    assert answer.headers.getlist("Vary") == [f"{vary}{ours}"]
    assert len(answer.headers.getlist("X-Openstack-Request-Id")) == 1


def test_an_answer_before_a_method_is_refused() -> None:
    """It is the host's own, and kept, even where our route would have answered 405."""
    app = make_app(make_imagemeta())
    headers = {"Cache-Control": "max-age=7", "Content-Type": "text/plain"}
    app.before_request(lambda: Response("closed", status=503, headers=headers))
    answer = app.test_client().post("/v1/images/7")
    assert (answer.status_code, answer.data, answer.mimetype) == (503, b"closed", "text/plain")
    assert answer.headers["Cache-Control"] == "max-age=7"
    assert "X-Image-Meta-Size" in answer.headers["Vary"]


def test_an_answer_with_a_request_id_of_its_own() -> None:
    """The host's own request id is kept."""
    app = make_app(make_imagemeta())
    headers = {"X-Openstack-Request-Id": "req-mine"}
    app.before_request(lambda: Response(status=302, headers=headers))
    answer = app.test_client().head("/v1/images/7")
    assert answer.headers.getlist("X-Openstack-Request-Id") == ["req-mine"]
    assert "X-Image-Meta-Size" in answer.headers["Vary"]


def test_a_crash_goes_through_flask() -> None:
    """Flask's own handling of a crash stays: its handlers see it; the answer has no body."""
    app = make_app(
        ImageMeta(lookup=lambda image_id: 1 / 0),  # type: ignore[arg-type, return-value]
        PROPAGATE_EXCEPTIONS=False,
    )
    seen = []

    @app.errorhandler(500)
    def handle(error: Any) -> tuple[str, int, dict[str, str]]:
        seen.append(error.original_exception)
        return "<h1>Sorry</h1>", 500, {"X-Own": "1"}

    answer = app.test_client().open(PATH, method="HEAD")
    assert isinstance(seen[0], ZeroDivisionError)
    assert (answer.status_code, answer.data) == (500, b"")
    assert answer.headers["X-Own"] == "1"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Length"] == "0"
