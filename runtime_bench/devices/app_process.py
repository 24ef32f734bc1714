"""A phone without an app: our Java program, which the phone's own app_process runs, with the runtimes out of archives.

What is sent lies in the folder of the device: the dex, and the native libraries for the phone's ABI under their own
names. Nothing is installed.
"""

import re
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from runtime_bench.devices import dex
from runtime_bench.devices.aar import KNOWN_BY, Archives
from runtime_bench.devices.device import WorkerHandle
from runtime_bench.devices.runner import Runner
from runtime_bench.devices.shell import ShellDevice, ShellWorker
from runtime_bench.environment import whole_number
from runtime_bench.errors import DeviceError

PROGRAM = "app_process"
MAIN = "org.falconedge.runner.Main"
ABI = re.compile(r"[a-z0-9_-]{1,20}", re.ASCII)
ABOUT = 'echo "$(command -v app_process)|$(getprop ro.build.version.sdk)|$(getprop ro.product.cpu.abi)" 2>/dev/null'
TELLING = "Exception", "Error", "error", "Fatal", "not found", "denied"
WORDS = 20  # lines


class Sent(NamedTuple):
    """Where things lie on a phone."""

    jars: list[str]
    folders: list[str]


class AppProcessRunner(Runner):
    """app_process with our Java program."""

    name = PROGRAM

    def __init__(self, device: ShellDevice, archives: Archives):
        super().__init__(device)
        self._archives = archives
        self._workers = 0

    @cached_property
    def abi(self) -> str:
        """The phone's ABI, which its app_process is for."""
        name = self._device.name
        program, _, rest = self._device.run(ABOUT).strip().rpartition("\n")[2].partition("|")
        version, _, abi = rest.partition("|")
        if not program or ABI.fullmatch(abi) is None:
            raise DeviceError(f"{name} has no app_process, or does not tell its ABI: it is no Android phone")
        api = whole_number(version)
        if api is not None and api < dex.OLDEST_API:
            raise DeviceError(f"{name} has Android's API {api}; {dex.OLDEST_API} (Android 7) or newer is needed there")
        return abi

    def lacks(self, runtime: str) -> str | None:
        """See Device.lacks."""
        missing = self._archives.lacks(runtime, self.abi)
        lacking = (dex.lacks(runtime, aar) for aar in self._archives.by_runtime.get(runtime, ()))
        return missing or next((each for each in lacking if each is not None), None)

    def start_worker(self) -> WorkerHandle:
        """A fresh process of app_process."""
        self._workers += 1
        paths = f"CLASSPATH={':'.join(self._sent.jars)} LD_LIBRARY_PATH={':'.join(self._sent.folders)}"
        said = f"{self._device.run_folder()}/{self._workers}.said"
        return JavaWorker(self._device, f"env ORT_DISABLE_TELEMETRY=1 {paths} {PROGRAM} / {MAIN}", said)

    @cached_property
    def _sent(self) -> Sent:
        """The runner, and what is needed of the archives of runtimes that lack nothing."""
        jars, folders = [self._device.push(dex.RUNNER)], []
        for runtime in KNOWN_BY:
            if self.lacks(runtime) is not None:
                continue
            for aar in self._archives.by_runtime[runtime]:
                with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
                    if not dex.is_shipped(runtime, aar):
                        jars.insert(0, self._device.push(dex.translated(aar, Path(folder))))  # before what ships
                    libraries = aar.unpack(self.abi, Path(folder))
                    folders += [self._device.push(path, named=True).rpartition("/")[0] for path in libraries]
        self._device.run(f"chmod 400 {' '.join(jars)}")  # since Android 14 a dex that can be written is not loaded
        return Sent(jars, folders)


class JavaWorker(ShellWorker):
    """A process of app_process. said: the file there for what it says beside its answers."""

    def __init__(self, device: ShellDevice, program: str, said: str):
        self._said = said
        super().__init__(device, f"{program} 2>{said}")

    def ask(self, action: str, *, timeout: float, **request: Any) -> dict[str, Any]:
        """See WorkerHandle.ask. It ends with its input, so that nobody has to bound its time on the CPUs."""
        request.pop("cpu_seconds", None)
        return super().ask(action, timeout=timeout, **request)

    def _last_words(self) -> str:
        here = super()._last_words()
        if here:
            return here
        try:
            lines = self._device.run(f"tail -n {WORDS} {self._said}").splitlines()
        except DeviceError:
            return ""
        lines = [line.strip() for line in lines if line.strip()]
        telling = [line for line in lines if any(word in line for word in TELLING)] or lines[-1:]
        return f": {telling[0]}" if telling else ""
