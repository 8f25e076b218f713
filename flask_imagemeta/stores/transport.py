"""HTTP for GlanceAPI, with keystoneauth1 (extra ``glance``): limited in time, without cookies."""

from __future__ import annotations

import io
import socket
from http.client import HTTPResponse
from time import monotonic
from typing import Any, Protocol

import requests
from keystoneauth1.exceptions import ClientException
from keystoneauth1.session import Session, TCPKeepAliveAdapter
from requests import RequestException, Response
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

# What sending a request and reading its response raise if there is none. Requests parses where a
# redirect leads even if it is not followed, hence the ValueError.
HTTP_ERRORS = (ClientException, RequestException, ValueError)

_POOL_SIZE = 32  # connections that are kept; more threads than that open their own

Timeouts = tuple[float, float]  # seconds: for a connection, and for a response


class Client(Protocol):
    """What GlanceAPI sends requests with."""

    def get(self, url: str, headers: dict[str, str]) -> Response:
        """Return the response, its body unread. Redirects are not followed.

        It raises one of `HTTP_ERRORS` if there is no answer.
        """


class TokenClient:
    """Sends only the headers of each call: no cookie of one caller reaches another's request.

    The environment's proxies and certificates are read once, here.
    """

    def __init__(self, prefix: str, timeouts: Timeouts) -> None:
        self._adapter = _Transport(pool_maxsize=_POOL_SIZE)
        settings = requests.Session().merge_environment_settings(prefix, {}, True, None, None)
        self._options = {**settings, "timeout": timeouts}

    def get(self, url: str, headers: dict[str, str]) -> Response:
        """Send a request on one of the connections that are kept."""
        request = requests.Request("GET", url, headers).prepare()
        return self._adapter.send(request, **self._options)


class SessionClient:
    """Sends requests with the host's session, whose transport for other URLs is unchanged."""

    def __init__(self, session: Session, prefix: str, timeouts: Timeouts) -> None:
        session.mount(prefix, _Transport(pool_maxsize=_POOL_SIZE))
        self._session = session
        self._timeouts = timeouts

    def get(self, url: str, headers: dict[str, str]) -> Response:
        """Send a request once; if the session's token is refused, once more with a new one."""
        response: Response = self._session.get(
            url,
            headers=headers,
            authenticated=True,
            timeout=self._timeouts,
            stream=True,
            redirect=False,
            connect_retries=0,
            status_code_retries=0,
            raise_exc=False,
            log=False,  # which would read the body, whatever its size
        )
        return response


def read_body(response: Response, limit: int) -> bytes | None:
    """Return the body of a streamed answer, or None if it has more than limit bytes."""
    body = bytearray()
    for chunk in response.iter_content(16_384):
        body += chunk
        if len(body) > limit:
            response.close()
            return None
    return bytes(body)


# Requests and urllib3 cannot limit the time of a response as a whole: their read timeout applies to
# each wait, so a server that sends a byte now and then could go on forever. The classes below give
# http.client a reader of our own, through attributes that urllib3 and http.client provide for
# subclasses. A test with a server that sends bytes one by one fails if a release reads elsewhere.
class _BoundedReader(io.RawIOBase):
    """A socket's incoming bytes, which must all arrive within the socket's timeout."""

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
