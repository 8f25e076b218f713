"""How each field of an image is read from a model, or why the model is refused.

A misread field could show a private image to everyone, so each way to map a field is either
known to be read correctly, or refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from inspect import getattr_static
from types import FunctionType
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnClause,
    ColumnElement,
    Enum,
    Integer,
    Null,
    PrimaryKeyConstraint,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    and_,
    false,
    inspect,
    select,
)
from sqlalchemy.ext.hybrid import hybrid_method, hybrid_property
from sqlalchemy.orm import (
    ColumnProperty,
    Mapper,
    QueryableAttribute,
    RelationshipProperty,
    lazyload,
)
from sqlalchemy.sql import visitors

from ..image import ACCESS_FIELDS, MAX_INTEGER, is_declared
from .searching import is_false

# The fields that may be relationships, and the columns of their rows.
_ROW_COLUMNS = {"properties": ("name", "value"), "members": ("member",)}
_EAGER = ("joined", False, "selectin", "subquery", "immediate")  # ways to load a relationship
_METHODS = (FunctionType, classmethod, staticmethod, hybrid_method)
_ABSENT = object()


class RelatedRows(NamedTuple):
    """The rows that hold one field of an image.

    :param join: The relationship to join, limited to rows that are not deleted.
    :param columns: What to select of a row.
    :param option: Keeps an entity from loading the rows a second time.
    """

    join: Any
    columns: list[Any]
    option: Any


class ModelFields:
    """The fields of one mapped class; any attribute counts as a field.

    :param model: The class.
    :param advice: What to do about a field that no statement can read.
    """

    def __init__(self, model: type[Any], advice: str | None = None) -> None:
        self._model = model
        self._advice = advice or f"ModelStore({model.__name__}, entities=True)?"
        self._mapper: Mapper[Any] = inspect(model)

    def related_rows(self, name: str) -> RelatedRows | None:
        """Return the rows that a field is a relationship to; None if it is something else.

        :raises TypeError: when the rows lack a column.
        """
        _, attribute = _find(self._mapper, name)
        if name not in _ROW_COLUMNS or not isinstance(attribute, RelationshipProperty):
            return None
        row = _fields_of_rows(attribute)
        columns = {column: row.expression(column) for column in _ROW_COLUMNS[name]}
        for column, expression in columns.items():
            if expression is None:
                raise TypeError(
                    f"{self._model.__name__}.{name} relates to {row._model.__name__}, "
                    f"which has no column named {column}"
                )
        rows, is_alive = attribute.class_attribute, row.is_alive()
        return RelatedRows(
            rows if is_alive is None else rows.and_(is_alive),
            list(columns.values()),
            lazyload(rows) if attribute.lazy in _EAGER else None,
        )

    def expression(self, name: str) -> ColumnElement[Any] | None:
        """Return what a statement selects to read a field; None if the model has no such field.

        :raises TypeError: when no statement reads it correctly, naming it and what to write
            instead.
        """
        self.check(name)
        self._check_subclasses(name)
        key, attribute = _find(self._mapper, name)
        static = getattr_static(self._model, key, _ABSENT)
        if static is _ABSENT:
            if name in ACCESS_FIELDS and is_declared(self._model, name):
                raise self._refusal(name, "is declared, but neither a column nor a relationship")
            if name in ACCESS_FIELDS and computes_attributes(self._model):
                raise self._refusal(name, "may come from __getattr__ or __getattribute__")
            return None
        if not _is_plain(self._mapper, name):
            raise self._refusal(name, "is a synonym with custom code")
        if isinstance(static, hybrid_property):
            return self._expression_of_hybrid(name, key, static)
        if attribute is None or not isinstance(static, QueryableAttribute):
            raise self._refusal(name, "is neither a column nor a relationship")
        column: ColumnElement[Any] = attribute.class_attribute.label(name)
        return column

    def _expression_of_hybrid(
        self, name: str, key: str, hybrid: hybrid_property[Any]
    ) -> ColumnElement[Any]:
        if hybrid.expr is None:
            raise self._refusal(name, "is a hybrid without an expression")
        try:
            expression: ColumnElement[Any] = getattr(self._model, key).label(name)
            reads_another_table = _reads_another_table(self._model, expression)
        except Exception as error:
            raise self._refusal(name, f"has no SQL expression: {error!r}") from error
        if reads_another_table:
            raise self._refusal(name, "reads another table, which it does not join")
        if _is_null(expression):
            raise self._refusal(name, "is a hybrid whose expression is always NULL")
        return expression

    def has_property(self, name: str, text: str) -> ColumnElement[bool] | None:
        """Return the condition that an image has a property; None if SQL cannot express it.

        It cannot for a JSON column: databases write its values in other forms.
        """
        _, attribute = _find(self._mapper, "properties")
        if not isinstance(attribute, RelationshipProperty):
            return None
        row = attribute.mapper.class_
        if not all(is_text(getattr(row, column).type) for column in ("name", "value")):
            return None
        return self._any("properties", and_(row.name == name, row.value == text))

    def has_member(self, project_id: str) -> ColumnElement[bool] | None:
        """Return the condition that a project is a member; None if SQL cannot express it."""
        _, attribute = _find(self._mapper, "members")
        if getattr_static(self._model, "members", _ABSENT) is _ABSENT:
            return false()
        if not isinstance(attribute, RelationshipProperty):
            return None
        row = attribute.mapper.class_
        if not is_text(row.member.type) or "\0" in project_id:
            return None
        return self._any("members", row.member == project_id)

    def _any(self, name: str, matches: ColumnElement[bool]) -> ColumnElement[bool]:
        """Return the condition that a field has a matching row that is not deleted."""
        _, attribute = _find(self._mapper, name)
        is_alive = _fields_of_rows(attribute).is_alive()
        if is_alive is not None:
            matches = and_(matches, is_alive)
        condition: ColumnElement[bool] = attribute.class_attribute.any(matches)
        return condition

    def is_alive(self) -> ColumnElement[bool] | None:
        """Return the condition that a row is not deleted; None if rows cannot be deleted.

        :raises TypeError: when it is not known what the column's values mean.
        """
        deleted = self.expression("deleted")
        if deleted is None:
            return None
        is_alive = is_false(deleted)
        if is_alive is None:
            what = f"is of type {deleted.type!r}"
            raise self._refusal("deleted", what, "make it Boolean, or Integer with 0 for no.")
        return is_alive

    def key(self, name: str) -> str:
        """Return the attribute that a field's name refers to, with synonyms resolved."""
        return _find(self._mapper, name)[0]

    def check(self, name: str) -> None:
        """Check that an entity has a value for a field, if it has the field at all.

        :raises TypeError: when it has something else, naming the field.
        """
        for mapper in self._mapper.self_and_descendants:
            key, attribute = _find(mapper, name)
            static = getattr_static(mapper.class_, key, _ABSENT)
            columns = {column.name for table in mapper.tables for column in table.columns}
            what = None
            if isinstance(attribute, ColumnProperty):
                what = _wrong_column(mapper, attribute)
            elif attribute is not None:
                what = f"is a {type(attribute).__name__}, not a value"
            elif isinstance(static, _METHODS):
                what = "is a method, not a value"
            elif not hasattr(static, "__get__") and name in ACCESS_FIELDS and name in columns:
                what = "is a column, but the model has no attribute of its name"
            if what is not None:
                advice = f"make {name} a column, a synonym of one, or a property."
                raise self._refusal(name, what, advice)

    def _check_subclasses(self, name: str) -> None:
        """Check that the statement for the base class reads its subclasses' rows correctly, too."""
        key, attribute = _find(self._mapper, name)
        static = getattr_static(self._model, key, _ABSENT)
        for mapper in self._mapper.self_and_descendants:
            key, other = _find(mapper, name)
            theirs = getattr_static(mapper.class_, key, _ABSENT)
            are_columns = (
                isinstance(attribute, ColumnProperty)
                and isinstance(other, ColumnProperty)
                and isinstance(theirs, QueryableAttribute)
            )
            if theirs is not static and not (
                are_columns and set(attribute.columns) <= set(other.columns)
            ):
                raise self._refusal(name, f"is mapped differently in {mapper.class_.__name__}")

    def _refusal(self, name: str, what: str, advice: str | None = None) -> TypeError:
        field = f"{self._model.__name__}.{name}"
        return TypeError(f"{field} {what}, so ModelStore cannot read it: {advice or self._advice}")


