"""GlanceDatabase walked, on all three databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from flask_imagemeta import ImageRecord, InvalidImage
from flask_imagemeta.image import read_field
from flask_imagemeta.stores import GlanceDatabase

from .databases import contents, fill_glance, load_glance, new_database, plain_engine, run


@pytest.fixture(scope="module")
def glance(glance_url: str) -> Iterator[GlanceDatabase]:
    glance = GlanceDatabase(glance_url)
    yield glance
    glance.close()


@pytest.fixture
def fresh_glance(kind: str, tmp_path: Path) -> Iterator[tuple[GlanceDatabase, sa.Engine]]:
    """A Glance of a thousand images, two pages, and an engine to change them with."""
    with new_database(kind, tmp_path) as url:
        load_glance(url)
        fill_glance(url, 3)
        glance, engine = GlanceDatabase(url), plain_engine(url)
        yield glance, engine
        glance.close()
        engine.dispose()


def whole(image: object) -> ImageRecord:
    """Return an image with its members fetched."""
    assert isinstance(image, ImageRecord)
    return replace(image, members=sorted(image.members))


def test_every_image_is_what_a_lookup_returns(glance: GlanceDatabase) -> None:
    """All of a real Glance's images come, deleted ones too, each as a lookup of its id has it."""
    images = [whole(image) for image in glance.walk()]
    assert len(images) == glance.count() == 30
    assert any(image.deleted for image in images)
    assert any(image.members for image in images)
    assert any(image.properties for image in images)
    assert images == [whole(glance(image.id)) for image in images]


def test_nothing_is_written(glance: GlanceDatabase, glance_url: str) -> None:
    """A walk leaves the database as it was, to the byte."""
    before = contents(glance_url)
    assert sum(len(list(image.members)) for image in glance.walk()) > 0
    assert contents(glance_url) == before


def test_pages(fresh_glance: tuple[GlanceDatabase, sa.Engine], statements: list[str]) -> None:
    """Images come once each in the order of ids; a page is two statements, members included."""
    glance, _ = fresh_glance
    assert glance.count() == 1000
    statements.clear()
    images = [whole(image) for image in glance.walk()]
    assert [image.id for image in images] == [f"{1000 + n}" for n in range(1000)]
    assert {(len(image.members), len(image.properties)) for image in images} == {(1, 1)}
    assert sum("FROM images" in one for one in statements) == 2 * 2 + 1  # the last finds no more


def test_images_that_come_and_go(fresh_glance: tuple[GlanceDatabase, sa.Engine]) -> None:
    """Images that stay come once each, whatever is made and removed meanwhile."""
    glance, engine = fresh_glance
    walk = glance.walk()
    found = [next(walk).id]
    tables = ("image_members", "image_properties")
    gone = "IN ('1010', '1499', '1500', '1600')"
    with engine.begin() as connection:
        images = sa.Table("images", sa.MetaData(), autoload_with=connection)
        row = dict(connection.execute(sa.select(images).limit(1)).mappings().one())
        new = [row | {"id": image_id} for image_id in ("0", "1499a", "1700a")]
        connection.execute(sa.insert(images), new)
    run(engine, *(f"DELETE FROM {table} WHERE image_id {gone}" for table in tables))
    run(engine, f"DELETE FROM images WHERE id {gone}")
    found += [image.id for image in walk]
    # Those of the first page had been read.
    expected = {f"{1000 + n}" for n in range(1000)} - {"1500", "1600"} | {"1499a", "1700a"}
    assert found == sorted(expected)


def test_deleted_rows_are_left_out(fresh_glance: tuple[GlanceDatabase, sa.Engine]) -> None:
    """Properties and members that are deleted are not walked, and a Glance's own are none."""
    glance, engine = fresh_glance
    true = "true" if engine.dialect.name == "postgresql" else "1"
    run(
        engine,
        f"UPDATE image_properties SET deleted = {true} WHERE image_id = '1000'",
        f"UPDATE image_members SET deleted = {true} WHERE image_id = '1000'",
        "UPDATE image_properties SET name = 'os_glance_stage_host' WHERE image_id = '1001'",
    )
    first, second, *others = map(whole, glance.walk())
    assert (first.properties, first.members) == ({}, [])
    assert (second.properties, len(second.members)) == ({}, 1)
    assert all(image.properties and image.members for image in others)


@pytest.mark.parametrize("kind", ["mariadb"], indirect=True, scope="module")
def test_ids_and_members_are_exact(fresh_glance: tuple[GlanceDatabase, sa.Engine]) -> None:
    """Where the database compares without case, rows still belong to the very image and project."""
    glance, engine = fresh_glance
    run(
        engine,
        "SET FOREIGN_KEY_CHECKS = 0",
        "UPDATE images SET id = 'Größe' WHERE id = '1000'",
        "UPDATE image_members SET image_id = 'GRÖSSE', member = 'P' WHERE image_id = '1000'",
        "UPDATE image_properties SET image_id = 'größe' WHERE image_id = '1000'",
        "UPDATE images SET id = 'ABC' WHERE id = '1001'",
        "UPDATE image_members SET image_id = 'abc', member = 'P' WHERE image_id = '1001'",
    )
    images = {image.id: image for image in glance.walk()}
    assert len(images) == 1000
    assert "P" in images["ABC"].members
    assert "p" not in list(images["ABC"].members)
    for image_id in ("Größe", "ABC"):
        assert whole(images[image_id]) == whole(glance(image_id))


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True, scope="module")
def test_an_unreadable_image(fresh_glance: tuple[GlanceDatabase, sa.Engine]) -> None:
    """An image that cannot be read has its id, raises for the field, and does not end the walk."""
    glance, engine = fresh_glance
    run(engine, "UPDATE images SET created_at = 'never' WHERE id IN ('1000', '1499', '1999')")
    images = list(glance.walk())
    assert [read_field(image, "id") for image in images] == [f"{1000 + n}" for n in range(1000)]
    for number in (0, 499, 999):
        with pytest.raises(InvalidImage, match="created_at"):
            read_field(images[number], "created_at")
        assert list(read_field(images[number], "members")) != []
    assert read_field(images[1], "created_at") > datetime(2000, 1, 1)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True, scope="module")
def test_long_ids(fresh_glance: tuple[GlanceDatabase, sa.Engine]) -> None:
    """SQLite keeps ids longer than Glance's column says, and they are found and walked."""
    glance, engine = fresh_glance
    long = "x" * 200
    run(
        engine,
        f"UPDATE images SET id = '{long}' WHERE id = '1000'",
        f"UPDATE image_members SET image_id = '{long}' WHERE image_id = '1000'",
    )
    *_, last = glance.walk()
    assert last.id == long
    assert len(list(last.members)) == 1
    assert whole(glance(long)) == whole(last)
