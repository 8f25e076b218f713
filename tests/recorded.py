"""Recordings of the real v1 server: its rows as a model keeps them, its requests sent again."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

import sqlalchemy as sa
from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

CASE = "tests.case"  # where hooks find the case in the WSGI environ


def properties_of(record: dict[str, Any]) -> dict[str, str | None]:
    """Return a recorded image's properties, without deleted ones."""
    return {row["name"]: row["value"] for row in record["properties"] if not row["deleted"]}


def members_of(record: dict[str, Any]) -> list[str]:
    """Return the projects that a recorded image is shared with, without deleted memberships."""
    return [row["member"] for row in record["members"] if not row["deleted"]]


def as_columns(record: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of an ImageMixin with `visibility` and, as JSON, `members`."""
    times = {
        name: datetime.fromisoformat(record[name]) if record[name] else sa.null()
        for name in ("created_at", "updated_at", "deleted_at")
    }
    return {
        **record,
        **times,
        "is_public": record["visibility"] == "public",
        "properties": properties_of(record),
        "members": members_of(record),
    }


def ask(app: Flask, case: dict[str, Any], prefix: str = "") -> tuple[int, dict[str, str], bytes]:
    """Send a recorded request and return the status, the headers and the body.

    :param prefix: Comes before the recorded path.
    """
    path, _, query = case["request"]["path"].partition("?")
    environ = EnvironBuilder(method=case["request"]["method"]).get_environ()
    environ["PATH_INFO"] = prefix + unquote_to_bytes(path).decode("latin-1")
    environ["QUERY_STRING"] = query
    environ[CASE] = case
    for name, value in case["request"]["headers"]:
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{key}"] = value
    body, status, headers = run_wsgi_app(app.wsgi_app, environ)
    return int(status.split()[0]), dict(headers), b"".join(body)
