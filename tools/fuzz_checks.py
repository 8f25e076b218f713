"""The checks of every answer in a fuzz run, written from RFC 9110 and not from the package."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

import h11
from flask import Flask, request
from werkzeug.test import EnvironBuilder

from flask_imagemeta import Identity, ImageMeta
from tools.odd_images import OddImage

CLIENT_BYTES = 16_384  # of headers, that Node and h11 take
PREFIX = b"X-Image-Meta-"
PROPERTY = b"X-Image-Meta-Property-"
OMITTED = b"X-Imagemeta-Omitted-Properties"

# RFC 9112, 2.1 and 4: status-line, field lines, an empty line. RFC 9110, 5.5 and 5.6.2: the
# characters of a name and of a value.
HEAD = re.compile(
    rb"HTTP/1\.1 [0-9]{3} [\t\x20-\x7e]*\r\n"
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n"
)


class Finding(AssertionError):
    """An answer is not what it must be."""


def expect(holds: bool, message: str) -> None:
    if not holds:
        raise Finding(message)


class Log(logging.Handler):
    """Keeps what is logged within its ``with`` statement."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def __enter__(self) -> None:
        self.lines.clear()
        logging.getLogger().addHandler(self)

    def __exit__(self, *exc_info: object) -> None:
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class Target:
    """An application that serves odd images, and the checks of its answers.

    :param max_headers: Its IMAGEMETA_MAX_HEADERS.
    :param max_bytes: Its IMAGEMETA_MAX_HEADER_BYTES.
    """

    def __init__(self, max_headers: int, max_bytes: int) -> None:
        self.max_headers, self.max_bytes = max_headers, max_bytes
        self.images: dict[str, Any] = {"plain": {"updated_at": "2016-01-06T03:22:20"}}
        self.app = Flask("fuzz")
        self.app.config["IMAGEMETA_MAX_HEADERS"] = max_headers
        self.app.config["IMAGEMETA_MAX_HEADER_BYTES"] = max_bytes
        ImageMeta(self.app, lookup=lambda image_id: self.images[image_id], identity=caller)
        self.log = Log()
        others = [(n, v) for n, v in parse(self.answer("plain", "admin")).headers if not is_ours(n)]
        # What has to fit besides the metadata: the other headers, and the count of omissions.
        self.other_bytes = line_bytes(others) + line_bytes([(OMITTED, b"9" * 10)])

    def answer(self, image_id: str, role: str) -> bytes:
        """Return the bytes that a server makes of this application's answer to a HEAD request."""
        environ = EnvironBuilder(method="HEAD", path=f"/v1/images/{image_id}").get_environ()
        environ["HTTP_X_ROLE"] = role
        lines: list[str] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Any:
            lines[:] = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]

        with self.log:
            body = b"".join(self.app.wsgi_app(environ, start_response))
        expect(body == b"", "a HEAD answer has a body")
        try:
            return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")
        except UnicodeEncodeError as error:
            raise Finding(f"a header is not a WSGI string: {error}") from error

    def check(self, image_id: str, image: OddImage, role: str) -> int:
        """Serve one image and return the status; the rest is as it must be.

        :raises Finding: where it is not.
        """
        self.images = {image_id: image.record}
        answer = parse(self.answer(image_id, role))
        headers, status = answer.headers, answer.status_code
        if status == 200:
            expect(not image.faults, f"served in spite of {image.faults}")
            self.check_metadata(image, answer)
            return status
        expect(not any(is_ours(name) or name == OMITTED for name, _ in headers), "metadata sent")
        if status == 404:
            expect(role != "admin", "an admin gets 404")
            return status
        expect(status == 500, f"status {status}")
        expect(len(self.log.lines) == 1, f"{len(self.log.lines)} log lines: {self.log.lines}")
        line = self.log.lines[0]
        expect(line.isprintable(), f"a log line with control characters: {line!r}")
        found = re.search(rf"image '{image_id}': cannot be sent: (\w+)", line)
        expect(found is not None, f"a log line without image or field: {line}")
        field = found[1] if found else ""
        if not image.faults and not (field == "members" and role != "admin"):
            core = sum(line_bytes([(core_header(f), wire(odd.sent))]) for f, odd in sent(image))
            room = CLIENT_BYTES - self.other_bytes
            expect(core > room, f"refused for {field}, with {core} of {room} bytes: {line}")
        elif role == "admin":
            expect(field in image.faults, f"blames {field}, not {image.faults}: {line}")
        return status

    def check_metadata(self, image: OddImage, answer: Answer) -> None:
        """Check the headers of a 200: core fields, properties, limits and omissions."""
        headers = answer.headers
        core = {n: v for n, v in headers if is_ours(n) and not n.startswith(PROPERTY)}
        wanted = {core_header(name): wire(odd.sent).strip(b" \t") for name, odd in sent(image)}
        expect(core == wanted, f"core fields {diff(wanted, core)}")

        candidates: dict[bytes, list[tuple[str, bytes]]] = {}
        for name, odd in image.properties:
            if odd.sent is not None and image.fields["deleted"].sent == "False":
                candidates.setdefault(key(name), []).append((as_text(name), wire(odd.sent)))
        shown = {
            unquote_to_bytes(name[len(PROPERTY) :]).lower(): value
            for name, value in headers
            if name.startswith(PROPERTY)
        }
        for name, value in shown.items():
            group = candidates.get(name, [])
            if len({text.lower() for text, _ in group}) == 1:  # they differ only in case
                group = [min(group, key=lambda pair: (pair[0] != pair[0].lower(), pair[0]))]
            allowed = [one.strip(b" \t") for _, one in group]
            expect(value in allowed, f"property {name!r}: {value!r} for {allowed!r}")
        in_order = [name for name in shown if b"?" not in name]  # what stands for a surrogate
        expect(in_order == sorted(in_order), f"order of properties {in_order}")

        omitted = sum(map(len, candidates.values())) - len(shown)
        counted = int(dict(headers).get(OMITTED, 0))
        expect(omitted == counted, f"{omitted} properties omitted, {counted} counted")
        expect(bool(omitted) == bool(self.log.lines), f"{omitted} omitted, log {self.log.lines}")
        size = answer.header_bytes
        if shown:
            expect(len(headers) <= self.max_headers, f"{len(headers)} headers")
            expect(size <= self.max_bytes, f"{size} bytes")
        expect(size <= CLIENT_BYTES, f"{size} bytes are too many for clients")
        if len(headers) > self.max_headers - 3:
            return
        for name in candidates.keys() - shown.keys():
            most = len(PROPERTY) + len(name) + max(len(v) for _, v in candidates[name]) + 4
            encoded = 2 * sum(byte >= 0x80 or not chr(byte).isalnum() for byte in name)
            room = self.max_bytes - size - len(OMITTED) - 100
            expect(most + encoded > room, f"{name[:50]!r} left out, with {room} bytes of room")


