"""Walk a Glance's database in a process of its own, to see what memory that takes.

Usage: python -m tests.stores.walker GlanceDatabase|ModelStore|entities URL
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from flask_imagemeta.stores import GlanceDatabase, ModelStore

from .databases import plain_engine

WARM = 1_000  # images, after which everything that is kept once is there


class Base(DeclarativeBase):
    pass


class Image(Base):
    """A host's model of a Glance's tables."""

    __tablename__ = "images"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    owner: Mapped[str | None]
    visibility: Mapped[str]
    properties: Mapped[list[Property]] = relationship()
    members: Mapped[list[Member]] = relationship()


class Property(Base):
    __tablename__ = "image_properties"
    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("images.id"))
    name: Mapped[str]
    value: Mapped[str | None]


class Member(Base):
    __tablename__ = "image_members"
    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[str] = mapped_column(sa.ForeignKey("images.id"))
    member: Mapped[str]


def make_store(name: str, url: str) -> Any:
    if name == "GlanceDatabase":
        return GlanceDatabase(url)
    session = Session(plain_engine(url))
    return ModelStore(Image, session=lambda: session, entities=name == "entities")


def peak() -> int:
    """Return the most memory that the process has taken so far, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(name: str, url: str) -> None:
    """Print how many images there were, and by how many KiB the process has grown."""
    count = before = 0
    for image in make_store(name, url).walk():
        for field in ("properties", "members"):
            found = image[field] if isinstance(image, Mapping) else getattr(image, field)
            assert len(list(found)) == 1
        count += 1
        if count == WARM:
            before = peak()
    print(count, peak() - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
