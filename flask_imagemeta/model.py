"""The columns of an image, for the host application's own Flask-SQLAlchemy model."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, BigInteger, DateTime, String
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import Mapped, MappedAsDataclass, mapped_column

# MySQL and MariaDB keep whole seconds by default.
_Timestamp = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def _new_id() -> str:
    return str(uuid.uuid4())


def _utc_now() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)


class ImageMixin:
    """The 17 columns of an image in the Image API v1, and its properties as a JSON object.

    Use it as ``class Image(ImageMixin, db.Model)``. Sizes are in bytes, min_disk in GiB,
    min_ram in MiB. Timestamps are UTC without a time zone; the session sets created_at and
    updated_at when it writes the row. None means unknown or not yet set. An image of this
    mixin is visible to anyone or only to its owner's project; a model that also has the attributes
    ``visibility`` and ``members`` can share an image with other projects. The properties are
    JSON; a model that needs PostgreSQL's JSONB defines the column itself.

    :raises TypeError: when the class is created, if its base uses MappedAsDataclass.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if issubclass(cls, MappedAsDataclass):
            raise TypeError(
                f"{cls.__name__}: ImageMixin does not work with MappedAsDataclass, because its "
                "columns are not dataclass fields. Give this model a base without "
                "MappedAsDataclass and with the same metadata: "
                "class ImageBase(DeclarativeBase): metadata = db.metadata"
            )
        super().__init_subclass__(**kwargs)

    if TYPE_CHECKING:
        # SQLAlchemy's own __init__; type checkers do not find it on Flask-SQLAlchemy's db.Model.
        def __init__(self, **kwargs: Any) -> None: ...

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
    # Not JSONB on PostgreSQL: on other databases Alembic writes migrations of that variant that
    # use a name they do not import.
    properties: Mapped[dict[str, Any]] = mapped_column(MutableDict.as_mutable(JSON), default=dict)
