"""Time and peak memory of a part of a process, its child processes included. Standard library only."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 2**20
INTERVAL = 0.01


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Fills the dictionary at the end: seconds; cpu, its seconds on a CPU; base, peak in MiB of resident memory.

    The peak is the kernel's own for this process, or the largest sum over it and its descendants that was seen in
    samples, if that is larger.
    """
    Path("/proc/self/clear_refs").write_text("5")  # the kernel's peak starts anew
    found = {"base": _resident(os.getpid()) / MIB}
    done, largest = threading.Event(), 0

    def sample() -> None:
        nonlocal largest
        while not done.wait(INTERVAL):
            largest = max(largest, sum(map(_resident, _tree(os.getpid()))))

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
        found["peak"] = max(_own_peak(), largest) / MIB


def _own_peak() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # it has ended
        return 0


def _tree(process: int) -> list[int]:
    found = [process]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue
    return found
