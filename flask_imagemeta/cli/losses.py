"""What a client would not receive unchanged of an image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from uuid import uuid4

from .. import wire
from ..access import Identity, is_deleted, may_be_listed, may_see
from ..exceptions import InvalidImage, short_repr
from ..fields import Line
from ..image import read_field
from ..limits import Limits
from ..schema import HeaderSchema

# A caller whose access depends on every field that decides it: the project has no images.
STRANGER = Identity(uuid4().hex)


class Loss(NamedTuple):
    """One thing that a client does not receive unchanged.

    :param kind: ``refused`` (the whole image: a client gets no metadata at all), ``omitted``
        or ``altered``; of a copy also ``different`` or ``changed``.
    :param field: The field, in the schema's words.
    :param reason: What becomes of it, or why.
    """

    kind: str
    field: str
    reason: str


def refusal(error: InvalidImage) -> Loss:
    """Return the loss of a whole image."""
    value = "" if error.value is None else f"{short_repr(error.value)}: "
    return Loss("refused", error.field, value + error.reason)


def unreachable(image_id: str) -> Loss:
    """Return the loss of an image that no request can ask for."""
    return Loss("refused", "id", f"no request can ask for {short_repr(image_id)}")


def find_losses(
    image: Any, schema: HeaderSchema, limits: Limits, leads_to: Callable[[str], bool]
) -> list[Loss]:
    """Return everything that a client who may see an image does not receive unchanged.

    An image is also refused if it cannot be decided whether a stranger may see it or list it.
    The properties of a deleted image are hidden from everyone, and not counted as a loss.

    :param leads_to: Returns whether a request can ask for an id.
    """
    try:
        image_id = str(read_field(image, "id"))
        if not leads_to(image_id):
            return [unreachable(image_id)]
        may_see(image, STRANGER)
        may_be_listed(image, STRANGER)
        headers, lines = schema.to_headers(image), schema.lines(image)
        if is_deleted(image):
            lines = (line for line in lines if line.property is None)
            headers = {k: v for k, v in headers.items() if schema.property_of(k) is None}
        sent, _ = limits.fit(headers)
        return list(_compare(lines, sent, schema.property_prefix))
    except InvalidImage as error:
        return [refusal(error)]


def _compare(lines: Iterable[Line], sent: Mapping[str, str], prefix: str) -> Iterator[Loss]:
    winners: dict[str, Line] = {}
    for line in lines:
        winner = winners.setdefault(line.header, line)
        if line.property is None:
            if line.header in sent:
                yield from _compare_text(line.field, line.text, sent[line.header])
            continue
        label = f"{line.field}[{short_repr(line.property)}]"
        if winner is not line:
            reason = f"{short_repr(winner.property)} has the same header, {line.header}"
            yield Loss("omitted", label, reason)
        elif line.header not in sent:
            reason = "no room is left for it in a response (MAX_HEADERS, MAX_HEADER_BYTES)"
            yield Loss("omitted", label, reason)
        else:
            name = line.header[len(prefix) :].lower()
            if name != line.property:
                yield Loss("altered", label, f"the name arrives as {short_repr(name)}")
            yield from _compare_text(label, line.text, sent[line.header])


def _compare_text(label: str, text: str, sent: str) -> Iterator[Loss]:
    received = wire.from_value(sent)
    if received == text:
        return
    reason = "characters that no header can carry are replaced"
    if received == text.strip(" \t"):
        reason = "white space around it is dropped"
    yield Loss("altered", label, f"{reason}: {short_repr(text)} arrives as {short_repr(received)}")
