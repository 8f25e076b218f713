"""What clients make of raw bytes: h11, Python's http.client and Node.

Each returns the headers as pairs of bytes, in order, and fails where the bytes are no answer
to a HEAD request.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from http.client import HTTPResponse
from typing import Any

import h11

from tests.needs import needs

Pairs = list[tuple[bytes, bytes]]

# RFC 9112, 2.1 and 4; RFC 9110, 5.5 and 5.6.2. One CRLF per line, and nothing after the last.
HEAD = re.compile(
    rb"HTTP/1\.[01] [0-9]{3} [\t\x20-\x7e]*\r\n"
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: ?[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n"
)


def status_of(raw: bytes) -> int:
    """Return the status of an answer without a body, its every byte inside the grammar."""
    assert HEAD.fullmatch(raw), raw
    return int(raw[9:12])


def by_h11(raw: bytes) -> Pairs:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="HEAD", target="/", headers=[("Host", "localhost")]))
    connection.receive_data(raw)
    answer = connection.next_event()
    assert isinstance(answer, h11.Response), answer
    assert isinstance(connection.next_event(), h11.EndOfMessage)
    return answer.headers.raw_items()


def by_http_client(raw: bytes) -> Pairs:
    class Socket:
        def makefile(self, mode: str) -> io.BytesIO:
            return io.BytesIO(raw)

    answer = HTTPResponse(Socket(), method="HEAD")  # type: ignore[arg-type]
    answer.begin()
    return [(k.encode("latin-1"), v.encode("latin-1")) for k, v in answer.getheaders()]


NODE = """
const net = require('net'), http = require('http');
const raws = JSON.parse(require('fs').readFileSync(0)).map(raw => Buffer.from(raw, 'base64'));
const found = [];
const server = net.createServer(s => s.once('data', () => s.end(raws[found.length])));
const next = () => {
  if (found.length === raws.length) { server.close(); return console.log(JSON.stringify(found)); }
  const options = {port: server.address().port, host: '127.0.0.1', method: 'HEAD', agent: false};
  const keep = what => { found.push(what); next(); };
  http.request(options, r => { r.resume(); r.on('end', () => keep(r.rawHeaders)); })
    .on('error', error => keep(String(error))).end();
};
server.listen(0, '127.0.0.1', next);
"""


def by_node(raws: list[bytes]) -> list[Pairs]:
    """Return what Node makes of each of several answers."""
    node = shutil.which("node")
    if node is None:
        needs("node, whose parser reads the answers")
    texts = json.dumps([base64.b64encode(raw).decode() for raw in raws])
    done = subprocess.run(
        [node, "-e", NODE], input=texts, capture_output=True, text=True, timeout=60, check=True
    )
    return [as_pairs(flat) for flat in json.loads(done.stdout)]


def as_pairs(flat: Any) -> Pairs:
    assert isinstance(flat, list), flat
    texts = [text.encode("latin-1") for text in flat]
    return list(zip(texts[::2], texts[1::2], strict=True))
