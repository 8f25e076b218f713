"""An application whose images and hooks are as odd as a host can make them.

``ODD_NAMES`` maps ids to names and the bytes that a client must see for each, white space
around them dropped; every other id is in ``IMAGES`` or made by ``find_image``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Flask, Response, abort, request

from flask_imagemeta import Identity, ImageMeta, StoreUnavailable

SECRET = "/srv/secret SELECT password\nTraceback FORGED"  # what no answer may tell

LATIN = "".join(map(chr, range(0xA0, 0x100)))
ODD_NAMES: dict[str, tuple[str, bytes]] = {
    "crlf": (
        "a\r\nSet-Cookie: x=y\r\n\r\nHTTP/1.1 200 OK",
        b"a  Set-Cookie: x=y    HTTP/1.1 200 OK",
    ),
    "crlf-around": ("\r\na\r\n", b"a"),
    "controls": ("".join(map(chr, range(0x20))) + "\x7f", b""),
    "tab": ("a\tb", b"a\tb"),
    "c1": ("a\x85\x9b31mb", b"a  31mb"),
    "a-grave": ("voilà", "voilà".encode()),  # ends in the byte A0, a space to str.strip
    "ring": ("Å", "Å".encode()),  # ends in the byte 85, a line's end to str.splitlines
    "ellipsis": ("a…b", "a…b".encode()),
    "separators": ("a\u2028b\u2029c", "a\u2028b\u2029c".encode()),
    "astral": ("😀", "😀".encode()),
    "surrogate": ("a\ud800b", b"a?b"),
    "spaces": ("  a  ", b"a"),
    "no-break": ("\xa0a\xa0", "\xa0a\xa0".encode()),
    "empty": ("", b""),
    "syntax": ('";,:=\\%0d%0a', b'";,:=\\%0d%0a'),
    "latin": (LATIN, LATIN.encode()),
}

PROPERTIES = {
    "key with space": "1",
    "k\r\ny": "\r\n2",
    "über-größe": "3",
    "": "4",
    "OS_Distro": "lost",
    "os_distro": "wins",
    "a:b": "6",
}
PROPERTY_HEADERS = {
    b"X-Image-Meta-Property-": b"4",
    b"X-Image-Meta-Property-A%3Ab": b"6",
    b"X-Image-Meta-Property-K%0D%0Ay": b"2",
    b"X-Image-Meta-Property-Key%20with%20space": b"1",
    b"X-Image-Meta-Property-Os_distro": b"wins",
    b"X-Image-Meta-Property-%C3%BCber-Gr%C3%B6%C3%9Fe": b"3",
}

PLAIN = {"size": 12, "status": "active", "updated_at": datetime(2016, 2, 25, 3, 2, 5)}
IMAGES: dict[str, dict[str, Any]] = {
    **{image_id: {"name": name} for image_id, (name, _) in ODD_NAMES.items()},
    "plain": PLAIN,
    "ünï": PLAIN,
    "properties": {"properties": PROPERTIES},
    "many": {"name": "many", "properties": {f"k{n:04}": "v" for n in range(3000)}},
    "long": {"name": "long", "properties": {"a": "x" * 2**20, **dict.fromkeys("bcd", "y" * 7000)}},
    "full": {"name": "n" * 15_000, "properties": {f"k{n}": "v" * 90 for n in range(50)}},
    "too-long": {"name": "n" * 2**20},
    "hidden": {**PLAIN, "owner": "theirs"},
    "deleted": {**PLAIN, "deleted": True},
    "bad-size": {**PLAIN, "size": SECRET},
}


def find_image(image_id: str) -> Any:
    """Return an image, or fail in one of the ways that a host's lookup may fail."""
    if image_id == "crash":
        raise RuntimeError(SECRET.replace("\n", " "))  # Flask logs it as it is
    if image_id.startswith("unavailable"):
        raise StoreUnavailable(SECRET)
    return IMAGES.get(image_id)


def caller() -> Identity | None:
    """Refuse one token, as a host may; know another as an admin."""
    token = request.headers.get("X-Auth-Token")
    if token == "refused":
        abort(Response(SECRET, 401, {"WWW-Authenticate": 'Keystone uri="http://localhost:5000"'}))
    return Identity("admins", ["admin"]) if token == "admin" else None


def create_app() -> Flask:
    """Return the application, in production's settings."""
    app = Flask(__name__)
    ImageMeta(app, lookup=find_image, identity=caller)
    return app
