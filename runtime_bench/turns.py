"""One model file after the other in one worker: for many small models whose times are compared."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime_bench.devices.device import CountingDevice, Device
from runtime_bench.errors import DeviceError, WorkerError
from runtime_bench.replies import REQUESTS, Kind, Loaded, Measured, WarmedUp, checked
from runtime_bench.results import Counts

OF_THE_FILE = ("runtime", "memory")  # kinds of errors that a worker survives, or that another file would not meet


@dataclass(frozen=True)
class Turn:
    """How one file is measured: at least `runs` and `seconds` back to back, then `cold` runs with emptied caches."""

    runs: int = 10
    seconds: float = 0.015
    cold: int = 3
    timeout: float = 300.0


@dataclass(frozen=True)
class Took:
    """Nanoseconds of one inference (medians), back to back and cold; of an emulated CPU estimated cycles instead."""

    warm_ns: float | None = None
    cold_ns: float | None = None
    cycles: float | None = None


class Turns:
    """A worker that loads one file after the other. It ends with the `with` block.

    Its methods raise DeviceError; WorkerError with a kind of OF_THE_FILE where it is the file's own fault.
    """

    def __init__(self, device: Device, runtime: str, turn: Turn, threads: int = 1):
        self._device, self._runtime, self._turn, self._threads = device, runtime, turn, threads
        self._cpus = device.fastest_cpus(threads)

    def __enter__(self) -> "Turns":
        lacking = self._device.lacks(self._runtime)
        if lacking is not None:
            raise DeviceError(lacking)
        counting = self._device if isinstance(self._device, CountingDevice) else None
        if counting is not None:
            missing = counting.lacks_cycles()
            if missing is not None:
                raise DeviceError(f"no cycles can be estimated: {'; '.join(missing)}")
        with ExitStack() as stack:
            started = self._device.start_worker() if counting is None else counting.start_counter()
            self._worker = stack.enter_context(started)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def load(self, path: Path) -> Loaded:
        """Have the worker load a file, and return what it says of it."""
        return self._ask(
            Loaded,
            path=self._device.push(path),
            runtime=self._runtime,
            threads=self._threads,
            cpus=self._cpus,
        )

    def take(self, path: Path) -> Took:
        """Load a file and measure it."""
        turn = self._turn
        self.load(path)
        if self._device.emulated:
            self._ask(Counts)  # fills the caches
            cycles = self._ask(Counts).cycles
            if cycles is None:
                raise WorkerError("the worker has counted no cycles", kind="contract")
            return Took(cycles=cycles[0])
        self._ask(WarmedUp, runs=3, seconds=turn.seconds / 4)
        one = min(self._ask(Measured, runs=3).samples_ns)
        warm = self._ask(Measured, runs=max(turn.runs, int(turn.seconds * 1e9 // max(one, 1)))).samples_ns
        cold = self._ask(Measured, runs=turn.cold, cold=True).samples_ns if turn.cold else None
        return Took(float(np.median(warm)), None if cold is None else float(np.median(cold)))

    def _ask(self, kind: type[Kind], **request: object) -> Kind:
        timeout = self._turn.timeout
        reply = self._worker.ask(REQUESTS[kind], timeout=timeout, cpu_seconds=timeout * self._threads, **request)
        return checked(kind, reply, request)
