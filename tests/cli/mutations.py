"""Damaged image files, made from the kept ones by a seeded mutator."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple
from uuid import UUID

from .images import IMAGES, unpack

# The first version's header of an encrypted volume, without its key slots.
LUKS = struct.pack(
    ">6sH32s32s32sII20s32sI",
    *(b"LUKS\xba\xbe", 1, b"aes", b"xts-plain64", b"sha256", 4096, 64),
    *(b"digest", b"salt", 1000),
).ljust(592, b"\0")

# What the formats are known by, and what their facts stand beside.
_MARKS = (
    *(
        b"conectix",
        b"vhdxfile",
        b"regi",
        b"metadata",
        b"KDMV",
        b"QFI\xfb",
        b"QED\0",
        b"LUKS\xba\xbe",
    ),
    *(b"\x7f\x10\xda\xbe", b"CD001", b"\x55\xaa", b"# Disk DescriptorFile\n", b'createType="'),
)
_DISK_SIZE = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8").bytes_le  # an entry in a VHDX's table
_LANDMARKS = re.compile(b"|".join(map(re.escape, (*_MARKS, _DISK_SIZE))))
_SIZES = (0, 1, 7, 8, 64, 112, 168, 511, 512, 592, 1023, 4096, 65_536, 262_144)
_NUMBERS = (0, 1, 7, 9, 0x7F, 0x80, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)


class Seed(NamedTuple):
    data: bytes
    landmarks: list[int]


def read_corpus(folder: Path) -> list[Seed]:
    """Return the kept images without the zeros that end them, and odd text and headers."""
    images = [unpack(name, folder).read_bytes().rstrip(b"\0") for name in (*IMAGES, "flat.vmdk")]
    padded = [data.ljust(-len(data) // 512 * -512, b"\0") for data in images]
    sparse = images[-1].replace(b"monolithicFlat", b"monolithicSparse")
    return [
        Seed(data, [match.start() for match in _LANDMARKS.finditer(data)] or [0])
        for data in (*padded, images[-1], sparse, LUKS)
    ]


def mutants(folder: Path, seeds: range) -> Iterator[tuple[int, bytes]]:
    """Yield seeds and the damaged file that each of them makes of the kept images."""
    corpus = read_corpus(folder)
    for number in seeds:
        yield number, _Mutation(corpus, Random(number)).make()


class _Mutation:
    def __init__(self, corpus: list[Seed], random: Random) -> None:
        self.random, self.corpus = random, corpus
        data, self.landmarks = random.choice(corpus)
        self.data = bytearray(data)

    def make(self) -> bytes:
        changes = self.cut, self.write_number, self.write_number, self.write, self.mark, self.splice
        for _ in range(self.random.randint(1, 4)):
            self.random.choice(changes)()
        return bytes(self.data)

    def place(self) -> int:
        """Return a position, mostly one near which an inspector reads."""
        choice = self.random.choice
        near = choice(self.landmarks) + choice((0, 4, 8, 20, self.random.randrange(128)))
        anywhere = self.random.randrange(len(self.data) + 1)
        return min(choice((near, near, near, choice(_SIZES), anywhere)), len(self.data))

    def overwrite(self, place: int, new: bytes) -> None:
        self.data[place : place + len(new)] = new

    def cut(self) -> None:
        del self.data[self.place() :]

    def write_number(self) -> None:
        width = self.random.choice((1, 2, 4, 8))
        number = self.random.choice((*_NUMBERS, self.random.getrandbits(64))) % 256**width
        order = self.random.choice(("big", "little"))
        self.overwrite(self.place(), number.to_bytes(width, order))

    def write(self) -> None:
        self.overwrite(self.place(), self.random.randbytes(self.random.randrange(1, 64)))

    def mark(self) -> None:
        self.overwrite(self.random.choice((0, self.place())), self.random.choice(_MARKS))

    def splice(self) -> None:
        other = self.random.choice(self.corpus).data[: self.random.choice(_SIZES)]
        self.overwrite(self.random.choice((0, self.place())), other)
