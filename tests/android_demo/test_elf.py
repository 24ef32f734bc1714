"""How native libraries are aligned is read as readelf reads it, and what is no library is refused."""

import random
import re
import struct
import subprocess

import pytest
from ci import elf, tools
from ci.errors import BuildError


def of_readelf(path):
    """The least alignment of what is loaded."""
    printed = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True, check=True).stdout
    return min(int(match[1], 16) for match in re.finditer(r"^ +LOAD .* (0x[0-9a-f]+)$", printed, re.MULTILINE))


@pytest.mark.parametrize("abi", tools.ABIS)
def test_the_runtime_fits_pages_of_16_kb(abi):
    for path in tools.onnxruntime_libraries(abi):
        library = elf.read(path.read_bytes(), path.name)
        assert library.abi == abi
        assert library.alignment == of_readelf(path)
        assert library.fits_pages
        if library.bits == 64:
            assert library.alignment >= elf.PAGE


def test_a_program_of_this_machine_is_read_too():
    path = tools.onnxruntime_linux_library()
    library = elf.read(path.read_bytes(), path.name)
    assert (library.abi, library.alignment) == ("x86_64", of_readelf(path))


def made(*, kind=2, order=1, machine=183, segments=((1, 0, 0, 0x4000), (1, 0x4000, 0x8000, 0x4000))):
    """The least that is an ELF file of 64 bits: segments are type, place, address and alignment."""
    head = b"\x7fELF" + bytes([kind, order, 1]) + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    rows = [struct.pack("<IIQQQQQQ", kind, 5, place, at, at, 1, 1, align) for kind, place, at, align in segments]
    return head + b"".join(rows)


def test_alignment_is_that_of_what_is_loaded():
    assert elf.read(made(), "x") == elf.Library("arm64-v8a", 0x4000)
    loose = made(segments=((1, 0, 0, 0x10000), (1, 0x1000, 0x2000, 0x1000), (2, 0, 0, 8)))
    assert elf.read(loose, "x") == elf.Library("arm64-v8a", 0x1000)
    assert not elf.read(loose, "x").fits_pages
    assert elf.Library("armeabi-v7a", 0x1000).fits_pages


BROKEN = {
    "no ELF": (b"PK\x03\x04" + bytes(60), "not an ELF file"),
    "nothing": (b"", "not an ELF file"),
    "a head that is cut off": (made()[:40], "cut off"),
    "segments that are cut off": (made()[:100], "cut off"),
    "big-endian": (made(order=2), "byte order 2"),
    "no class": (made(kind=0), "class 0"),
    "another machine": (made(machine=243), "machine 243 with 64 bits, which is no ABI"),
    "32 bits of a 64-bit machine": (made(kind=1), "machine 183 with 32 bits"),
    "nothing to load": (made(segments=((2, 0, 0, 8),)), "no segment"),
    "not where it says": (made(segments=((1, 0x1000, 0x4000, 0x4000),)), "not at its alignment of 0x4000"),
    "no power of two": (made(segments=((1, 0, 0, 0x5000),)), "not at its alignment"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_refused(name):
    content, reason = BROKEN[name]
    with pytest.raises(BuildError, match=f"^lib/x.so: .*{reason}"):
        elf.read(content, "lib/x.so")


def test_any_damage_is_a_message():
    random.seed(0)
    whole, refused = made(), 0
    for _ in range(3000):
        content = bytearray(whole)
        for _ in range(random.randint(1, 4)):
            content[random.randrange(len(content))] = random.randrange(256)
        try:
            elf.read(bytes(content[: random.randint(0, len(content))] if random.random() < 0.3 else content), "x")
        except BuildError:
            refused += 1
    assert refused > 300
