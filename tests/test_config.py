"""The configuration: each key's default, a good value, and what bad ones say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_imagemeta import (
    ConfigurationError,
    HeaderSchema,
    ImageMeta,
    ImageMetaError,
    ImageMetaSchema,
)
from flask_imagemeta.config import read_config
from flask_imagemeta.hooks import Hooks

from .apps import EXAMPLE, PATH, make_app, make_client

pytestmark = pytest.mark.core

# key: default, other good values, bad values, what would be right
KEYS: dict[str, tuple[Any, list[Any], list[Any], str]] = {
    "URL_PREFIX": (
        "/v1",
        ["", "/", "/v1.0", "/a/b"],
        ["v1", None, 1, "/<tenant>", b"/v1", "/v1//a", "//v1", "/v%31", "/a b"],
        'a path such as "/v1"',
    ),
    "MAX_HEADERS": (90, [1, 1000], [0, -1, 1.5, "90", None, True], "a whole number, 1 or more"),
    "MAX_HEADER_BYTES": (
        16384,
        [1, 10**6],
        [0, -1, 1e4, "16384", None, True],
        "a whole number, 1 or more",
    ),
    "CACHE_CONTROL": (
        "private, no-cache",
        ["no-store"],
        ["", None, 1, "a\nb", " a", "é", ["private"]],
        "a header value",
    ),
    "VARY": (
        "X-Auth-Token, Authorization, Cookie",
        ["*", "X-Token"],
        ["", None, 1, "a\r\nb", "a ", "é", ["Cookie"]],
        "a header value",
    ),
    "RETRY_AFTER": (
        5,
        [0, 3600],
        [-1, 1.5, 0.0, "5", None, True, False],
        "a whole number of seconds, 0 or more",
    ),
}
HOOK_KEYS = [name.upper() for name in Hooks._fields]
BAD_IMPORTS = [
    "",
    ":x",
    "nowhere:x",
    "os:nothing",
    "os.path:",
    "os",
    "sys:path",
    " os:getcwd",
    7,
    print,
]


def cases(index: int) -> list[Any]:
    return [pytest.param(key, value) for key, row in KEYS.items() for value in row[index]]


@pytest.mark.parametrize("key", KEYS)
def test_default(key: str) -> None:
    """Each key has the documented default."""
    assert getattr(read_config(Flask("tests"), "imagemeta"), key.lower()) == KEYS[key][0]


def test_defaults_of_hooks() -> None:
    """No hook comes from a configuration that names none, or None."""
    assert read_config(Flask("tests"), "imagemeta").hooks == {}
    app = make_app(**{f"IMAGEMETA_{key}": None for key in HOOK_KEYS})
    assert read_config(app, "imagemeta").hooks == {}


@pytest.mark.parametrize(("key", "value"), cases(1))
def test_good_value(key: str, value: object) -> None:
    """A good value is taken, for the object whose name in capitals begins the key."""
    app = make_app(**{f"FIRMWARE_{key}": value})
    assert getattr(read_config(app, "firmware"), key.lower()) == value
    assert getattr(read_config(app, "imagemeta"), key.lower()) == KEYS[key][0]


@pytest.mark.parametrize(("key", "value"), cases(2))
def test_bad_value(key: str, value: object) -> None:
    """A bad value fails at init_app with the key, the value and what would be right."""
    with pytest.raises(ConfigurationError) as caught:
        make_app(ImageMeta(), **{f"IMAGEMETA_{key}": value})
    message = str(caught.value)
    assert message.startswith(f"IMAGEMETA_{key} is {value!r}, but must be {KEYS[key][3]}")
    assert (caught.value.key, caught.value.value) == (f"IMAGEMETA_{key}", value)


@pytest.mark.parametrize("key", HOOK_KEYS)
@pytest.mark.parametrize("value", BAD_IMPORTS, ids=str)
def test_bad_import(key: str, value: object) -> None:
    """An import string of nothing, or of what cannot be called, fails at init_app."""
    with pytest.raises(ConfigurationError) as caught:
        make_app(ImageMeta(), **{f"IMAGEMETA_{key}": value})
    assert str(caught.value).startswith(
        f"IMAGEMETA_{key} is {value!r}, but must be the import string of a callable"
    )


def test_import_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import string without a module fails alike where a folder has the name after the colon."""
    (tmp_path / "folder").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError, match="must be the import string of a callable"):
        make_app(ImageMeta(), IMAGEMETA_LOOKUP=":folder")


