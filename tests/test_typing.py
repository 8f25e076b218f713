"""The package as a type checker sees it."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from .needs import needs

TESTS = Path(__file__).parent


def test_accepted_and_rejected_uses() -> None:
    """Under mypy --strict, accepted.py is clean and each line of rejected.py fails as it says."""
    if find_spec("mypy") is None:
        needs("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "tests/typing"]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
