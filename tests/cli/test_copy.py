"""flask imagemeta copy: a Glance, or any store, copied into a model of the host's."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections import UserDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce, wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from flask_imagemeta import ImageMeta, ImageRecord, InvalidImage, StoreUnavailable
from flask_imagemeta.stores import GlanceAPI, GlanceDatabase, ModelStore
from flask_imagemeta.stores.members import LazyMembers

from ..stores.databases import GLANCE, KINDS, load_glance, new_database
from ..stores.glance_list import GlanceList
from ..stores.glance_server import RECORDED, running_glance
from . import copy_app
from .copy_app import Image, Member, Mixin, Rows, create_app, db

ROOT = Path(__file__).parents[2]
DEEP = reduce(lambda inner, _: [inner], range(2_000), "a")


@contextmanager
def target_app(url: str, lookup: Any = None) -> Iterator[Flask]:
    app = create_app(url, lookup)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Flask]:
    """An application with an empty store of the model Image, in SQLite.

    It is not called app: pytest-flask would make it the current one.
    """
    with target_app(f"sqlite:///{tmp_path / 'target.sqlite'}") as app:
        yield app


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Put a store of these images where the command finds it, and return its name."""

    def source(*images: Any, **methods: Any) -> str:
        monkeypatch.setattr(copy_app, "SOURCE", Shelf(images, **methods), raising=False)
        return "tests.cli.copy_app:SOURCE"

    return source


class Shelf:
    """A custom store."""

    def __init__(self, images: tuple[Any, ...], again: Any = None) -> None:
        self.images = images
        self.again = again

    def walk(self) -> Iterator[Any]:
        for image in self.images:
            if isinstance(image, BaseException):
                raise image
            yield image

    def __call__(self, image_id: str) -> Any:
        if self.again is not None:
            return self.again
        return next(one for one in self.images if read_id(one) == image_id)


def read_id(image: Any) -> Any:
    return image["id"] if isinstance(image, dict) else image.id


def copy(app: Flask, *arguments: str, status: int) -> Result:
    result = app.test_cli_runner().invoke(args=["imagemeta", "copy", *arguments])
    assert result.exit_code == status, result.output
    return result


def answer(app: Flask, image_id: str, caller: str) -> Any:
    """Return everything that a caller gets for an image, except for the request's id."""
    headers = {"X-Auth-Token": caller}
    response = app.test_client().head(f"/v1/images/{image_id}", headers=headers)
    sent = {k: v for k, v in response.headers if k != "X-Openstack-Request-Id"}
    return response.status_code, sent


def rows(app: Flask) -> Any:
    """Return all that the models' tables hold."""
    with app.app_context():
        tables = db.metadata.sorted_tables
        return [sorted(map(repr, db.session.execute(sa.select(table)))) for table in tables]


@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_glance_is_copied(kind: str, tmp_path: Path) -> None:
    """Every image of a real Glance answers four callers as before, header for header."""
    with new_database(kind, tmp_path) as glance_url, new_database(kind, tmp_path) as url:
        load_glance(glance_url)
        glance = GlanceDatabase(glance_url)
        with target_app(url) as app:
            result = copy(app, glance_url, status=0)
            images = list(glance.walk())
            assert f"{len(images)} images copied, 0 refused, 0 different" in result.output
            before = rows(app)
            copy(app, glance_url, status=0)
            assert rows(app) == before
            before_app = Flask("before")
            ImageMeta(before_app, lookup=glance, identity=copy_app.identity)
            found = set()
            for image in images:
                for caller in ["admin", "a stranger", image.owner, *image.members]:
                    if caller is not None:
                        expected = answer(before_app, image.id, caller)
                        assert answer(app, image.id, caller) == expected
                        found.add((expected[0], caller in image.members))
            assert found == {(200, False), (404, False), (200, True), (404, True)}
        glance.close()


