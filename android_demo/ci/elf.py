"""Reads of a native library what Android asks of it: for which machine it is, and how its segments are aligned."""

import struct
from dataclasses import dataclass

from ci.errors import BuildError

PAGE = 16 * 1024  # of phones with 16 KB pages, which are 64-bit
LOAD = 1
ABIS = {(64, 183): "arm64-v8a", (32, 40): "armeabi-v7a", (32, 3): "x86", (64, 62): "x86_64"}


@dataclass(frozen=True)
class Library:
    """A native library, by the ABI it is for and the least alignment of what is loaded of it."""

    abi: str
    alignment: int

    @property
    def bits(self) -> int:
        """64 or 32."""
        return next(bits for (bits, _), abi in ABIS.items() if abi == self.abi)

    @property
    def fits_pages(self) -> bool:
        """Whether it can be loaded with pages of 16 KB, of which 32-bit phones have none."""
        return self.bits == 32 or self.alignment >= PAGE


def read(content: bytes, name: str) -> Library:
    """Read a library; BuildError where it is none, is cut off, or could not be loaded by anything."""
    if content[:4] != b"\x7fELF" or len(content) < 20:
        raise BuildError(f"{name}: not an ELF file")
    bits = {1: 32, 2: 64}.get(content[4])
    if bits is None or content[5] != 1:
        raise BuildError(
            f"{name}: an ELF file of class {content[4]}, byte order {content[5]}; Android's are little-endian"
        )
    machine = int.from_bytes(content[18:20], "little")
    if (bits, machine) not in ABIS:
        raise BuildError(f"{name}: for machine {machine} with {bits} bits, which is no ABI of Android")
    try:
        segments = _segments(content, bits)
    except (struct.error, OverflowError) as error:
        raise BuildError(f"{name}: an ELF file that is cut off") from error
    loaded = [(offset, address, alignment) for kind, offset, address, alignment in segments if kind == LOAD]
    if not loaded:
        raise BuildError(f"{name}: no segment of it is loaded")
    for offset, address, alignment in loaded:
        if alignment & (alignment - 1) or (alignment and (offset - address) % alignment):
            raise BuildError(f"{name}: a segment at {offset:#x} is not at its alignment of {alignment:#x}")
    return Library(ABIS[bits, machine], min(alignment for _, _, alignment in loaded))


def _segments(content: bytes, bits: int) -> list[tuple[int, int, int, int]]:
    """Type, place in the file, address and alignment of every segment."""
    if bits == 64:
        (start,) = struct.unpack_from("<Q", content, 32)
        size, count = struct.unpack_from("<HH", content, 54)
        form, places = "<IIQQQQQQ", (0, 2, 3, 7)
    else:
        (start,) = struct.unpack_from("<I", content, 28)
        size, count = struct.unpack_from("<HH", content, 42)
        form, places = "<IIIIIIII", (0, 1, 2, 7)
    rows = [struct.unpack_from(form, content, start + size * index) for index in range(count)]
    return [(row[places[0]], row[places[1]], row[places[2]], row[places[3]]) for row in rows]
