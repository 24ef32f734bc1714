"""What only some systems give: here Linux, macOS and Windows differ, and nowhere else in this package.

What a system lacks is None or does nothing, and never an error. worker.py, which runs alone on devices, has the same of
its own.
"""

import contextlib
import os
import re
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]

MACOS, WINDOWS = sys.platform == "darwin", sys.platform == "win32"
# Ctrl-C, what ends a process politely, and a terminal that hangs up: as far as there are such signals.
SIGNALS: tuple[signal.Signals, ...] = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
# To open what a user names: waiting for nobody, handed on to no child process, and byte for byte.
OPENING = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"))
LOCK = ".falcon-edge.lock"
ASK_SECONDS = 5.0  # for a program of the system that tells one fact


def usable_cpus() -> list[int] | None:
    """The CPUs that this process may be put on; None where the system puts none on any (macOS)."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def asked(*command: str) -> str | None:
    """What a program of the system prints; None where there is none, or it fails."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=ASK_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


# Processes


def kill_group(pid: int) -> None:
    """Kill what there is of the process group that a child process leads."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for one that has ended
        os.killpg(pid, signal.SIGKILL)


def signal_name(number: int) -> str:
    """The name of a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal between the first and the last has no name
        return f"signal {number}"


def wrote_too_much(code: int) -> bool:
    """Whether a process ended with this code because it wrote more to a file than it might."""
    return hasattr(signal, "SIGXFSZ") and code == -signal.SIGXFSZ


def started(pid: int) -> int | None:
    """When a process started, in ticks since the machine did (Linux); None if it is gone, or nothing tells."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def namespace() -> int:
    """Among which numbers that of this process is one (Linux); else 0."""
    try:
        return int(re.sub("[^0-9]", "", os.readlink("/proc/self/ns/pid")))
    except (OSError, ValueError):
        return 0


# Limits


def limit_output(pid: int, most: int) -> None:
    """Have the kernel (Linux) end a process that writes more bytes to a file, its output too."""
    if hasattr(resource, "prlimit"):
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))


def limit_memory(pid: int, most: int | None) -> None:
    """Limit the address space of a process from outside (Linux), within the limit that it has."""
    if most is not None and hasattr(resource, "prlimit"):
        already = resource.prlimit(pid, resource.RLIMIT_AS)[1]
        most = most if already == resource.RLIM_INFINITY else min(most, already)
        resource.prlimit(pid, resource.RLIMIT_AS, (most, most))


def watched_memory(limit: int | None) -> int | None:
    """The bytes that a worker's resident set is to be held below, by whoever started it; None where the kernel does.

    macOS sets no limit to an address space. limit: what is asked for; else three quarters of the machine's memory.
    """
    if not MACOS:
        return None
    if limit is not None:
        return limit
    try:
        return os.sysconf("SC_PHYS_PAGES") * 3 // 4 * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def resident(pid: int) -> int | None:
    """Bytes of a process that are in memory, by `ps`; None if it is gone."""
    told = (asked("ps", "-o", "rss=", "-p", str(pid)) or "").strip()
    return int(told) * 1024 if told.isascii() and told.isdecimal() else None


# Files


def owned(about: os.stat_result) -> bool:
    """Whether a file is this user's; Windows does not tell it so, and its folders of a user are that user's alone."""
    return not hasattr(os, "geteuid") or about.st_uid == os.geteuid()


def others_write(about: os.stat_result) -> bool:
    """Whether others than its owner may write a file, as far as its mode tells."""
    return not WINDOWS and bool(about.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def make_readable(descriptor: int) -> None:
    """Let everyone read a file that was made for its owner alone; on Windows the folder decides."""
    if not WINDOWS:
        os.fchmod(descriptor, 0o644)


def ready(descriptor: int, *, to_write: bool, seconds: float) -> bool:
    """Wait until a file, pipe or device can be read or written, for so long at most.

    Where nothing waits for files (Windows), reading and writing does.
    """
    if not hasattr(select, "poll"):
        return True
    waiting = select.poll()
    waiting.register(descriptor, select.POLLOUT if to_write else select.POLLIN)
    return bool(waiting.poll(1000 * max(0.0, seconds)))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Alone among the processes that do this for a folder; others wait. Raises OSError where it cannot be opened.

    Where folders cannot be opened (Windows), a file in it is locked instead, and removed.
    """
    file = folder / LOCK
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT) if WINDOWS else os.open(folder, os.O_RDONLY)
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        else:
            _lock_byte(descriptor)
        yield
    finally:
        os.close(descriptor)  # which frees it
        if WINDOWS:
            with contextlib.suppress(OSError):  # another process waits for it
                file.unlink()


def _lock_byte(descriptor: int) -> None:
    import msvcrt

    while True:
        with contextlib.suppress(OSError):  # it gives up after ten seconds
            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]
            return