def test_bad_import_says_why() -> None:
    """The reason why an import failed is in the message and is the error's cause."""
    with pytest.raises(ConfigurationError, match="No module named 'nowhere'") as caught:
        make_app(ImageMeta(), IMAGEMETA_LOOKUP="nowhere:x")
    assert isinstance(caught.value.__cause__, ImportError)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("IMAGEMETA_LOKUP", "IMAGEMETA_LOOKUP"),
        ("IMAGEMETA_URL_PREFFIX", "IMAGEMETA_URL_PREFIX"),
        ("IMAGEMETA_MAX_HEADERS_BYTES", "IMAGEMETA_MAX_HEADER_BYTES"),
    ],
)
def test_a_misspelled_key(key: str, meant: str) -> None:
    """A misspelled key fails at init_app with the one that was meant."""
    with pytest.raises(ConfigurationError, match=f"{key} is 'a', but must be spelled {meant}"):
        make_app(ImageMeta(), **{key: "a"})


@pytest.mark.parametrize("key", ["IMAGEMETA_THEME", "IMAGEMETA_DATABASE_URL", "IMAGEMETA_LOG"])
def test_a_key_of_the_hosts_own(key: str) -> None:
    """A host may have keys of its own under the same prefix."""
    assert make_app(ImageMeta(), **{key: "a"}).config[key] == "a"


def test_configuration_error() -> None:
    """A ConfigurationError is a ValueError and one of this package's errors."""
    assert issubclass(ConfigurationError, (ValueError, ImageMetaError))
    assert issubclass(ConfigurationError, ImageMetaError)


def test_failed_init_leaves_nothing() -> None:
    """After a failed init_app the configuration can be put right and init_app called again."""
    app = make_app(IMAGEMETA_MAX_HEADERS=0)
    imagemeta = ImageMeta(lookup=lambda image_id: EXAMPLE)
    with pytest.raises(ConfigurationError):
        imagemeta.init_app(app)
    assert app.blueprints == {}
    del app.config["IMAGEMETA_MAX_HEADERS"]
    imagemeta.init_app(app)
    assert app.test_client().head(PATH).status_code == 200


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        ("", "/images/a"),
        ("/", "/images/a"),
        ("/v1.0", "/v1.0/images/a"),
        ("/a/b/", "/a/b/images/a"),
    ],
)
def test_url_prefix(prefix: str, path: str) -> None:
    """The blueprint is mounted where the configuration says, and nowhere else."""
    client = make_client(EXAMPLE, config={"IMAGEMETA_URL_PREFIX": prefix})
    assert client.head(path).status_code == 200
    assert client.head("/v1/images/a").status_code == 404


@pytest.mark.parametrize(
    ("header", "configured", "sent"),
    [
        ("Cache-Control", "public, max-age=300", "public, max-age=300"),
        ("Vary", "X-Token", "X-Token, X-Image-Meta-Size"),
        ("Vary", "X-Token, x-image-meta-size", "X-Token, x-image-meta-size"),
        ("Vary", "*", "*"),
    ],
)
@pytest.mark.parametrize("image", [EXAMPLE, None])
def test_caching_headers(header: str, configured: str, sent: str, image: Any) -> None:
    """Cache-Control is sent as configured, Vary with the size that a request may name."""
    key = f"IMAGEMETA_{header.upper().replace('-', '_')}"
    response = make_client(image, config={key: configured}).head(PATH)
    assert response.headers.getlist(header) == [sent]


def test_app_argument() -> None:
    """ImageMeta(app) initializes the application at once."""
    app = Flask("tests")
    ImageMeta(app, lookup=lambda image_id: EXAMPLE)
    assert app.test_client().head(PATH).status_code == 200


@pytest.mark.parametrize("name", ["", "image-meta", "1st", "a b", "a.b"])
def test_bad_name(name: str) -> None:
    """A name has to be an identifier, as it is a blueprint's and begins configuration keys."""
    with pytest.raises(ValueError, match="must be a Python identifier"):
        ImageMeta(name=name)


class Schema(ImageMetaSchema):
    prefix = "X-Firmware-Meta-"


@pytest.mark.parametrize("schema", [Schema, Schema()])
def test_schema(schema: Any) -> None:
    """A schema is given as a class or an instance."""
    response = make_client(EXAMPLE, schema=schema).head(PATH)
    assert response.headers["X-Firmware-Meta-Size"] == "4979632"


@pytest.mark.parametrize("schema", ["schema", object(), dict, HeaderSchema.Meta])
def test_bad_schema(schema: Any) -> None:
    """Anything that is not a HeaderSchema is refused."""
    with pytest.raises(TypeError, match="must be a HeaderSchema"):
        ImageMeta(schema=schema)