@pytest.mark.parametrize("kind", KINDS)
def test_properties_that_are_rows_are_copied(kind: str, tmp_path: Path) -> None:
    """A model with rows for properties takes those of each image that fits, exactly."""
    with new_database(kind, tmp_path) as url, target_app(url, ModelStore(Rows)) as app:
        glance = GlanceDatabase(GLANCE)
        with app.app_context():
            store = ModelStore(Rows)
            fits = [
                {
                    "id": image.id,
                    "owner": image.owner,
                    "visibility": image.visibility,
                    "properties": image.properties,
                    "members": image.members,
                }
                for image in glance.walk()
                if all(len(str(value)) < 2**15 for value in image.properties.values())
            ]
            for _ in range(2):
                store.put(fits)
            for image in fits:
                found = store(image["id"])
                assert found["properties"] == dict(image["properties"])
                assert sorted(found["members"]) == sorted(image["members"])
        glance.close()


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind != "sqlite")) for kind in KINDS]
)
def test_a_copy_that_was_killed_is_run_again(kind: str, tmp_path: Path) -> None:
    """A copy that is killed half-way and run again ends the same as one that is not."""
    program = [sys.executable, "-m", "flask", "--app", "tests.cli.copy_app", "imagemeta", "copy"]
    command = [*program, "tests.cli.copy_app:KILLED"]
    with new_database(kind, tmp_path) as one, new_database(kind, tmp_path) as other:
        environ = {**os.environ, "TARGET_URL": one}
        killed = {**environ, "KILL_HALF_WAY": "1"}
        run = subprocess.run(command, cwd=ROOT, env=killed, capture_output=True, check=False)
        assert run.returncode == -9, run.stderr
        with target_app(one) as app, app.app_context():
            assert 0 < ModelStore(Image).count() < copy_app.KILLED.size
        subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, check=True)
        with target_app(one) as app:
            resumed = rows(app)
        with target_app(other) as app:
            copy(app, "tests.cli.copy_app:KILLED", status=0)
            assert rows(app) == resumed


