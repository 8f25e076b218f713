"""Cached: what another store found recently, in a cache that all processes share."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from hashlib import sha256
from inspect import unwrap
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from ..age import note_age
from ..exceptions import StoreUnavailable, one_line, short_repr
from ..image import ImageRecord
from ..request_id import logger
from .flights import Flights
from .per_process import PerProcess
from .plain_data import VERSION, NotPlain, from_plain_data, to_plain_data

if TYPE_CHECKING:
    from dogpile.cache.region import CacheRegion

_WAIT_FOR_PROCESS = 2  # seconds that a lookup waits for another process
_POLL = 0.02  # seconds between checks whether another process is done
_REST = 1  # second for which a cache that failed is not asked again
_NO_KEY = "imagemeta:none"  # where the cache has nothing

# The stores that regions have images of, by namespace.
_stores: WeakKeyDictionary[CacheRegion, dict[str, Any]] = WeakKeyDictionary()
_stores_lock = threading.Lock()


class _Found(NamedTuple):
    """What a lookup found; `kept_at` is when it was cached, None if it was not."""

    image: Any
    kept_at: float | None = None


class Cached:
    """A lookup that caches what another store found: ``Cached(store, region)``.

    The region's ``expiration_time`` says how long an image is cached. Its owner, visibility and
    members may be out of date for as long as its other fields, but whether a caller may see it is
    decided for each request. Use it only with a store that finds the same image for every caller,
    or with `GlanceAPI`: what a token was shown is cached only for that token.

    If several requests need an image that is not cached, one in each process asks the store; with
    a region that has a ``distributed_lock``, one in all processes. The others wait for it, at most
    5 seconds. A failure of the cache is logged; if it cannot be read, it is not used for a second.

    All other methods of the store, such as ``walk``, ``search`` and ``add``, are available here.

    :param store: The lookup to ask. It must return dicts or ImageRecords; an image with a value
        that is not plain data is not cached, and the log says so.
    :param region: A `dogpile.cache.CacheRegion` with an ``expiration_time``, which may be
        configured after this.
    :param miss_expiration: Seconds for which a missing id is remembered; 0 to remember none.
    :param stale_if_error: Seconds beyond the region's ``expiration_time`` for which an image may
        be used while the store is unavailable (RFC 5861); 0 to use none.
    :param namespace: Keeps the keys of stores that share a cache apart.
    :raises ValueError: for seconds that are not a number or are negative, and for a namespace that
        another store uses in the same region; from a lookup, when the region has no
        ``expiration_time``, or a negative one.
    :raises StoreUnavailable: from a lookup, when the store raises it, or when another request's
        lookup takes too long.
    :raises TypeError: for a store that is Cached; from a lookup, when the store returned
        something that cannot be cached.
    """

    def __init__(
        self,
        store: Callable[[str], Any],
        region: CacheRegion,
        *,
        miss_expiration: float = 5,
        stale_if_error: float = 0,
        namespace: str = "imagemeta",
    ) -> None:
        self._store = store
        self._region = region
        self._miss_expiration = _as_seconds("miss_expiration", miss_expiration)
        self._stale_if_error = _as_seconds("stale_if_error", stale_if_error)
        self._namespace = namespace
        self._has = unwrap(store)  # the store behind a function made with functools.wraps
        if isinstance(self._has, Cached):
            raise TypeError(
                "the store is already Cached: cached again, an image would be kept for both "
                "lifetimes, with a wrong age. Give this one the store itself"
            )
        # Returns a key for the caller whose token the store uses; None if it uses none.
        self._caller: Callable[[], str | None] = getattr(self._has, "caller_key", lambda: None)
        self._flights = PerProcess(Flights)  # in a fork, no lookup of the parent's ever ends
        self._rest_until = 0.0
        with _stores_lock:
            first = _stores.setdefault(region, {}).setdefault(namespace, store)
        if first != store:
            raise ValueError(
                f"another store uses the namespace {namespace!r} in this region, so one could "
                "answer with an image of the other: give each store its own region or namespace=. "
                "If an application factory made both, let it make the region, too, or make the "
                "store outside it."
            )

    def __call__(self, image_id: str) -> Any:
        """Return the image with exactly this id, or None."""
        self._expiration()
        key = self._key(image_id)
        try:
            found = self._fresh(key) or self._find(key, image_id)
        except StoreUnavailable as error:
            found = self._stale(key, image_id, error)
        # After a missing image, a chain of lookups may ask another store.
        if found.image is not None and found.kept_at is not None:
            note_age(time.time() - found.kept_at)
        return found.image

    def __getattr__(self, name: str) -> Any:
        """Return the store's attribute of this name; ``add`` and ``put`` also invalidate."""
        if name.startswith("_"):
            raise AttributeError(name, name=name, obj=self)
        value = getattr(self._has, name)
        return self._forgetting(value) if name in ("add", "put") else value

    def invalidate(self, image_id: object) -> None:
        """Remove an image from the cache, so that the next request asks the store.

        Call it after committing a change to the image. If the cache fails, it keeps the image
        until it expires, and the log says so. With a store that uses the callers' own tokens, only
        what the current request's caller was shown is removed.

        :param image_id: The id as the model has it, such as an int or a UUID, or its text.
        :raises RuntimeError: outside a request, with a store that uses the callers' own tokens.
            Give the store a session, or let the image expire.
        """
        key = self._key(image_id)
        self._flights.get().forget(key)  # a lookup may have read the image before the change
        self._remove(key, image_id)

    def _forgetting(self, write: Callable[..., list[str]]) -> Callable[..., list[str]]:
        @wraps(write)
        def write_and_forget(images: Iterable[Any], **options: Any) -> list[str]:
            image_ids = write(images, **options)
            for image_id in image_ids:
                self.invalidate(image_id)
            return image_ids

        return write_and_forget

    def _key(self, image_id: object) -> str:
        """Return a key that every backend accepts and that does not reveal a token."""
        # A lookup has the text of an id that may be a number or a UUID in the model.
        parts = json.dumps([self._namespace, str(image_id), self._caller()])
        return f"imagemeta:{VERSION}:{sha256(parts.encode()).hexdigest()}"

    # The cache

    def _expiration(self) -> float:
        """Return the region's expiration_time, which it may get after this object is made."""
        seconds: float | None = getattr(self._region, "expiration_time", None)
        if seconds is None or seconds < 0:
            raise ValueError(
                f"the region's expiration_time is {seconds}, so images would be kept for good or "
                "not at all: configure it with one, such as expiration_time=60"
            )
        return seconds

    def _fresh(self, key: str) -> _Found | None:
        """Return what the cache has, if it may still be used, or None."""
        found = self._get(key)
        if found is None or found.image is not None or found.kept_at is None:
            return found
        return found if time.time() - found.kept_at <= self._miss_expiration else None

    def _stale(self, key: str, image_id: str, error: StoreUnavailable) -> _Found:
        """Return the image that may be used while the store is unavailable.

        :raises StoreUnavailable: the error, when there is none.
        """
        if not self._stale_if_error:
            raise error
        found = self._get(key, self._expiration() + self._stale_if_error)
        if found is None or found.image is None:
            raise error
        logger.warning(
            "image %s: store unavailable, so an old one is used: %s",
            short_repr(image_id),
            one_line(str(error)),
        )
        return found

    def _get(self, key: str, expiration: float | None = None) -> _Found | None:
        if time.monotonic() < self._rest_until:
            return None
        try:
            kept = self._region.get_value_metadata(key, expiration_time=expiration)
            return kept and _Found(from_plain_data(kept.payload), kept.cached_time)
        except Exception as error:
            if self._is_reachable():
                logger.warning("what the cache has is not an image: %s", _words(error))
            else:
                self._rest_until = time.monotonic() + _REST
                logger.warning("the cache failed, so the store is asked: %s", _words(error))
            return None

    def _is_reachable(self) -> bool:
        """Return whether the cache can be read at all; its errors do not tell.

        A region's deserializer may raise anything, and so may a client whose server is down.
        """
        try:
            self._region.get_value_metadata(_NO_KEY)
        except Exception:
            return False
        return True

    def _replace(
        self, key: str, image_id: str, data: str | None, may_keep: Callable[[], bool]
    ) -> None:
        """Cache the store's latest result for an image; if that fails, remove any older one.

        :param data: The image, or None if it cannot be kept.
        """
        # Asked even while the cache rests: it also keeps earlier lookups from writing later.
        if not may_keep() or time.monotonic() < self._rest_until:
            return
        is_kept = False
        if data is not None:
            with _logged("the cache failed, so an image is not kept"):
                self._region.set(key, data)
                is_kept = may_keep()  # still: not if it was invalidated meanwhile
        if not is_kept:
            self._remove(key, image_id)

    def _remove(self, key: str, image_id: object) -> None:
        with _logged(f"image {short_repr(image_id)}: not removed from the cache"):
            self._region.delete(key)

    # One lookup for all

    def _find(self, key: str, image_id: str) -> _Found:
        """Return what the store finds; requests that arrive meanwhile share the result."""
        return self._flights.get().share(key, partial(self._ask, key, image_id))

    def _ask(self, key: str, image_id: str, may_keep: Callable[[], bool]) -> _Found:
        """Ask the store, unless another thread or process has done it since the cache was read."""
        with self._only_process(key):
            return self._fresh(key) or self._look_up(key, image_id, may_keep)

    def _look_up(self, key: str, image_id: str, may_keep: Callable[[], bool]) -> _Found:
        try:
            image = self._store(image_id)
            data = self._data(image_id, image)
        except StoreUnavailable:
            raise
        except Exception:
            # Whoever may not see the image now must not see an old one when the store is down.
            self._replace(key, image_id, None, may_keep)
            raise
        self._replace(key, image_id, data, may_keep)
        # The first response must look like the later ones, which come from the cache.
        return _Found(image if data is None else from_plain_data(data))

    def _data(self, image_id: str, image: Any) -> str | None:
        """Return what to keep of an image, or of the fact that there is none; None for nothing."""
        if image is None and self._miss_expiration <= 0:
            return None
        if isinstance(image, ImageRecord) and image.access_granted and self._caller() is None:
            raise TypeError(
                "the store showed an image to this caller alone, and Cached cannot tell callers "
                "apart: give it the GlanceAPI itself, or a function made with functools.wraps"
            )
        try:
            return to_plain_data(image)
        except NotPlain as error:
            logger.warning("image %s: not kept in the cache: %s", short_repr(image_id), error)
            return None

    @contextmanager
    def _only_process(self, key: str) -> Iterator[None]:
        """Be the only process that asks for an image, if the region can lock across processes."""
        mutex = None
        if time.monotonic() >= self._rest_until:
            with _logged("the cache cannot lock"):
                mutex = self._acquire(key)
        try:
            yield
        finally:
            if mutex is not None:
                with _logged("the cache cannot unlock"):
                    mutex.release()

    def _acquire(self, key: str) -> Any:
        """Return the lock, or None if there is none or its holder takes too long."""
        mutex = self._region.backend.get_mutex(key)
        deadline = time.monotonic() + _WAIT_FOR_PROCESS
        while mutex is not None and not mutex.acquire(False):
            if time.monotonic() > deadline or self._fresh(key):
                return None
            time.sleep(_POLL)
        return mutex


@contextmanager
def _logged(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        logger.warning("%s: %s", what, _words(error))


def _words(error: Exception) -> str:
    """Return what an error says; the repr of one of redis-py does not."""
    return one_line(f"{type(error).__name__}: {error}")


def _as_seconds(name: str, value: float) -> float:
    if isinstance(value, (int, float)) and value >= 0:
        return value
    raise ValueError(f"{name} is {value!r}, but must be a number of seconds, 0 or more")
