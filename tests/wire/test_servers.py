"""Raw bytes of every server: what the test client cannot show."""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

import pytest

from example_app.seed import EXAMPLE_ID, IMAGES

from .odd_app import ODD_NAMES, PROPERTY_HEADERS
from .parsers import by_h11, by_http_client, by_node, status_of
from .servers import KEEPS_ALIVE, PIPELINES, Server, read_head

ODD = "/odd/v1/images/"
NAME = b"X-Image-Meta-Name"
OMITTED = b"X-Imagemeta-Omitted-Properties"


def test_the_documented_example_comes_with_its_names_in_exact_letter_case(server: Server) -> None:
    """The example image's metadata arrives header by header as the operation documents it."""
    raw = server.head(f"/v1/images/{EXAMPLE_ID}")
    assert status_of(raw) == 200
    assert [line for line in raw.split(b"\r\n") if line.startswith(b"X-Image-Meta-")] == [
        b"X-Image-Meta-Checksum: 8a40c862b5735975d82605c1dd395796",
        b"X-Image-Meta-Container_format: aki",
        b"X-Image-Meta-Created_at: 2016-01-06T03:22:20.000000",
        b"X-Image-Meta-Deleted: False",
        b"X-Image-Meta-Disk_format: aki",
        b"X-Image-Meta-Id: 03bc0a8b-659c-4de9-b6bd-13c6e86e6455",
        b"X-Image-Meta-Is_public: True",
        b"X-Image-Meta-Min_disk: 0",
        b"X-Image-Meta-Min_ram: 0",
        b"X-Image-Meta-Name: cirros-0.3.4-x86_64-uec-kernel",
        b"X-Image-Meta-Owner: 13cc6052265b41529e2fd0fc461fa8ef",
        b"X-Image-Meta-Protected: False",
        b"X-Image-Meta-Size: 4979632",
        b"X-Image-Meta-Status: deactivated",
        b"X-Image-Meta-Updated_at: 2016-02-25T03:02:05.000000",
    ]
    names = [name for name, _ in by_h11(raw)]
    assert b"X-Openstack-Request-Id" in names
    assert b"\r\nContent-Length: 0\r\n" in raw or server.name == "mod_wsgi"


def test_the_examples_images_and_firmware_are_read_by_every_client(server: Server) -> None:
    """h11, http.client and Node read the same metadata from each of the example's answers."""
    paths = [f"/v1/images/{image['id']}" for image in IMAGES]
    raws = [server.head(path, "X-Auth-Token: demo-admin") for path in paths]
    raws.append(server.head("/firmware/v1/images/router-r2"))
    assert {status_of(raw) for raw in raws} == {200}
    by_hand = [by_h11(raw) for raw in raws]
    assert [by_http_client(raw) for raw in raws] == by_hand
    assert by_node(raws) == by_hand
    assert (b"X-Firmware-Meta-Release", b"2.4.1") in by_hand[-1]


def test_odd_names_arrive_as_the_same_bytes_in_every_client(server: Server) -> None:
    """Whatever text a name holds, each client sees it on one line, its UTF-8 untouched."""
    raws = [server.head(ODD + image_id) for image_id in ODD_NAMES]
    assert {status_of(raw) for raw in raws} == {200}
    wanted = dict(zip(ODD_NAMES, (sent for _, sent in ODD_NAMES.values()), strict=True))
    assert dict(zip(ODD_NAMES, (dict(by_h11(raw))[NAME] for raw in raws), strict=True)) == wanted
    seen = (dict(by_http_client(raw))[NAME].strip(b" \t") for raw in raws)
    assert dict(zip(ODD_NAMES, seen, strict=True)) == wanted
    seen = (dict(pairs)[NAME] for pairs in by_node(raws))
    assert dict(zip(ODD_NAMES, seen, strict=True)) == wanted


