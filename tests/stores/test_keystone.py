"""keystone_identity behind the real keystonemiddleware, which asks a small Keystone v3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

import pytest
from flask import Flask
from werkzeug.test import Client, TestResponse

from flask_imagemeta import ImageMeta, ImageRecord, keystone_identity

from ..faults.servers import Memcached
from ..local_server import LocalServer, serving
from ..proxies.programs import blocks

# WebOb, which the middleware brings, imports modules that Python gives up.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

PRIVATE = ImageRecord(id="private", owner="projA", visibility="private")
PUBLIC = ImageRecord(id="public", owner="projA", visibility="public")
SERVICE = "the-service-token"
TOKENS = {
    "owner": ("projA", ["member"]),
    "stranger": ("projB", ["member", "reader"]),
    "admin": ("projB", ["admin"]),
    "expired": ("projA", ["member"]),
    SERVICE: ("service", ["service"]),
}
# What the middleware puts into the environment, from a client that would like to be an admin.
SPOOFED = {
    "X-Identity-Status": "Confirmed",
    "X-Project-Id": "projA",
    "X-Roles": "admin",
    "X-User-Id": "mallory",
}

Send = Callable[..., TestResponse]


class Keystone(BaseHTTPRequestHandler):
    """The part of Keystone's API v3 that auth_token uses."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []  # the tokens that it was asked about

    @property
    def url(self) -> str:
        return f"http://{self.headers['Host']}/v3/"

    def do_GET(self) -> None:
        if not self.path.startswith("/v3/auth/tokens"):
            links = [{"rel": "self", "href": self.url}]
            version = {"id": "v3.14", "status": "stable", "links": links}
            if self.path == "/":
                self.send(300, {"versions": {"values": [version]}})
            else:
                self.send(200, {"version": version})
        elif self.headers["X-Auth-Token"] != SERVICE:
            self.send(401, {"error": {"code": 401, "message": "who asks?", "title": ""}})
        elif (token := self.headers["X-Subject-Token"]) in TOKENS:
            self.asked.append(token)
            self.send(200, {"token": describe(token, self.url)})
        else:
            self.send(404, {"error": {"code": 404, "message": "no such token", "title": ""}})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send(201, {"token": describe(SERVICE, self.url)}, {"X-Subject-Token": SERVICE})

    def send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass


def describe(token: str, url: str) -> dict[str, Any]:
    """Return what the Keystone at a URL says of a token."""
    endpoints = [
        {"id": interface, "interface": interface, "region": "One", "region_id": "One", "url": url}
        for interface in ("public", "internal", "admin")
    ]
    project, roles = TOKENS[token]
    now = datetime.now(timezone.utc)
    life = timedelta(hours=-1 if token == "expired" else 1)
    domain = {"id": "default", "name": "Default"}
    return {
        "methods": ["password"],
        "user": {"id": "user", "name": "user", "domain": domain},
        "project": {"id": project, "name": project, "domain": domain},
        "roles": [{"id": role, "name": role} for role in roles],
        "audit_ids": ["audit"],
        "issued_at": f"{now - timedelta(hours=2):%Y-%m-%dT%H:%M:%S.000000Z}",
        "expires_at": f"{now + life:%Y-%m-%dT%H:%M:%S.000000Z}",
        "catalog": [{"type": "identity", "id": "k", "name": "keystone", "endpoints": endpoints}],
    }


@pytest.fixture(scope="module")
def keystone() -> Iterator[str]:
    server = LocalServer(("127.0.0.1", 0), Keystone)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(scope="module")
