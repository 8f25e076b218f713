"""``flask imagemeta add``: register image files in the store."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask.cli import with_appcontext

from ..exceptions import printable, short_repr
from ..stores import Writable
from .common import command_errors, find_state, get_store, name_option
from .head import Route
from .output import CommandError, as_json, flush_output, has_terminal, say

if TYPE_CHECKING:
    from ..files import ImageFile

_DISK_FORMATS = ("raw", "qcow2", "vhd", "vhdx", "vmdk", "vdi", "iso", "ploop", "aki", "ari", "ami")
_CONTAINER_FORMATS = ("bare", "ovf", "ova", "docker", "aki", "ari", "ami")
_LARGE = 67_108_864  # bytes: smaller files are read before a progress bar could appear


def _as_properties(
    ctx: click.Context, param: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, str]:
    properties: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{short_repr(pair)} is not of the form KEY=VALUE")
        if key in properties:
            raise click.BadParameter(f"{short_repr(key)} is given twice")
        properties[key] = value
    return properties


@click.command("add", short_help="Register image files in the store.")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@name_option
@click.option("--id", "image_id", help="The image's id.  [default: made by the store]")
@click.option("--image-name", help="The image's name.  [default: the file's]")
@click.option(
    "--disk-format", type=click.Choice(_DISK_FORMATS), help="[default: as found in the file]"
)
@click.option(
    "--container-format", type=click.Choice(_CONTAINER_FORMATS), default="bare", show_default=True
)
@click.option("--owner", metavar="PROJECT", help="The project that owns the image.")
@click.option(
    "--visibility",
    type=click.Choice(("public", "community", "shared", "private")),
    help="Who can see an image that has an owner.  [default: the model's]",
)
@click.option("--protected", is_flag=True, help="Mark the image as protected.")
@click.option("--min-disk", type=click.IntRange(min=0), help="GiB of disk needed to boot.")
@click.option("--min-ram", type=click.IntRange(min=0), help="MiB of memory needed to boot.")
@click.option(
    "--property",
    "properties",
    metavar="KEY=VALUE",
    multiple=True,
    callback=_as_properties,
    help="A property of the image; may be given more than once.",
)
@click.option("--again", is_flag=True, help="Add files even if the store already has their data.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object for each image added.")
@with_appcontext
def command(
    *,
    files: tuple[Path, ...],
    name: str,
    image_id: str | None,
    image_name: str | None,
    disk_format: str | None,
    container_format: str,
    again: bool,
    is_json: bool,
    **options: Any,
) -> None:
    """Register image files in the store: all of them, or none.

    Size, MD5, virtual size and disk format are read from the files; the data stays where it
    is. The options apply to every FILE.

    Exit status: 0, or 2 when a file cannot be added; then none is.
    """
    if len(files) > 1 and (image_id is not None or image_name is not None):
        raise click.UsageError("--id and --image-name are for a single FILE.")
    state = find_state(name)
    if image_id is not None and not Route(state).leads_to(image_id):
        raise CommandError(f"No request can ask for an image with the id {short_repr(image_id)}.")
    store = get_store(state, "added to", Writable, "add", "copies_of")
    found = [(path, _read(path)) for path in files]
    if not again:
        _refuse_copies(found, store)
    named = {"id": image_id, "name": image_name, **options}
    images = [_image(*one, disk_format, container_format) | _without_none(named) for one in found]
    ids = _add(store, images)
    try:
        for path, image, new_id in zip(files, images, ids, strict=True):
            say(_as_json(path, image, new_id) if is_json else _as_text(path, image, new_id))
        flush_output()
    except CommandError as error:
        added = printable(", ".join(ids))
        raise CommandError(f"{error.message} But the images were added: {added}.") from error


def _image(
    path: Path, facts: ImageFile, disk_format: str | None, container_format: str
) -> dict[str, Any]:
    """Return the fields of an image that come from its file."""
    chosen = _choose_format(path, facts, disk_format, container_format)
    fields = {
        "name": click.format_filename(path.name),
        "status": "active",
        "size": facts.size,
        "checksum": facts.checksum,
        "disk_format": chosen,
        "container_format": container_format,
        "virtual_size": None if container_format == "ova" else facts.formats.get(chosen),
    }
    return _without_none(fields)


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _add(store: Any, images: list[dict[str, Any]]) -> list[str]:
    with command_errors():
        try:
            return [str(new_id) for new_id in store.add(images)]
        except (ValueError, OverflowError) as error:
            raise CommandError(f"The store refuses: {printable(str(error))}") from error


def _as_json(path: Path, image: dict[str, Any], new_id: str) -> str:
    return as_json(image | {"id": new_id, "file": click.format_filename(path)})


def _as_text(path: Path, image: dict[str, Any], new_id: str) -> str:
    what = f"{image['disk_format']}, {image['size']:,} bytes, MD5 {image['checksum']}"
    return printable(f"{new_id}: added {path}: {what}")


def _read(path: Path) -> ImageFile:
    try:
        from ..files import UnusableFile, read_image_file  # noqa: PLC0415
    except ImportError as error:
        raise CommandError(str(error)) from error
    size = os.path.getsize(path) if os.path.isfile(path) else 0
    try:
        if size < _LARGE or not has_terminal():
            return read_image_file(path, lambda count: None)
        label = printable(click.format_filename(path.name))
        with click.progressbar(length=size, label=label, file=sys.stderr) as bar:
            return read_image_file(path, bar.update)
    except UnusableFile as error:
        raise CommandError(str(error)) from error


def _refuse_copies(found: list[tuple[Path, ImageFile]], store: Any) -> None:
    earlier: dict[tuple[str, int], Path] = {}
    for path, facts in found:
        data = facts.checksum, facts.size
        with command_errors():
            copies = store.copies_of(*data)
        same = f"image {copies[0]}" if copies else earlier.get(data)
        if same is not None:
            raise CommandError(
                f"{printable(str(path))} has the same data (MD5 {facts.checksum}) as "
                f"{printable(str(same))}. Nothing was added; --again adds it anyway."
            )
        earlier[data] = path


def _choose_format(path: Path, facts: ImageFile, wanted: str | None, container: str) -> str:
    """Return the disk format that was asked for, if the data can have it, or else the one found."""
    from ..files import INSPECTED  # noqa: PLC0415

    found = " and ".join(facts.found)
    if container == "ova":
        if wanted is not None and found == "tar":
            return wanted
        other = "choose the format of the disks in it with --disk-format"
        problem = f"an archive: {other}" if found == "tar" else f"{found}, but an ova is a tar"
    elif wanted is None:
        if sum(name != "raw" for name in facts.formats) > 1:
            problem = f"{found} at once: choose one with --disk-format"
        elif not facts.formats:
            problem = f"{found}, which is not a disk format of the Image API"
        else:
            return next(iter(facts.formats))
    elif wanted in facts.formats or ("raw" in facts.formats and wanted not in INSPECTED):
        return wanted
    else:
        problem = f"{found}, not {wanted}"
    raise CommandError(f"{printable(str(path))} is {problem}. Nothing was added.")
