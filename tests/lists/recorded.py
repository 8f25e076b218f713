"""The recorded cases of the real v1 lists: what each asks, and what it answers here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flask import request

from flask_imagemeta import Identity
from flask_imagemeta.wire import from_value

from ..recorded import CASE, members_of, properties_of

RECORDED = json.loads((Path(__file__).parents[1] / "data/glance-v1-list.json").read_text())
CASES: dict[str, dict[str, Any]] = {case["case"]: case for case in RECORDED["cases"]}


def as_image(record: dict[str, Any]) -> dict[str, Any]:
    """Return a recorded row as a plain image."""
    return {
        **record,
        **{k: v and v.replace(" ", "T") for k, v in record.items() if k.endswith("_at")},
        "is_public": record["visibility"] == "public",
        "properties": properties_of(record),
        "members": members_of(record),
    }


IMAGES = {image_id: as_image(record) for image_id, record in RECORDED["images"].items()}


def identity() -> Identity | None:
    """Return the caller of the current case, as an identity hook."""
    caller = request.environ[CASE]["identity"]
    if caller is None:
        return None
    project = from_value(caller["project_id"])
    return Identity(None if project == "none" else project, caller["roles"])


def listed_ids(case: dict[str, Any]) -> list[str] | None:
    """Return the ends of the ids that a case has listed, None for an error."""
    ids = case["response"].get("ids")
    return None if ids is None else [image_id[-2:] for image_id in ids]
