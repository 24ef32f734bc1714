"""What a device is: something that starts workers and holds files."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from runtime_bench.environment import Environment


class WorkerHandle(Protocol):
    """A running worker. It ends with its `with` block, whatever happens."""

    def ask(self, action: str, *, timeout: float, **request: Any) -> dict[str, Any]:
        """Send a request of worker.py and wait (asleep) for its reply, at most `timeout` seconds.

        Raises WorkerError if the worker answers with an error, dies, or does not answer in time.
        """

    def __enter__(self) -> "WorkerHandle":
        """The handle itself."""

    def __exit__(self, *error: object) -> None:
        """End the worker."""


class Device(Protocol):
    """Where models run. `name` is what the user called it."""

    name: str
    emulated: bool

    @property
    def runner_name(self) -> str | None:
        """What of the device runs files, where there may be several."""

    @property
    def side_by_side(self) -> bool:
        """Whether several workers can live at once."""

    def environment(self) -> Environment:
        """The device's state now."""

    def fastest_cpus(self, count: int) -> tuple[int, ...] | None:
        """The `count` fastest CPUs, to run on; None where a worker cannot choose."""

    def lacks(self, runtime: str) -> str | None:
        """What is missing to run files on a runtime, and what to do about it; None if nothing is."""

    def start_worker(self) -> WorkerHandle:
        """A fresh worker process. Raises DeviceError if the device cannot start one."""

    def push(self, path: Path) -> str:
        """Bring a file to the device (once) and return its path there."""

    def fetch(self, remote: str, path: Path) -> None:
        """Bring a file that a worker wrote on the device back to `path`."""

    def scratch(self) -> str:
        """A folder on the device for what workers write."""

    def close(self) -> None:
        """Remove what was made on the device for this run."""


@runtime_checkable
class CountingDevice(Device, Protocol):
    """An emulated device: it counts what an inference does, and no time that it takes means anything."""

    def start_counter(self) -> WorkerHandle:
        """A fresh worker whose answer to `count` is what one run did (results.Counts). Raises CannotCount."""

    def lacks_cycles(self) -> tuple[str, str] | None:
        """What is missing to estimate cycles and what to do about it; None if nothing is, or nothing could help."""
