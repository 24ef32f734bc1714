"""Which devices this machine can measure on, and what is missing for the others."""

import shutil
from contextlib import closing
from dataclasses import dataclass

from runtime_bench.counting.cycles import missing_llvm
from runtime_bench.counting.plugin import qemu_version, takes_plugins
from runtime_bench.devices.adb import AdbDevice, Phone, Way, phones
from runtime_bench.devices.app import AppRunner
from runtime_bench.devices.archives import known
from runtime_bench.devices.arm64 import device as arm64
from runtime_bench.devices.arm64.cpus import CPUS, DEFAULT
from runtime_bench.devices.arm64.sysroot import sysroot
from runtime_bench.environment import local_environment
from runtime_bench.errors import DeviceError
from runtime_bench.runtimes import RUNTIMES


@dataclass(frozen=True)
class State:
    """A device by the name that chooses it: what it is or lacks, and the command that helps where it is not ready.

    ways: what of a phone can run files, and what is missing for the rest.
    """

    name: str
    ready: bool
    says: str
    remedy: str | None = None
    ways: tuple[Way, ...] = ()


def survey() -> tuple[State, ...]:
    """The devices that this machine itself can be, the way to boards, and the phones that are plugged in."""
    return _local(), _arm64(), _ssh(), *_adb()


def _local() -> State:
    here = local_environment()
    runtimes = ", ".join(runtime.installed or f"no {runtime.name}" for runtime in RUNTIMES)
    return State("local", True, f"{here.machine}, {here.cpu or 'unknown CPU'}, {here.cores} cores; {runtimes}")


def _arm64() -> State:
    if arm64.NATIVE:
        return State(arm64.NAME, True, "this machine is one: the same as local")
    userland = sysroot()
    obstacle = arm64.missing_tools() or arm64.damage(userland)
    if obstacle is not None:
        return State(arm64.NAME, False, *obstacle)
    cpus = ", ".join(f"{cpu.name} (default)" if cpu is DEFAULT else cpu.name for cpu in CPUS)
    versions = ", ".join(f"{name} {version}" for name, version in userland.versions.items())
    counts = "" if takes_plugins(arm64.QEMU) else ", which takes no plugins, so that nothing is counted"
    lacking = missing_llvm()
    if lacking is not None and not counts:
        counts = f"; no cycles are estimated: {'; '.join(lacking)}"
    return State(arm64.NAME, True, f"{cpus}, emulated by QEMU {qemu_version(arm64.QEMU)}{counts}; {versions}")


def _ssh() -> State:
    if shutil.which("ssh") is None or shutil.which("scp") is None:
        return State("ssh://HOST", False, "ssh and scp are not installed", "apt-get install openssh-client")
    return State("ssh://HOST", True, "any board that you can log in to with a key, and that has python3 and numpy")


def _adb() -> tuple[State, ...]:
    try:
        found = phones()
    except DeviceError as error:
        missing = shutil.which("adb") is None
        return (State("adb", False, str(error), "apt-get install adb" if missing else "adb kill-server"),)
    if not found:
        return (State("adb", False, "no phone is plugged in", "plug one in and allow USB debugging on its screen"),)
    return tuple(map(_phone, found))


def _phone(phone: Phone) -> State:
    name, says = f"adb:{phone.serial}", f"{phone.model or 'a phone'}, {phone.state}"
    if phone.remedy is not None:
        return State(name, False, says, phone.remedy)
    try:
        with closing(AdbDevice(name, archives=known())) as device:
            ways = device.ways()
    except DeviceError as error:
        return State(name, False, f"{says}; {error}", "plug it in again")
    usable = [way.runner for way in ways if way.lacks is None]
    remedy = None if usable else next(way.lacks for way in ways if way.runner == AppRunner.name)
    return State(name, bool(usable), says, remedy, ways)
