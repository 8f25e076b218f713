"""Ready-made lookups: an image store each, written as a class whose objects are called."""

from .glance_api import GlanceAPI
from .glance_database import GlanceDatabase
from .model_store import ModelStore

__all__ = ["GlanceAPI", "GlanceDatabase", "ModelStore"]
