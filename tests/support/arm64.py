"""arm64 emulated here: real, or skipped with the reason; in CI what is missing fails."""

import os

import pytest

from runtime_bench.devices.arm64.cpus import cpu_named
from runtime_bench.devices.arm64.device import EmulatedArm64, missing_tools, setup
from runtime_bench.errors import DeviceError


def userland():
    """The userland, set up if need be."""
    require(*(missing_tools() or ()))
    try:
        return setup(lambda done, total, text: None)
    except DeviceError as error:
        require(str(error))


def emulated(cpu="cortex-a72", qemu="qemu-aarch64"):
    """A CPU emulated in it."""
    return EmulatedArm64(cpu_named(cpu), userland(), qemu)


def require(*missing):
    """Skip a test for which something is missing; fail it in CI."""
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("; ".join(missing))
