"""Fixtures for lists: a test that takes `url` runs on all three databases."""

from __future__ import annotations

from ..stores.conftest import glance_url, kind, statements, url

__all__ = ["glance_url", "kind", "statements", "url"]
