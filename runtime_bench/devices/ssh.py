"""A board over SSH: the system's own ssh and scp, with the user's configuration, keys and agent."""

import re
import shlex
import shutil
from pathlib import Path

from runtime_bench.devices.python import PythonRunner
from runtime_bench.devices.shell import COMMAND_SECONDS, PUSH_SECONDS_PER_MB, Done, ShellDevice
from runtime_bench.errors import BenchInputError, DeviceError
from runtime_bench.interrupts import held
from runtime_bench.scratch import short_folder

# Nothing that could pass for an option of ssh, or steer a shell.
NAME = re.compile(
    r"ssh://(?P<target>(?:\w[\w.-]*@)?(?:\w[\w.-]*|\[[0-9A-Fa-f:]+\]))(?::(?P<port>[0-9]{1,5}))?/?", re.ASCII
)
STRICT = (
    "-o", "BatchMode=yes",  # it asks nobody for a password
    "-o", "StrictHostKeyChecking=yes",
    "-o", "ConnectTimeout=10",
    "-o", "ServerAliveInterval=5",
    "-o", "ServerAliveCountMax=3",
)  # fmt: skip
PERSIST_SECONDS, HANG_UP_SECONDS = 30, 10.0
SOCKET_SUFFIX = 18  # what ssh adds to the path while it makes the socket
CONNECTION_FAILED = 255  # what ssh says where it is not the command's own exit code


class SshDevice(ShellDevice):
    """A board: `ssh://[user@]host[:port]`, where host may be a name of the user's ssh configuration.

    Raises BenchInputError for a name that is none; all else raises DeviceError.
    """

    folder = ".cache/falcon-edge"  # in the home folder there, which is where commands start

    def __init__(self, name: str, *, clean: bool = False):
        super().__init__(name, clean=clean)
        parts = NAME.fullmatch(name)
        if parts is None:
            raise BenchInputError(f"{name}: not of the form ssh://[user@]host[:port]")
        self._target, self._port = parts["target"], parts["port"]
        self._controls: Path | None = None

    def _choose(self) -> PythonRunner:
        return PythonRunner(self)

    def fastest_cpus(self, count: int) -> tuple[int, ...]:
        """See Device.fastest_cpus."""
        found = super().fastest_cpus(count)
        assert found is not None  # Python can choose
        return found

    def _call(self, command: str) -> Done:
        done = self._finished(self.command(command))
        if done.code == CONNECTION_FAILED:
            raise DeviceError(f"{self.name}: the connection was lost ({done.said})")
        return done

    def command(self, remote: str) -> list[str]:
        """See ShellDevice.command."""
        return [*self._client("ssh"), "-T", self._target, remote]

    def bring(self, remote: str, path: Path) -> None:
        """See ShellDevice.bring."""
        path.write_bytes(self.printed(f"cat {shlex.quote(remote)}"))

    def _send(self, path: Path, remote: str) -> Done:
        seconds = COMMAND_SECONDS + PUSH_SECONDS_PER_MB * path.stat().st_size / 1e6
        return self._finished([*self._client("scp"), "-q", str(path.resolve()), f"{self._target}:{remote}"], seconds)

    def _hang_up(self) -> None:
        if self._controls is not None:
            try:
                self._finished([*self._client("ssh"), "-O", "exit", self._target], HANG_UP_SECONDS)
            finally:
                shutil.rmtree(self._controls, ignore_errors=True)
                self._controls = None

    def _client(self, program: str) -> list[str]:
        """The start of a command that uses the one connection, which is made when there is none yet."""
        if self._controls is None:
            self._connect()
        assert self._controls is not None
        port = ["-P" if program == "scp" else "-p", self._port] if self._port is not None else []
        return [program, *STRICT, "-o", f"ControlPath={self._controls}/c", *port]

    def _connect(self) -> None:
        for program in ("ssh", "scp"):
            if shutil.which(program) is None:
                raise DeviceError(f"{program} is not installed here (apt-get install openssh-client)")
        with held():
            self._controls = short_folder(len("/c") + SOCKET_SUFFIX)
        # Where this process is killed, the master ends by itself.
        master = ["-M", "-N", "-f", "-o", f"ControlPersist={PERSIST_SECONDS}", self._target]
        done = self._finished([*self._client("ssh"), *master])
        if done.code != 0:
            shutil.rmtree(self._controls, ignore_errors=True)
            self._controls = None
            known = "; connect once by hand to see and accept its key" if "Host key verification" in done.said else ""
            raise DeviceError(f"{self.name}: cannot be reached ({done.said}){known}")
