"""Stores of any size are walked in the same memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .databases import fill_glance, load_glance, new_database

ROOT = Path(__file__).parents[2]
STORES = ("GlanceDatabase", "ModelStore", pytest.param("entities", marks=pytest.mark.slow))
SERVERS = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("postgresql", "mariadb")]
GROWTH = 8_192  # KiB: what a list of ten thousand images takes several times


def walk(store: str, url: str) -> tuple[int, int]:
    """Walk in a new process; return how many images came and by how many KiB it has grown."""
    command = [sys.executable, "-m", "tests.stores.walker", store, url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    count, growth = done.stdout.split()
    return int(count), int(growth)


@pytest.fixture(scope="module", params=["sqlite", *SERVERS])
def large_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with new_database(request.param, tmp_path_factory.mktemp("database")) as url:
        load_glance(url)
        fill_glance(url, 4)
        yield url


@pytest.mark.parametrize("store", STORES)
def test_memory_is_flat(store: str, large_url: str) -> None:
    """Ten thousand images take no more memory than the first thousand did."""
    count, growth = walk(store, large_url)
    assert count == 10_000
    assert growth < GROWTH


@pytest.fixture(scope="module")
def million_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('million')}/glance.sqlite"
    load_glance(url)
    fill_glance(url, 6)
    return url


@pytest.mark.slow
@pytest.mark.parametrize("store", ["GlanceDatabase", "ModelStore"])
def test_a_million_images(store: str, million_url: str) -> None:
    """A million images take no more memory than the first thousand did."""
    count, growth = walk(store, million_url)
    assert count == 1_000_000
    assert growth < GROWTH
