"""What answers requests on a device that a shell leads to: its Python, an app, or a Java program of ours."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from runtime_bench.devices.device import WorkerHandle

if TYPE_CHECKING:
    from runtime_bench.devices.shell import ShellDevice


class Runner(ABC):
    """One of the ways to run files on a device, from when it is reached until it is closed. `name` chooses it.

    side_by_side: several workers can live at once. Its methods raise DeviceError.
    """

    name: str
    side_by_side = True

    def __init__(self, device: "ShellDevice"):
        self._device = device

    @abstractmethod
    def lacks(self, runtime: str) -> str | None:
        """See Device.lacks."""

    @abstractmethod
    def start_worker(self) -> WorkerHandle:
        """See Device.start_worker."""

    @property
    def python(self) -> str:
        """The version of the Python there that runs files, or "none"."""
        return "none"

    def usable_cpus(self, cores: int) -> Iterable[int] | None:
        """The CPUs that a worker may run on, of so many that there are; None where it cannot choose.

        Programs of Java choose by the command taskset.
        """
        return range(cores) if self._device.call("command -v taskset").code == 0 else None

    def scratch(self) -> str:
        """See Device.scratch."""
        return self._device.run_folder()

    def fetch(self, remote: str, path: Path) -> None:
        """See Device.fetch."""
        self._device.bring(remote, path)

    def close(self, *, clean: bool) -> None:  # noqa: B027  # not every way leaves something
        """Remove what it has left beside what was sent; with `clean` also what was there before."""
