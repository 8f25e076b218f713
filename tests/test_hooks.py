"""The four hooks, each in its three forms, as plain functions and as coroutine functions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial, wraps
from types import ModuleType
from typing import Any

import pytest
from flask import Flask, current_app, request

from flask_imagemeta import Identity, ImageMeta, InvalidImage

from .apps import EXAMPLE, PATH, make_app

pytestmark = pytest.mark.core

Hook = Callable[..., Any]
PRIVATE = {**EXAMPLE, "is_public": False, "properties": {"os": "a", "Key With Space": "b"}}
OWNER = Identity(EXAMPLE["owner"])

# What each hook does in these tests, and what can be seen of it.
HOOKS: dict[str, Hook] = {
    "lookup": {EXAMPLE["id"]: PRIVATE}.get,
    "identity": lambda: Identity(request.headers.get("X-Project")),
    "stored_size": lambda image: len(image["name"]) if image["status"] == "queued" else None,
    "show_property": lambda name, identity: name == "os" and identity == OWNER,
}


def ask(app: Flask, **headers: str) -> Any:
    return app.test_client().head(PATH, headers={"X-Project": OWNER.project_id or "", **headers})


def set_argument(hooks: dict[str, Hook]) -> Flask:
    return make_app(ImageMeta(**hooks))  # type: ignore[arg-type]


def set_decorator(hooks: dict[str, Hook]) -> Flask:
    imagemeta = ImageMeta()
    app = make_app(imagemeta)
    for name, hook in hooks.items():
        assert getattr(imagemeta, name)(hook) is hook
    return app


def set_config(hooks: dict[str, Hook]) -> Flask:
    for name, hook in hooks.items():
        setattr(sys.modules["host_hooks"], name, hook)
    return make_app(
        ImageMeta(), **{f"IMAGEMETA_{name.upper()}": f"host_hooks:{name}" for name in hooks}
    )


@pytest.fixture(autouse=True)
def host_hooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module of the host's, whose hooks a configuration can name."""
    module = ModuleType("host_hooks")
    monkeypatch.setitem(sys.modules, "host_hooks", module)
    return module  # type: ignore[return-value]


