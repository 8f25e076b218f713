"""What an image file says about itself, found out in one read; needs the extra ``files``."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from .exceptions import ImageMetaError, printable

try:
    from oslo_utils.imageutils.format_inspector import ALL_FORMATS, InspectWrapper
except ImportError as _error:
    raise ImportError(
        f"Reading image files needs an extra: pip install 'Flask-ImageMeta[files]' ({_error})"
    ) from _error

# The inspectors log what a file is not, which nobody asked.
logging.getLogger("oslo_utils.imageutils").addHandler(logging.NullHandler())

INSPECTED = frozenset({"iso", "qcow2", "raw", "vdi", "vhd", "vhdx", "vmdk"})
_RAW = {"raw", "gpt", "luks"}  # a partition table or an encrypted volume is what a raw disk holds
_CHUNK = 262_144  # bytes: more is no faster, and beyond 1 MiB the inspector of VHDX misses parts
_FOOTER = 512  # bytes of the footer at the end of every VHD


class UnusableFile(ImageMetaError):
    """A file's facts cannot be had: it cannot be read, or did not stay the same meanwhile."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """The facts of an image file.

    :param size: Bytes.
    :param checksum: The MD5 of the data, 32 hexadecimal digits.
    :param formats: The disk formats that the data can be taken for, the likeliest first, and
        the bytes of the virtual disk that each of them gives, or None where it says nothing.
        Empty for a format that the Image API has no word for.
    :param found: The words for what was found, for messages.
    """

    size: int
    checksum: str
    formats: Mapping[str, int | None]
    found: tuple[str, ...]


def read_image_file(path: Path, progress: Callable[[int], object]) -> ImageFile:
    """Read a file once and return its facts.

    :param progress: Called with the number of bytes just read.
    :raises UnusableFile: when it is no regular file, cannot be read, or changed meanwhile.
    """
    try:
        # Opening a pipe would wait for somebody to write into it.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb", 0) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise UnusableFile(f"{printable(str(path))} is not a regular file")
            facts = _read(file, progress)
            states = [_state(info) for info in (before, os.fstat(file.fileno()), path.stat())]
    except OSError as error:
        raise UnusableFile(f"{printable(str(path))} cannot be read: {error.strerror}") from error
    if facts.size != before.st_size or len(set(states)) > 1:
        raise UnusableFile(
            f"{printable(str(path))} changed while it was read. Try again when it is complete."
        )
    return facts


def _state(info: os.stat_result) -> tuple[int, ...]:
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns


def _read(file: IO[bytes], progress: Callable[[int], object]) -> ImageFile:
    digest = hashlib.md5(usedforsecurity=False)
    chunks: Any = iter(partial(file.read, _CHUNK), b"")
    others: Any = InspectWrapper(chunks, allowed_formats=[*ALL_FORMATS.keys() - {"raw", "vmdk"}])
    vmdk = InspectWrapper(others, allowed_formats=["vmdk"])
    size, end = 0, b""
    for chunk in vmdk:
        digest.update(chunk)
        size += len(chunk)
        end = (end + chunk[-_FOOTER:])[-_FOOTER:]
        progress(len(chunk))
    found = list(others.formats or [])
    with suppress(AttributeError):  # it fails at text that is ASCII for 512 bytes and then is not
        found += vmdk.formats or []
    matches = {str(match): match.virtual_size or None for match in found}
    formats = {name: virtual for name, virtual in matches.items() if name in INSPECTED - _RAW}
    if matches.keys() <= _RAW:
        formats = _fixed_vhd(end) | {"raw": size}
    elif len(formats) == 1 and matches.keys() & _RAW:
        formats["raw"] = size  # an ISO image that also boots from a disk
    return ImageFile(size, digest.hexdigest(), formats, tuple(sorted(matches)) or ("raw",))


def _fixed_vhd(end: bytes) -> dict[str, int | None]:
    """Return the format of a VHD of fixed size: a raw disk but for the footer at its end.

    The inspectors know other VHDs, by the copy of the footer at the beginning. In it are the
    size of the disk, bytes 48 to 55, and its type, bytes 60 to 63: 2 means fixed.
    """
    if not end.startswith(b"conectix") or int.from_bytes(end[60:64], "big") != 2:
        return {}
    return {"vhd": int.from_bytes(end[48:56], "big")}
