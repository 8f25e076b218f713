"""An image's metadata in HTTP headers: the Image API v1's HEAD operation for Flask."""

from .access import Identity, keystone_identity
from .exceptions import ConfigurationError, ImageMetaError, InvalidImage, StoreUnavailable
from .extension import ImageMeta
from .image import ImageRecord
from .model import ImageMixin
from .schema import HeaderSchema, ImageMetaSchema
from .signals import image_hidden, image_missing, image_shown, store_unavailable

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
    "StoreUnavailable",
    "image_hidden",
    "image_missing",
    "image_shown",
    "keystone_identity",
    "store_unavailable",
]