def _fields_of_rows(relationship: RelationshipProperty[Any]) -> ModelFields:
    advice = "make it a column, or a hybrid with an expression."
    return ModelFields(relationship.mapper.class_, advice)


def computes_attributes(model: type[Any]) -> bool:
    """Return whether a model's objects may have attributes that the model does not define."""
    is_own = getattr_static(model, "__getattribute__") is not object.__getattribute__
    return is_own or hasattr(model, "__getattr__")


def check_id(mapper: Mapper[Any]) -> None:
    """Check that the model's definition makes its ids unique.

    :raises TypeError: when it does not.
    """
    model = mapper.class_.__name__
    if "id" not in mapper.column_attrs:
        raise TypeError(f"{model} has no column named id")
    columns = mapper.column_attrs["id"].columns
    tables = {one.local_table for one in mapper.iterate_to_root()}  # of one row for an image each
    is_unique = any(
        not isinstance(column, ColumnClause)  # an expression, which the host chose as the id
        or _is_only(column, mapper.primary_key)
        or (column.table in tables and _is_unique(column))
        for column in columns
    )
    if not is_unique:
        raise TypeError(
            f"{model}.id is neither the whole primary key nor unique, so several images could have "
            "the same id: declare the column with unique=True, or make id a column_property that "
            "joins the columns of the primary key."
        )


