"""x86 CPUs that this one is not: user-mode QEMU (Debian's qemu-user)."""

import platform
import shutil

import pytest

from converters.runtimes import host_saturates

QEMU = shutil.which("qemu-x86_64")
# AVX2 without VNNI.
HASWELL = (QEMU or "qemu-x86_64", "-cpu", "Haswell")
needs_haswell = pytest.mark.skipif(
    QEMU is None or platform.machine() != "x86_64" or host_saturates(),
    reason="needs qemu-user, on an x86-64 that does not saturate itself",
)