def test_a_glance_api_is_copied(target: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GlanceAPI with a session is a source like any other: all that it lists arrives."""
    keystoneauth1 = pytest.importorskip("keystoneauth1.session", reason="needs keystoneauth1")
    from keystoneauth1.token_endpoint import Token

    shown = [one["v2"] for one in RECORDED.values() if one["http_status"] == 200]
    images = {image["id"]: image for image in shown if image["status"] != "killed"}
    shared = next(key for key, image in images.items() if image["visibility"] == "shared")
    with running_glance() as glance:
        glance.answer = GlanceList(images, {shared: ["projB", "projC"]})
        session = keystoneauth1.Session(Token(glance.url, "an admin's"))
        api = GlanceAPI(glance.url, session=session)
        monkeypatch.setattr(copy_app, "SOURCE", api, raising=False)
        result = copy(target, "tests.cli.copy_app:SOURCE", status=0)
        session.session.close()
    assert f"{len(images)} images copied, 0 refused, 0 different" in result.output
    with target.app_context():
        walked = {image["id"]: image for image in ModelStore(Image).walk()}
        assert walked.keys() == images.keys()
        assert sorted(walked[shared]["members"]) == ["projB", "projC"]


def test_a_glance_api_with_callers_tokens(target: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GlanceAPI without a session cannot be copied, and the message says what it needs."""
    pytest.importorskip("keystoneauth1", reason="needs keystoneauth1")
    monkeypatch.setattr(copy_app, "SOURCE", GlanceAPI("http://127.0.0.1:9"), raising=False)
    result = copy(target, "tests.cli.copy_app:SOURCE", status=2)
    assert "Unsupported: GlanceAPI without session=" in result.stderr
    assert "give it a session" in result.stderr


def test_a_store_behind_a_function(target: Flask, source: Any) -> None:
    """A store behind a function made with functools.wraps is still a source and a target."""
    name = source({"id": "a", "status": "active", "created_at": copy_app.TIME})
    shelf, store = copy_app.SOURCE, ModelStore(Image)  # type: ignore[attr-defined]
    calls = []

    @wraps(store)
    def lookup(image_id: str) -> Any:
        calls.append(image_id)
        return store(image_id)

    @wraps(shelf)
    def read(image_id: str) -> Any:
        return shelf(image_id)

    copy_app.SOURCE = read  # type: ignore[attr-defined]
    with target_app(target.config["SQLALCHEMY_DATABASE_URI"], lookup) as app:
        copy(app, name, status=0)
    assert calls == ["a"]


@pytest.mark.parametrize("kind", ["mariadb"])
def test_ids_that_a_target_takes_for_the_same(kind: str, tmp_path: Path, source: Any) -> None:
    """Where the target ignores case, the second of two such images is refused."""
    images = [{"id": "a", "name": "x"}, {"id": "A", "name": "y"}, {"id": "b"}]
    with new_database(kind, tmp_path) as url, target_app(url) as app:
        for _ in range(2):
            result = copy(app, source(*images), "--no-verify", status=1)
            assert "A: refused: image: the database says: " in result.stdout
            assert "Duplicate entry" in result.stdout
            assert "2 images copied, 1 refused" in result.stderr
        with app.app_context():
            store = ModelStore(Image)
            assert [(image["id"], image["name"]) for image in store.walk()] == [
                ("a", "x"),
                ("b", None),
            ]


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_nul_on_postgresql(kind: str, tmp_path: Path, source: Any) -> None:
    """A NUL, which PostgreSQL cannot keep, refuses its image alone, by field and reason."""
    images = [{"id": "a", "name": "x\0"}, {"id": "b"}]
    with new_database(kind, tmp_path) as url, target_app(url) as app:
        result = copy(app, source(*images), "--no-verify", status=1)
        assert r"a: refused: name: 'x\x00': PostgreSQL text cannot hold NUL" in result.stdout
        assert "1 image copied, 1 refused" in result.stderr


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_batch_that_postgresql_refuses(
    kind: str, tmp_path: Path, source: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """What psycopg logs of a refused batch does not come between the lines of the report."""
    images = [
        sa_time(ImageRecord(f"{n}", owner="o", visibility="shared", members=[bad, "p"]))
        for n, bad in enumerate(("q", "bad", "bad", "q"))
    ]
    with new_database(kind, tmp_path) as url, target_app(url) as app:
        with app.app_context():
            check = "ALTER TABLE member ADD CHECK (member <> 'bad')"
            db.session.execute(sa.text(check))
            db.session.commit()
        result = copy(app, source(*images), status=1)
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == ["1", "2"]
    assert caplog.messages == []


def test_what_the_target_cannot_keep_is_reported(target: Flask, source: Any) -> None:
    """An image that is refused is reported by id, field and reason, and the rest goes on."""
    name = source({"id": "a"}, {"id": "b", "size": 2**64}, {"id": "c"}, {"id": "d/e"})
    result = copy(target, name, "--no-verify", status=1)
    assert "b: refused: size: 18446744073709551616: the column image.size" in result.stdout
    assert "d/e: refused: id: no request can ask for 'd/e'" in result.stdout
    assert "2 images copied, 2 refused" in result.stderr
    with target.app_context():
        assert [image["id"] for image in ModelStore(Image).walk()] == ["a", "c"]


def test_a_value_that_is_nested_too_deep(target: Flask, source: Any) -> None:
    """A property that no JSON column can keep refuses its image alone."""
    name = source({"id": "a"}, {"id": "b", "properties": {"k": DEEP}}, {"id": "c"})
    result = copy(target, name, "--no-verify", status=1)
    assert "b: refused: properties: {'k': [[[...]]]}: lists and mappings are" in result.stdout
    assert "2 images copied, 1 refused" in result.stderr


def descend(value: Any) -> None:
    """Recurse in Python, whose limit, unlike that of C, is the same in every version."""
    for one in value.values() if isinstance(value, dict) else value:
        if isinstance(one, (dict, list)):
            descend(one)


@pytest.mark.parametrize(("write", "status"), [(descend, 1), (len, 0)])
def test_a_value_that_is_nested_too_deep_for_a_custom_store(
    write: Callable[[Any], Any], status: int, source: Any
) -> None:
    """A custom store's RecursionError refuses its image alone; a store without one is compared."""
    images: dict[str, Any] = {}

    class Store:
        def __call__(self, image_id: str) -> Any:
            return images[image_id]

        def put(self, new: Any, *, dry_run: bool) -> list[str]:
            for image in new:
                write(image)
            images.update({image["id"]: image for image in new})
            return [*images]

    app = Flask("app")
    ImageMeta(app, lookup=Store())
    result = copy(app, source({"id": "a", "properties": {"k": DEEP}}, {"id": "b"}), status=status)
    assert f"{2 - status} image" in result.stderr
    assert f"{status} refused, 0 different" in result.stderr


def test_names_that_have_no_order(target: Flask, source: Any) -> None:
    """A property's name may be a number, which arrives as text: the images are the same."""
    properties: Any = {1: "x", "b": "y"}
    image = sa_time(ImageRecord("a", min_disk=0, min_ram=0, properties=properties))
    result = copy(target, source(image), status=0)
    assert "1 image copied, 0 refused, 0 different" in result.stderr


def test_a_dry_run_changes_nothing(target: Flask, source: Any) -> None:
    """With --dry-run the same is reported, and nothing is written."""
    result = copy(target, source({"id": "a"}, {"id": "b", "size": 2**64}), "--dry-run", status=1)
    assert "b: refused: size:" in result.stdout
    assert "1 image can be copied, 1 refused\n" in result.stderr
    with target.app_context():
        assert ModelStore(Image).count() == 0


@pytest.mark.parametrize("kind", ["mariadb"])
def test_a_dry_run_sees_images_that_exclude_each_other(
    kind: str, tmp_path: Path, source: Any
) -> None:
    """A dry run refuses what the copy refuses, if the reason is another image of its page."""
    images = [{"id": image_id} for image_id in ("a", "b", "A", "c", "b ", "d", "e" * 37)]
    with new_database(kind, tmp_path) as url, target_app(url) as app:
        dry = copy(app, source(*images), "--dry-run", status=1)
        real = copy(app, source(*images), "--no-verify", status=1)
        assert dry.stdout == real.stdout
        assert [line.split(":")[0] for line in dry.stdout.splitlines()] == ["A", "b ", "e" * 37]
        assert dry.stderr == real.stderr.replace("copied", "can be copied")


def test_few_transactions_find_an_image_that_is_refused(source: Any) -> None:
    """A page with one image that the store refuses is split a few times, not into each image."""
    calls: list[int] = []

    class Store:
        def __call__(self, image_id: str) -> None: ...

        def put(self, images: Any, *, dry_run: bool) -> list[str]:
            calls.append(len(images))
            if any(image["id"] == "77" for image in images):
                raise ValueError("it has this id")
            return [image["id"] for image in images]

    app = Flask("app")
    ImageMeta(app, lookup=Store())
    images = [{"id": f"{number}"} for number in range(100)]
    result = copy(app, source(*images), "--no-verify", status=1)
    assert result.stdout == "77: refused: image: it has this id\n"
    assert "99 images copied, 1 refused" in result.stderr
    assert len(calls) < 20


def test_a_shared_image_needs_members(tmp_path: Path, source: Any) -> None:
    """A model without members refuses an image that is shared, not one that is shared with none."""
    images = [
        ImageRecord("a", visibility="shared", members=["p"], owner="o"),
        ImageRecord("b", visibility="shared", owner="o"),
        ImageRecord("c", visibility="community", owner="o"),
        ImageRecord("d", visibility="public", owner="o"),
        ImageRecord("e", visibility="private", owner="o", members=["p"]),
    ]
    images = [sa_time(image) for image in images]
    with target_app(f"sqlite:///{tmp_path}/mixin.sqlite", ModelStore(Mixin)) as app:
        result = copy(app, source(*images), "--json", status=1)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(one["id"], one["losses"][0]["field"]) for one in found] == [
        ("a", "members"),
        ("c", "visibility"),
    ]
    assert "3 images copied, 2 refused, 0 different" in result.stderr


def sa_time(image: ImageRecord) -> ImageRecord:
    """Return the record with what the mixin cannot do without."""
    from dataclasses import replace

    return replace(image, created_at=copy_app.TIME, status="active")


def test_what_differs_is_reported(target: Flask, source: Any) -> None:
    """A time that the target makes up is reported, with who would get it."""
    result = copy(target, source({"id": "a", "status": "active"}), status=1)
    assert "a: different: X-Image-Meta-Created_at: an admin would get '20" in result.stdout
    assert "1 image copied, 0 refused, 1 different, 0 changed meanwhile" in result.stderr
    copy(target, source({"id": "a", "status": "active"}), "--no-verify", status=0)


def test_an_image_that_comes_twice(target: Flask, source: Any) -> None:
    """Of an image that a walk gives twice, the last one is copied and compared."""
    first, last = sa_time(ImageRecord("a", name="old")), sa_time(ImageRecord("a", name="new"))
    result = copy(target, source(first, last, again=last), status=0)
    assert "1 image copied, 0 refused, 0 different" in result.stderr
    with target.app_context():
        assert [image["name"] for image in ModelStore(Image).walk()] == ["new"]


def test_what_changed_meanwhile_is_reported_as_such(target: Flask, source: Any) -> None:
    """An image that has changed in the source since it was copied is not called different."""
    image = {"id": "a", "status": "active", "created_at": copy_app.TIME, "owner": "p"}

    def rename(*args: Any) -> None:
        db.session.execute(sa.update(Image).values(name="changed"))
        db.session.commit()

    name = source(image, again=image | {"name": "new"})
    with target.app_context():
        put = ModelStore.put

        class Store(ModelStore):
            def put(self, images: Any, **options: Any) -> list[str]:
                ids = put(self, images, **options)
                rename()
                return ids

    with target_app(target.config["SQLALCHEMY_DATABASE_URI"], Store(Image)) as other:
        result = copy(other, name, status=1)
        assert (
            "a: changed: X-Image-Meta-Name: an admin would get 'new', not nothing" in result.stdout
        )
        assert "0 different, 1 changed meanwhile" in result.stderr
        result = copy(other, source(image), status=1)
        assert "a: different: X-Image-Meta-Name: an admin would get 'changed'" in result.stdout


def test_a_difference_that_is_gone_is_none(target: Flask, source: Any) -> None:
    """An image that is the same when it is read once more is not reported."""
    image = {"id": "a", "status": "active", "created_at": copy_app.TIME, "owner": "p"}

    class Late(ModelStore):
        looked_up = 0

        def __call__(self, image_id: str) -> Any:
            self.looked_up += 1
            return None if self.looked_up == 1 else super().__call__(image_id)

    with target_app(target.config["SQLALCHEMY_DATABASE_URI"], Late(Image)) as other:
        copy(other, source(image), status=0)


def test_an_image_that_cannot_be_read_is_reported(target: Flask, source: Any) -> None:
    """A field of the source that raises refuses its image alone."""

    class Unreadable:
        id = "bad"

        @property
        def owner(self) -> str:
            raise ZeroDivisionError

    class Nameless:
        @property
        def id(self) -> str:
            raise ZeroDivisionError

    result = copy(target, source(Unreadable(), Nameless(), {"id": "a"}), "--no-verify", status=1)
    assert "bad: refused: owner: cannot be read: ZeroDivisionError()" in result.stdout
    assert "?: refused: id:" in result.stdout
    assert "1 image copied, 2 refused" in result.stderr


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), OSError("gone"), RuntimeError("gone")])
def test_a_source_that_fails_half_way(error: Exception, target: Flask, source: Any) -> None:
    """Whatever a source raises, the status is 2, and the message says what to do next."""
    images = [{"id": f"{n:03}"} for n in range(150)]
    name = source(*images, error)
    result = copy(target, name, "--no-verify", status=2)
    assert f"The source {name!r} cannot be read: {type(error).__name__}: gone" in result.stderr
    assert "Traceback" not in result.stderr
    assert "100 images copied, 0 refused; run the command again to continue." in result.stderr


