"""Child processes within limits: what Linux and macOS give of that, and Windows does not; nothing else here knows.

Linux limits the memory of a child itself. macOS refuses to, and this process looks after what is resident of it.
"""

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

try:
    import resource
except ImportError:  # Windows, where no model is loaded
    resource = None  # type: ignore[assignment]

ADDR_NO_RANDOMIZE = 0x0040000
WATCH_SECONDS = 0.5
MACOS = sys.platform == "darwin"
TOO_LONG = -int(getattr(signal, "SIGXCPU", 0))  # the exit code of a process that took too much of the CPUs


def run(
    command: Sequence[str],
    *,
    seconds: float,
    memory: int | None = None,
    prepare: Callable[[], None] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> "subprocess.CompletedProcess[bytes]":
    """Run a program without input and return what it says. prepare: what it calls first.

    Raises subprocess.TimeoutExpired after so many seconds; MemoryError once more bytes than `memory` are resident, on
    macOS, where `limit_memory` does nothing (None: as many as it likes).
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=prepare,
        env=environment,
        cwd=folder,
    ) as process:
        try:
            out, said = _waited(process, time.monotonic() + seconds, memory)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, said)


def _waited(process: "subprocess.Popen[bytes]", until: float, memory: int | None) -> tuple[bytes, bytes]:
    while True:
        left = max(0.0, until - time.monotonic())
        try:
            return process.communicate(timeout=left if memory is None or not MACOS else min(left, WATCH_SECONDS))
        except subprocess.TimeoutExpired:
            if memory is None or not MACOS or left <= WATCH_SECONDS:
                raise
            if _resident(process.pid) > memory:
                raise MemoryError from None


def _resident(pid: int) -> int:
    """Bytes of a process that are in memory, by `ps`; 0 once it has ended."""
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True).stdout.strip()
    return int(told) * 1024 if told.isdigit() else 0


def limit_memory(size: int) -> None:
    """Limit the address space of this process, in bytes."""
    if not MACOS:  # it answers EINVAL
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def limit_cpu(seconds: int) -> None:
    """End this process with TOO_LONG after so many seconds of the CPUs; five more, and it is killed."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))


def leave_no_core() -> None:
    """Have this process leave no file behind where it crashes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def fix_addresses() -> None:
    """Have the program that this process becomes find everything at the same addresses each time (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)
