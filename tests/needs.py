"""What a test does if something it needs is missing on this machine."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def needs(what: str) -> NoReturn:
    """Skip the running test because this is missing; if CI is set, fail instead."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must provide {what}")
    pytest.skip(f"needs {what}")
