"""An image's metadata in HTTP headers: the Image API v1's HEAD operation for Flask."""

from typing import TYPE_CHECKING, Any

from .access import Identity, keystone_identity
from .exceptions import ConfigurationError, ImageMetaError, InvalidImage, StoreUnavailable
from .extension import ImageMeta
from .image import ImageRecord
from .query import Query
from .schema import HeaderSchema, ImageMetaSchema
from .signals import image_hidden, image_missing, image_shown, images_listed, store_unavailable

if TYPE_CHECKING:
    from .model import ImageMixin

__version__ = "0.1.0"

__all__ = [
    "ConfigurationError",
    "HeaderSchema",
    "Identity",
    "ImageMeta",
    "ImageMetaError",
    "ImageMetaSchema",
    "ImageMixin",
    "ImageRecord",
    "InvalidImage",
    "Query",
    "StoreUnavailable",
    "image_hidden",
    "image_missing",
    "image_shown",
    "images_listed",
    "keystone_identity",
    "store_unavailable",
]


def __getattr__(name: str) -> Any:
    # Imported on first use: its column types import SQLAlchemy's dialects of PostgreSQL and MySQL,
    # which take twice as long as all of this package.
    if name == "ImageMixin":
        from .model import ImageMixin  # noqa: PLC0415

        return ImageMixin
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
