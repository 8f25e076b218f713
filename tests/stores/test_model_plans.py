"""How the databases read a page of many images of an ImageMixin: by its indexes, on all three."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from flask_imagemeta import Identity, ImageMixin, Query
from flask_imagemeta.stores import ModelStore

from .conftest import Plans

COUNT = 6000  # images: enough that every server prefers an index to reading a table as a whole
START = datetime(2024, 5, 17)
ADMIN = Identity("p", ["admin"])
# What reads every image, or sorts all that match: SQLite's words; PostgreSQL's; MariaDB's type of
# the image's row, which may be read by a range that another row of the plan has found. SQLite may
# sort the images between the two times of a page.
PAGE_ALONE = re.compile(
    r"\(created_at>\? AND created_at<\?\)'\)\n\(\d+, 0, 0, 'USE TEMP B-TREE FOR ORDER BY'"
)
SCAN = re.compile(
    "'SCAN image'|'USE TEMP B-TREE FOR ORDER BY'|Seq Scan|->  Sort|"
    "'image', 'ALL'(?!.*Range checked)"
)


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Image(ImageMixin, db.Model):
    pass


@pytest.fixture(scope="module")
def store(url: str, kind: str) -> Iterator[ModelStore]:
    app = Flask("tests")
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db.init_app(app)
    with app.app_context():
        db.create_all()
        rows = [
            {
                "id": f"{7919 * number % COUNT:08}",
                "name": f"name {number}",
                "owner": f"p{number % 3}",
                "is_public": True,
                "created_at": START + timedelta(seconds=number),
            }
            for number in range(COUNT)
        ]
        db.session.execute(sa.insert(Image), rows)
        db.session.execute(sa.text("ANALYZE TABLE image" if kind == "mariadb" else "ANALYZE"))
        db.session.commit()
        yield ModelStore(Image)
        db.session.remove()
        db.engine.dispose()


def page(store: ModelStore, query: Query) -> list[str]:
    return [image["name"] for image in islice(store.search(query), query.limit)]


@pytest.mark.parametrize("identity", [None, Identity("p1"), ADMIN])
def test_a_name(store: ModelStore, plans: Plans, kind: str, identity: Identity | None) -> None:
    """Images are found by name by the index on names, on SQLite their times' form, too."""
    is_public = None if identity is ADMIN else True
    query = Query(identity, {"name": ("name 7",)}, is_public=is_public)
    found = plans(lambda: page(store, query))
    assert len(found) == (2 if kind == "sqlite" else 1)
    assert page(store, query) == ["name 7"]
    for plan in found:
        assert "ix_image_name" in plan, plan
        assert "ix_image_created_at" not in plan, plan


@pytest.mark.parametrize("sort_dir", ["asc", "desc"])
@pytest.mark.parametrize("is_first", [True, False])
def test_the_default_order(store: ModelStore, plans: Plans, sort_dir: str, is_first: bool) -> None:
    """A page in the default order, or after an image, is read by the index on created_at."""
    marker = None if is_first else store(f"{7919 * 1000 % COUNT:08}")
    query = Query(sort_dir=sort_dir, marker=marker)  # type: ignore[arg-type]
    *odd_times, plan = plans(lambda: page(store, query))
    for one in odd_times:  # SQLite looks for them in the index
        assert "COVERING INDEX ix_image_created_at" in one, one
    step = 1 if sort_dir == "asc" else -1
    start = 1000 + step if marker else (0 if step == 1 else COUNT - 1)
    assert page(store, query) == [f"name {start + step * n}" for n in range(query.limit)]
    assert "ix_image_created_at" in plan, plan
    assert not SCAN.search(PAGE_ALONE.sub("", plan)), plan
