"""Python on a device, as its runner: the worker and its runtime's file are sent, and need nothing else of ours."""

import shlex
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from runtime_bench import worker as worker_module
from runtime_bench.devices.device import WorkerHandle
from runtime_bench.devices.runner import Runner
from runtime_bench.devices.shell import NOT_FOUND, ShellDevice, ShellWorker, brackets
from runtime_bench.errors import DeviceError
from runtime_bench.replies import Board
from runtime_bench.runtimes import RUNTIMES, runtime_named

OLDEST_PYTHON = (3, 8)
PROBE = """
import importlib.util, json, os, sys
modules = [name for name in MODULES if importlib.util.find_spec(name) is not None]
cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
print(json.dumps({"python": sys.version.split()[0], "modules": modules, "cpus": cpus}))
"""


class PythonRunner(Runner):
    """The device's python3, with numpy and a runtime. remedy: what to do where there is none."""

    name = "python"

    def __init__(self, device: ShellDevice, remedy: str = "install it there (apt-get install python3 python3-pip)"):
        super().__init__(device)
        self._remedy = remedy

    @cached_property
    def board(self) -> Board:
        """What the device says of its Python."""
        device = self._device
        names = ["numpy", *(module for runtime in RUNTIMES for _, module in runtime.packages)]
        done = device.call(f"python3 -c {shlex.quote(PROBE.replace('MODULES', repr(names)))}")
        if done.code == NOT_FOUND:
            raise DeviceError(f"{device.name} has no python3: {self._remedy}")
        try:
            board = Board.model_validate_json((done.out.splitlines() or [b""])[-1])
        except ValidationError as error:
            raise DeviceError(f"{device.name}: its python3 does not answer{brackets(done.said)}") from error
        if board.version < OLDEST_PYTHON:
            oldest = ".".join(map(str, OLDEST_PYTHON))
            raise DeviceError(f"{device.name} has Python {board.python}; {oldest} or newer is needed there")
        return board

    @property
    def python(self) -> str:
        """See Runner.python."""
        return self.board.python

    def usable_cpus(self, cores: int) -> tuple[int, ...] | None:
        """See Runner.usable_cpus."""
        return self.board.cpus or None

    def lacks(self, runtime: str) -> str | None:
        """See Device.lacks."""
        packages = runtime_named(runtime).packages
        missing = [] if "numpy" in self.board.modules else ["numpy"]
        if not any(module in self.board.modules for _, module in packages):
            missing.append(packages[0][0])
        if not missing:
            return None
        wanted = " ".join(missing)
        return f"{self._device.name} lacks {' and '.join(missing)}: run 'python3 -m pip install {wanted}' there"

    def start_worker(self) -> WorkerHandle:
        """A fresh worker process on the device."""
        return PythonWorker(self._device, self._device.push(Path(worker_module.__file__)))


class PythonWorker(ShellWorker):
    """A process of the device's Python."""

    def __init__(self, device: ShellDevice, remote: str):
        super().__init__(device, f"env ORT_DISABLE_TELEMETRY=1 python3 {remote} remote{device.errors}")

    def ask(self, action: str, *, timeout: float, **request: Any) -> dict[str, Any]:
        """See WorkerHandle.ask. The runtime's file is sent before it is used."""
        if action == "load":
            request["driver"] = self._device.push(runtime_named(request["runtime"]).driver)
        return super().ask(action, timeout=timeout, **request)
