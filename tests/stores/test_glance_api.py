"""GlanceAPI, on the answers of a real Glance and on what a network makes of them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from keystoneauth1.session import Session
from keystoneauth1.token_endpoint import Token
from werkzeug.exceptions import Forbidden, Unauthorized

from flask_imagemeta import Identity, ImageMeta, ImageRecord, StoreUnavailable
from flask_imagemeta.stores import GlanceAPI
from flask_imagemeta.wire import from_name

from .databases import DATA
from .glance_server import RECORDED, REQUEST_ID, Answer, Glance, Handler, running_glance

EXPECTED = json.loads((DATA / "glance-2026.1-v1-expected.json").read_text())
SHOWN = [name for name, image in RECORDED.items() if image["http_status"] == 200]
TIMES = ("x-image-meta-created_at", "x-image-meta-updated_at")
# API v2 has an empty text for a property that is NULL, and a time for an updated_at that is.
IN_V2 = {
    "nullprop_sql": {
        "x-image-meta-property-nullprop": "",
        "x-image-meta-updated_at": "2026-11-23T09:40:38",
    }
}
FULL = RECORDED["full"]["id"]
SHARED = RECORDED["hidden"]["id"]
PATIENCE = 10  # seconds

Lookup = Callable[..., "ImageRecord | None"]


@pytest.fixture
def glance() -> Iterator[Glance]:
    with running_glance() as glance:
        yield glance


@pytest.fixture
def limit() -> float:
    """The store's timeouts, in seconds; a test whose Glance hangs sets shorter ones."""
    return PATIENCE


@pytest.fixture
def store(glance: Glance, limit: float) -> Iterator[GlanceAPI]:
    store = GlanceAPI(glance.url, connect_timeout=limit, read_timeout=limit)
    yield store
    store._client.get()._adapter.close()


@pytest.fixture
def look_up(store: GlanceAPI) -> Lookup:
    """Look an image up during a request with headers."""

    def look_up(image_id: str = FULL, **headers: str) -> ImageRecord | None:
        with Flask(__name__).test_request_context(headers=headers):
            return store(image_id)

    return look_up


def ask(store: GlanceAPI) -> None:
    """Look an image up once, on a connection that is closed afterwards."""
    with Flask(__name__).test_request_context():
        store(FULL)
    store._client.get()._adapter.close()


def make_app(lookup: Any, identity: Identity | None = None) -> Flask:
    app = Flask(__name__)
    ImageMeta(app, lookup=lookup, identity=lambda: identity)
    return app


def sends(body: bytes, status: int = 200, **headers: str) -> Answer:
    return lambda handler: handler.send(status, body, **headers)


@pytest.mark.parametrize("name", SHOWN)
def test_recorded_answers_have_the_headers_of_v1(name: str, store: GlanceAPI) -> None:
    """What API v2 says of an image becomes the headers of API v1, times to the second."""
    response = make_app(store).test_client().head(f"/v1/images/{RECORDED[name]['id']}")
    found = {
        from_name(header): value
        for header, value in response.headers
        if header.startswith("X-Image-Meta-")
    }
    expected = dict(EXPECTED[name]["headers"])
    expected.pop("etag", None)
    expected |= IN_V2.get(name, {})
    for headers in (found, expected):
        headers.update({time: headers[time][:19] for time in TIMES if time in headers})
    assert found == expected


def test_the_callers_token_is_passed_on(glance: Glance, look_up: Lookup) -> None:
    """The Glance is asked with the token of the current request."""
    look_up(**{"X-Auth-Token": "the caller's"})
    assert glance.requests[0][1]["X-Auth-Token"] == "the caller's"


def test_no_token_is_made_up(glance: Glance, look_up: Lookup) -> None:
    """A request without a token goes out without one."""
    look_up(**{"X-Auth-Token": "an earlier caller's"})
    look_up()
    assert "X-Auth-Token" not in glance.requests[1][1]


def test_no_cookie_goes_to_the_next_caller(glance: Glance, look_up: Lookup) -> None:
    """A cookie that the Glance sets is not sent back."""
    glance.answer = sends(b"{}", status=404, Set_Cookie="session=first; Path=/")
    look_up()
    look_up()
    assert "Cookie" not in glance.requests[1][1]


def test_nobodys_credentials_are_added(
    glance: Glance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server's account has in a .netrc does not go out in a caller's name."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login the-accounts password own")
    monkeypatch.setenv("NETRC", str(netrc))
    ask(GlanceAPI(glance.url))
    assert "Authorization" not in glance.requests[0][1]


