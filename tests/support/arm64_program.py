"""A program of a few A64 instructions, written by hand: what it does is known to the last instruction."""

import struct
from dataclasses import dataclass

ADDRESS, DATA = 0x400000, 0x500000
LINE = 64


def mov(register, value):
    """movz x<register>, #value (of 16 bits)."""
    return 0xD2800000 | value << 5 | register


def mark(which):
    """getpriority(0xFA1C, which)."""
    return [mov(8, 141), mov(0, 0xFA1C), mov(1, which), 0xD4000001]  # svc #0


@dataclass(frozen=True)
class Stream:
    """Reads the first 16 bytes of so many lines of 64, so many times, and stores 16 bytes behind them.

    It does all that as often as `runs` says, between marks each time.
    """

    lines: int
    passes: int
    runs: int = 1

    def write(self, path):
        """Write it as a static executable."""
        body = [
            mov(9, self.passes),
            0xD2A00A02,  # movz x2, #0x50, lsl #16
            mov(3, self.lines),
            0x3CC40440,  # ldr q0, [x2], #64
            0x4E20CC01,  # fmla v1.4s, v0.4s, v0.4s
            0xD1000463,  # sub x3, x3, #1
            0xB5FFFFA3,  # cbnz x3, #-12
            0xD1000529,  # sub x9, x9, #1
            0xB5FFFF29,  # cbnz x9, #-28
            0x3D800041,  # str q1, [x2]
        ]
        leave = [mov(8, 93), mov(0, 0), 0xD4000001]
        words = [*self.runs * [*mark(1), *body, *mark(2)], *leave]
        code = struct.pack(f"<{len(words)}I", *words)
        headers = 64 + 2 * 56
        elf = struct.pack(
            "<16sHHIQQQIHHHHHH",
            *(b"\x7fELF\x02\x01\x01", 2, 183, 1, ADDRESS + headers, 64, 0, 0, 64, 56, 2, 64, 0, 0),
        )
        text = struct.pack("<IIQQQQQQ", 1, 5, 0, ADDRESS, ADDRESS, headers + len(code), headers + len(code), 4096)
        data = struct.pack("<IIQQQQQQ", 1, 6, 0, DATA, DATA, 0, (self.lines + 1) * LINE, 4096)
        path.write_bytes(elf + text + data + code)
        path.chmod(0o700)

    @property
    def reads(self):
        """How many lines it reads in all."""
        return self.passes * self.lines

    @property
    def instructions(self):
        """Between the marks, with those of the second mark."""
        return 1 + self.passes * 4 + self.reads * 4 + 1 + 4
