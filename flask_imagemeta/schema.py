"""The schema: which fields an image has, and the headers that carry them, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, overload

from marshmallow import EXCLUDE, Schema, missing, pre_load
from marshmallow.fields import Field

from . import wire
from .exceptions import InvalidImage
from .fields import (
    DeletedFlag,
    Flag,
    ForeignField,
    HeaderField,
    Line,
    Properties,
    PropertyLines,
    PublicFlag,
    Text,
    Timestamp,
    WholeNumber,
)
from .image import ACCESS_FIELDS, get_field

OMITTED = "X-Imagemeta-Omitted-Properties"

# Headers that describe the response itself, or instruct servers, caches and browsers: a field of
# such a name would contradict the response, get lost, or let an image's owner instruct them.
RESERVED = frozenset(
    {
        *("accept-ranges", "age", "allow", "alt-svc", "cache-control", "clear-site-data"),
        *("connection", "content-encoding", "content-length", "content-range", "content-type"),
        *("date", "etag", "expires", "keep-alive", "last-modified", "location", "pragma"),
        *("proxy-authenticate", "refresh", "retry-after", "server", "set-cookie", "status"),
        *("strict-transport-security", "surrogate-control", "trailer", "transfer-encoding"),
        *("upgrade", "vary", "via", "www-authenticate", "x-accel-expires", "x-accel-redirect"),
        *("x-openstack-request-id", "x-sendfile", OMITTED.lower()),
        *("access-control-allow-credentials", "access-control-allow-origin"),
    }
)


class _Headers(dict[str, Any]):
    """The mapping that marshmallow fills during a dump; each property becomes a header.

    Of several properties with the same header, the first is sent and the others are counted.
    """

    def __setitem__(self, key: str, value: Any) -> None:
        if type(value) is not PropertyLines:
            dict.__setitem__(self, key, value)
            return
        lost = 0
        for line in value:
            if line.header in self:
                lost += 1
            else:
                self[line.header] = wire.as_value(line.text)
        if lost:
            self[OMITTED] = str(lost)


class HeaderSchema(Schema):
    """A marshmallow schema whose fields travel as HTTP headers.

    ``dump`` takes an image (a mapping, or any object with the fields' names) and returns an
    ordered mapping of header names to values in WSGI's form; properties come last, in the
    order of their names. A field that is None or absent has no header. Properties that lose
    their header to another one are counted in ``X-Imagemeta-Omitted-Properties``.
    ``load`` takes headers, as a mapping or pairs with names in any case, and returns typed
    values, None for a field without a header; it also takes an image of a list's JSON. A field's
    header is the prefix and the field's name; its ``data_key`` replaces both. A ``post_dump``
    hook gets the headers.

    :ivar header_fields: The fields that are sent, by name; properties are last.
    :ivar property_prefix: What the headers of properties begin with; empty without properties.
    :ivar has_own_code: Whether a subclass may change what is sent, by a hook or a method. One that
        only adds fields, or sets another ``prefix``, does not.
    :raises InvalidImage: from ``dump``, naming the field that cannot be sent.
    :raises ValueError: when it is created, for fields whose headers could be one another's, or one
        of the response itself.
    """

    prefix: ClassVar[str] = "X-Image-Meta-"
    dict_class: type[dict[Any, Any]] = _Headers  # flattens properties, before post_dump hooks

    class Meta:
        """A request or response has other headers, too."""

        unknown = EXCLUDE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not self.prefix.endswith("-"):
            raise ValueError(f"{type(self).__name__}.prefix {self.prefix!r} must end with a hyphen")
        self.property_prefix: str = ""
        self._headers: dict[str, str] = {}  # of the core fields, by name
        self._load_keys: dict[str, str] = {}
        for name, field in self.fields.items():
            header = self._check_field(name, field)
            if isinstance(field, Properties):
                if self.property_prefix:
                    raise ValueError(
                        f"{type(self).__name__}.{name} is a second field of properties"
                    )
                self.property_prefix = header
                continue
            if name in self.dump_fields:
                self._headers[name] = header
            if name in self.load_fields:
                self._load_keys[header.lower()] = header
        if prefix := self.property_prefix.lower():
            for name, header in self._headers.items():
                if header.lower().startswith(prefix):
                    raise ValueError(
                        f"{type(self).__name__}.{name}: {header!r} would be a property's"
                    )
        properties_last = sorted(self.dump_fields, key=lambda name: name not in self._headers)
        self.header_fields: dict[str, HeaderField] = {
            name: field
            if isinstance(field := self.fields[name], HeaderField)
            else ForeignField(field)
            for name in properties_last
        }
        self.dump_fields: dict[str, Field[Any]] = {**self.header_fields}
        self.has_own_code: bool = _has_own_code(type(self))

    def _check_field(self, name: str, field: Field[Any]) -> str:
        """Return the header of a field, or the beginning of the headers of properties."""
        header = str(field.data_key)
        if not wire.is_token(header):
            raise ValueError(f"{type(self).__name__}.{name}: {header!r} cannot be a header's name")
        if header.lower() in RESERVED:
            raise ValueError(
                f"{type(self).__name__}.{name}: {header!r} is a header of the response itself"
            )
        if isinstance(field, Properties):
            forged = sorted(one for one in RESERVED if one.startswith(header.lower()))
            if forged:
                raise ValueError(
                    f"{type(self).__name__}.{name}: {header!r} would let a property send "
                    f"{forged[0]!r}, a header of the response itself; use a longer data_key"
                )
        if name in ACCESS_FIELDS and field.attribute not in (None, name):
            raise ValueError(
                f"{type(self).__name__}.{name} is read from {field.attribute!r}, but who may see "
                f"an image is decided by the image's own {name!r}"
            )
        return header

    def header_of(self, field_name: str) -> str | None:
        """Return the header that carries a field, or None if the schema does not dump it."""
        return self._headers.get(field_name)

    def field_of(self, header: str) -> str:
        """Return the field that a dumped header carries, or the header itself if none does."""
        return next((name for name, one in self._headers.items() if one == header), header)

    def property_of(self, header: str) -> str | None:
        """Return the property, in lower case, that a dumped header carries; None if none does."""
        prefix = self.property_prefix
        # In any letter case, as a hook may change it.
        if prefix and header.lower().startswith(prefix.lower()):
            return wire.from_name(header[len(prefix) :])
        return None

    def on_bind_field(self, field_name: str, field_obj: Field[Any]) -> None:
        """Give a field its header's name, and None as its value if the header is missing."""
        if field_obj.data_key is None:
            stem = field_obj.stem if isinstance(field_obj, Properties) else field_name
            field_obj.data_key = self.prefix + wire.as_name(stem)
        if field_obj.load_default is missing and not field_obj.required:
            field_obj.load_default = None

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Return a value of an image, or the default if it is None or absent.

        A dot in the name leads into a value: ``vendor.name`` is the vendor's name. Unlike in
        marshmallow's own method, a value that cannot be read does not count as absent.
        """
        first, dot, rest = attr.partition(".")
        value = get_field(obj, first)
        if value is None:
            return default
        return self.get_attribute(value, rest, default) if dot else value

    @overload  # type: ignore[override]
    def dump(self, obj: Any, *, many: Literal[False] | None = None) -> dict[str, str]: ...
    @overload
    def dump(self, obj: Any, *, many: Literal[True]) -> list[dict[str, str]]: ...
    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """Return an image as headers, in the order in which they are sent.

        :param many: Whether obj is an iterable of images, and a list is returned.
        :raises InvalidImage: naming the field that cannot be sent, and its value.
        """
        return super().dump(obj, many=many)

    @overload  # type: ignore[override]
    def load(
        self, data: Any, *, many: Literal[False] | None = None, **kwargs: Any
    ) -> dict[str, Any]: ...
    @overload
    def load(self, data: Any, *, many: Literal[True], **kwargs: Any) -> list[dict[str, Any]]: ...
    def load(self, data: Any, *, many: bool | None = None, **kwargs: Any) -> Any:
        """Return the fields' values from headers, or from an image of a list.

        :param data: A mapping or pairs; names and values are str or bytes. Headers of no field
            are ignored. Or one of the ``images`` in a list's JSON; its property names keep their
            case.
        :param many: Whether data is a list of them, and a list is returned.
        :raises marshmallow.ValidationError: naming each invalid header.
        """
        return super().load(data, many=many, **kwargs)

    def lines(self, image: Any) -> Iterator[Line]:
        """Yield the header lines of an image before they are made fit for the wire.

        Of two lines with one header, the first is the one that ``dump`` sends.

        :raises InvalidImage: like ``dump``.
        """
        for name, field in self.header_fields.items():
            yield from field.lines(name, image, self.get_attribute)

    def to_headers(self, image: Any) -> dict[str, str]:
        """Return what ``dump`` makes of an image, after checking that it is safe to send.

        :raises InvalidImage: like ``dump``, and naming a header that a subclass or one of
            its hooks made and that cannot be sent, or is one of the response itself.
        """
        headers = dict(self.dump(image))  # a hook may return the same mapping each time
        if _can_be_sent(headers):
            return headers
        pairs = headers.items()
        name, value = next(pair for pair in pairs if not _can_be_sent(dict([pair])))
        raise InvalidImage(name, value, "the schema made a header that an image cannot have")

    @pre_load
    def _from_headers(self, data: Any, **kwargs: Any) -> dict[str, Any]:
        """Collect headers under the fields' keys, and those of properties in one mapping."""
        if self._is_of_list(data):
            return self._from_list(data)
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

    def _is_of_list(self, data: Any) -> bool:
        """Return whether data is a list's image: its keys are fields, or a value is not text."""
        if not isinstance(data, Mapping):
            return False
        if not all(isinstance(value, (str, bytes)) for value in data.values()):
            return True
        return len(data) > 0 and all(
            name in self.fields and name not in self._load_keys for name in data
        )

    def _from_list(self, image: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a list's image by the fields' own keys; null counts as absent."""
        found: dict[str, Any] = {}
        for name, field in self.load_fields.items():
            value = image.get(name)
            if isinstance(field, Properties) and isinstance(value, Mapping):
                value = {key: text for key, text in value.items() if text is not None}
            if value is not None:
                found[str(field.data_key)] = value
        if self.property_prefix:
            found.setdefault(self.property_prefix, {})
        return found


def _has_own_code(schema: type[HeaderSchema]) -> bool:
    own = set(schema.__mro__) - set(ImageMetaSchema.__mro__)
    return any(_is_code(name, value) for cls in own for name, value in vars(cls).items())


def _is_code(name: str, value: Any) -> bool:
    is_of_python = name.startswith("__") and not callable(value)
    return not (is_of_python or isinstance(value, Field) or name in _NO_CODE)


def _can_be_sent(headers: dict[str, str]) -> bool:
    """Return whether headers are safe on the wire and none of them is about the response itself."""
    if not wire.are_safe_headers(headers):
        return False
    reserved = RESERVED.intersection(map(str.lower, headers))
    return not reserved or (reserved == {OMITTED.lower()} and headers.get(OMITTED, "").isdecimal())


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
    deleted: DeletedFlag = DeletedFlag(dump_default=False)
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


# What every schema has, and what a subclass may set besides fields.
_NO_CODE = {"Meta", "prefix", "__annotate_func__"} | vars(ImageMetaSchema).keys()
