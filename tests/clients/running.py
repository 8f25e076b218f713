"""How a client's program is run, and what it prints is read."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any


def run(*command: object, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with more environment variables."""
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=180,
        env=os.environ | environ,
    )


def read_json(*command: object, **environ: str) -> Any:
    """Run a command and return the JSON that it prints."""
    result = run(*command, **environ)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