@pytest.fixture(params=[set_argument, set_decorator, set_config])
def set_hooks(request: pytest.FixtureRequest) -> Callable[[dict[str, Hook]], Flask]:
    """Each of the three ways to set hooks."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=["plain", "coroutine"])
def hooks(request: pytest.FixtureRequest) -> dict[str, Hook]:
    """The four hooks, as plain and as coroutine functions."""
    if request.param == "plain":
        return dict(HOOKS)
    as_coroutine = request.getfixturevalue("as_coroutine")
    return {name: as_coroutine(hook) for name, hook in HOOKS.items()}


def test_lookup(set_hooks: Any, hooks: dict[str, Hook]) -> None:
    """The lookup hook finds the image by its id; None means that there is none."""
    app = set_hooks(hooks)
    assert ask(app).headers["X-Image-Meta-Id"] == EXAMPLE["id"]
    assert app.test_client().head("/v1/images/other").status_code == 404


def test_identity(set_hooks: Any, hooks: dict[str, Hook]) -> None:
    """The identity hook reads the current request; what it returns decides who sees the image."""
    app = set_hooks(hooks)
    assert ask(app).status_code == 200
    assert ask(app, **{"X-Project": "other"}).status_code == 404


def test_stored_size(set_hooks: Any, hooks: dict[str, Hook]) -> None:
    """The stored_size hook gets the image and says how many bytes are stored."""
    image = {**PRIVATE, "status": "queued"}
    assert ask(set_hooks({**hooks, "lookup": lambda image_id: image})).status_code == 409
    image["size"] = len(image["name"])
    assert ask(set_hooks({**hooks, "lookup": lambda image_id: image})).status_code == 200


def test_show_property(set_hooks: Any, hooks: dict[str, Hook]) -> None:
    """The show_property hook gets a name and the identity and says whether it is shown."""
    properties = [name for name in ask(set_hooks(hooks)).headers.keys() if "Property" in name]  # noqa: SIM118
    assert properties == ["X-Image-Meta-Property-Os"]


def test_show_property_gets_the_decoded_name() -> None:
    """The name is the property's own in lower case, not the header's."""
    names = []

    def show_property(name: str, identity: Identity | None) -> bool:
        names.append(name)
        return True

    ask(set_argument({**HOOKS, "show_property": show_property}))
    assert names == ["key with space", "os"]


def test_without_optional_hooks() -> None:
    """Without the other hooks everyone is anonymous, no size is checked, no property is hidden."""
    image = {**PRIVATE, "is_public": True}
    response = make_app(ImageMeta(lookup=lambda image_id: image)).test_client().head(PATH)
    assert response.status_code == 200
    assert sum("Property" in name for name, _ in response.headers) == 2
    image["is_public"] = False
    response = make_app(ImageMeta(lookup=lambda image_id: image)).test_client().head(PATH)
    assert response.status_code == 404


@pytest.mark.parametrize("name", ["imagemeta", "firmware"])
def test_without_lookup(name: str) -> None:
    """Without a lookup the first request says in which three ways to set one."""
    with pytest.raises(RuntimeError) as caught:
        make_app(ImageMeta(name=name)).test_client().head(PATH)
    for way in ("ImageMeta(lookup=", f"@{name}.lookup", f'app.config["{name.upper()}_LOOKUP"]'):
        assert way in str(caught.value)


@pytest.mark.parametrize("name", HOOKS)
def test_configuration_beats_code(name: str, host_hooks: ModuleType) -> None:
    """A hook in the configuration takes the place of one in code."""
    called = []

    def record(*args: Any) -> Any:
        called.append(name)
        return HOOKS[name](*args)

    setattr(host_hooks, name, record)
    image = {**PRIVATE, "is_public": True}
    code = {"lookup": lambda image_id: image, name: lambda *args: pytest.fail("code was called")}
    app = make_app(ImageMeta(**code), **{f"IMAGEMETA_{name.upper()}": f"host_hooks:{name}"})  # type: ignore[arg-type]
    ask(app)
    assert set(called) == {name}


@pytest.mark.parametrize("name", HOOKS)
def test_set_twice(name: str) -> None:
    """Setting a hook a second time in code raises and names the first."""
    imagemeta = ImageMeta(**{name: HOOKS[name]})  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=f"already has the {name} hook") as caught:
        getattr(imagemeta, name)(lambda *args: None)
    assert repr(HOOKS[name]) in str(caught.value)


@pytest.mark.parametrize("name", HOOKS)
def test_set_too_late(name: str) -> None:
    """Setting a hook after the first request raises, for it would count in some threads only."""
    imagemeta = ImageMeta()
    imagemeta.lookup(HOOKS["lookup"])
    ask(make_app(imagemeta))
    with pytest.raises(RuntimeError, match=f"The {name} hook .* comes too late"):
        getattr(imagemeta, name)(HOOKS[name])


def test_search_set_too_late() -> None:
    """Flask takes no routes for lists after any request, so the hook is refused and not kept."""
    served, fresh = Flask("served"), Flask("fresh")
    imagemeta = ImageMeta(served, lookup=lambda image_id: None)
    served.test_client().get("/")
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"The search hook .* comes too late"):
            imagemeta.search(lambda query: [])
    imagemeta.init_app(fresh)
    assert imagemeta.search(search := lambda query: []) is search
    for app, status in ((served, 404), (fresh, 200)):
        assert app.test_client().get("/v1/images").status_code == status
        assert app.extensions["imagemeta"]["imagemeta"].serves_lists == (status == 200)


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("hook", ["package.module:name", 7, object()])
def test_not_callable(name: str, hook: object) -> None:
    """A hook that cannot be called is refused where it is set."""
    with pytest.raises(TypeError, match=f"the {name} hook is .* must be callable"):
        ImageMeta(**{name: hook})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=f"the {name} hook is .* must be callable"):
        getattr(ImageMeta(), name)(hook)


@pytest.mark.parametrize("name", HOOKS)
def test_a_class_is_not_a_hook(name: str) -> None:
    """A class, which a call would make an object of, is refused, with what was probably meant."""
    with pytest.raises(TypeError, match=rf"the {name} hook is the class Image, .*Image.*\)\?"):
        ImageMeta(**{name: type("Image", (), {})})  # type: ignore[arg-type]


def test_a_hook_in_the_place_of_the_application() -> None:
    """A function given as the application is taken for a hook without its name."""
    with pytest.raises(TypeError, match=r"must be a Flask application: ImageMeta\(lookup=...\)\?"):
        ImageMeta(HOOKS["lookup"])  # type: ignore[arg-type]


def test_another_application_may_have_a_hook_of_its_own() -> None:
    """A request in one application settles its hooks, not those of another."""
    imagemeta = ImageMeta(lookup=lambda image_id: PRIVATE)
    first = make_app(imagemeta)
    assert ask(first).status_code == 404
    second = make_app(imagemeta)
    imagemeta.identity(lambda: OWNER)
    assert ask(second).status_code == 200
    assert ask(first).status_code == 404


class OwnerlessStore:
    has_owner = False

    def __call__(self, image_id: str) -> Any:
        return {"id": image_id}


@pytest.mark.parametrize(
    ("hooks", "warnings"),
    [
        ({"lookup": OwnerlessStore(), "identity": lambda: None}, 1),
        ({"lookup": wraps(OwnerlessStore())(lambda image_id: None), "identity": lambda: None}, 1),
        ({"lookup": OwnerlessStore()}, 0),
        ({"lookup": lambda image_id: None, "identity": lambda: None}, 0),
    ],
)
def test_a_store_without_owners(
    hooks: dict[str, Hook], warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Callers with an identity, but images that cannot have an owner, are warned of once."""
    app = make_app(ImageMeta(**hooks))  # type: ignore[arg-type]
    for _ in range(2):
        ask(app)
    assert caplog.text.count("has no field named owner") == warnings


