"""Images read as columns of their model, each a mapping of the columns' names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Mapper

from ..exceptions import InvalidImage
from ..image import FIELDS
from .members import LazyMembers, MembersOfSeveral, of_possible_projects
from .model_connection import ModelConnection
from .model_fields import ModelFields, is_text
from .model_reader import ModelReader
from .unreadable import ImageParts


class ColumnReader(ModelReader):
    """Selects the columns of a model, and the rows of its properties with them."""

    def __init__(self, mapper: Mapper[Any], connection: ModelConnection) -> None:
        super().__init__(mapper, connection)
        model, model_fields = mapper.class_, ModelFields(mapper.class_)
        properties = model_fields.related_rows("properties")
        members = model_fields.related_rows("members")
        related = {"properties": properties, "members": members}
        self._expressions = {
            attribute.key: getattr(model, attribute.key).label(attribute.key)
            for attribute in self._column_attrs
            if not attribute.deferred and attribute.key not in FIELDS
        }
        for name in sorted(FIELDS):
            expression = None if related.get(name) else model_fields.expression(name)
            if expression is not None:
                self._expressions[name] = expression
        statement = select(*self._expressions.values())
        is_image = self._is_image
        self._fields = {
            name: select(column).where(is_image) for name, column in self._expressions.items()
        }
        self._property: list[Any] = []  # the columns of a row of properties
        self._members = self._members_of_several = None
        if properties is not None:
            self._property = properties.columns
            rows = select(*properties.columns).select_from(model).join(properties.join)
            self._fields["properties"] = rows.where(is_image)
            statement = statement.add_columns(*properties.columns).select_from(model)
            statement = statement.outerjoin(properties.join)
        if members is not None:
            rows = select(*members.columns).select_from(model).join(members.join)
            self._members = rows.where(is_image)
            rows = select(model.id, *members.columns).select_from(model).join(members.join)
            is_of_several = model.id.in_(bindparam("image_ids", expanding=True))
            self._members_of_several = rows.where(is_of_several)
        self._statement = statement
        self.one: Select[Any] = statement.where(is_image)

    def _parts(self) -> Mapping[str, Select[Any]]:
        return self._fields

    def _find_parts(self, key: Any, errors: Mapping[str, InvalidImage]) -> ImageParts | None:
        readable = {n: column for n, column in self._expressions.items() if n not in errors}
        properties = () if "properties" in errors else self._property
        statement = self.one.with_only_columns(*readable.values(), *properties)
        rows = self._connection.fetch(statement, {"image_id": key})
        if not rows:
            return None
        parts: dict[str, Any] = {
            **errors,
            **_as_image(rows, readable, has_properties=bool(properties)),
        }
        if self._members is not None:
            parts["members"] = self._lazy_members(self._members, key)
        return ImageParts(parts)

    def read_page(self, ids: Select[Any], order: Sequence[Any]) -> Sequence[Any]:
        """Return the images whose ids a statement selects; their members are fetched together."""
        images = super().read_page(ids, order)
        if self._members_of_several is not None:
            keys = [image["id"] for image in images]
            fetch = partial(self._fetch_members_of, self._members_of_several, keys)
            members = MembersOfSeveral(of_possible_projects(fetch))
            for image in images:
                image["members"] = members.of(image["id"])
        return images

    def _page(self, ids: Select[Any], order: Sequence[Any]) -> Select[Any]:
        if not self._property:
            return ids.with_only_columns(*self._expressions.values())
        return self._statement.where(self._is_of(ids)).order_by(*order)

    def _read(self, statement: Select[Any], parameters: dict[str, Any]) -> Sequence[Any]:
        rows = self._connection.fetch(statement, parameters)
        has_properties = bool(self._property)
        images = [
            _as_image(list(same), self._expressions, has_properties=has_properties)
            for _, same in groupby(rows, key=lambda row: row.id)
        ]
        if self._members is not None:
            for image in images:
                image["members"] = self._lazy_members(self._members, image["id"])
        return images

    def _lazy_members(self, statement: Select[Any], key: Any) -> LazyMembers:
        return LazyMembers(of_possible_projects(partial(self._fetch_members, statement, key)))

    def _fetch_members(self, statement: Select[Any], key: Any, project_id: str | None) -> list[str]:
        rows = self._fetch_rows(statement, {"image_id": key}, project_id)
        return [str(member) for (member,) in rows if member is not None]

    def _fetch_members_of(
        self, statement: Select[Any], keys: list[Any], project_id: str | None
    ) -> list[tuple[Any, str]]:
        rows = self._fetch_rows(statement, {"image_ids": keys}, project_id)
        return [(image_id, str(member)) for image_id, member in rows if member is not None]

    def _fetch_rows(
        self, statement: Select[Any], parameters: dict[str, Any], project_id: str | None
    ) -> Sequence[Any]:
        """Return rows that end with a member: all of them, or those that may be the project."""
        *_, member = statement.selected_columns
        if project_id is not None and is_text(member.type):  # others are compared by their text
            statement = statement.where(member == project_id)
        return self._connection.fetch(statement, parameters)


def _as_image(rows: Sequence[Any], names: Iterable[str], *, has_properties: bool) -> dict[str, Any]:
    """Return the image in rows that differ only in its properties, which come last."""
    image = dict(zip(names, rows[0], strict=False))
    if has_properties:
        image["properties"] = {row[-2]: row[-1] for row in rows if row[-2] is not None}
    return image
