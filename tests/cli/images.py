"""The disk images of the tests: how each was made, and what it is."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from ..needs import needs

DATA = Path(__file__).parent.parent / "data" / "images"


class Made(NamedTuple):
    command: str  # to be followed by the file's name, {} stands for it elsewhere
    formats: dict[str, int | None]
    found: tuple[str, ...]


MIB = 1_048_576
VHD = 1_079_296  # MIB in whole cylinders, as qemu-img rounds it
FIXED_VHD = VHD + 512

IMAGES = {
    "disk.raw": Made("qemu-img create -q -f raw {} 64K", {"raw": 65_536}, ("raw",)),
    "disk.qcow2": Made(
        "qemu-img create -q -f qcow2 -o cluster_size=4096 {} 1M", {"qcow2": MIB}, ("qcow2",)
    ),
    "disk.vmdk": Made("qemu-img create -q -f vmdk {} 1M", {"vmdk": MIB}, ("vmdk",)),
    "stream.vmdk": Made(
        "qemu-img create -q -f vmdk -o subformat=streamOptimized {} 1M", {"vmdk": MIB}, ("vmdk",)
    ),
    "disk.vdi": Made("qemu-img create -q -f vdi {} 1M", {"vdi": MIB}, ("vdi",)),
    "disk.vhd": Made("qemu-img create -q -f vpc {} 1M", {"vhd": VHD}, ("vhd",)),
    "fixed.vhd": Made(
        "qemu-img create -q -f vpc -o subformat=fixed {} 1M",
        {"vhd": VHD, "raw": FIXED_VHD},
        ("raw",),
    ),
    "disk.vhdx": Made("qemu-img create -q -f vhdx {} 1M", {"vhdx": MIB}, ("vhdx",)),
    "disk.iso": Made("xorriso -as mkisofs -quiet -no-pad -V TEST -o {} .", {"iso": None}, ("iso",)),
    "disk.qed": Made("qemu-img create -q -f qed {} 1M", {}, ("qed",)),
}


def unpack(name: str, folder: Path) -> Path:
    """Put a kept image into a folder."""
    path = folder / name
    with gzip.open(DATA / f"{name}.gz") as packed, path.open("wb") as file:
        shutil.copyfileobj(packed, file)
    return path


def make(name: str, folder: Path) -> Path:
    """Make an image afresh, where its tool is."""
    command = IMAGES[name].command.split()
    if shutil.which(command[0]) is None:
        needs(command[0])
    content = folder / "content"
    content.mkdir()
    (content / "readme.txt").write_text("Flask-ImageMeta\n")
    path = folder / name
    arguments = [part.format(path) for part in command]
    subprocess.run(arguments, check=True, cwd=content, capture_output=True, timeout=60)
    return path
