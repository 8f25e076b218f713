"""A small HTTP client that keeps connections busy, where wrk is not at hand."""

import selectors
import socket
import sys
from time import perf_counter


class Connection:
    """One connection after the other to a server, each with one request on its way."""

    def __init__(self, selector: selectors.BaseSelector, port: int, path: str) -> None:
        self._selector = selector
        self._port = port
        self._request = f"HEAD {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        self._open()

    def _open(self) -> None:
        self._received = b""
        self._socket = socket.create_connection(("127.0.0.1", self._port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(self._socket, selectors.EVENT_READ, self)
        self._socket.sendall(self._request)

    def read(self) -> int:
        """Read what is there, and return how many answers that completes: 0 or 1.

        :raises AssertionError: at an answer that is no 200.
        """
        try:
            chunk = self._socket.recv(65536)
            self._received += chunk
            answered = self._received.endswith(b"\r\n\r\n")
            if answered:
                assert self._received.split(b" ", 2)[1] == b"200", self._received
                self._received = b""
                self._socket.sendall(self._request)
        except ConnectionError:
            chunk, answered = b"", False
        if not chunk:  # the server closed it: uWSGI does after each answer
            self.close()
            self._open()
        return int(answered)

    def close(self) -> None:
        self._selector.unregister(self._socket)
        self._socket.close()


def requests_per_second(port: int, path: str, connections: int, seconds: float) -> float:
    """Return how many answers come per second, over so many connections at once."""
    selector = selectors.DefaultSelector()
    clients = [Connection(selector, port, path) for _ in range(connections)]
    answers = 0
    start = perf_counter()
    while (taken := perf_counter() - start) < seconds:
        for key, _ in selector.select(timeout=seconds):
            answers += key.data.read()
    for client in clients:
        client.close()
    return answers / taken


if __name__ == "__main__":
    port, path, connections, seconds = sys.argv[1:]
    print(requests_per_second(int(port), path, int(connections), float(seconds)))
