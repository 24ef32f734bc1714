"""Time and peak memory of a part of a process, its child processes included. Standard library only."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 2**20
INTERVAL = 0.05


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Fills the dictionary at the end: seconds; cpu, its seconds on a CPU; base, peak in MiB of resident memory.

    The peak is the kernel's own for this process, or the largest sum over it and its descendants that was seen in
    samples, if that is larger; what processes share counts once.
    """
    Path("/proc/self/clear_refs").write_text("5")  # the kernel's peak starts anew
    found = {"base": _own("VmRSS") / MIB}
    done, largest = threading.Event(), 0

    def sample() -> None:
        nonlocal largest
        while not done.wait(INTERVAL):
            processes = _tree(os.getpid())
            if len(processes) > 1:
                largest = max(largest, sum(map(_share, processes)))

    watcher = threading.Thread(target=sample, daemon=True)
    watcher.start()
    started, cpu = time.perf_counter(), sum(os.times()[:4])
    try:
        yield found
    finally:
        found["seconds"] = time.perf_counter() - started
        found["cpu"] = sum(os.times()[:4]) - cpu
        done.set()
        watcher.join()
        found["peak"] = max(_own("VmHWM"), largest) / MIB


def _own(field: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def _share(process: int) -> int:
    """Resident bytes of a process, of which those shared with others are divided among them."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _tree(process: int) -> list[int]:
    found = [process]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue
    return found
