"""The schema: which fields an image has, and the headers that carry them, both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from marshmallow import EXCLUDE, Schema, missing, pre_load
from marshmallow.fields import Field

from . import wire
from .exceptions import InvalidImage
from .fields import Flag, Properties, PublicFlag, Text, Timestamp, WholeNumber
from .image import ACCESS_FIELDS, ANSWERS, getter

OMITTED = "X-Imagemeta-Omitted-Properties"

# Headers about the answer itself: a field of that name would contradict them, or be lost.
RESERVED = frozenset(
    {
        *("cache-control", "connection", "content-length", "content-type", "date", "etag"),
        *("keep-alive", "last-modified", "server", "set-cookie", "trailer", "transfer-encoding"),
        *("upgrade", "vary", "x-openstack-request-id", OMITTED.lower()),
    }
)


class _Step(NamedTuple):
    """What one field costs a dump, worked out when the schema is made."""

    name: str
    serialize: Callable[[Any, str, Any], Any]
    header: str
    attribute: str
    default: Callable[[], Any]
    read: Callable[[Any, str, Any], Any] | None  # where the getter of an image is not enough


class HeaderSchema(Schema):
    """A marshmallow schema whose fields travel as HTTP headers.

    ``dump`` takes an image (a mapping, or any object with the fields' names) and returns an
    ordered mapping of header names to values in WSGI's form; properties come last, in the
    order of their names. A field that is None or absent has no header; what a property that
    loses its name to another leaves out is counted in ``X-Imagemeta-Omitted-Properties``.
    ``load`` takes headers, a mapping or pairs, names in any case, and returns typed values,
    None for what no header names. A field's header is the prefix and the field's name; a
    ``data_key`` of the field's own replaces both.

    :raises InvalidImage: from ``dump``, naming the field that cannot be sent.
    """

    prefix: ClassVar[str] = "X-Image-Meta-"

    class Meta:
        """A request or response has other headers, too."""

        unknown = EXCLUDE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not self.prefix.endswith("-"):
            raise ValueError(f"{type(self).__name__}.prefix {self.prefix!r} must end with a hyphen")
        self._steps = []
        self._properties: tuple[_Step, Properties] | None = None
        self._load_keys: dict[str, str] = {}
        self.property_prefix: str = ""  # of the headers that carry properties; empty without them
        for name, field in self.fields.items():
            step = self._make_step(name, field)
            if isinstance(field, Properties):
                self.property_prefix = step.header
                if name in self.dump_fields:
                    self._properties = step, field
                continue
            if name in self.dump_fields:
                self._steps.append(step)
            if name in self.load_fields:
                self._load_keys[step.header.lower()] = step.header

        if prefix := self.property_prefix.lower():
            for step in self._steps:
                if step.header.lower().startswith(prefix):
                    raise ValueError(
                        f"{type(self).__name__}.{step.name}: {step.header!r} would be a property's"
                    )

    def _make_step(self, name: str, field: Field[Any]) -> _Step:
        header = str(field.data_key)
        if not wire.is_token(header):
            raise ValueError(f"{type(self).__name__}.{name}: {header!r} cannot be a header's name")
        if header.lower() in RESERVED:
            raise ValueError(
                f"{type(self).__name__}.{name}: {header!r} is a header of the answer itself"
            )
        if name in ACCESS_FIELDS and field.attribute not in (None, name):
            raise ValueError(
                f"{type(self).__name__}.{name} is read from {field.attribute!r}, but who may see "
                f"an image is decided by the image's own {name!r}"
            )
        default = field.dump_default
        attribute = field.attribute or name
        custom = "." in attribute or type(self).get_attribute is not Schema.get_attribute
        return _Step(
            name,
            field._serialize,
            header,
            attribute,
            default if callable(default) else lambda: None if default is missing else default,
            self.get_attribute if custom else None,
        )

    def header_of(self, field_name: str) -> str | None:
        """Return the header that carries a field, None where the schema does not dump it."""
        return next((step.header for step in self._steps if step.name == field_name), None)

    def field_of(self, header: str) -> str:
        """Return the field that a dumped header carries, or the header itself if none does."""
        return next((step.name for step in self._steps if step.header == header), header)

    def on_bind_field(self, field_name: str, field_obj: Field[Any]) -> None:
        """Give a field its header's name, and None for a value that no header brings."""
        if field_obj.data_key is None:
            stem = field_obj.stem if isinstance(field_obj, Properties) else field_name
            field_obj.data_key = self.prefix + wire.as_name(stem)
        if field_obj.load_default is missing and not field_obj.required:
            field_obj.load_default = None

    def to_headers(self, image: Any) -> dict[str, str]:
        """Return what ``dump`` makes of an image, when all of it can go over the wire.

        :raises InvalidImage: like ``dump``, and naming a header that a subclass or a hook of
            its own made and that is none.
        """
        headers: dict[str, str] = self.dump(image)
        if not wire.are_headers(headers):
            pairs = headers.items()
            name, value = next(pair for pair in pairs if not wire.are_headers(dict([pair])))
            raise InvalidImage(name, value, "the schema made what cannot be a header")
        return headers

    def _serialize(self, obj: Any, *, many: bool = False) -> Any:
        # marshmallow's own loop, for headers: Schema.dump calls it between the dump hooks.
        if many:
            return [self._serialize(one) for one in obj]
        get = getter(obj)
        headers: dict[str, str] = {}
        for name, serialize, header, attribute, default, read in self._steps:
            value = None
            try:
                value = get(attribute) if read is None else read(obj, attribute, None)
                if value is None:
                    value = default()
                text = serialize(value, attribute, obj)
                if text is not None:
                    if type(text) is not str:
                        text = wire.as_any_text(text)
                    headers[header] = wire.as_value(text)
            except (*ANSWERS, InvalidImage):
                raise
            except Exception as error:
                raise InvalidImage(name, value, str(error)) from error
        if self._properties is not None:
            self._serialize_properties(obj, *self._properties, headers)
        return headers

    def _serialize_properties(
        self, obj: Any, step: _Step, field: Properties, headers: dict[str, str]
    ) -> None:
        properties = None
        lost = 0
        try:
            properties = (step.read or self.get_attribute)(obj, step.attribute, None)
            if properties is None:
                properties = step.default()
            for header, text in field.pairs({} if properties is None else properties):
                if header in headers:
                    lost += 1
                else:
                    headers[header] = text
        except (*ANSWERS, InvalidImage):
            raise
        except Exception as error:
            raise InvalidImage(step.name, properties, str(error)) from error
        if lost:
            headers[OMITTED] = str(lost)

    @pre_load
    def _from_headers(self, data: Any, **kwargs: Any) -> dict[str, Any]:
        """Sort headers into the fields' own keys, properties into a mapping of their names."""
        found: dict[str, Any] = {}
        properties: dict[str, str] = {}
        stem = self.property_prefix.lower()
        for name, value in wire.as_pairs(data):
            text = wire.from_value(value)
            lower = name.lower()
            if lower in self._load_keys:
                _join(found, self._load_keys[lower], text)
            elif stem and lower.startswith(stem):
                _join(properties, wire.from_name(name[len(stem) :]), text)
        if stem:
            found[self.property_prefix] = properties
        return found


def _join(texts: dict[str, Any], key: str, text: str) -> None:
    texts[key] = f"{texts[key]}, {text}" if key in texts else text


class ImageMetaSchema(HeaderSchema):
    """The 17 fields of an image in the Image API v1, and its properties.

    Sizes are in bytes, min_disk in GiB, min_ram in MiB; timestamps are UTC. A subclass adds
    a field, or sets another ``prefix``, in one line each.
    """

    checksum: Text = Text()
    container_format: Text = Text()
    created_at: Timestamp = Timestamp()
    deleted: Flag = Flag(dump_default=False)
    deleted_at: Timestamp = Timestamp()
    disk_format: Text = Text()
    id: Text = Text()
    is_public: PublicFlag = PublicFlag()
    min_disk: WholeNumber = WholeNumber(dump_default=0)
    min_ram: WholeNumber = WholeNumber(dump_default=0)
    name: Text = Text()
    owner: Text = Text()
    protected: Flag = Flag(dump_default=False)
    size: WholeNumber = WholeNumber()
    status: Text = Text()
    updated_at: Timestamp = Timestamp()
    virtual_size: WholeNumber = WholeNumber()
    properties: Properties = Properties()
