"""Ready-made lookups: an image store each, written as a class whose objects are called."""

from .cached import Cached
from .glance_api import GlanceAPI
from .glance_database import GlanceDatabase
from .model_store import ModelStore
from .protocols import Lookup, Searchable, Unsupported, Walkable, Writable

__all__ = [
    "Cached",
    "GlanceAPI",
    "GlanceDatabase",
    "Lookup",
    "ModelStore",
    "Searchable",
    "Unsupported",
    "Walkable",
    "Writable",
]
