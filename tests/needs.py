"""What a test does when something it needs is not on this machine."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def needs(what: str) -> NoReturn:
    """Skip the running test for want of something, named; where CI is set, fail instead."""
    if os.environ.get("CI"):
        pytest.fail(f"CI has to provide {what}")
    pytest.skip(f"needs {what}")