def _is_unique(column: ColumnClause[Any]) -> bool:
    """Return whether the column's table says that no two of its rows have the same value."""
    table = column.table
    if not isinstance(table, Table):
        return False
    keys: list[Iterable[Any]] = [
        constraint.columns
        for constraint in table.constraints
        if isinstance(constraint, (PrimaryKeyConstraint, UniqueConstraint))
    ]
    keys += [
        index.expressions
        for index in table.indexes
        if index.unique
        # Of some rows alone, by a condition such as postgresql_where.
        and not any(name.endswith("_where") for name in index.dialect_kwargs)
    ]
    return any(_is_only(column, key) for key in keys)


def _is_only(column: ColumnClause[Any], columns: Iterable[Any]) -> bool:
    found = [*columns]
    return len(found) == 1 and found[0] is column


def as_key(mapper: Mapper[Any], image_id: str) -> Any:
    """Return an id as the column's type; None if it cannot be converted."""
    column_type = mapper.column_attrs["id"].columns[0].type
    converts_itself = False
    while isinstance(column_type, TypeDecorator):
        convert = type(column_type).process_bind_param
        converts_itself |= convert is not TypeDecorator.process_bind_param
        column_type = column_type.impl_instance
    other = image_id if converts_itself else None
    if isinstance(column_type, Uuid) and not converts_itself:
        try:
            key = UUID(image_id)
        except ValueError:
            return None
        return key if column_type.python_type is UUID else str(key)
    if isinstance(column_type, Integer):
        is_number = image_id.isascii() and image_id.isdecimal() and len(image_id) < 20
        return int(image_id) if is_number and int(image_id) <= MAX_INTEGER else other
    return image_id


def is_text(kind: Any) -> bool:
    """Return whether a column's type is text that SQL compares with a value of any text."""
    return isinstance(kind, String) and not isinstance(kind, Enum)


def _find(mapper: Mapper[Any], name: str) -> tuple[str, Any]:
    """Return the attribute that a name refers to, with synonyms resolved: its key and mapping."""
    while name in mapper.synonyms:
        name = mapper.synonyms[name].name
    return name, mapper.attrs.get(name)


def _wrong_column(mapper: Mapper[Any], attribute: ColumnProperty[Any]) -> str | None:
    """Return why a column cannot be read; None if it can."""
    expression = attribute.expression
    if isinstance(expression, Column) and expression.table in mapper.tables:
        return None
    if _is_null(expression):
        return "is always NULL, such as a query_expression without default_expr"
    if _reads_another_table(mapper.class_, attribute.class_attribute):
        return "reads another table, which it does not join"
    return None


def _is_null(expression: Any) -> bool:
    """Return whether an expression is made of NULL alone."""
    values = [
        one
        for one in visitors.iterate(expression)
        if isinstance(one, (ColumnClause, BindParameter, Null))
    ]
    return bool(values) and all(
        isinstance(one, Null) or (isinstance(one, BindParameter) and one.value is None)
        for one in values
    )


def _reads_another_table(model: type[Any], expression: Any) -> bool:
    return len(select(expression).select_from(model).get_final_froms()) > 1


def _is_plain(mapper: Mapper[Any], name: str) -> bool:
    """Return whether a name refers to an attribute without custom code in between."""
    while name in mapper.synonyms:
        synonym = mapper.synonyms[name]
        probe = type("Probe", (), {synonym.name: _ABSENT})()
        try:
            if synonym.descriptor.__get__(probe, type(probe)) is not _ABSENT:
                return False
        except Exception:
            return False
        name = synonym.name
    return True
