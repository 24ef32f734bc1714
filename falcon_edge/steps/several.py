"""bench on several devices: boards and phones at once, then this machine's own ones, one after the other."""

import re
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from falcon_edge.errors import BadInput
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.bench import BenchRequest, bench
from runtime_bench.devices.device import Device
from runtime_bench.devices.local import LocalDevice
from runtime_bench.errors import BenchInputError, DeviceError
from runtime_bench.interrupts import at_once, check_stop, released
from runtime_bench.results import Results


def bench_each(
    paths: Sequence[Path],
    request: BenchRequest,
    devices: Sequence[Device],
    *,
    progress: Progress = silent,
) -> list[Results | DeviceError | BenchInputError]:
    """What `bench` finds on each device, in their order.

    Of a device that cannot be used, or not as asked, it is the error, which costs the others nothing. After Ctrl-C
    devices end with what they are doing, and what was measured is returned. Raises BadInput for two devices of one
    name, and what `bench` raises for what no device can measure.
    """
    names = [device.name for device in devices]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise BadInput(f"{twice[0]}: named twice")
    run = _Run(paths, request, devices, progress)
    away = [number for number, device in enumerate(devices) if not isinstance(device, LocalDevice)]
    if len(devices) > 1:
        run.at_once(away)
    else:
        run.measure(0)
    for number in range(len(devices)):
        if number not in run.found and not run.stopped.is_set():
            run.measure(number)
    return [run.found[number] for number in sorted(run.found)]


def file_of(path: Path, device: str) -> Path:
    """Where a device's results go, of several: results.json becomes results.adb-SERIAL.json."""
    return path.with_name(f"{path.stem}.{re.sub('[^A-Za-z0-9_.-]+', '-', device)}{path.suffix}")


class _Run:
    """The devices of one command, and what was found on them by their numbers."""

    def __init__(
        self,
        paths: Sequence[Path],
        request: BenchRequest,
        devices: Sequence[Device],
        progress: Progress,
    ):
        self._paths, self._request, self._devices = paths, request, devices
        self._progress, self._lock = progress, threading.Lock()
        self._steps: dict[int, tuple[int, int]] = {}
        self.found: dict[int, Results | DeviceError | BenchInputError] = {}
        self.stopped = threading.Event()

    def at_once(self, numbers: Sequence[int]) -> None:
        """Measure on devices that share no CPU, each in a thread that waits for its device."""
        try:
            with released():
                at_once([partial(self.measure, number) for number in numbers])
        except KeyboardInterrupt:
            self.stopped.set()
        if self.stopped.is_set():
            for number, results in self.found.items():
                if isinstance(results, Results):
                    self.found[number] = results.model_copy(update={"interrupted": True})

    def measure(self, number: int) -> None:
        """Measure on a device."""
        device = self._devices[number]

        def tell(done: int, total: int, text: str) -> None:
            check_stop()
            with self._lock:
                self._steps[number] = done, total
                everything = [sum(column) for column in zip(*self._steps.values(), strict=True)]
                says = text if len(self._devices) == 1 else f"{device.name}: {text}"
                self._progress(everything[0], everything[1], says)

        try:
            results = bench(self._paths, self._request, device=device, progress=tell)
        except (DeviceError, BenchInputError) as error:
            self.found[number] = error
            return
        self.found[number] = results
        if results.interrupted:
            self.stopped.set()
