from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ..needs import needs
from .images import IMAGES, make, unpack

files = pytest.importorskip("flask_imagemeta.files")


def read(path, progress=lambda count: None):
    return files.read_image_file(path, progress)


@pytest.fixture
def disk(tmp_path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(1_000_000))
    return path


@pytest.mark.parametrize("source", [unpack, make])
@pytest.mark.parametrize("name", IMAGES)
def test_formats_of_real_images(name, source, tmp_path):
    """Every disk format is recognised, with its virtual size, in files kept and made afresh."""
    path = source(name, tmp_path)
    facts = read(path)
    formats = {k: v or path.stat().st_size for k, v in IMAGES[name].formats.items()}
    assert (dict(facts.formats), facts.found) == (formats, IMAGES[name].found)
    assert list(facts.formats) == list(formats)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 262_144, 262_145, 1_000_000])
def test_size_and_checksum(size, tmp_path):
    """Size and MD5 are those of the whole data, whatever its length."""
    data = os.urandom(size)
    path = tmp_path / "disk.img"
    path.write_bytes(data)
    facts = read(path)
    assert (facts.size, facts.checksum) == (size, hashlib.md5(data).hexdigest())


def test_iso_that_boots_from_a_disk(tmp_path):
    """An ISO image with a partition table is an ISO image first, but may be called raw."""
    path = unpack("disk.iso", tmp_path)
    with path.open("r+b") as file:
        file.seek(446)
        file.write(bytes.fromhex("80 000200 83 ffffff 00000000 00100000") + bytes(48) + b"\x55\xaa")
    facts = read(path)
    assert facts.found == ("gpt", "iso")
    assert list(facts.formats) == ["iso", "raw"]


def test_two_formats_at_once(tmp_path):
    """A file that is of two formats at once is reported as both."""
    path = unpack("disk.iso", tmp_path)
    qcow2 = unpack("disk.qcow2", tmp_path).read_bytes()[:112]
    with path.open("r+b") as file:
        file.write(qcow2)
    assert read(path).formats.keys() == {"iso", "qcow2"}


def test_text_that_becomes_binary(tmp_path):
    """What begins like a text, such as a script that unpacks itself, is a raw disk."""
    path = tmp_path / "install.bin"
    path.write_bytes(b"#!/bin/sh\n" + b"echo hello\n" * 60 + "é".encode() + bytes(2_000))
    assert read(path).formats == {"raw": 2_672}


def test_progress(disk):
    """Progress counts every byte once."""
    counts: list[int] = []
    read(disk, counts.append)
    assert sum(counts) == 1_000_000
    assert len(counts) > 1


def append(path):
    with path.open("ab") as file:
        file.write(b"more")


def replace(path):
    new = path.with_suffix(".new")
    new.write_bytes(path.read_bytes())
    info = path.stat()
    os.utime(new, ns=(info.st_atime_ns, info.st_mtime_ns))
    new.rename(path)


def rewrite(path):
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, (1, 1))


def rewrite_unnoticed(path):
    """Write other data of the same size, and set the time of modification back."""
    info = path.stat()
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


@pytest.mark.parametrize(
    "change", [append, replace, rewrite, rewrite_unnoticed, lambda path: os.truncate(path, 10)]
)
def test_file_that_changes(change, disk):
    """A file that grows, shrinks, is rewritten or replaced while it is read is refused."""
    changes = iter([change])

    def progress(count):
        for change in changes:
            change(disk)

    with pytest.raises(files.UnusableFile, match="changed while it was read"):
        read(disk, progress)


def test_file_that_vanishes(disk):
    """A file that is deleted while it is read is refused."""
    with pytest.raises(files.UnusableFile, match="No such file"):
        read(disk, lambda count: disk.unlink(missing_ok=True))


def test_folder(tmp_path):
    """A folder is not an image file."""
    with pytest.raises(files.UnusableFile, match="Is a directory"):
        read(tmp_path)


def test_pipe(tmp_path):
    """A named pipe is refused at once, without waiting for somebody to write into it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(files.UnusableFile, match="not a regular file"):
        read(path)


def test_file_that_cannot_be_read():
    """An error of the disk while reading is reported with the system's words."""
    path = Path("/proc/self/mem")  # opens well, and its first byte cannot be read
    if not path.exists():
        needs("Linux's /proc")
    with pytest.raises(files.UnusableFile, match="Input/output error"):
        read(path)


def test_names_are_printable_in_messages(tmp_path):
    """A file's name cannot smuggle control characters to the terminal."""
    with pytest.raises(files.UnusableFile) as caught:
        read(tmp_path / "a\x1b[2Jb")
    assert str(caught.value).isprintable()


RESIZED = 2_097_152  # one block, as the file has a table for


@pytest.fixture
def resized_vhd(tmp_path) -> Path:
    """A dynamic VHD whose disk was enlarged: both footers have the new size, and a new checksum."""
    path = unpack("disk.vhd", tmp_path)
    data = bytearray(path.read_bytes())
    for start in (0, len(data) - 512):
        footer = data[start : start + 512]
        assert footer.startswith(b"conectix")
        footer[28:32] = b"win "  # Hyper-V: qemu takes the size, not the geometry, of its disks
        footer[48:56] = RESIZED.to_bytes(8, "big")
        footer[64:68] = bytes(4)
        footer[64:68] = (0xFFFFFFFF - sum(footer)).to_bytes(4, "big")
        data[start : start + 512] = footer
    path.write_bytes(data)
    return path


def test_resized_vhd(resized_vhd):
    """The virtual size of a VHD that was resized is the current one."""
    assert read(resized_vhd).formats == {"vhd": RESIZED}


def test_resized_vhd_by_qemu(resized_vhd):
    """That is what qemu-img says of it, too."""
    if shutil.which("qemu-img") is None:
        needs("qemu-img")
    command = ["qemu-img", "info", "-f", "vpc", "--output=json", str(resized_vhd)]
    info = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    assert json.loads(info)["virtual-size"] == RESIZED


def test_footer_that_claims_too_much(tmp_path):
    """A VHD of fixed size holds all of its disk."""
    path = unpack("fixed.vhd", tmp_path)
    path.write_bytes(path.read_bytes()[512:])
    with pytest.raises(files.UnusableFile, match="ends like a fixed vhd, but claims a disk of"):
        read(path)


def test_inspector_that_cannot_tell(disk, monkeypatch):
    """An inspector that fails when it is asked for its verdict is a reason to refuse the file."""

    class Inspector(files.ALL_FORMATS["vdi"]):
        @property
        def format_match(self):
            raise ZeroDivisionError("no verdict")

    monkeypatch.setitem(files.ALL_FORMATS, "vdi", Inspector)
    with pytest.raises(files.UnusableFile, match=r"looks like vdi, but is damaged: .*no verdict"):
        read(disk)
