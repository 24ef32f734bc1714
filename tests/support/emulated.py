"""Both kinds of x86 CPU: the one that runs this, and the other by user-mode QEMU (Debian's qemu-user)."""

import platform
import shutil

import pytest

from converters.runtimes import host_saturates

QEMU = shutil.which("qemu-x86_64")
# AVX2 without VNNI saturates uint8 x int8; with SSE4.2 alone ONNX Runtime widens to 16 bits before it multiplies.
HASWELL, NEHALEM = ((QEMU or "qemu-x86_64", "-cpu", cpu) for cpu in ("Haswell", "Nehalem"))
# What runs a program on a CPU of each kind.
SATURATING, EXACT = ((), NEHALEM) if host_saturates() else (HASWELL, ())
needs_both_kinds = pytest.mark.skipif(
    QEMU is None or platform.machine() != "x86_64", reason="needs qemu-user, on an x86-64"
)
