"""The columns of an image, for the host application's own Flask-SQLAlchemy model."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, String, Text
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import Mapped, mapped_column


class _Text(Text):
    """Text that names itself as Alembic's migrations have it.

    Alembic does so for a JSONB, but not for one that is a variant: there the migration would
    say ``Text()``, a name it does not import.
    """

    def __repr__(self) -> str:
        return "sa.Text()"


# MySQL and MariaDB keep whole seconds unless told otherwise.
_Timestamp = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
_PropertiesJSON = JSON().with_variant(postgresql.JSONB(astext_type=_Text()), "postgresql")


def _new_id() -> str:
    return str(uuid.uuid4())


def _utc_now() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)


class ImageMixin:
    """The 17 columns of an image in the Image API v1, and its properties as a JSON object.

    Use it as ``class Image(ImageMixin, db.Model)``. Sizes are in bytes, min_disk in GiB,
    min_ram in MiB. Timestamps are UTC without a zone; the session sets created_at and
    updated_at when it writes the row. None means unknown, or not yet set. An image of this
    mixin is for everybody, or for its owner's project alone; a model that also has the
    attributes ``visibility`` and ``members`` can share one with other projects.

    It does not work with MappedAsDataclass, which takes fields from dataclasses only:
    SQLAlchemy says so when the class is made.
    """

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=_new_id)
    name: Mapped[str | None] = mapped_column(String(255), index=True)
    status: Mapped[str] = mapped_column(String(30), default="queued")
    size: Mapped[int | None] = mapped_column(BigInteger)
    virtual_size: Mapped[int | None] = mapped_column(BigInteger)
    disk_format: Mapped[str | None] = mapped_column(String(20))
    container_format: Mapped[str | None] = mapped_column(String(20))
    min_disk: Mapped[int] = mapped_column(default=0)
    min_ram: Mapped[int] = mapped_column(default=0)
    checksum: Mapped[str | None] = mapped_column(String(32), index=True)
    owner: Mapped[str | None] = mapped_column(String(255), index=True)
    protected: Mapped[bool] = mapped_column(default=False)
    is_public: Mapped[bool] = mapped_column(default=False)
    deleted: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(_Timestamp, default=_utc_now, index=True)
    updated_at: Mapped[datetime | None] = mapped_column(
        _Timestamp, default=_utc_now, onupdate=_utc_now
    )
    deleted_at: Mapped[datetime | None] = mapped_column(_Timestamp)
    properties: Mapped[dict[str, Any]] = mapped_column(
        MutableDict.as_mutable(_PropertiesJSON), default=dict
    )
