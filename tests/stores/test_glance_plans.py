"""How the databases read a Glance with many images: by the indexes of an image, on all three."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from itertools import islice

import pytest
import sqlalchemy as sa

from flask_imagemeta import Identity, Query
from flask_imagemeta.stores import GlanceDatabase

from .conftest import Plans
from .databases import GLANCE_TABLES, plain_engine

COUNT = 1000  # images: enough that a server prefers an index to reading a table as a whole
IDS = [f"{number:08}-0000-4000-8000-000000000000" for number in range(COUNT)]
TIMES = {"created_at": datetime(2024, 5, 17), "updated_at": datetime(2024, 5, 17)}
ADMIN, MEMBER = Identity(roles=["admin"]), Identity("m1")
# SQLite's word; PostgreSQL's; MariaDB's type of a row.
SCAN = re.compile(r"'SCAN |Seq Scan|'ALL'")
INDEX_ON_DELETED = re.compile(r"\bix_image\w*_deleted\b")


def fill(url: str) -> None:
    """Add many images, each with five properties and two members."""
    engine = plain_engine(url)
    metadata = sa.MetaData()
    metadata.reflect(engine, only=GLANCE_TABLES)
    images, properties, members = (metadata.tables[name] for name in GLANCE_TABLES)
    image = {"status": "active", "visibility": "shared", "deleted": False, "protected": False}
    image |= {"min_disk": 0, "min_ram": 0, "os_hidden": False, **TIMES}
    named = [(image_id, n) for image_id in IDS for n in range(5)]
    shared = [(image_id, n) for image_id in IDS for n in range(2)]
    with engine.begin() as connection:
        connection.execute(sa.insert(images), [image | {"id": image_id} for image_id in IDS])
        row = {"deleted": False, **TIMES}
        connection.execute(
            sa.insert(properties),
            [
                row | {"id": 10_000 + number, "image_id": image_id, "name": f"k{n}", "value": "v"}
                for number, (image_id, n) in enumerate(named)
            ],
        )
        row |= {"can_share": False, "status": "pending"}
        connection.execute(
            sa.insert(members),
            [
                row | {"id": 10_000 + number, "image_id": image_id, "member": f"m{n}"}
                for number, (image_id, n) in enumerate(shared)
            ],
        )
    with engine.begin() as connection:
        if engine.name == "postgresql":
            connection.exec_driver_sql("ANALYZE")
        elif engine.name == "mariadb":
            connection.exec_driver_sql(f"ANALYZE TABLE {', '.join(GLANCE_TABLES)}").all()


@pytest.fixture(scope="module")
def store(glance_url: str) -> Iterator[GlanceDatabase]:
    fill(glance_url)
    store = GlanceDatabase(glance_url)
    yield store
    store.close()


def test_a_lookup_reads_one_images_rows(store: GlanceDatabase, plans: Plans) -> None:
    """An image, its properties and its members are found by the image's id, with no scan."""

    def look_up() -> None:
        image = store(IDS[7])
        assert image is not None
        assert len(image.properties) == 5
        assert "m1" in image.members
        assert sorted(image.members) == ["m0", "m1"]

    found = plans(look_up)
    assert len(found) == 3
    for plan in found:
        assert not SCAN.search(plan), plan
        assert not INDEX_ON_DELETED.search(plan), plan


def test_no_page_is_read_by_what_is_not_deleted(store: GlanceDatabase, plans: Plans) -> None:
    """Nearly no row is deleted, so neither a walk nor a search reads by the index of that."""

    def read() -> None:
        assert sum(len(list(image.members)) for image in store.walk()) >= 2 * COUNT
        for query in (
            Query(identity=ADMIN, is_public=None),
            Query(identity=MEMBER),
            Query(identity=ADMIN, is_public=None, properties={"k1": "v"}),
            Query(identity=ADMIN, is_public=None, filters={"name": ("x",)}),
        ):
            for image in islice(store.search(query), 25):
                assert "m1" in image.members or image.id not in IDS

    found = plans(read)
    assert len(found) > 2 * COUNT / 500
    for plan in found:
        assert not INDEX_ON_DELETED.search(plan), plan


def test_the_default_order(store: GlanceDatabase, plans: Plans) -> None:
    """A page in the default order is read by Glance's index on created_at."""
    query = Query(identity=ADMIN, is_public=None)
    *odd_times, plan = plans(lambda: list(islice(store.search(query), 25)))
    for one in odd_times:  # SQLite looks for them in the index
        assert "COVERING INDEX created_at_image_idx" in one, one
    assert "created_at_image_idx" in plan, plan
