"""What all operations on images share: the caller, errors and signals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from blinker import NamedSignal
from flask import Response, request
from werkzeug.exceptions import HTTPException

from .access import Identity
from .answers import Headers, make_answer, make_answer_of_hook
from .exceptions import InvalidImage, StoreUnavailable, one_line, short_repr
from .hooks import Hooks
from .image import can_be_asked_for, check_image
from .request_id import current_request_id, logger
from .signals import store_unavailable
from .state import State

_FAILED = "flask_imagemeta.failed"


def has_failed() -> bool:
    """Return whether a hook crashed while it served the current request."""
    return _FAILED in request.environ


class Operation(ABC):
    """One request to a route of the extension.

    :param state: The state of the ImageMeta object whose route was requested.
    """

    _image_id: str | None = None  # the id in the request's path; a list has none

    def __init__(self, state: State) -> None:
        self._state = state
        self._identity: Identity | None = None

    def answer(self) -> Response:
        """Return the response.

        :raises Exception: whatever a hook or a signal's receiver raises, except for the responses
            that a hook may raise on purpose.
        """
        try:
            return self._answer_or_end()
        except Exception as error:
            request.environ[_FAILED] = True
            logger.error("%s: a hook raised %s", self._subject, short_repr(error))
            raise

    def _answer_or_end(self) -> Response:
        try:
            return self._answer()
        except StoreUnavailable as error:
            return self._be_unavailable(error)
        except InvalidImage as error:
            logger.error("%s: cannot be sent: %s", self._subject, error)
            return self._end(500)
        except HTTPException as error:  # a hook's own response, such as abort(401)
            return make_answer_of_hook(self._state.caching, error.get_response(request.environ))

    @property
    def _hooks(self) -> Hooks:
        return self._state.hooks

    @property
    @abstractmethod
    def _subject(self) -> str:
        """The subject of log messages."""

    @abstractmethod
    def _answer(self) -> Response:
        """Return the response if nothing goes wrong."""

    def _look_up(self, image_id: str) -> Any:
        """Return the image that the lookup finds, or None; access is not checked yet.

        :raises InvalidImage: when the lookup returns something that cannot be an image.
        """
        image = self._hooks.lookup(image_id) if can_be_asked_for(image_id) else None
        if image is not None:
            check_image(image)
        return image

    def _be_unavailable(self, error: StoreUnavailable) -> Response:
        logger.warning("%s: store unavailable: %s", self._subject, one_line(str(error)))
        self._signal(store_unavailable, image_id=self._image_id)
        return self._end(503, {"Retry-After": str(self._state.config.retry_after)})

    def _end(
        self, status: int, headers: Headers | None = None, *, is_public: bool = False
    ) -> Response:
        return make_answer(self._state.caching, status, headers or {}, is_public=is_public)

    def _signal(self, signal: NamedSignal, **data: Any) -> None:
        if signal.receivers:
            signal.send(
                self._state.app,
                identity=self._identity,
                request_id=current_request_id(),
                **data,
            )
