"""Uses that type checkers reject. This file is only type-checked, never run.

Each mistake is ignored by its code; an ignore that is not needed is itself an error.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from flask_imagemeta import Identity, ImageMeta, ImageRecord
from flask_imagemeta.stores import GlanceDatabase, Lookup, ModelStore, Walkable, Writable


def no_argument() -> None:
    """Not a lookup: it takes no id."""


def one_argument(name: str) -> bool:
    """Not a show_property hook: it takes no identity."""
    return bool(name)


imagemeta = ImageMeta(lookup=no_argument)  # type: ignore[arg-type]
ImageMeta(show_property=one_argument)  # type: ignore[arg-type]
ImageMeta(lookup="package.module:name")  # type: ignore[arg-type]
ImageMeta(schema=dict)  # type: ignore[arg-type]
ImageMeta(None, "firmware")  # type: ignore[call-arg]
imagemeta.lookup(no_argument)  # type: ignore[type-var]
imagemeta.identity(one_argument)  # type: ignore[type-var]
imagemeta.stored_size(7)  # type: ignore[type-var]
imagemeta.init_app("app")  # type: ignore[arg-type]
ModelStore(ImageRecord(id="a"))  # type: ignore[arg-type]
ImageRecord(id=None)  # type: ignore[arg-type]
ImageRecord(id="a").name = "b"  # type: ignore[misc]
Identity(project_id=7)  # type: ignore[arg-type]
Identity("p", roles=7)  # type: ignore[arg-type]
Identity("p").is_admin = True  # type: ignore[misc]


class AddsOne:
    """Not a store: it adds one image instead of several, and cannot be walked."""

    def add(self, image: ImageRecord) -> str:
        return image.id


lookup: Lookup = no_argument  # type: ignore[assignment]
walkable: Walkable = AddsOne()  # type: ignore[assignment]
writable: Writable = AddsOne()  # type: ignore[assignment]
writable = GlanceDatabase("sqlite://")  # type: ignore[assignment]