def parse(raw: bytes) -> Answer:
    """Return an answer as h11 reads it, names as they were sent.

    :raises Finding: when the bytes are no answer to a HEAD request, or a name comes twice.
    """
    expect(HEAD.fullmatch(raw) is not None, f"outside the grammar: {raw[:2000]!r}")
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=2**21)
    connection.send(h11.Request(method="HEAD", target="/", headers=[("Host", "localhost")]))
    connection.receive_data(raw)
    try:
        answer, end = connection.next_event(), connection.next_event()
    except h11.RemoteProtocolError as error:
        raise Finding(f"h11: {error}") from error
    expect(isinstance(answer, h11.Response) and isinstance(end, h11.EndOfMessage), "h11: no answer")
    names = [name for name, _ in answer.headers]  # type: ignore[union-attr]
    expect(len(names) == len(set(names)), "a header comes twice")
    expect(
        re.search(rb"^x-|^X[^:]*-[a-z]", raw, re.MULTILINE) is None, "a name in another letter case"
    )
    expect(b"x-openstack-request-id" in names, "no request id")
    expect(b"content-length" in names or raw.startswith(b"HTTP/1.1 500"), "no length")
    return Answer(raw, answer)


class Answer:
    """What h11 made of an answer, names in the case that was sent."""

    def __init__(self, raw: bytes, response: Any) -> None:
        self.status_code: int = response.status_code
        self.headers: list[tuple[bytes, bytes]] = response.headers.raw_items()
        # Counted as sent: h11 drops the white space around a value.
        self.header_bytes = len(raw) - raw.index(b"\r\n") - len(b"\r\n\r\n")


def caller() -> Identity:
    return Identity("p", [request.environ["HTTP_X_ROLE"]])


def is_ours(name: bytes) -> bool:
    return name.startswith(PREFIX)


def sent(image: OddImage) -> Iterable[tuple[str, Any]]:
    return [(name, odd) for name, odd in image.fields.items() if odd.sent is not None]


def core_header(field: str) -> bytes:
    return PREFIX + field.capitalize().encode()


def wire(text: str | None) -> bytes:
    """Return text as it must be on the wire: UTF-8, controls as spaces, surrogates as ``?``."""
    text = re.sub("[\x00-\x08\x0a-\x1f\x7f-\x9f]", " ", text or "")
    return re.sub("[\ud800-\udfff]", "?", text).encode()


def as_text(name: Any) -> str:
    name = getattr(name, "value", name)
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def key(name: Any) -> bytes:
    """Return a property's name as a client decodes it, in lower case."""
    return re.sub("[\ud800-\udfff]", "?", as_text(name).lower()).encode().lower()


def line_bytes(headers: Iterable[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + len(": \r\n") for name, value in headers)


def diff(wanted: dict[bytes, bytes], found: dict[bytes, bytes]) -> str:
    names = [n for n in wanted | found if wanted.get(n) != found.get(n)]
    return ", ".join(f"{n!r}: {found.get(n)!r:.200} for {wanted.get(n)!r:.200}" for n in names)
