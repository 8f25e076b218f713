"""Each server is started once, when its first test runs; tests go server by server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .servers import RIGHT, SLOW, Server, running

SERVERS = [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in RIGHT]


@pytest.fixture(scope="session", params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Return one server after the other."""
    with running(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server
