"""HTTP for GlanceAPI, with keystoneauth1 (extra ``glance``): bounded in time, and no cookies."""

from __future__ import annotations

import io
import socket
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from time import monotonic
from typing import Any

from keystoneauth1.exceptions import ClientException
from keystoneauth1.session import Session, TCPKeepAliveAdapter
from requests import RequestException, Response
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

# What a request or the reading of its answer raises when there is no answer to be had.
HTTP_ERRORS = (ClientException, RequestException)

_POOL_SIZE = 32  # connections kept; threads beyond those make their own


def make_session(session: Session | None, prefix: str) -> Session:
    """Return a session that has our transport for the URLs that begin with prefix.

    :param session: The host's own, which keeps its transport for everything else; or None.
    """
    if session is None:
        session = Session()
        # One caller's cookie must not go out with the next caller's request.
        session.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.mount(prefix, _Transport(pool_maxsize=_POOL_SIZE))
    return session


def read_body(response: Response, limit: int) -> bytes | None:
    """Return a streamed answer's body, or None when it is more than limit bytes."""
    body = bytearray()
    for chunk in response.iter_content(16_384):
        body += chunk
        if len(body) > limit:
            response.close()
            return None
    return bytes(body)


class _BoundedReader(io.RawIOBase):
    """A socket's incoming bytes, all of which have to come within the socket's time-out.

    The time-out alone holds for each wait, so a byte now and then would go on for ever.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._raw = sock.makefile("rb", buffering=0)
        timeout = sock.gettimeout()
        self._deadline = None if timeout is None else monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline is not None:
            left = self._deadline - monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_BoundedReader(sock))


class _HTTPConnection(HTTPConnection):
    response_class = _BoundedResponse


class _HTTPSConnection(HTTPSConnection):
    response_class = _BoundedResponse


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class _Transport(TCPKeepAliveAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _bound(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return _bound(super().proxy_manager_for(*args, **kwargs))


def _bound(manager: Any) -> Any:
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
    return manager