def test_odd_property_names_arrive_as_tokens(server: Server) -> None:
    """A property's name that is not a token is percent-encoded, and one of a pair is counted."""
    raw = server.head(ODD + "properties")
    assert status_of(raw) == 200
    wanted = {unquote_to_bytes(name).lower(): value for name, value in PROPERTY_HEADERS.items()}
    for pairs in (by_h11(raw), by_http_client(raw), by_node([raw])[0]):
        sent = {unquote_to_bytes(k).lower(): v for k, v in pairs if b"-Property-" in k}
        assert sent == wanted
        assert dict(pairs)[OMITTED] == b"1"
    assert b"\r\nX-Image-Meta-Property-Os_distro: wins\r\n" in raw


@pytest.mark.parametrize(("image_id", "count"), [("many", 3000), ("long", 4), ("full", 50)])
def test_too_much_metadata_is_cut_to_what_clients_read(
    server: Server, image_id: str, count: int
) -> None:
    """Of thousands of properties or a MiB of one, every client gets the core and a count."""
    raw = server.head(ODD + image_id)
    assert status_of(raw) == 200
    for pairs in (by_h11(raw), by_http_client(raw), by_node([raw])[0]):
        headers = dict(pairs)
        assert NAME in headers
        shown = sum(b"-Property-" in name for name in headers)
        assert shown + int(headers[OMITTED]) == count
        assert len(pairs) <= 100


def test_an_image_that_no_client_could_read_is_an_empty_500(server: Server) -> None:
    """A name of a MiB gives a 500 without metadata, and the log says which field it was."""
    raw = server.head(ODD + "too-long")
    assert status_of(raw) == 500
    assert b"\nX-Image-Meta" not in raw
    assert "image 'too-long': cannot be sent: name = " in server.log.read_text()


CASES = [
    *((f"X-Image-Meta-Size: {size}", 400) for size in ("-1", "1_000", "٣", "abc", "12, 12", "0x1")),
    *((f"X-Image-Meta-Size: {size}", 409) for size in ("13", "9" * 4000)),
    *((f"X-Image-Meta-Size: {size}", 200) for size in ("12", "  12  ", "0012")),
    ('If-Match: "other"', 412),
    ("If-Unmodified-Since: Thu, 25 Feb 2016 03:02:04 GMT", 412),
    ("If-Modified-Since: Thu, 25 Feb 2016 03:02:05 GMT", 304),
    ("X-Auth-Token: refused", 401),
]


@pytest.mark.parametrize(("line", "status"), CASES, ids=[line[:40] for line, _ in CASES])
def test_a_request_header_decides_the_status(server: Server, line: str, status: int) -> None:
    """Sizes and conditions give the documented status, without body, with a request id."""
    raw = server.head(ODD + "plain", line)
    assert status_of(raw) == status
    assert b"\r\nX-Openstack-Request-Id: req-" in raw
    assert (b"\nX-Image-Meta" in raw) == (status == 200)


@pytest.mark.parametrize("lines", [["X-Image-Meta-Size:"], ["X-Image-Meta-Size: 12"] * 2])
def test_a_size_that_is_empty_or_comes_twice_is_no_number(server: Server, lines: list[str]) -> None:
    """Servers differ in what they make of such lines; none of it becomes a wrong answer."""
    status = status_of(server.head(ODD + "plain", *lines))
    assert status in (200, 400)  # 200 where a server drops or merges what is empty or the same


PATHS = [
    *("a%00b", "a%0Ab", "a%0D%0AX-Evil:%201", "..", "%2e%2e", "../images/plain", "%F0%9F%98%80"),
    *("%ff%fe", "a" * 300, "plain%2Fplain", "plain/", "%", "%zz", "plain;a=b", "'; DROP TABLE"),
]


@pytest.mark.parametrize("path", PATHS, ids=[path[:20] for path in PATHS])
def test_an_odd_id_gets_a_plain_answer(server: Server, path: str) -> None:
    """An id that no image has is a 404, or the server's own well-formed refusal."""
    raw = server.head(ODD + path.replace(" ", "%20"))
    assert status_of(raw) in (400, 404) or (path == "../images/plain" and b"HTTP/1.1 200" in raw)
    assert b"Evil" not in raw
    assert "Traceback" not in raw.decode("latin-1")


def test_an_id_beyond_ascii_is_found(server: Server) -> None:
    """An id outside ASCII names its image, percent-encoded as clients send it."""
    assert status_of(server.head(ODD + quote("ünï"))) == 200