def test_the_environments_proxy_is_used(glance: Glance, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the environment names is asked, unless it makes an exception of the host."""
    monkeypatch.setenv("http_proxy", glance.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    ask(GlanceAPI("http://glance.invalid:9292"))
    ask(GlanceAPI(glance.url))
    paths = [path for path, _ in glance.requests]
    assert paths == [f"http://glance.invalid:9292/v2/images/{FULL}", f"/v2/images/{FULL}"]


@pytest.mark.parametrize("identity", [None, Identity("stranger")])
def test_the_glance_decides_who_sees_what(identity: Identity | None, store: GlanceAPI) -> None:
    """What the Glance showed to the caller's token goes out, a private image, too."""
    response = make_app(store, identity).test_client().head(f"/v1/images/{FULL}")
    assert response.headers["X-Image-Meta-Owner"] == "projA"


def test_missing(look_up: Lookup) -> None:
    """The Glance's 404 means that there is no image."""
    assert look_up(RECORDED["deleted"]["id"]) is None


def test_401_is_passed_on(glance: Glance, store: GlanceAPI) -> None:
    """The Glance's 401 reaches the client, with its WWW-Authenticate."""
    glance.answer = sends(b"", status=401, WWW_Authenticate='Keystone uri="http://k:5000"')
    response = make_app(store).test_client().head(f"/v1/images/{FULL}")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Keystone uri="http://k:5000"'


def test_a_challenge_is_cleaned(glance: Glance, store: GlanceAPI) -> None:
    """Control characters in the Glance's WWW-Authenticate do not reach the client."""
    glance.answer = sends(b"", status=401, WWW_Authenticate="Keystone\x01\x7f uri='\x0bk'\t")
    response = make_app(store).test_client().head(f"/v1/images/{FULL}")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Keystone  uri=' k'"


def test_a_long_challenge_is_left_out(glance: Glance, store: GlanceAPI) -> None:
    """A WWW-Authenticate that would make the answer too large for clients is not passed on."""
    glance.answer = sends(b"", status=401, WWW_Authenticate="x" * 20_000)
    response = make_app(store).test_client().head(f"/v1/images/{FULL}")
    assert response.status_code == 401
    assert "WWW-Authenticate" not in response.headers


@pytest.mark.parametrize("token", ["\N{GRINNING FACE}", "中", "a\x01b"])
def test_a_token_that_no_header_carries(token: str, glance: Glance, store: GlanceAPI) -> None:
    """A token that cannot be passed on is invalid: 401, and the Glance is not asked."""
    with make_app(store).test_request_context(f"/v1/images/{FULL}", method="HEAD") as context:
        context.request.environ["HTTP_X_AUTH_TOKEN"] = token
        with pytest.raises(Unauthorized):
            store(FULL)
    assert not glance.requests


def test_the_requests_id_is_sent_on(glance: Glance, store: GlanceAPI) -> None:
    """The Glance gets the id that the client gets, so that its log can be searched for it."""
    response = make_app(store).test_client().head(f"/v1/images/{FULL}")
    [(_, headers)] = glance.requests
    assert headers["X-Openstack-Request-Id"] == response.headers["X-Openstack-Request-Id"]


@pytest.mark.parametrize(("status", "error"), [(401, Unauthorized), (403, Forbidden)])
def test_refusals_are_http_errors(
    status: int, error: type[Exception], glance: Glance, look_up: Lookup
) -> None:
    """A 401 or 403 of the Glance's is raised as werkzeug's own error."""
    glance.answer = sends(b"", status=status)
    with pytest.raises(error):
        look_up()


@pytest.mark.parametrize("status", [204, 300, 302, 400, 429, 500, 502, 503, 504])
def test_other_statuses_are_unavailable(status: int, glance: Glance, look_up: Lookup) -> None:
    """Any other status means that the store is unavailable, and is asked for once."""
    glance.answer = sends(b"", status=status, Location=f"/v2/images/{FULL}", Retry_After="0")
    with pytest.raises(StoreUnavailable, match=f"answered {status}.*{REQUEST_ID}"):
        look_up()
    assert len(glance.requests) == 1


BODY = b'"id": "%s", "owner": null, "visibility": "public"' % FULL.encode()


@pytest.mark.parametrize("location", ["http://[::1", "\xff\xff//:foo"])
def test_a_redirect_to_nowhere_is_unavailable(
    location: str, glance: Glance, look_up: Lookup
) -> None:
    """A redirect whose target cannot be parsed is no more than another status."""
    glance.answer = sends(b"", status=302, Location=location)
    with pytest.raises(StoreUnavailable):
        look_up()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe{}",
        b"[" * 200_000,
        b'{"name": "without an id"}',
        b'{"id": "%s", "visibility": "private"}' % FULL.encode(),
        b'{"id": "%s", "owner": "projA"}' % FULL.encode(),
        b'{"id": "%s", "owner": 1, "visibility": "private"}' % FULL.encode(),
        b'{"id": "%s", "owner": null, "visibility": null}' % FULL.encode(),
        b'{%s, "created_at": "noon"}' % BODY,
        b'{%s, "created_at": 12}' % BODY,
        b'{%s, "created_at": "0001-01-01T00:00:00+14:00"}' % BODY,
        b'{%s, "updated_at": "9999-12-31T23:59:59-14:00"}' % BODY,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_a_body_that_is_no_image_is_unavailable(
    body: bytes, glance: Glance, look_up: Lookup
) -> None:
    """A body that is not an image in JSON means that the store is unavailable."""
    glance.answer = sends(body)
    with pytest.raises(StoreUnavailable, match="its body cannot be used"):
        look_up()


def hang(handler: Handler) -> None:
    handler.server.over.wait()


def close(handler: Handler) -> None:
    handler.close_connection = True


def answer_garbage(handler: Handler) -> None:
    handler.wfile.write(b"\x00\xffgarbage\r\n\r\n")
    handler.close_connection = True


def break_off(handler: Handler) -> None:
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id": ')
    handler.close_connection = True


def drip_headers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    handler.drip(b"X-Slow: yes\r\n")


def drip_body(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    handler.drip(b" ")


def drip_chunks(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    handler.drip(b"1\r\n \r\n")


@pytest.mark.parametrize("limit", [0.5])
@pytest.mark.parametrize(
    "fault", [hang, close, answer_garbage, break_off, drip_headers, drip_body, drip_chunks]
)
def test_no_whole_answer_in_time_is_unavailable(
    fault: Answer, glance: Glance, look_up: Lookup
) -> None:
    """An answer that does not come, or not whole and in time, means unavailable; then it works."""
    good = glance.answer
    glance.answer = fault
    with pytest.raises(StoreUnavailable):
        look_up()
    glance.answer = good
    assert look_up() is not None


def send_much(handler: Handler) -> None:
    handler.send(200, b" " * 2_000_000)


def send_on_and_on(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not handler.server.over.is_set():
        handler.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


@pytest.mark.parametrize("answer", [send_much, send_on_and_on])
def test_a_large_body_is_unavailable(answer: Answer, glance: Glance, look_up: Lookup) -> None:
    """A body over a mebibyte is not read to its end."""
    glance.answer = answer
    with pytest.raises(StoreUnavailable, match="over 1048576 bytes"):
        look_up()


def test_a_refused_connection_is_unavailable() -> None:
    """A Glance that is not there means that the store is unavailable."""
    with running_glance() as glance:
        url = glance.url
    with pytest.raises(StoreUnavailable), Flask(__name__).test_request_context():
        GlanceAPI(url)(FULL)


@pytest.mark.parametrize("name", ["full", "deleted"])
def test_connections_are_kept(name: str, glance: Glance, look_up: Lookup) -> None:
    """One connection serves several requests, those for images that are not there, too."""
    for _ in range(3):
        look_up(RECORDED[name]["id"])
    assert glance.connections == 1


def test_the_upstreams_request_id_is_logged(
    look_up: Lookup, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the Glance's own request id."""
    caplog.set_level(logging.INFO, logger="flask_imagemeta")
    look_up()
    assert f"{FULL} answered 200, its request id is '{REQUEST_ID}'" in caplog.text


def test_a_503_is_logged_with_both_request_ids(
    glance: Glance, store: GlanceAPI, caplog: pytest.LogCaptureFixture
) -> None:
    """The line for the client's 503 has the client's request id and the Glance's."""
    glance.answer = sends(b"[]")
    response = make_app(store).test_client().head(f"/v1/images/{FULL}")
    assert response.status_code == 503
    ours = response.headers["X-Openstack-Request-Id"]
    assert any(ours in line and REQUEST_ID in line for line in caplog.messages)


@pytest.mark.parametrize("image_id", ["", ".", "..", "../images", f"{FULL}/file", f"a/../{FULL}"])
def test_an_id_that_leaves_its_segment_is_not_asked_for(
    image_id: str, glance: Glance, look_up: Lookup
) -> None:
    """For an id that a path segment cannot hold there is no image, and the Glance is not asked."""
    assert look_up(image_id) is None
    assert not glance.requests


@pytest.mark.parametrize(
    ("image_id", "path"),
    [
        ("a?b#c", "a%3Fb%23c"),
        ("..%2F..", "..%252F.."),
        ("%2e%2e", "%252e%252e"),
        ("a\\..\\b;c&d", "a%5C..%5Cb%3Bc%26d"),
        ("...", "..."),
        ("é x", "%C3%A9%20x"),
    ],
)
def test_an_id_stays_in_its_segment(
    image_id: str, path: str, glance: Glance, look_up: Lookup
) -> None:
    """Whatever has a meaning in a URL is quoted."""
    look_up(image_id)
    assert [path for path, _ in glance.requests] == [f"/v2/images/{path}"]


def test_an_id_is_exact(glance: Glance, look_up: Lookup) -> None:
    """An image that the Glance found without regard to case is another one."""
    glance.answer = sends(json.dumps(RECORDED["full"]["v2"]).encode())
    assert look_up(FULL.upper()) is None


def test_unknown_keys_are_properties(glance: Glance, look_up: Lookup) -> None:
    """Anything that is not a key of API v2 is a property, even if it is a field elsewhere."""
    body = {"id": FULL, "owner": None, "visibility": "public", "tags": [], "os_hidden": False}
    body |= {"deleted": "d", "members": "m", "x": "y"}
    glance.answer = sends(json.dumps(body).encode())
    record = look_up()
    assert record is not None
    assert record.properties == {"deleted": "d", "members": "m", "x": "y"}


@pytest.mark.parametrize("tail", ["/", "/v2", "/v2/"])
def test_the_endpoint_may_name_the_version(tail: str, glance: Glance) -> None:
    """An endpoint works with /v2 and without it."""
    ask(GlanceAPI(glance.url + tail))
    assert [path for path, _ in glance.requests] == [f"/v2/images/{FULL}"]


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9292", "ftp://h", "http://", "http://u:p@h"])
def test_an_endpoint_is_a_url_of_http(endpoint: str) -> None:
    """An endpoint that is not a plain HTTP URL is an error that shows one."""
    with pytest.raises(ValueError, match=r"must be a URL such as http://"):
        GlanceAPI(endpoint)


@pytest.mark.parametrize(
    ("identity", "status", "asked_for_members"),
    [
        (None, 404, False),
        (Identity("projA"), 200, False),
        (Identity("projB"), 200, True),
        (Identity("projC"), 404, True),
        (Identity("x", ["admin"]), 200, False),
    ],
)
def test_with_a_session_access_is_decided_here(
    identity: Identity | None, status: int, asked_for_members: bool, glance: Glance
) -> None:
    """Asked with a service's credentials, owner, visibility and members say who sees it."""
    session = Session(Token(glance.url, "the service's"))
    client = make_app(GlanceAPI(glance.url, session=session), identity).test_client()
    response = client.head(f"/v1/images/{SHARED}", headers={"X-Auth-Token": "the caller's"})
    session.session.close()
    assert response.status_code == status
    assert (len(glance.requests) == 2) == asked_for_members
    assert {headers["X-Auth-Token"] for _, headers in glance.requests} == {"the service's"}


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_session_is_unavailable(status: int, glance: Glance) -> None:
    """That the service's own credentials are refused is not the caller's to know."""
    session = Session(Token(glance.url, "the service's"))
    glance.answer = sends(b"", status=status)
    with pytest.raises(StoreUnavailable, match=f"answered {status}"):
        GlanceAPI(glance.url, session=session)(FULL)
    session.session.close()


def test_a_session_without_credentials_is_unavailable(glance: Glance) -> None:
    """A session that cannot get a token means that the store is unavailable."""
    session = Session()
    with pytest.raises(StoreUnavailable):
        GlanceAPI(glance.url, session=session)(FULL)
    session.session.close()


def test_the_rest_of_a_session_stays_as_it_is(glance: Glance) -> None:
    """The host's session keeps its own transport for every other URL."""
    session = Session(Token(glance.url, "the service's"))
    transport = session.session.get_adapter("http://127.0.0.1/v3")
    GlanceAPI(glance.url, session=session)(FULL)
    assert session.session.get_adapter("http://127.0.0.1/v3") is transport
    session.session.close()


def test_each_process_has_its_own_connections(glance: Glance) -> None:
    """A forked process does not speak on its parent's connection."""
    script = f"""
import os
from flask import Flask
from flask_imagemeta.stores import GlanceAPI

store = GlanceAPI({glance.url!r})
def check():
    with Flask(__name__).test_request_context():
        assert store({FULL!r}).id == {FULL!r}

check()
child = os.fork()
if child == 0:
    try:
        check()
        os._exit(0)
    finally:
        os._exit(1)
assert os.waitpid(child, 0)[1] == 0
check()
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert glance.connections == 2


def test_the_extra_is_named_where_it_is_missing() -> None:
    """Without keystoneauth1 everything imports, and only GlanceAPI says what to install."""
    script = """
import sys
sys.modules["keystoneauth1"] = None
from flask_imagemeta.stores import *
ModelStore, GlanceDatabase
try:
    GlanceAPI("http://127.0.0.1:9292")
except ImportError as error:
    assert "pip install 'keystoneauth1>=5.6'" in str(error), error
else:
    raise AssertionError("no error")
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, env=dict(os.environ))
