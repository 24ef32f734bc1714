"""What an A64 instruction is to the plugin, beside encodings by LLVM's assembler (llvm-mc 14)."""

import shutil
import struct
import subprocess

import pytest
from arm64 import require

from runtime_bench.counting import plugin

INSTRUCTIONS = [
    (0x91000420, "add x0, x1, #1", "integer", 0),
    (0x9B020C20, "madd x0, x1, x2, x3", "multiply", 0),
    (0x9AC20820, "udiv x0, x1, x2", "multiply", 0),
    (0x9AC22020, "lslv x0, x1, x2", "integer", 0),
    (0x9A820020, "csel x0, x1, x2, eq", "integer", 0),
    (0xB0000000, "adrp x0, #4096", "integer", 0),
    (0x54000041, "b.ne #8", "branch", 0),
    (0xD63F0120, "blr x9", "branch", 0),
    (0xB4000080, "cbz x0, #16", "branch", 0),
    (0xD4000001, "svc #0", "system", 0),
    (0xD5033BBF, "dmb ish", "system", 0),
    (0xD53BD040, "mrs x0, tpidr_el0", "system", 0),
    (0xF9400420, "ldr x0, [x1, #8]", "load", 0),
    (0xB8A27820, "ldrsw x0, [x1, x2, lsl #2]", "load", 0),
    (0xA8C10440, "ldp x0, x1, [x2], #16", "load", 0),
    (0x18000200, "ldr w0, #64", "load", 0),
    (0x885FFC20, "ldaxr w0, [x1]", "load", 0),
    (0xF8200041, "ldadd x0, x1, [x2]", "load", 0),
    (0xF8A08041, "swpa x0, x1, [x2]", "load", 0),
    (0xB9000420, "str w0, [x1, #4]", "store", 0),
    (0xA9BE7BFD, "stp x29, x30, [sp, #-32]!", "store", 0),
    (0x889FFC20, "stlr w0, [x1]", "store", 0),
    (0x3CC10420, "ldr q0, [x1], #16", "vector_load", 0),
    (0xAD400440, "ldp q0, q1, [x2]", "vector_load", 0),
    (0xBD400020, "ldr s0, [x1]", "vector_load", 0),
    (0x4CDF2820, "ld1 {v0.4s, v1.4s, v2.4s, v3.4s}, [x1], #64", "vector_load", 0),
    (0x4D40C820, "ld1r {v0.4s}, [x1]", "vector_load", 0),
    (0x4C400420, "ld4 {v0.8h, v1.8h, v2.8h, v3.8h}, [x1]", "vector_load", 0),
    (0x3CA26820, "str q0, [x1, x2]", "vector_store", 0),
    (0x0D009020, "st1 {v0.s}[1], [x1]", "vector_store", 0),
    (0xF9808020, "prfm pldl1keep, [x1, #256]", "prefetch", 0),
    (0xF89FD020, "prfum pldl1keep, [x1, #-3]", "prefetch", 0),
    (0x4E22CC20, "fmla v0.4s, v1.4s, v2.4s", "fmla", 4),
    (0x0E22CC20, "fmla v0.2s, v1.2s, v2.2s", "fmla", 2),
    (0x4E62CC20, "fmla v0.2d, v1.2d, v2.2d", "fmla", 2),
    (0x4EA2CC20, "fmls v0.4s, v1.4s, v2.4s", "fmla", 4),
    (0x4E420C20, "fmla v0.8h, v1.8h, v2.8h", "fmla", 8),
    (0x0E420C20, "fmla v0.4h, v1.4h, v2.4h", "fmla", 4),
    (0x4FA21820, "fmla v0.4s, v1.4s, v2.s[3]", "fmla", 4),
    (0x0F821020, "fmla v0.2s, v1.2s, v2.s[0]", "fmla", 2),
    (0x4FC21820, "fmla v0.2d, v1.2d, v2.d[1]", "fmla", 2),
    (0x4F321820, "fmla v0.8h, v1.8h, v2.h[7]", "fmla", 8),
    (0x5FA21820, "fmla s0, s1, v2.s[3]", "fmla", 1),
    (0x1F020C20, "fmadd s0, s1, s2, s3", "fmadd", 1),
    (0x6E22DC20, "fmul v0.4s, v1.4s, v2.4s", "vector", 0),
    (0x4E22D420, "fadd v0.4s, v1.4s, v2.4s", "vector", 0),
    (0x1E222820, "fadd s0, s1, s2", "float", 0),
    (0x1E220020, "scvtf s0, w1", "float", 0),
    (0x4E229420, "mla v0.16b, v1.16b, v2.16b", "mlal", 16),
    (0x4EA29420, "mla v0.4s, v1.4s, v2.4s", "mlal", 4),
    (0x2E629420, "mls v0.4h, v1.4h, v2.4h", "mlal", 4),
    (0x6F620020, "mla v0.8h, v1.8h, v2.h[2]", "mlal", 8),
    (0x0E628020, "smlal v0.4s, v1.4h, v2.4h", "mlal", 4),
    (0x4E628020, "smlal2 v0.4s, v1.8h, v2.8h", "mlal", 4),
    (0x2E228020, "umlal v0.8h, v1.8b, v2.8b", "mlal", 8),
    (0x0EA2A020, "smlsl v0.2d, v1.2s, v2.2s", "mlal", 2),
    (0x0F722820, "smlal v0.4s, v1.4h, v2.h[7]", "mlal", 4),
    (0x0E22C020, "smull v0.8h, v1.8b, v2.8b", "mull", 8),
    (0x6E62C020, "umull2 v0.4s, v1.8h, v2.8h", "mull", 4),
    (0x0F52A020, "smull v0.4s, v1.4h, v2.h[1]", "mull", 4),
    (0x4EA29C20, "mul v0.4s, v1.4s, v2.4s", "vector", 0),
    (0x6EA2B420, "sqrdmulh v0.4s, v1.4s, v2.4s", "vector", 0),
    (0x4E606820, "sadalp v0.4s, v1.8h", "vector", 0),
    (0x4E829420, "sdot v0.4s, v1.16b, v2.16b", "dot", 16),
    (0x2E829420, "udot v0.2s, v1.8b, v2.8b", "dot", 8),
    (0x4FA2E820, "sdot v0.4s, v1.16b, v2.4b[3]", "dot", 16),
    (0x4E829C20, "usdot v0.4s, v1.16b, v2.16b", "dot", 16),
    (0x4F22F020, "sudot v0.4s, v1.16b, v2.4b[1]", "dot", 16),
    (0x4E82A420, "smmla v0.4s, v1.16b, v2.16b", "mmla", 32),
    (0x6E82A420, "ummla v0.4s, v1.16b, v2.16b", "mmla", 32),
    (0x4E020020, "tbl v0.16b, {v1.16b}, v2.16b", "vector", 0),
    (0x4E040C20, "dup v0.4s, w1", "vector", 0),
    (0x4E284820, "aese v0.16b, v1.16b", "vector", 0),
    (0x25A11400, "whilelt p0.s, x0, x1", "other", 0),
]
PROGRAM = """
#include <stdio.h>
#include "aarch64.h"
int main(void) {
  uint32_t word;
  while (fread(&word, sizeof word, 1, stdin)) printf("%s %u\\n", class_names[kind_of(word).class], kind_of(word).macs);
}
"""


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """The class and the multiply-accumulates of every one of INSTRUCTIONS."""
    if shutil.which(plugin.COMPILER) is None:
        require("cc")
    folder = tmp_path_factory.mktemp("decode")
    (folder / "main.c").write_text(PROGRAM)
    include = f"-I{plugin.SOURCES[0].parent}"
    warnings = ("-Wall", "-Wextra", "-Werror")
    subprocess.run([plugin.COMPILER, *warnings, include, folder / "main.c", "-o", folder / "main"], check=True)
    words = struct.pack(f"<{len(INSTRUCTIONS)}I", *(word for word, *_ in INSTRUCTIONS))
    said = subprocess.run([folder / "main"], input=words, capture_output=True, check=True).stdout.decode()
    return [tuple(line.split()) for line in said.splitlines()]


@pytest.mark.parametrize("index", range(len(INSTRUCTIONS)), ids=[text for _, text, *_ in INSTRUCTIONS])
def test_instruction(kinds, index):
    _, _, name, macs = INSTRUCTIONS[index]
    assert kinds[index] == (name, str(macs))
