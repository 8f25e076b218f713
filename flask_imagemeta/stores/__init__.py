"""Ready-made lookups: an image store each, written as a class whose objects are called."""

from .model_store import ModelStore

__all__ = ["ModelStore"]