def make_send(keystone: str) -> Callable[..., Send]:
    """Make a function that sends a request through auth_token to an application."""
    from keystonemiddleware.auth_token import AuthProtocol

    app = Flask(__name__)
    images = {image.id: image for image in (PRIVATE, PUBLIC)}
    ImageMeta(app, lookup=images.get, identity=keystone_identity)

    def make_send(delay_auth_decision: bool, **options: Any) -> Send:
        middleware = AuthProtocol(
            app.wsgi_app,
            {
                "auth_type": "password",
                "auth_url": keystone,
                "www_authenticate_uri": keystone,
                "username": "imagemeta",
                "password": "secret",
                "project_name": "service",
                "user_domain_id": "default",
                "project_domain_id": "default",
                "delay_auth_decision": delay_auth_decision,
                "service_token_roles_required": True,
                **options,
            },
        )

        def send(image_id: str, token: str | None = None, **headers: str) -> TestResponse:
            if token is not None:
                headers["X-Auth-Token"] = token
            return Client(middleware).head(f"/v1/images/{image_id}", headers=headers)

        return send

    return make_send


@pytest.fixture(scope="module")
def strict(make_send: Callable[..., Send]) -> Send:
    """Behind a middleware that turns away whoever has no valid token."""
    return make_send(False)


@pytest.fixture(scope="module")
def lenient(make_send: Callable[..., Send]) -> Send:
    """Behind a middleware that leaves the decision to the application."""
    return make_send(True)


@pytest.mark.parametrize(("token", "status"), [("owner", 200), ("stranger", 404), ("admin", 200)])
def test_a_valid_token_is_an_identity(token: str, status: int, strict: Send) -> None:
    """A token's project and roles decide whether a private image is seen."""
    assert strict("private", token).status_code == status


@pytest.mark.parametrize("token", [None, "expired", "unknown"])
def test_the_middleware_turns_away(token: str | None, strict: Send) -> None:
    """Without a valid token the middleware answers 401, and says where to get one."""
    response = strict("public", token)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Keystone uri=")


@pytest.mark.parametrize("token", [None, "expired", "unknown"])
@pytest.mark.parametrize(("image_id", "status"), [("public", 200), ("private", 404)])
def test_a_delayed_decision_is_anonymous(
    image_id: str, status: int, token: str | None, lenient: Send
) -> None:
    """Where the middleware lets everyone pass, a caller without a valid token is anonymous."""
    assert lenient(image_id, token).status_code == status


@pytest.mark.parametrize("token", [None, "expired", "unknown", "stranger"])
def test_spoofed_headers_do_not_count(token: str | None, lenient: Send) -> None:
    """Identity headers that a client sends itself give it nothing."""
    assert lenient("private", token, **SPOOFED).status_code == 404


def test_spoofed_headers_take_nothing_away(lenient: Send) -> None:
    """Identity headers beside a valid token change nothing about it."""
    headers = {"X-Identity-Status": "Invalid", "X-Project-Id": "projB", "X-Roles": ""}
    assert lenient("private", "owner", **headers).status_code == 200


def test_tokens_are_cached_in_memcached(
    make_send: Callable[..., Send], caplog: pytest.LogCaptureFixture
) -> None:
    """With the deployment page's lines, what one process learned of a token serves all of them."""
    pytest.importorskip("memcache", reason="needs python-memcached")
    (page,) = (block for block in blocks("keystone.md", "python") if "TOKEN_CACHE" in block)
    settings: dict[str, Any] = {}
    exec(page, settings)
    memcached = Memcached()
    try:
        options = {**settings["TOKEN_CACHE"], "memcached_servers": memcached.url}
        processes = [make_send(False, **options) for _ in range(2)]
        Keystone.asked.clear()
        assert [send("private", "owner").status_code for send in processes] == [200, 200]
        assert Keystone.asked == ["owner"]
        assert memcached.count() == 1
    finally:
        memcached.remove()
    assert "deprecated" not in caplog.text
    assert "service_token_roles_required" not in caplog.text


def test_without_memcached_each_process_asks(
    make_send: Callable[..., Send], caplog: pytest.LogCaptureFixture
) -> None:
    """Without them, each process asks for itself, and the middleware warns of it."""
    processes = [make_send(False, service_token_roles_required=False) for _ in range(2)]
    Keystone.asked.clear()
    assert [send("private", "owner").status_code for send in processes] == [200, 200]
    assert Keystone.asked == ["owner", "owner"]
    assert "Using the in-process token cache is deprecated" in caplog.text
    assert "service_token_roles_required set to False" in caplog.text
