"""The routes, and the headers that all their responses have."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import AnyConverter, MapAdapter, UnicodeConverter

from .answers import CONTENT_TYPE, CompleteResponse, add_common_headers, make_answer
from .operation import has_failed
from .search import ListImages
from .show import RefuseData, ShowImage
from .state import State, get_state

# A host may serve the same addresses. Werkzeug tries fixed parts of a path before converters, and
# converters in order of their weight; those of its own weigh 50 to 200.
_FIRST = -1_000
_LAST = 1_000


class _FirstConverter(UnicodeConverter):
    """An image's id in a rule that is tried before any other rule with a parameter in its place.

    A host may serve GET at the same address, for example an image's data, and Flask adds HEAD to
    that rule. Because ours is tried first, it gets HEAD; GET goes to the host's.
    """

    weight = _FIRST


class _LastConverter(UnicodeConverter):
    """An image's id in a rule that is tried last, so that a host's own GET wins."""

    weight = _LAST


class _FirstWordConverter(AnyConverter):
    """A fixed word in a rule that is tried after a host's own rule with that word."""

    weight = _FIRST - 1  # before the rule that would take the word for an image's id


class _LastWordConverter(AnyConverter):
    """A fixed word in a rule that is tried after all of a host's rules."""

    weight = _LAST


_CONVERTERS = {
    "imagemeta_first": _FirstConverter,
    "imagemeta_last": _LastConverter,
    "imagemeta_first_word": _FirstWordConverter,
    "imagemeta_last_word": _LastWordConverter,
}

# The methods that a route has only to refuse them; Werkzeug adds HEAD to every GET.
_REFUSED = {"list_images": "HEAD", "list_details": "HEAD", "refuse_data": "GET"}


def register_blueprint(app: Flask, state: State) -> None:
    """Make the blueprint of one ImageMeta and register it on an application."""
    app.url_map.converters.update(_CONVERTERS)
    config, name = state.config, state.name
    blueprint = Blueprint(name, __name__, url_prefix=config.url_prefix, subdomain=config.subdomain)

    def show_image(image_id: str, **parts_of_the_host: str) -> Response:
        return ShowImage(get_state(name), image_id).answer()

    blueprint.add_url_rule(
        "/images/<imagemeta_first:image_id>",
        view_func=show_image,
        methods=["HEAD"],
        host=config.host,
    )
    blueprint.after_request(partial(_complete, state))
    blueprint.after_app_request(partial(_complete_405, state))
    app.register_blueprint(blueprint)
    if state.has_search:
        add_list_routes(state)


def add_list_routes(state: State) -> None:
    """Add the routes of the lists, and of GET for an image, beside those of the blueprint.

    They are not part of it because the search hook may be set after it was registered.

    :raises AssertionError: from Flask, when the application has served a request.
    """
    if state.serves_lists:
        return
    app, config, name = state.app, state.config, state.name

    def list_images(**parts_of_the_host: str) -> Response:
        return _list(name, is_detailed=False)

    def list_details(**parts_of_the_host: str) -> Response:
        return _list(name, is_detailed=True)

    def refuse_data(image_id: str, **parts_of_the_host: str) -> Response:
        return RefuseData(get_state(name), image_id, lambda: _allow(name)).answer()

    images = "/<imagemeta_last_word(images):images>"
    for rule, view in (
        (images, list_images),
        ("/images/<imagemeta_first_word(detail):detail>", list_details),
        (f"{images}/<imagemeta_last:image_id>", refuse_data),
    ):
        app.add_url_rule(
            config.url_prefix.rstrip("/") + rule,
            endpoint=f"{name}.{view.__name__}",
            view_func=view,
            methods=["GET"],
            subdomain=config.subdomain,
            host=config.host,
        )


def _complete(state: State, response: Response) -> Response:
    """Complete a response that no view of ours made: for OPTIONS, after a crash, or the host's."""
    if not isinstance(response, CompleteResponse):
        if has_failed():
            response.data = b""
            response.content_type = CONTENT_TYPE
        if has_failed() or request.method == "OPTIONS":
            response.headers.setdefault("Cache-Control", "no-store")
        if "Allow" in response.headers:
            response.headers["Allow"] = _allow(state.name, set(response.allow))
        add_common_headers(state.caching, response)
    return response


def _complete_405(state: State, response: Response) -> Response:
    """Complete the response to a method that our routes lack; blueprint hooks never see those."""
    error = request.routing_exception
    if isinstance(error, MethodNotAllowed) and _is_ours(state.name, error):
        if response.status_code == 405:  # otherwise a before_request function of the host answered
            response.data = b""
            response.content_type = CONTENT_TYPE
            response.headers["Cache-Control"] = "no-store"
            # Flask's own, which a host's error handler may have left out.
            response.headers["Allow"] = ", ".join(error.valid_methods or ())
        _complete(state, response)
    return response


def _is_ours(name: str, error: MethodNotAllowed) -> bool:
    """Return whether a method was refused at one of our addresses, which all have HEAD."""
    adapter = current_app.create_url_adapter(request)
    if adapter is None or "HEAD" not in (error.valid_methods or ()):
        return False
    return _endpoint_of(adapter, "HEAD").startswith(f"{name}.")


def _list(name: str, *, is_detailed: bool) -> Response:
    state = get_state(name)
    if request.method == "HEAD":
        return make_answer(state.caching, 405, {"Allow": _allow(name)})
    return ListImages(state, is_detailed=is_detailed).answer()


def _allow(name: str, methods: set[str] | None = None) -> str:
    """Return the Allow header of the current address, without methods that it only refuses.

    :param methods: The methods to choose from; None for all those of the address.
    """
    adapter = current_app.create_url_adapter(request)
    if adapter is None:
        return ", ".join(sorted(methods or ()))
    if methods is None:
        methods = set(adapter.allowed_methods())
    refused = {f"{name}.{view}": method for view, method in _REFUSED.items()}
    return ", ".join(
        sorted(one for one in methods if refused.get(_endpoint_of(adapter, one)) != one)
    )


def _endpoint_of(adapter: MapAdapter, method: str) -> str:
    """Return the endpoint for a method at the current address, "" if there is none."""
    try:
        endpoint, _ = adapter.match(method=method)
    except HTTPException:  # also raised for a host's route that redirects
        return ""
    return str(endpoint)
