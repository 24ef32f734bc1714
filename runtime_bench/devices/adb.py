"""A phone over adb: the system's adb client, and on the phone the demo app.

Where that is not installed: Python, on phones that have one (rooted, or Linux-like).
"""

import contextlib
import io
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from runtime_bench.devices.app import FOLDER, PACKAGE, AppWorker
from runtime_bench.devices.device import WorkerHandle
from runtime_bench.devices.shell import (
    COMMAND_SECONDS,
    ENDED,
    PUSH_SECONDS_PER_MB,
    SAY_ENDED,
    Done,
    ShellDevice,
    last_line,
)
from runtime_bench.environment import DUMP, Environment, fastest_cpus, remote_environment, remote_files, whole_number
from runtime_bench.errors import BenchInputError, DeviceError
from runtime_bench.interrupts import held

INSTALL = "adb is not installed here (apt-get install adb, or Android's platform-tools)"
SERIAL = re.compile(r"[\w.:-]+", re.ASCII)
READY = "device"
UNKNOWN = 255
SERVICES = "battery", "thermalservice"
# BatteryManager's BATTERY_STATUS_*.
BATTERY = {"2": "charging", "3": "discharging", "4": "not charging", "5": "full"}
REMEDIES = {
    "unauthorized": "allow USB debugging on its screen",
    "offline": "plug it in again, or run 'adb reconnect offline'",
    "no permissions": "add a udev rule for it, or run 'adb kill-server' and 'adb start-server' as root",
    "recovery": "start it into Android",
    "sideload": "start it into Android",
    "bootloader": "start it into Android",
}


@dataclass(frozen=True)
class Phone:
    """A phone that adb lists: its serial number, its state, and its model where adb knows it."""

    serial: str
    state: str
    model: str | None

    @property
    def remedy(self) -> str | None:
        """What to do so that it can be used, or None if it can be."""
        return None if self.state == READY else REMEDIES.get(self.state, "see 'adb devices -l'")


def phones() -> tuple[Phone, ...]:
    """What adb lists. Raises DeviceError if there is no adb, or it does not answer."""
    if shutil.which("adb") is None:
        raise DeviceError(INSTALL)
    try:
        done = subprocess.run(["adb", "devices", "-l"], capture_output=True, text=True, timeout=COMMAND_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"adb: no answer within {COMMAND_SECONDS:.0f} s; run 'adb kill-server'") from error
    if done.returncode != 0:
        raise DeviceError(f"adb: {' '.join(done.stderr.split()) or 'cannot list devices'}")
    found = []
    for line in done.stdout.splitlines():
        serial, _, rest = line.strip().partition(" ")
        if not rest or line.startswith(("List of devices", "*")):
            continue
        words = rest.split()
        state = "no permissions" if words[:2] == ["no", "permissions"] else words[0]
        model = next((word.partition(":")[2] for word in words if word.startswith("model:")), None)
        found.append(Phone(serial, state, model))
    return tuple(found)


