"""Schemathesis holds the example's answers, over a socket, against its own description."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from example_app import create_app
from example_app.seed import EXAMPLE_ID
from tests.needs import needs

from .servers import running

# A 412 is a right answer to a right request, which Schemathesis does not count among them.
SETTINGS = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "412"]
"""
EXAMPLES = {"/v1/images/{image_id}": EXAMPLE_ID, "/firmware/v1/images/{image_id}": "router-r2"}


@pytest.mark.slow
def test_schemathesis_finds_no_failure(tmp_path: Path) -> None:
    """No generated request gets an answer that the description does not allow."""
    if find_spec("schemathesis") is None:
        needs("schemathesis, of the dependency group api-check")
    from flask_imagemeta.openapi import describe

    document = describe(create_app({"SQLALCHEMY_DATABASE_URI": "sqlite://"}))
    for path, image_id in EXAMPLES.items():
        document["paths"][path]["head"]["parameters"][0]["example"] = image_id
        for end in ("", "/detail"):  # an unknown marker is a 400, which no schema tells
            operation = document["paths"][path.removesuffix("/{image_id}") + end]["get"]
            [marker] = [one for one in operation["parameters"] if one["name"] == "marker"]
            marker["schema"] = {"type": "string", "enum": [image_id]}
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    description = tmp_path / "openapi.json"
    description.write_text(json.dumps(document))
    run = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"
    with running("waitress", tmp_path) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-c", run, "run", description, "--checks", "all"),
                *("--url", f"http://127.0.0.1:{server.port}"),
                *("--max-examples", "200", "--seed", "1"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