def test_decorator_returns_the_function() -> None:
    """A decorated function stays what it was."""
    imagemeta = ImageMeta()

    @imagemeta.lookup
    def find_image(image_id: str) -> dict[str, str]:
        return {"id": image_id}

    assert find_image("a") == {"id": "a"}


@pytest.mark.usefixtures("as_coroutine")
def test_object_with_coroutine_call() -> None:
    """An object whose __call__ is a coroutine function works as a hook, a partial one too."""

    class Store:
        async def __call__(self, image_id: str) -> Any:
            return EXAMPLE

    async def find(image: Any, image_id: str) -> Any:
        return image

    for lookup in (Store(), partial(find, EXAMPLE)):
        assert make_app(ImageMeta(lookup=lookup)).test_client().head(PATH).status_code == 200


def test_hooks_run_in_the_application() -> None:
    """A hook has the application's context and the request's."""
    seen = []

    def lookup(image_id: str) -> None:
        seen.append((current_app.name, request.method, image_id))

    make_app(ImageMeta(lookup=lookup)).test_client().head("/v1/images/a")
    assert seen == [("tests", "HEAD", "a")]


@pytest.mark.parametrize("identity", ["admin", {"project_id": "p"}, True])
def test_identity_of_another_type(identity: object) -> None:
    """What is neither an Identity nor None is an error, not an anonymous caller."""
    app = make_app(ImageMeta(lookup=HOOKS["lookup"], identity=lambda: identity))
    with pytest.raises(TypeError, match="identity hook returned"):
        ask(app)


def test_invalid_image_of_a_hook() -> None:
    """A lookup may say itself that an image is invalid: an empty 500."""

    def lookup(image_id: str) -> Any:
        raise InvalidImage("size", "abc", "not a number")

    assert ask(make_app(ImageMeta(lookup=lookup))).status_code == 500
