"""What a store is: a lookup, and the methods that let a command or a list do more with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from ..exceptions import ImageMetaError
from ..query import Query


class Unsupported(ImageMetaError, TypeError):
    """A store has a method, but cannot do this the way it is set up; the message says why."""


class Lookup(Protocol):
    """A store that finds an image by its id: all that a HEAD request needs.

    A store may have two more attributes, which are optional and thus not part of the protocol:

    - ``has_owner``: False if none of its images can have an owner, so anyone can see them. An
      application with an identity hook is warned.
    - ``caller_key()``: returns a text that is different for each caller, if the store answers the
      current request with the caller's own token, or else None. `Cached` keeps what one caller was
      shown from another.
    """

    def __call__(self, image_id: str, /) -> Any:
        """Return the image with exactly this id, deleted ones too, or None.

        :raises StoreUnavailable: when the store cannot answer now.
        """


class Walkable(Protocol):
    """A store that can return all of its images, to list, check or copy them."""

    def walk(self) -> Iterable[Any]:
        """Return every image once, deleted ones too, each as a lookup returns it.

        They are read lazily, so memory use does not grow with the store. If a field cannot be
        read, even the ``id``, the image is returned, and reading that field raises InvalidImage.

        :raises Unsupported: when the store cannot be walked the way it is set up.
        :raises StoreUnavailable: when the store cannot answer now.
        """

    def count(self) -> int:
        """Return how many images a walk returns, for progress bars.

        :raises Unsupported: when the store cannot be walked the way it is set up.
        :raises StoreUnavailable: when the store cannot answer now.
        """


class Writable(Protocol):
    """A store that images can be added to, or copied into."""

    def add(self, images: Iterable[Any], /) -> list[str]:
        """Add images, all or none, and return their ids in the same order.

        :param images: What any store's walk returns. An image without an id gets one.
        :raises ValueError: for a value that the store cannot hold, naming it.
        """

    def put(self, images: Iterable[Any], /, *, dry_run: bool = False) -> list[str]:
        """Add images or replace those with the same ids, all or none, and return their ids.

        :param images: What any store's walk returns.
        :param dry_run: Raise what the call would raise, and change nothing.
        :raises ValueError: for a value that the store cannot hold, naming it.
        """

    def copies_of(self, checksum: str, size: int, /) -> list[str]:
        """Return the ids of the images that hold the same data and are not deleted."""


class Searchable(Protocol):
    """A store that finds the images of a list: ``ImageMeta(search=store.search)``."""

    def search(self, query: Query, /) -> Iterable[Any]:
        """Return candidates for a query: its matches, or more images than those.

        :raises StoreUnavailable: when the store cannot answer now.
        """
