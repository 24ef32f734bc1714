"""This machine."""

import contextlib
import json
import os
import re
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtime_bench import worker as worker_module
from runtime_bench.environment import Environment, fastest_cpus, local_environment, local_files
from runtime_bench.errors import DeviceError, WorkerError
from runtime_bench.interrupts import STOP, held
from runtime_bench.replies import answer
from runtime_bench.runtimes import runtime_named
from runtime_bench.system import kill_group, resident, signal_name, usable_cpus, watched_memory

QUIT_SECONDS = 2.0
LAST_WORDS_BYTES = 4096
LONGEST_REPLY = 64 * 1024**2
CHUNK = 1 << 16
WATCH_SECONDS = 0.5  # between looks at the memory of a worker that its system does not limit
TIMING = "measure", "invoke", "profile"  # during which nobody looks: a program that does takes time of the CPUs
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
KEPT_VARIABLES = (
    "PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT",
    "SSH_AUTH_SOCK", "ANDROID_ADB_SERVER_PORT", "ADB_SERVER_SOCKET",  # for workers behind ssh and adb
)  # fmt: skip


class LocalDevice:
    """Workers are child processes of `python` (by default this one's) in a scrubbed environment."""

    name = "local"
    emulated = False
    side_by_side = True
    runner_name = None

    def __init__(self, python: Sequence[str] = (sys.executable,)):
        self._python = tuple(python)
        self._folder: str | None = None

    def environment(self) -> Environment:
        """CPU, governor, frequencies, temperatures and load of this machine now."""
        return local_environment()

    def fastest_cpus(self, count: int) -> tuple[int, ...] | None:
        """See Device.fastest_cpus."""
        usable = usable_cpus()
        return None if usable is None else fastest_cpus(local_files(), usable, count)

    def lacks(self, runtime: str) -> str | None:
        """See Device.lacks."""
        found = runtime_named(runtime)
        return None if found.installed else f"{runtime} is not installed (pip install {found.packages[0][0]})"

    def start_worker(self) -> "LocalWorker":
        """A fresh worker process."""
        return LocalWorker((*self._python, worker_module.__file__))

    def push(self, path: Path) -> str:
        """The file is here already."""
        return str(path.resolve())

    def fetch(self, remote: str, path: Path) -> None:
        """Copy a file that a worker wrote."""
        try:
            shutil.copyfile(remote, path)
        except OSError as error:
            raise DeviceError(f"{remote}: the worker has not written it ({error.strerror})") from error

    def scratch(self) -> str:
        """A temporary folder of this run."""
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="falcon-edge-")
        return self._folder

    def close(self) -> None:
        """Remove the temporary folder."""
        with held():
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None


class LocalWorker:
    """A worker process on this machine, in a process group of its own."""

    here = True  # whether its process is the one that loads files

    def __init__(self, command: Sequence[str]):
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        environment["ORT_DISABLE_TELEMETRY"] = "1"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the worker
        try:
            with held():  # a process that nobody knows would be left behind
                self._process = subprocess.Popen(
                    command,
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    env=environment,
                    start_new_session=True,  # Ctrl-C is for the parent, which then ends its workers in order
                )
        except OSError as error:
            self._errors.close()
            raise WorkerError(f"{command[0]}: cannot be started ({error.strerror})", kind="start") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout
        os.set_blocking(self._requests.fileno(), False)
        self._received = bytearray()
        self._most: int | None = None  # bytes of memory, where this process has to look after that

    @property
    def pid(self) -> int:
        """The worker's process."""
        return self._process.pid

    def ask(self, action: str, *, timeout: float, **request: Any) -> dict[str, Any]:
        """See WorkerHandle.ask."""
        until = time.monotonic() + timeout
        if action == "load" and self.here:
            self._most = watched_memory(request.get("memory_limit"))
        most = None if action in TIMING else self._most
        try:
            line = self._exchange(json.dumps({"do": action, **request}).encode() + b"\n", until, most)
        except TimeoutError:
            self._kill()
            raise WorkerError(f"{action}: no answer within {timeout:g} s (`timeout`)", kind="timeout") from None
        except MemoryError:
            self._kill()
            said = f"{action}: out of memory: it took more than {(most or 0) >> 20} MiB"
            raise WorkerError(said, kind="memory") from None
        except OverflowError:
            self._kill()
            raise WorkerError(f"{action}: the worker says too much", kind="protocol") from None
        if not line:
            raise self._death(action)
        return answer(action, line)

    def __enter__(self) -> "LocalWorker":
        return self

    def __exit__(self, *error: object) -> None:
        with held():
            self._requests.close()  # the worker ends at the end of its input
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(QUIT_SECONDS if error[0] is None else 0)
            self._kill()
            self._replies.close()
            self._errors.close()

    def _exchange(self, request: bytes, until: float, most: int | None = None) -> bytes:
        """Send a request and return the next line; empty if there will be none. Sleeps in the kernel meanwhile.

        most: bytes that may be resident of the worker, where that is to be looked after. Raises TimeoutError where it
        takes until then (by the monotonic clock), OverflowError for a line without end, MemoryError.
        """
        seen, stop = 0, STOP.get()  # seen: of what was received, where no line ends
        with selectors.DefaultSelector() as selector:
            selector.register(self._requests, selectors.EVENT_WRITE)
            selector.register(self._replies, selectors.EVENT_READ)
            if stop is not None:
                selector.register(stop.descriptor, selectors.EVENT_READ)
            while request or (end := self._received.find(b"\n", seen)) < 0:
                seen = len(self._received)
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                ready = selector.select(left if most is None else min(left, WATCH_SECONDS))
                if not ready and most is not None and (resident(self.pid) or 0) > most:
                    raise MemoryError
                for key, _ in ready:
                    if key.fileobj is self._requests:
                        try:
                            request = request[os.write(key.fd, request[:CHUNK]) :]
                        except BrokenPipeError:
                            request = b""  # whether it still has something to say, its output will tell
                        if not request:
                            selector.unregister(self._requests)
                    elif stop is not None and key.fd == stop.descriptor:
                        stop.check()
                    else:
                        chunk = os.read(key.fd, CHUNK)
                        if not chunk:
                            return b""
                        self._received += chunk
                        if len(self._received) > LONGEST_REPLY:
                            raise OverflowError
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line

    def _death(self, action: str) -> WorkerError:
        """What to say of a worker that has ended its output."""
        try:
            code = self._process.wait(QUIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            return WorkerError(f"{action}: the worker closed its output without an answer", kind="protocol")
        return self._ended(action, code)

    def _ended(self, action: str, code: int) -> WorkerError:
        """What to say of a worker that ended with a code; one below 0 is the signal that killed it."""
        if code < 0:
            name = signal_name(-code)
            return WorkerError(
                f"{action}: the worker was killed by {name}{self._last_words()}", kind="signal", signal=name
            )
        return WorkerError(f"{action}: the worker ended with exit code {code}{self._last_words()}", kind="exit")

    def _last_words(self) -> str:
        """The last line on its stderr that is more than news."""
        end = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, end - LAST_WORDS_BYTES))
        said = COLOUR.sub("", self._errors.read().decode(errors="replace"))
        lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("INFO:")]
        return f": {lines[-1]}" if lines else ""

    def _kill(self) -> None:
        """Kill what there is of the process group: the worker, and whatever it may have started."""
        kill_group(self.pid)
        self._process.wait()