class AdbDevice(ShellDevice):
    """A phone: `adb:SERIAL`, or `adb` where exactly one can be used.

    Raises BenchInputError for a name that is none; all else raises DeviceError.
    """

    folder = "/data/local/tmp/falcon-edge"
    errors = " 2>/dev/null"

    def __init__(self, name: str, *, clean: bool = False):
        super().__init__(name, clean=clean)
        scheme, _, wanted = name.partition(":")
        if scheme != "adb" or (name != "adb" and not SERIAL.fullmatch(wanted)):
            raise BenchInputError(f"{name}: not of the form adb[:SERIAL]")
        self._wanted = wanted or None
        self._serial: str | None = None
        self._has_app: bool | None = None

    @property
    def has_app(self) -> bool:
        """Whether the demo app is installed; it is asked once a connection."""
        if self._has_app is None:
            self._has_app = self.call(f"pm path {PACKAGE}").out.startswith(b"package:")
        return self._has_app

    @property
    def side_by_side(self) -> bool:
        """See Device.side_by_side."""
        return not self.has_app

    def environment(self) -> Environment:
        """CPU, governor, frequencies, temperatures, load, battery and thermal status of the phone now."""
        found = remote_environment(self.run(DUMP), "none" if self.has_app else self.board.python)
        battery, thermal = (self.call(f"dumpsys {service}").out.decode(errors="replace") for service in SERVICES)
        level, status = (re.search(pattern, battery) for pattern in (r"level: (\d{1,3})\b", r"status: (\d+)"))
        if level is not None:
            says = BATTERY.get(status[1], "status unknown") if status is not None else "status unknown"
            found = found.model_copy(update={"battery": f"{level[1]}%, {says}"})
        warm = re.search(r"Thermal Status: (\d)\b", thermal)
        return found if warm is None else found.model_copy(update={"thermal_status": int(warm[1])})

    def fastest_cpus(self, count: int) -> tuple[int, ...]:
        """See Device.fastest_cpus. An app may use what the phone has."""
        dump = self.run(DUMP)
        usable = range(remote_environment(dump, "none").cores) if self.has_app else self.board.cpus
        return fastest_cpus(remote_files(dump), usable, count)

    def lacks(self, runtime: str) -> str | None:
        """See Device.lacks. The app has both runtimes, or says so itself."""
        return None if self.has_app else super().lacks(runtime)

    def start_worker(self) -> WorkerHandle:
        """A fresh process of the app, or of Python where there is no app."""
        return AppWorker(self) if self.has_app else super().start_worker()

    def scratch(self) -> str:
        """A folder on the phone for what workers write: an app writes to its own storage only."""
        return FOLDER if self.has_app else super().scratch()

    @property
    def serial(self) -> str:
        """The phone's serial number, once adb has listed it as one that can be used."""
        if self._serial is None:
            self._serial = _chosen(phones(), self._wanted)
        return self._serial

    def call(self, command: str) -> Done:
        """See ShellDevice.call. What it says of its errors is in its output."""
        done = self._finished(self.command(f"({command}\n); {SAY_ENDED}"))
        out, found, code = done.out.replace(b"\r\n", b"\n").rpartition(f"\n{ENDED}".encode())
        if not found:
            raise DeviceError(f"{self.name}: the connection was lost ({done.said or 'the phone is gone'})")
        return Done(_code(code), out, last_line(io.BytesIO(out)))

    def command(self, remote: str) -> list[str]:
        """See ShellDevice.command: one argument, which the phone's shell alone takes apart."""
        return ["adb", "-s", self.serial, "shell", remote]

    def fetch(self, remote: str, path: Path) -> None:
        """Bring a file that a worker wrote."""
        if self.has_app:
            command = shlex.join(["run-as", PACKAGE, "cat", remote])
            done = self._finished(["adb", "-s", self.serial, "exec-out", command])
            path.write_bytes(done.out)
            return
        done = self._finished(["adb", "-s", self.serial, "pull", remote, str(path)])
        if done.code != 0:
            raise DeviceError(f"{self.name}: {shlex.quote(remote)} could not be fetched ({done.said})")

    def _send(self, path: Path, remote: str) -> Done:
        seconds = COMMAND_SECONDS + PUSH_SECONDS_PER_MB * path.stat().st_size / 1e6
        return self._finished(["adb", "-s", self.serial, "push", str(path.resolve()), remote], seconds)

    def close(self) -> None:
        """Remove what is of this run only (with `clean`: all, the app as well), and hang up."""
        with held():
            if self._has_app:
                with contextlib.suppress(DeviceError):
                    self.call(f"pm uninstall {PACKAGE}" if self._clean else f"run-as {PACKAGE} rm -rf {FOLDER}")
            super().close()

    @property
    def _reached(self) -> bool:
        return self._has_app is not None or super()._reached

    def _hang_up(self) -> None:
        self._serial, self._has_app = None, None


def _code(said: bytes) -> int:
    """An exit code; a phone that says another thing has not done what was asked."""
    code = whole_number(said.decode(errors="replace").strip())
    return UNKNOWN if code is None else code


def _chosen(found: tuple[Phone, ...], wanted: str | None) -> str:
    """The serial number of the phone that is meant. Raises DeviceError where that one cannot be used."""
    listed = ", ".join(f"{phone.serial} ({phone.state})" for phone in found)
    if wanted is not None:
        phone = next((phone for phone in found if phone.serial == wanted), None)
        if phone is None:
            raise DeviceError(f"adb:{wanted} is not plugged in; adb lists {listed or 'nothing'}")
    elif len(ready := [phone for phone in found if phone.remedy is None]) == 1:
        phone = ready[0]
    elif ready:
        raise DeviceError(f"adb lists several phones: {listed}; name one, as in adb:{ready[0].serial}")
    elif not found:
        raise DeviceError("adb lists no phone: plug one in and allow USB debugging")
    else:
        phone = found[0]
    if phone.remedy is not None:
        raise DeviceError(f"adb:{phone.serial} is {phone.state}: {phone.remedy}")
    return phone.serial
