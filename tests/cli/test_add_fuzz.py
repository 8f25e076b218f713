"""Damaged image files given to the command: each is added or refused, none is a crash."""

from __future__ import annotations

import pytest

from .mutations import mutants

pytest.importorskip("flask_imagemeta.files")

SLICE = 1_000


def add_all(run, tmp_path, seeds):
    path = tmp_path / "damaged.img"
    added = 0
    for seed, data in mutants(tmp_path, seeds):
        path.write_bytes(data)
        result = run("add", path, "--again")
        error = result.stderr.strip()
        assert result.exit_code in (0, 2), f"{seed}: {result.output}"
        assert (result.exit_code == 2) == error.startswith(f"Error: {path} "), f"{seed}: {error}"
        assert error.isprintable(), f"{seed}: {error!r}"
        added += result.exit_code == 0
    assert 0 < added < len(seeds)
    checked = run("check")
    assert checked.stderr.startswith(f"{added:,} images checked, 0 to report")


def test_damaged_files(run, tmp_path):
    """A damaged file is added or refused with words, and what is added can be sent."""
    add_all(run, tmp_path, range(200))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 16_000, SLICE))
def test_many_damaged_files(run, tmp_path, start):
    """The same holds for many more of them."""
    add_all(run, tmp_path, range(start, start + SLICE))
