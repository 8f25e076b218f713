"""Fixtures for stores: each test that takes `url` runs on all three databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from . import databases


@pytest.fixture(scope="module", params=databases.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The database in use."""
    return str(request.param)


@pytest.fixture(scope="module")
def url(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty database for the tests of one module."""
    with databases.new_database(kind, tmp_path_factory.mktemp("database")) as url:
        yield url


@pytest.fixture(scope="module")
def glance_url(url: str) -> str:
    """A database with the tables and rows of a real Glance."""
    databases.load_glance(url)
    return url


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The statements that SQLAlchemy sends while a test runs."""
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *args: Any) -> None:
        sent.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(sa.Engine, "before_cursor_execute", note)
