"""A device with a shell: what a board over SSH and a phone over adb have in common.

It needs Python (3.8 or newer), numpy and a runtime, nothing of ours: the worker and its runtime's file are pushed like
the models, each under the hash of what is in it, so that nothing is sent twice.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from pydantic import ValidationError

from runtime_bench import worker as worker_module
from runtime_bench.devices.device import WorkerHandle
from runtime_bench.devices.local import LAST_WORDS_BYTES, LocalWorker, limit_output
from runtime_bench.environment import DUMP, Environment, fastest_cpus, remote_environment, remote_files, whole_number
from runtime_bench.errors import DeviceError, WorkerError
from runtime_bench.files import hash_file
from runtime_bench.interrupts import check_stop, held
from runtime_bench.replies import Board
from runtime_bench.runtimes import RUNTIMES, runtime_named
from runtime_bench.scratch import host, owner, swept

OLDEST_PYTHON = (3, 8)
NOT_FOUND, KILLED = 127, 128
COMMAND_SECONDS, PUSH_SECONDS_PER_MB = 60.0, 5.0
STARTED, REPLY, ENDED = "falcon-edge worker ", "{", "falcon-edge ended "
LOOK_SECONDS = 0.5  # between looks whether to stop
MOST_NOISE = 100  # lines that are none of these, one after the other
SAY_ENDED = f"printf '\\n{ENDED}%s\\n' $?"  # for commands whose way back has no exit code
PROBE = """
import importlib.util, json, os, sys
modules = [name for name in MODULES if importlib.util.find_spec(name) is not None]
cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
print(json.dumps({"python": sys.version.split()[0], "modules": modules, "cpus": cpus}))
"""
HASH = "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())"


class Done(NamedTuple):
    """What became of a command."""

    code: int
    out: bytes
    said: str


class ShellDevice(ABC):
    """A Device whose commands and files go through programs of this host. Its methods raise DeviceError.

    folder: where files go there; it needs no quotes. errors: what a command gets behind it where its errors would come
    among its output. clean: leave nothing behind, not even what would not have to be
    sent again.
    """

    emulated = False
    folder: str
    errors = ""

    def __init__(self, name: str, *, clean: bool = False):
        self.name, self._clean = name, clean
        self._board: Board | None = None
        self._scratch: str | None = None
        self._is_swept = False

    @abstractmethod
    def call(self, command: str) -> Done:
        """A command of the device's shell, finished. Raises DeviceError if it could not be run there."""

    @abstractmethod
    def command(self, remote: str) -> list[str]:
        """What starts a command of the device's shell on this host; its input and output are the command's."""

    @abstractmethod
    def _send(self, path: Path, remote: str) -> Done:
        """Copy a file to the device."""

    @property
    def _reached(self) -> bool:
        """Whether the device has answered."""
        return self._board is not None

    def _hang_up(self) -> None:  # noqa: B027  # not every way there is a connection
        """End the connection."""

    @property
    def side_by_side(self) -> bool:
        """See Device.side_by_side."""
        return True

    def environment(self) -> Environment:
        """CPU, governor, frequencies, temperatures and load of the device now."""
        return remote_environment(self.run(DUMP), self.board.python)

    def fastest_cpus(self, count: int) -> tuple[int, ...]:
        """See Device.fastest_cpus."""
        return fastest_cpus(remote_files(self.run(DUMP)), self.board.cpus, count)

    def lacks(self, runtime: str) -> str | None:
        """See Device.lacks."""
        packages = runtime_named(runtime).packages
        missing = [] if "numpy" in self.board.modules else ["numpy"]
        if not any(module in self.board.modules for _, module in packages):
            missing.append(packages[0][0])
        if not missing:
            return None
        return f"{self.name} lacks {' and '.join(missing)}: run 'python3 -m pip install {' '.join(missing)}' there"

    def start_worker(self) -> WorkerHandle:
        """A fresh worker process on the device."""
        return ShellWorker(self, self.push(Path(worker_module.__file__)))

    def push(self, path: Path) -> str:
        """Send a file under its hash, unless it is there; what is there is hashed each time, before it is used."""
        self._sweep()
        digest, size = hash_file(path)
        remote = f"{self.folder}/{digest[:32]}{path.suffix}"
        if self._digest(remote) == digest:
            return remote
        part = f"{ShellDevice.scratch(self)}/{digest[:32]}.part"  # of this run alone
        done = self._send(path, part)
        if done.code != 0:
            self._explain_full_disk(path, part, size)
            raise DeviceError(f"{self.name}: {path.name} could not be sent{_brackets(done.said)}")
        if self._digest(part) != digest:
            raise DeviceError(f"{self.name}: {path.name} did not arrive as it was sent")
        self.run(f"mv {part} {remote}")
        return remote

    def _sweep(self) -> None:
        """Once: remove what processes of this host that were killed have left."""
        if not self._is_swept:
            left = swept(self.call(f"ls {self.folder} 2>/dev/null").out.decode(errors="replace").split())
            if left:
                self.run(f"cd {self.folder} && rm -rf {' '.join(left)}")
            self._is_swept = True

    def _digest(self, remote: str) -> str:
        """The SHA-256 of a file on the device; empty where there is none."""
        found = self.call(f"if [ -f {remote} ]; then sha256sum < {remote}; fi")
        if found.code == NOT_FOUND:
            found = self.call(f"python3 -c {shlex.quote(HASH)} {remote}")
        if found.code != 0:
            raise DeviceError(f"{self.name}: {remote} cannot be hashed there{_brackets(found.said)}")
        return found.out.decode(errors="replace").partition(" ")[0].strip()

    def fetch(self, remote: str, path: Path) -> None:
        """Bring a file that a worker wrote."""
        path.write_bytes(self._checked(f"cat {shlex.quote(remote)}").out)

    def scratch(self) -> str:
        """A folder of this run on the device."""
        if self._scratch is None:
            with held():
                made = f"mktemp -d {self.folder}/run.{host()}-{owner()}.XXXXXX"
                self._scratch = self.run(f"mkdir -p {self.folder} && {made}").strip()
        return self._scratch

    def close(self) -> None:
        """Remove what is of this run only (with `clean`: all), and hang up."""
        with held():
            leftovers = self.folder if self._clean and self._reached else self._scratch
            # Where the connection is gone there is nobody left to ask.
            with contextlib.suppress(DeviceError):
                if leftovers is not None:
                    self.call(f"rm -rf {shlex.quote(leftovers)}")
            with contextlib.suppress(DeviceError):
                self._hang_up()
            self._scratch, self._board = None, None

    @property
    def board(self) -> Board:
        """What the device says of its Python; it is asked once a connection."""
        if self._board is None:
            names = ["numpy", *(module for runtime in RUNTIMES for _, module in runtime.packages)]
            done = self.call(f"python3 -c {shlex.quote(PROBE.replace('MODULES', repr(names)))}")
            if done.code == NOT_FOUND:
                raise DeviceError(f"{self.name} has no python3: install it there (apt-get install python3 python3-pip)")
            try:
                board = Board.model_validate_json((done.out.splitlines() or [b""])[-1])
            except ValidationError as error:
                raise DeviceError(f"{self.name}: its python3 does not answer{_brackets(done.said)}") from error
            if board.version < OLDEST_PYTHON:
                oldest = ".".join(map(str, OLDEST_PYTHON))
                raise DeviceError(f"{self.name} has Python {board.python}; {oldest} or newer is needed there")
            self._board = board
        return self._board

    def run(self, command: str) -> str:
        """What a command of the device's shell prints. Raises DeviceError if it fails."""
        return self._checked(command).out.decode(errors="replace")

    def _checked(self, command: str) -> Done:
        done = self.call(command)
        if done.code != 0:
            raise DeviceError(f"{self.name}: '{command}' failed there{_brackets(done.said)}")
        return done

    def _explain_full_disk(self, path: Path, remote: str, size: int) -> None:
        """Raise DeviceError if there is too little room for a file; what of it was sent is removed."""
        try:
            words = self.run(f"rm -f {remote}; df -Pk {self.folder} | tail -n 1").split()
        except DeviceError:
            return  # what is known already says more
        kib = whole_number(words[3]) if len(words) > 3 else None
        if kib is not None and (free := 1024 * kib) < size:
            raise DeviceError(
                f"{self.name}: no room for {path.name}: {size / 1e6:.1f} MB, and {free / 1e6:.1f} MB are free there"
            ) from None

    def _finished(self, command: Sequence[str], seconds: float = COMMAND_SECONDS) -> Done:
        """A program of this host. Raises DeviceError if it takes longer, or says more than any worker may."""
        # Files, not pipes: a connection that stays in the background keeps what it was given open.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            try:
                with held():
                    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            except OSError as error:
                raise DeviceError(f"{command[0]}: cannot be started ({error.strerror})") from error
            try:
                limit_output(process)
                code = self._wait(process, seconds)
            finally:
                process.kill()
                process.wait()
            if code == -signal.SIGXFSZ:
                raise DeviceError(f"{self.name}: says too much")
            out.seek(0)
            return Done(code, out.read(), last_line(err))

    def _wait(self, process: subprocess.Popen[bytes], seconds: float) -> int:
        """Wait for a program to end, or for this thread to be asked to."""
        until = time.monotonic() + seconds
        while True:
            check_stop()
            left = until - time.monotonic()
            try:
                return process.wait(min(left, LOOK_SECONDS))
            except subprocess.TimeoutExpired as error:
                if left <= LOOK_SECONDS:
                    raise DeviceError(f"{self.name}: no answer within {seconds:.0f} s") from error


