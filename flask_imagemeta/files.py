"""The facts of an image file, found in a single read; needs the extra ``files``."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from .exceptions import ImageMetaError, printable, short_repr
from .image import MAX_INTEGER

try:
    from oslo_utils.imageutils.format_inspector import ALL_FORMATS
except ImportError as _error:
    raise ImportError(
        "Reading image files needs oslo.utils with its inspectors: "
        f'pip install "oslo.utils[image-inspection]>=7.4" ({_error})'
    ) from _error

# The inspectors log every format that a file does not have, which is only noise.
logging.getLogger("oslo_utils.imageutils").addHandler(logging.NullHandler())

INSPECTED = frozenset({"iso", "qcow2", "raw", "vdi", "vhd", "vhdx", "vmdk"})
_RAW = {"raw", "gpt", "luks"}  # a raw disk may hold a partition table or an encrypted volume
_CHUNK = 262_144  # bytes: larger is not faster, and above 1 MiB the VHDX inspector misses parts
_EDGE = 512  # bytes kept of either end: a VHD's footer, a tar archive's first header

_FIXED = bytes((0, 0, 0, 2))  # the type of a VHD, bytes 60 to 63 of its footer
_VMDK_DESCRIPTOR = re.compile(rb"\s*#\s*disk\s+descriptorfile", re.IGNORECASE)
_DESCRIPTOR_ALONE = "is only the descriptor of a VMDK, whose data is in other files"


class UnusableFile(ImageMetaError):
    """A file cannot be described: it is unreadable or damaged, or changed while it was read."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """The facts of an image file.

    :param size: Bytes.
    :param checksum: The MD5 of the data, 32 hexadecimal digits.
    :param formats: The disk formats that the data may have, the likeliest first, each with the
        size of its virtual disk in bytes, or None if the data does not say. Empty for a format
        without a name in the Image API.
    :param found: The names of what was found, for messages; ``tar`` for an archive.
    """

    size: int
    checksum: str
    formats: Mapping[str, int | None]
    found: tuple[str, ...]


def read_image_file(path: Path, progress: Callable[[int], object]) -> ImageFile:
    """Read a file once and return its facts.

    :param progress: Called with the number of bytes just read.
    :raises UnusableFile: when it is not a regular file, cannot be read, changes meanwhile, or
        has the signature of a format but not its contents.
    """
    reader = _Reader()
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb", 0) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise UnusableFile(f"{printable(str(path))} is not a regular file")
            reader.read(file, progress)
            states = [_state(info) for info in (before, os.fstat(file.fileno()), path.stat())]
    except OSError as error:
        raise UnusableFile(f"{printable(str(path))} cannot be read: {error.strerror}") from error
    if reader.size != before.st_size or len(set(states)) > 1:
        raise UnusableFile(
            f"{printable(str(path))} changed while it was read. Try again when it is complete."
        )
    try:
        return reader.facts()
    except _Damaged as error:
        raise UnusableFile(f"{printable(str(path))} {printable(str(error))}") from error


def _state(info: os.stat_result) -> tuple[int, ...]:
    # A program can reset the modification time, but not the change time.
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns


class _Damaged(Exception):
    """What is wrong with a file, to complete a sentence that starts with its name."""


class _Reader:
    """Collects the facts of a file, chunk by chunk."""

    def __init__(self) -> None:
        self.size = 0
        self._digest = hashlib.md5(usedforsecurity=False)
        self._start = self._end = b""
        kinds = {name: kind for name, kind in ALL_FORMATS.items() if name != "raw"}
        self._inspectors: dict[str, Any] = {name: kind() for name, kind in kinds.items()}
        self._errors: dict[str, Exception] = {}

    def read(self, file: IO[bytes], progress: Callable[[int], object]) -> None:
        for chunk in iter(partial(file.read, _CHUNK), b""):
            self.size += len(chunk)
            self._digest.update(chunk)
            self._start = self._start or chunk[:_EDGE]
            self._end = (self._end + chunk[-_EDGE:])[-_EDGE:]
            for name, inspector in self._inspectors.items():
                if name not in self._errors:
                    self._inspect(name, inspector, chunk)
            progress(len(chunk))
        for inspector in self._inspectors.values():
            inspector.finish()

    def _inspect(self, name: str, inspector: Any, chunk: bytes) -> None:
        try:
            inspector.eat_chunk(chunk)
        except Exception as error:  # another format, or damaged
            self._errors[name] = error

    def facts(self) -> ImageFile:
        """Return the facts.

        :raises _Damaged: when the data has the signature of a format, but not its contents.
        """
        if _VMDK_DESCRIPTOR.match(self._start):
            raise _Damaged(_DESCRIPTOR_ALONE)
        found = [name for name in self._inspectors if self._bears_mark(name)]
        sizes = {name: self._virtual_size(name) for name in found}
        formats = {name: sizes[name] for name in found if name in INSPECTED - _RAW}
        if not sizes.keys() - _RAW:
            formats = self._fixed_vhd() | {"raw": self.size}
        elif len(formats) == 1 and sizes.keys() & _RAW:
            formats["raw"] = self.size  # an ISO image that also boots from a disk
        if not found:
            found = ["tar" if self._start[257:262] == b"ustar" else "raw"]
        return ImageFile(self.size, self._digest.hexdigest(), formats, tuple(sorted(found)))

    def _bears_mark(self, name: str) -> bool:
        try:
            return bool(self._inspectors[name].format_match)
        except Exception as error:
            if name == "vmdk":  # fails for any data with 512 bytes of ASCII before other bytes
                return False
            raise _Damaged(f"looks like {name}, but is damaged: {short_repr(error)}") from error

    def _virtual_size(self, name: str) -> int | None:
        """Return the size of the virtual disk in bytes, None if the data does not say."""
        inspector = self._inspectors[name]
        if name == "vmdk" and not inspector.has_region("header"):
            raise _Damaged(_DESCRIPTOR_ALONE)
        if name not in self._errors and not inspector.complete:
            raise _Damaged(f"looks like {name}, but is cut short")
        try:
            if name in self._errors:
                raise self._errors[name]
            # The inspector returns a VHD's original size, but the disk may have been resized.
            size = _current_size(self._start) if name == "vhd" else inspector.virtual_size
        except Exception as error:
            raise _Damaged(f"looks like {name}, but is damaged: {short_repr(error)}") from error
        if size > MAX_INTEGER:
            raise _Damaged(f"looks like {name}, but claims a disk of {size:,} bytes")
        return size or None

    def _fixed_vhd(self) -> dict[str, int | None]:
        """Return the format of a fixed-size VHD: a raw disk with a footer at the end.

        The inspectors recognize only the other kinds, which start with a copy of the footer.
        """
        if not self._end.startswith(b"conectix") or self._end[60:64] != _FIXED:
            return {}
        size = _current_size(self._end)
        if size > self.size - _EDGE:
            raise _Damaged(f"ends like a fixed vhd, but claims a disk of {size:,} bytes")
        return {"vhd": size}


def _current_size(footer: bytes) -> int:
    """Return a VHD's current disk size in bytes; bytes 40 to 47 have its original size."""
    return int.from_bytes(footer[48:56], "big")
