"""Devices by the names that users give them."""

from contextlib import AbstractContextManager, closing, nullcontext

from runtime_bench.devices import archives as kept
from runtime_bench.devices.aar import Archives
from runtime_bench.devices.adb import AdbDevice
from runtime_bench.devices.arm64.cpus import cpu_named
from runtime_bench.devices.arm64.device import arm64_device
from runtime_bench.devices.device import Device
from runtime_bench.devices.local import LocalDevice
from runtime_bench.devices.ssh import SshDevice
from runtime_bench.errors import BenchInputError

KNOWN = "local, arm64[:CPU], ssh://[user@]host[:port], adb[:SERIAL]"


def is_phone(name: str) -> bool:
    """Whether a name is one of a phone."""
    return name.partition(":")[0] == "adb"


def opened(device: str | Device) -> AbstractContextManager[Device]:
    """A device that is open already, or one that is opened by its name and closed after the block."""
    return closing(device_named(device)) if isinstance(device, str) else nullcontext(device)


def device_named(
    name: str, *, clean: bool = False, runner: str | None = None, archives: Archives | None = None
) -> Device:
    """The device of a name; with `clean` it keeps nothing that was sent to it.

    runner, archives: what runs files on phones, and the runtimes for app_process there (see AdbDevice), by default
    what was fetched for it.
    Raises BenchInputError for a name without a meaning, DeviceError for a device that is not set up.
    """
    if name == "local":
        return LocalDevice()
    kind, _, detail = name.partition(":")
    if kind == "arm64":
        return arm64_device(cpu_named(detail) if detail else None)
    if name.startswith("ssh:"):
        return SshDevice(name, clean=clean)
    if is_phone(name):
        return AdbDevice(name, clean=clean, runner=runner, archives=kept.known() if archives is None else archives)
    raise BenchInputError(f"{name}: no such device; known are {KNOWN}")
