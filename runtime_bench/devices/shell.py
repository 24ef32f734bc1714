"""A device with a shell: what a board over SSH and a phone over adb have in common.

Whatever its runner needs is pushed like the models, each under the hash of what is in it: nothing is sent twice.
"""

import contextlib
import os
import shlex
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

from runtime_bench.devices.device import WorkerHandle
from runtime_bench.devices.local import LAST_WORDS_BYTES, LocalWorker
from runtime_bench.devices.runner import Runner
from runtime_bench.environment import DUMP, Environment, fastest_cpus, remote_environment, remote_files, whole_number
from runtime_bench.errors import DeviceError, WorkerError
from runtime_bench.files import hash_file
from runtime_bench.interrupts import check_stop, held
from runtime_bench.scratch import host, owner, swept
from runtime_bench.system import limit_output, wrote_too_much
from runtime_bench.worker import LARGEST_FILE

NOT_FOUND, KILLED = 127, 128
COMMAND_SECONDS, PUSH_SECONDS_PER_MB = 60.0, 5.0
STARTED, REPLY, ENDED = "falcon-edge worker ", "{", "falcon-edge ended "
LOOK_SECONDS = 0.5  # between looks whether to stop
MOST_NOISE = 100  # lines that are none of these, one after the other
SAY_ENDED = f"printf '\\n{ENDED}%s\\n' $?"  # for commands whose way back has no exit code
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
        self._runner: Runner | None = None
        self._scratch: str | None = None
        self._is_reached = self._is_swept = False

    @abstractmethod
    def _choose(self) -> Runner:
        """What is to answer requests there."""

    @abstractmethod
    def _call(self, command: str) -> Done:
        """See `call`."""

    @abstractmethod
    def command(self, remote: str) -> list[str]:
        """What starts a command of the device's shell on this host; its input and output are the command's."""

    @abstractmethod
    def _send(self, path: Path, remote: str) -> Done:
        """Copy a file to the device."""

    @abstractmethod
    def bring(self, remote: str, path: Path) -> None:
        """Copy a file from the device."""

    def call(self, command: str) -> Done:
        """A command of the device's shell, finished. Raises DeviceError if it could not be run there."""
        done = self._call(command)
        self._is_reached = True
        return done

    @property
    def runner(self) -> Runner:
        """What answers requests there; it is chosen once a connection."""
        if self._runner is None:
            self._runner = self._choose()
        return self._runner

    def _hang_up(self) -> None:  # noqa: B027  # not every way there is a connection
        """End the connection."""

    @property
    def runner_name(self) -> str | None:
        """See Device.runner_name."""
        return None

    @property
    def side_by_side(self) -> bool:
        """See Device.side_by_side."""
        return self.runner.side_by_side

    def environment(self) -> Environment:
        """CPU, governor, frequencies, temperatures and load of the device now."""
        return remote_environment(self.run(DUMP), self.runner.python)

    def fastest_cpus(self, count: int) -> tuple[int, ...] | None:
        """See Device.fastest_cpus."""
        dump = self.run(DUMP)
        usable = self.runner.usable_cpus(remote_environment(dump, "none").cores)
        return None if usable is None else fastest_cpus(remote_files(dump), usable, count)

    def lacks(self, runtime: str) -> str | None:
        """See Device.lacks."""
        return self.runner.lacks(runtime)

    def start_worker(self) -> WorkerHandle:
        """A fresh worker process on the device."""
        return self.runner.start_worker()

    def push(self, path: Path, *, named: bool = False) -> str:
        """Send a file under its hash, unless it is there; what is there is hashed each time, before it is used.

        named: it keeps its name, which needs no quotes, in a folder of its own.
        """
        self._sweep()
        digest, size = hash_file(path)
        remote = f"{self.folder}/{digest[:32]}{f'/{path.name}' if named else path.suffix}"
        if self._digest(remote) == digest:
            return remote
        part = f"{self.run_folder()}/{digest[:32]}.part"  # of this run alone
        done = self._send(path, part)
        if done.code != 0:
            self._explain_full_disk(path, part, size)
            raise DeviceError(f"{self.name}: {path.name} could not be sent{brackets(done.said)}")
        if self._digest(part) != digest:
            raise DeviceError(f"{self.name}: {path.name} did not arrive as it was sent")
        self.run(f"{f'mkdir -p {self.folder}/{digest[:32]} && ' if named else ''}mv {part} {remote}")
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
            raise DeviceError(f"{self.name}: {remote} cannot be hashed there{brackets(found.said)}")
        return found.out.decode(errors="replace").partition(" ")[0].strip()

    def fetch(self, remote: str, path: Path) -> None:
        """Bring a file that a worker wrote."""
        self.runner.fetch(remote, path)

    def scratch(self) -> str:
        """A folder on the device for what workers write."""
        return self.runner.scratch()

    def run_folder(self) -> str:
        """A folder of this run on the device."""
        if self._scratch is None:
            with held():
                made = f"mktemp -d {self.folder}/run.{host()}-{owner()}.XXXXXX"
                self._scratch = self.run(f"mkdir -p {self.folder} && {made}").strip()
        return self._scratch

    def close(self) -> None:
        """Remove what is of this run only (with `clean`: all), and hang up."""
        with held():
            leftovers = self.folder if self._clean and self._is_reached else self._scratch
            # Where the connection is gone there is nobody left to ask.
            with contextlib.suppress(DeviceError):
                if self._runner is not None:
                    self._runner.close(clean=self._clean)
            with contextlib.suppress(DeviceError):
                if leftovers is not None:
                    self.call(f"rm -rf {shlex.quote(leftovers)}")
            with contextlib.suppress(DeviceError):
                self._hang_up()
            self._scratch, self._runner, self._is_reached = None, None, False

    def run(self, command: str) -> str:
        """What a command of the device's shell prints. Raises DeviceError if it fails."""
        return self.checked(command).out.decode(errors="replace")

    def printed(self, command: str) -> bytes:
        """What a command prints, byte for byte."""
        return self.checked(command).out

    def checked(self, command: str) -> Done:
        """A command of the device's shell that has not failed. Raises DeviceError if it does."""
        done = self.call(command)
        if done.code != 0:
            raise DeviceError(f"{self.name}: '{command}' failed there{brackets(done.said)}")
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
                limit_output(process.pid, LARGEST_FILE)
                code = self._wait(process, seconds)
            finally:
                process.kill()
                process.wait()
            if wrote_too_much(code):
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
    """A worker on a device, behind a program of this host that leads there. program: what starts it, for its shell."""

    here = False

    def __init__(self, device: ShellDevice, program: str):
        self._device = device
        # The worker says its number, to be killed by; the shell stays, to tell what ended it.
        worker = f"echo {STARTED}$$; exec {program}"
        super().__init__(device.command(f"sh -c {shlex.quote(worker)}; {SAY_ENDED}"))
        limit_output(self.pid, LARGEST_FILE)
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

    def _exchange(self, request: bytes, until: float, most: int | None = None) -> bytes:
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


def brackets(said: str) -> str:
    """What a command said, behind what went wrong."""
    return f" ({said})" if said else ""
