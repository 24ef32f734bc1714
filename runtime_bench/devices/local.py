"""This machine."""

import contextlib
import ctypes
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtime_bench import worker as worker_module
from runtime_bench.environment import Environment, local_environment
from runtime_bench.errors import WorkerError

PR_SET_PDEATHSIG = 1
QUIT_SECONDS = 2.0
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT")


class LocalDevice:
    """Workers are child processes of `python` (by default this one's) in a scrubbed environment."""

    name = "local"
    emulated = False

    def __init__(self, python: Sequence[str] = (sys.executable,)):
        self._python = tuple(python)
        self._folder: str | None = None

    def environment(self) -> Environment:
        """CPU, governor, frequencies, temperatures and load of this machine now."""
        return local_environment()

    def start_worker(self) -> "LocalWorker":
        """A fresh worker process."""
        return LocalWorker((*self._python, worker_module.__file__))

    def push(self, path: Path) -> str:
        """The file is here already."""
        return str(path.resolve())

    def fetch(self, remote: str, path: Path) -> None:
        """Copy a file that a worker wrote."""
        shutil.copyfile(remote, path)

    def scratch(self) -> str:
        """A temporary folder of this run."""
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="falcon-edge-")
        return self._folder

    def close(self) -> None:
        """Remove the temporary folder."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


class LocalWorker:
    """A worker process on this machine."""

    def __init__(self, command: Sequence[str]):
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        environment["ORT_DISABLE_TELEMETRY"] = "1"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the worker
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the parent, which then ends its workers in order
            preexec_fn=_die_with_parent,
        )
        self._received = b""

    @property
    def pid(self) -> int:
        """The worker's process."""
        return self._process.pid

    def ask(self, action: str, *, timeout: float, **request: Any) -> dict[str, Any]:
        """See WorkerHandle.ask."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": action, **request}).encode() + b"\n")
            self._process.stdin.flush()
            line = self._line(action, timeout)
        except BrokenPipeError:
            raise self._death(action) from None
        if not line:
            raise self._death(action)
        try:
            reply = json.loads(line)
        except ValueError as error:
            raise WorkerError(f"the worker's answer to {action} is damaged", kind="protocol") from error
        if "error" in reply:
            raise WorkerError(f"{action}: {reply['error']}", kind=reply.get("kind", "runtime"))
        return reply

    def __enter__(self) -> "LocalWorker":
        return self

    def __exit__(self, *error: object) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()  # the worker ends at the end of its input
        try:
            self._process.wait(QUIT_SECONDS if error[0] is None else 0)
        except subprocess.TimeoutExpired:
            self._kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def _line(self, action: str, timeout: float) -> bytes:
        """One line of the worker's output; empty at its end. Sleeps in the kernel until there is something."""
        assert self._process.stdout is not None
        until = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._received:
                if not selector.select(max(0.0, until - time.monotonic())):
                    self._kill()
                    raise WorkerError(f"{action}: no answer within {timeout:g} s", kind="timeout")
                chunk = os.read(self._process.stdout.fileno(), 1 << 16)
                if not chunk:
                    return b""
                self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _death(self, action: str) -> WorkerError:
        """What to say of a worker that is gone."""
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        last = f": {said[-1]}" if said else ""
        if code < 0:
            name = signal.Signals(-code).name
            return WorkerError(f"{action}: the worker was killed by {name}{last}", kind="signal", signal=name)
        return WorkerError(f"{action}: the worker ended with exit code {code}{last}", kind="exit")

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _die_with_parent() -> None:
    """Ask the kernel (Linux) to kill the worker if its parent dies without a word."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