def test_a_long_query_changes_nothing(server: Server) -> None:
    """A query string of two thousand characters is ignored."""
    assert status_of(server.head(f"{ODD}plain?{'q=1&' * 500}")) == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "plain", 405),
        ("PUT", "plain", 405),
        ("HEAD", "none", 404),
        ("HEAD", "unavailable", 503),
    ],
)
def test_an_error_has_no_body(server: Server, method: str, path: str, status: int) -> None:
    """404, 405 and 503 end with their headers, GET too."""
    raw = server.head(ODD + path, "Content-Length: 0", method=method)
    assert status_of(raw) == status
    # Apache leaves an empty answer's length out of the answer to HEAD, as RFC 9110 allows.
    may_lack_length = method == "HEAD" and server.name == "mod_wsgi"
    assert b"\r\nContent-Length: 0\r\n" in raw or may_lack_length
    assert (b"\r\nAllow: HEAD, OPTIONS\r\n" in raw) == (status == 405)
    assert (b"\r\nRetry-After: 5\r\n" in raw) == (status == 503)


def test_options_names_the_methods(server: Server) -> None:
    """OPTIONS is answered with the methods of the route."""
    raw = server.head(ODD + "plain", "Content-Length: 0", method="OPTIONS")
    assert status_of(raw) == 200
    assert sorted(dict(by_h11(raw))[b"Allow"].split(b", ")) == [b"HEAD", b"OPTIONS"]


def test_a_304_has_the_etag_of_the_200_and_no_metadata(server: Server) -> None:
    """A client that sends the ETag back gets a 304 with the same ETag."""
    etag = next(v for k, v in by_h11(server.head(ODD + "plain")) if k.lower() == b"etag").decode()
    raw = server.head(ODD + "plain", f"If-None-Match: {etag}")
    assert status_of(raw) == 304
    assert next(v for k, v in by_h11(raw) if k.lower() == b"etag").decode() == etag
    assert b"\nX-Image-Meta" not in raw


def test_http_1_0_is_answered_in_full(server: Server) -> None:
    """A client of HTTP/1.0 gets the same metadata, and the connection's end."""
    raw = server.head(ODD + "plain", version="1.0")
    assert status_of(raw) == 200
    assert (b"X-Image-Meta-Size", b"12") in by_h11(raw)


REQUEST = b"HEAD /odd/v1/images/%s HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_a_connection_serves_several_requests(server: Server) -> None:
    """After a HEAD the connection goes on with the next answer, or its end was announced."""
    with server.connect() as connection:
        for image_id, status in ((b"plain", 200), (b"none", 404), (b"many", 200), (b"plain", 200)):
            connection.sendall(REQUEST % image_id)
            raw = read_head(connection)
            assert status_of(raw) == status
            if server.name not in KEEPS_ALIVE:
                assert b"\r\nConnection: close\r\n" in raw
                assert connection.recv(1) == b""
                return


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    """Requests sent at once get one answer each, in order, from a server that pipelines."""
    with server.connect() as connection:
        connection.sendall(REQUEST % b"tab" + REQUEST % b"none" + REQUEST % b"empty")
        raws = [read_head(connection)]
        if server.name in PIPELINES:
            raws += [read_head(connection), read_head(connection)]
    assert [status_of(raw) for raw in raws] == [200, 404, 200][: len(raws)]
    assert b"X-Image-Meta-Name: a\tb\r\n" in raws[0]


@pytest.mark.parametrize(
    "line",
    [b"X-Image-Meta-Size: 1\x002", b"Bad Name: x", b": x", b"X: \x01", b"no colon", b"\xff: x"],
)
def test_header_junk_gets_a_well_formed_answer(server: Server, line: bytes) -> None:
    """What a server lets through of broken request headers never breaks the answer."""
    raw = server.send(REQUEST[:-2] % b"plain" + b"Connection: close\r\n" + line + b"\r\n\r\n")
    assert raw.startswith(b"HTTP/1.") or raw == b""  # some close without a word
    assert b"Traceback" not in raw
    assert b'File "' not in raw