def test_an_interrupt_half_way(target: Flask, source: Any) -> None:
    """After a Ctrl-C, too, the message says what was copied."""
    images = [{"id": f"{n:03}"} for n in range(150)]
    result = copy(target, source(*images, KeyboardInterrupt()), "--no-verify", status=130)
    assert result.stderr == (
        "100 images copied, 0 refused; run the command again to continue.\nInterrupted.\n"
    )


def test_a_fault_of_the_sources_code(target: Flask, source: Any) -> None:
    """An error that no store should raise is reported with its place."""
    result = copy(target, source(RuntimeError("a fault")), status=2)
    assert re.search(r"RuntimeError: a fault \(in walk, .*test_copy.py:\d+\)\n", result.stderr)


def test_a_source_that_does_not_exist(tmp_path: Path, target: Flask) -> None:
    """A database file that is not there is named, without advice to run the command again."""
    url = f"sqlite:///{tmp_path}/none.sqlite"
    result = copy(target, url, "--no-verify", status=2)
    assert result.stderr == (
        f"Error: The source {url!r} cannot be read: StoreUnavailable: unable to open database file"
        "\n0 images copied, 0 refused.\n"
    )


@pytest.mark.parametrize("image", [{"name": "x"}, {"id": None}, SimpleNamespace(name="x")])
def test_an_image_without_an_id(image: Any, target: Flask, source: Any) -> None:
    """An image without an id is refused; otherwise each run would add it once more."""
    result = copy(target, source(image, {"id": "a"}), "--no-verify", status=1)
    assert result.stdout == "?: refused: id: the image has none\n"
    with target.app_context():
        assert ModelStore(Image).count() == 1


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_table_that_is_missing(side: str, tmp_path: Path, target: Flask, source: Any) -> None:
    """An error that another run cannot fix is reported without advice to run the command again."""
    origin = source({"id": "a"})
    if side == "source":
        sqlite3.connect(tmp_path / "empty.sqlite").close()
        origin = f"sqlite:///{tmp_path / 'empty.sqlite'}"
    else:
        with target.app_context():
            db.drop_all()
    result = copy(target, origin, "--no-verify", status=2)
    assert "no such table" in result.stderr
    assert result.stderr.endswith("0 images copied, 0 refused.\n")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no_such_module:store", "There is no source 'no_such_module:store'"),
        (":x", "There is no source ':x'"),
        (".x:store", "There is no source '.x:store'"),
        ("os:", "of a store (module 'os' has no attribute ''"),
        ("no_such_module:store", "of a store (No module named 'no_such_module'"),
        ("tests.cli.copy_app:TIME", "datetime is not Walkable, it has no walk()"),
        ("tests.cli.copy_app:create_app", "create_app is not Walkable, it has no walk()"),
        ("tests.cli.copy_app:OWN", "is this application's own store"),
        ("oracle://h/d", "The source cannot be used: the database URL begins with 'oracle'"),
        ("nonsense://", "The source cannot be used:"),
    ],
)
def test_sources_that_are_none(target: Flask, name: str, reason: str) -> None:
    """A source that cannot be copied from is an error that says why."""
    assert reason in copy(target, name, status=2).stderr


