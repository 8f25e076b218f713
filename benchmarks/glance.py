"""A Glance that takes its time: answers API v2 for one image, so many milliseconds late.

Usage: python glance.py MILLISECONDS; prints its port.
"""

import asyncio
import json
import sys

from image import FIELDS, PROPERTIES

IMAGE = {name: value for name, value in FIELDS.items() if name not in ("is_public", "deleted")}
IMAGE |= {name: f"{FIELDS[name]:%Y-%m-%dT%H:%M:%SZ}" for name in ("created_at", "updated_at")}
IMAGE |= {"visibility": "public", "tags": [], "schema": "/v2/schemas/image", **PROPERTIES}
del IMAGE["deleted_at"]
BODY = json.dumps(IMAGE).encode()
HEAD = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    f"X-Openstack-Request-Id: req-of-the-upstream\r\nContent-Length: {len(BODY)}\r\n\r\n"
)
ANSWER = HEAD.encode() + BODY


class Connection(asyncio.Protocol):
    """Answers each request on a connection when its time has come."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            self._received = self._received.partition(b"\r\n\r\n")[2]
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, ANSWER)


async def main(milliseconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(milliseconds / 1000), "127.0.0.1", 0, backlog=512
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
