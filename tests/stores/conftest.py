"""Fixtures for stores: each test that takes `url` runs on all three databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from . import databases

Plans = Callable[[Callable[[], object]], list[str]]

_EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN", "mariadb": "EXPLAIN"}


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


@pytest.fixture
def plans(kind: str, url: str) -> Iterator[Plans]:
    """Return the database's plan for each statement that a function sends."""
    sent: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *args: Any) -> None:
        sent.append((statement, parameters))

    engine = databases.plain_engine(url)

    def plans(function: Callable[[], object]) -> list[str]:
        sent.clear()
        sa.event.listen(sa.Engine, "before_cursor_execute", note)
        try:
            function()
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", note)
        with engine.connect() as connection:
            return [
                "\n".join(
                    str(tuple(row))
                    for row in connection.exec_driver_sql(
                        f"{_EXPLAIN[kind]} {statement}", parameters
                    )
                )
                for statement, parameters in sent
                if "FROM image" in statement
            ]

    yield plans
    engine.dispose()