class ShellWorker(LocalWorker):
    """A worker on a device, behind a program of this host that leads there."""

    def __init__(self, device: ShellDevice, remote: str):
        self._device = device
        # The worker says its number, to be killed by; the shell stays, to tell what ended it.
        worker = f"echo {STARTED}$$; exec env ORT_DISABLE_TELEMETRY=1 python3 {remote} remote{device.errors}"
        super().__init__(device.command(f"sh -c {shlex.quote(worker)}; {SAY_ENDED}"))
        limit_output(self._process)
        self._there: int | None = None
        self._code: int | None = None
        try:
            self._there = _number_behind(STARTED, self._line(b"", time.monotonic() + COMMAND_SECONDS, STARTED))
        except (TimeoutError, OverflowError):
            self._kill()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        if self._there is None:
            with self:
                raise DeviceError(f"{device.name}: no worker could be started{self._last_words()}")

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            with contextlib.suppress(OSError):  # not every way there tells that the input has ended
                os.write(self._requests.fileno(), b'{"do": "quit"}\n')
        super().__exit__(*error)
        if self._there is not None and (error[0] is not None or self._process.returncode != 0):
            # Where the connection is gone it ends by itself: so has its input, and its time on the CPUs is bounded.
            with contextlib.suppress(DeviceError):
                self._device.run(f"kill -9 {self._there} 2>/dev/null || true")

    def ask(self, action: str, *, timeout: float, **request: Any) -> dict[str, Any]:
        """See WorkerHandle.ask. The runtime's file is sent before it is used."""
        if action == "load":
            request["driver"] = self._device.push(runtime_named(request["runtime"]).driver)
        return super().ask(action, timeout=timeout, **request)

    def _exchange(self, request: bytes, until: float) -> bytes:
        return self._line(request, until, REPLY)

    def _line(self, request: bytes, until: float, start: str) -> bytes:
        """The next line that starts so, or nothing if there will be none; greetings and errors may stand before it."""
        for _ in range(MOST_NOISE):
            line = super()._exchange(request, until)
            if line.startswith(start.encode()):
                return line
            if line.startswith(ENDED.encode()):
                self._code = _number_behind(ENDED, line)
                break
            request = b""
        return b""

    def _ended(self, action: str, code: int) -> WorkerError:
        if self._code is None:
            message = f"{action}: the connection to {self._device.name} was lost{self._last_words()}"
            return WorkerError(message, kind="connection")
        return super()._ended(action, KILLED - self._code if self._code > KILLED else self._code)


def last_line(file: IO[bytes]) -> str:
    """The last line of a file that is not empty."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - LAST_WORDS_BYTES))
    lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")


def _number_behind(start: str, line: bytes) -> int | None:
    return whole_number(line[len(start) :].decode(errors="replace").strip())


def _brackets(said: str) -> str:
    return f" ({said})" if said else ""
