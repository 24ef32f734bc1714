"""arm64: this machine if it is one, else emulated: what an inference answers and does, never how long it takes."""

import importlib.util
import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtime_bench import worker as worker_module
from runtime_bench.counting.cycles import CycleModel, missing_llvm
from runtime_bench.counting.plugin import COMPILER, build_plugin, qemu_version, takes_plugins
from runtime_bench.devices.arm64.cpus import CORES, DEFAULT, Cpu
from runtime_bench.devices.arm64.sysroot import Progress, Sysroot, cache_folder, make, sysroot
from runtime_bench.devices.device import Device
from runtime_bench.devices.local import LocalDevice, LocalWorker
from runtime_bench.environment import Environment, local_environment
from runtime_bench.errors import CannotCount, DeviceError
from runtime_bench.system import limit_memory

NAME = "arm64"
NATIVE = platform.machine() in ("aarch64", "arm64")
QEMU = "qemu-aarch64"
# What must be on this machine, and the Debian packages that bring it.
TOOLS = {QEMU: "qemu-user", COMPILER: "gcc libc6-dev", "apt-get": "apt", "dpkg-deb": "dpkg"}


def arm64_device(cpu: Cpu | None = None) -> Device:
    """This machine if it is an arm64 one and no CPU is named, else an emulated one.

    Raises DeviceError with the command to run if it is not set up.
    """
    if NATIVE and cpu is None:
        return NativeArm64()
    _refuse(missing_tools())
    userland = sysroot()
    _refuse(damage(userland))
    return EmulatedArm64(cpu or DEFAULT, userland)


def setup(progress: Progress) -> Sysroot:
    """Make the userland, or make it again if it is damaged. Raises DeviceError if this machine lacks what it takes."""
    _refuse(missing_tools())
    return make(QEMU, progress)


def missing_tools() -> tuple[str, str] | None:
    """What this machine lacks for it and what to do about it, or None."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if "apt-get" in missing:
        return "its userland is made of Debian's packages, and there is no apt-get here", "use Debian, or one like it"
    if missing:
        return f"{', '.join(missing)}: missing", f"apt-get install {' '.join(TOOLS[tool] for tool in missing)}"
    if importlib.util.find_spec("pip") is None:
        return "pip: missing", f"{sys.executable} -m ensurepip"
    return None


def damage(userland: Sysroot) -> tuple[str, str] | None:
    """What is wrong with the userland and what to do about it, or None."""
    found = userland.damage()
    return None if found is None else (found, f"falcon-edge devices setup {NAME}")


def _refuse(obstacle: tuple[str, str] | None) -> None:
    if obstacle is not None:
        raise DeviceError(f"{NAME}: {'; '.join(obstacle)}")


class NativeArm64(LocalDevice):
    """This machine, which is an arm64 one."""

    name = NAME


class EmulatedArm64(LocalDevice):
    """A CPU that QEMU emulates; its workers are children of this process, and its files this machine's."""

    emulated = True

    def __init__(self, cpu: Cpu, userland: Sysroot, qemu: str = QEMU):
        super().__init__()
        self.name = f"{NAME}:{cpu.name}"
        self._cpu, self._userland, self._qemu = cpu, userland, qemu
        # Of the A53 LLVM's model is not to be trusted: it finds that CPU's own kernels slower than those of the A72.
        self._model = CycleModel(cpu.pipeline.core) if cpu.pipeline and missing_llvm() is None else None

    def environment(self) -> Environment:
        """The emulated CPU, and under `kernel` what it is emulated on."""
        host = local_environment()
        return Environment(
            machine="aarch64",
            cpu=f"{self._cpu.name}, emulated by QEMU {qemu_version(self._qemu)}",
            cores=CORES,
            kernel=f"{host.kernel} ({host.machine}, {host.cpu})",
            python=self._userland.versions["python"],
            governor=None,
            frequencies_mhz=(),
            temperatures_c={},
            load_1min=host.load_1min,
        )

    def fastest_cpus(self, count: int) -> None:
        """They are all alike."""

    def start_worker(self) -> LocalWorker:
        """A fresh worker process."""
        return _Worker(self._command())

    def start_counter(self) -> "Counter":
        """A fresh worker process that counts. Raises CannotCount if this QEMU does not take a plugin."""
        if not takes_plugins(self._qemu):
            raise CannotCount(f"QEMU {qemu_version(self._qemu)} as it is built here takes no plugins")
        plugin = build_plugin(self._qemu, cache_folder())
        with tempfile.NamedTemporaryFile(dir=self.scratch(), suffix=".counts", delete=False) as file:
            counts = Path(file.name)
        l1, l2 = self._cpu.l1_data, self._cpu.l2
        caches = f"l1={l1.kib},l1_ways={l1.ways},l2={l2.kib},l2_ways={l2.ways}"
        files = (str(path).replace(",", ",,") for path in (plugin, counts))  # commas are QEMU's
        return Counter(self._command("-plugin", f"{',out='.join(files)},{caches}"), self._cpu, counts, self._model)

    def lacks_cycles(self) -> tuple[str, str] | None:
        """See CountingDevice.lacks_cycles."""
        return None if self._cpu.pipeline is None else missing_llvm()

    def _command(self, *options: str) -> tuple[str, ...]:
        return (*self._userland.command(self._qemu, self._cpu, *options), worker_module.__file__, "emulated")


class _Worker(LocalWorker):
    """QEMU does not let its program limit its own memory, so it is done from outside."""

    def ask(self, action: str, *, timeout: float, **request: Any) -> dict[str, Any]:
        """See WorkerHandle.ask."""
        if action == "load":
            limit_memory(self.pid, request.get("memory_limit") or worker_module.usual_memory(self.pid))
        return super().ask(action, timeout=timeout, **request)


class Counter(_Worker):
    """A worker whose answer to `count` is what one run did, as results.Counts has it."""

    def __init__(self, command: Sequence[str], cpu: Cpu, counts: Path, model: CycleModel | None):
        super().__init__(command)
        self._cpu, self._counts, self._model = cpu, counts, model

    def ask(self, action: str, *, timeout: float, **request: Any) -> dict[str, Any]:
        """See WorkerHandle.ask."""
        reply = super().ask(action, timeout=timeout, **request)
        if action != "count":
            return reply
        counts: dict[str, Any] = json.loads(self._counts.read_text().splitlines()[-1])
        blocks = counts.pop("blocks")
        if self._model is not None and self._cpu.pipeline is not None:
            least = self._model.cycles(blocks, counts["instructions"])
            waits = self._cpu.pipeline.waits(counts["l1_misses"], counts["l2_misses"])
            counts |= {"cycles": (least, least + waits), "cycle_model": self._model.name}
        return {"cpu": self._cpu.name} | counts