def test_a_target_that_cannot_be_written(tmp_path: Path) -> None:
    """An application whose store cannot be written to is refused by the store's name."""
    with target_app(f"sqlite:///{tmp_path}/x.sqlite", GlanceDatabase(GLANCE)) as app:
        result = copy(app, "tests.cli.copy_app:KILLED", status=2)
    assert "cannot be copied into: GlanceDatabase is not Writable, it has no put()" in result.stderr


def test_the_source_may_come_from_the_environment(
    target: Flask, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL with a password need not stand among the arguments of a process."""
    monkeypatch.setenv("FLASK_IMAGEMETA_COPY_SOURCE", source({"id": "a"}))
    copy(target, "--no-verify", status=0)


@pytest.mark.parametrize("make", [dict, ImageRecord, SimpleNamespace, UserDict])
def test_members_that_can_be_read_only_once(make: Any, target: Flask, source: Any) -> None:
    """Members that are a generator arrive, and are compared, even if the page has to be split."""
    members = (member for member in ("p", "q"))
    shared = {"visibility": "shared", "owner": "o", "members": members}
    a = make(id="a", status="active", created_at=copy_app.TIME, **shared)
    result = copy(target, source(a, make(id="b", size=2**64)), status=1)
    assert "1 image copied, 1 refused, 0 different" in result.stderr
    with target.app_context():
        assert sorted(db.session.scalars(sa.select(Member.member))) == ["p", "q"]


@pytest.mark.parametrize(("kept", "member"), [(["p"], "q"), (["p", "q", "r"], "r")])
def test_every_member_is_compared(kept: list[str], member: str, source: Any) -> None:
    """A target that loses a member is reported, and so is one that keeps one too many."""
    image = {"id": "a", "visibility": "shared", "owner": "o", "members": ["p", "q"]}

    class Store:
        def __call__(self, image_id: str) -> Any:
            return image | {"members": kept}

        def put(self, images: Any, *, dry_run: bool) -> list[str]:
            return ["a"]

    app = Flask("app")
    ImageMeta(app, lookup=Store())
    result = copy(app, source(image), status=1)
    assert f"a: different: status: the member {member!r} would get " in result.stdout


def test_members_of_the_target_that_cannot_be_read(source: Any) -> None:
    """If the target cannot read an image's members, that is a difference, and the rest goes on."""

    def fetch(project_id: str | None) -> Any:
        raise InvalidImage("members", None, "cannot be read")

    class Store:
        def __call__(self, image_id: str) -> Any:
            return image | {"id": image_id, "members": LazyMembers(fetch)}

        def put(self, images: Any, *, dry_run: bool) -> list[str]:
            return [image["id"] for image in images]

    app = Flask("app")
    image = {"visibility": "shared", "owner": "o", "members": ["p"]}
    ImageMeta(app, lookup=Store())
    result = copy(app, source(image | {"id": "a"}, image | {"id": "b"}), status=1)
    assert "a: different: status: a stranger would get '500', not '404'" in result.stdout
    assert "2 images copied, 0 refused, 2 different" in result.stderr


def test_members_are_replaced(target: Flask, source: Any) -> None:
    """When an image is copied again, members that it has lost are gone from the target, too."""
    image = sa_time(ImageRecord("a", visibility="shared", members=["p", "q"], owner="o"))
    copy(target, source(image), status=0)
    image = sa_time(ImageRecord("a", visibility="shared", members=["q", "r"], owner="o"))
    copy(target, source(image), status=0)
    with target.app_context():
        assert sorted(db.session.scalars(sa.select(Member.member))) == ["q", "r"]
