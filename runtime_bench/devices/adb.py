"""A phone over adb: the system's adb client, and on the phone the demo app.

Where that is not installed: a Java program of ours, if there are archives of the runtimes for it (app_process.py); else
Python, on phones that have one (rooted, or Linux-like).
"""

import io
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runtime_bench.devices.aar import KNOWN_BY, Archives
from runtime_bench.devices.app import AppRunner, has_app
from runtime_bench.devices.app_process import AppProcessRunner
from runtime_bench.devices.python import PythonRunner
from runtime_bench.devices.runner import Runner
from runtime_bench.devices.shell import (
    COMMAND_SECONDS,
    ENDED,
    PUSH_SECONDS_PER_MB,
    SAY_ENDED,
    Done,
    ShellDevice,
    last_line,
)
from runtime_bench.environment import Environment, whole_number
from runtime_bench.errors import BenchInputError, DeviceError
from runtime_bench.runtimes import RUNTIMES

RUNNERS = AppRunner.name, AppProcessRunner.name, PythonRunner.name
NO_APP = "the demo app is not installed: build it and 'adb install' it (android_demo/README.md)"
NO_PYTHON = "install the demo app, or run 'falcon-edge devices setup adb', which fetches what runs files without it"
INSTALL = "adb is not installed here (apt-get install adb, or Android's platform-tools)"
SERIAL = re.compile(r"[\w.:-]+", re.ASCII)
READY = "device"
DEFAULTS = [runtime.name for runtime in RUNTIMES if runtime.by_default]
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


@dataclass(frozen=True)
class Way:
    """A runner by its name, and what a phone lacks for it, if anything."""

    runner: str
    lacks: str | None


class AdbDevice(ShellDevice):
    """A phone: `adb:SERIAL`, or `adb` where exactly one can be used.

    runner: one of RUNNERS; by default the app where it is installed, else app_process where there are archives for it,
    else Python. Raises BenchInputError for a name that is none; all else raises DeviceError.
    """

    folder = "/data/local/tmp/falcon-edge"
    errors = " 2>/dev/null"

    def __init__(self, name: str, *, clean: bool = False, runner: str | None = None, archives: Archives | None = None):
        super().__init__(name, clean=clean)
        scheme, _, wanted = name.partition(":")
        if scheme != "adb" or (name != "adb" and not SERIAL.fullmatch(wanted)):
            raise BenchInputError(f"{name}: not of the form adb[:SERIAL]")
        if runner is not None and runner not in RUNNERS:
            raise BenchInputError(f"{runner}: no such runner; known are {', '.join(RUNNERS)}")
        self._wanted, self._wanted_runner = wanted or None, runner
        self._archives = archives or Archives()
        self._serial: str | None = None

    @property
    def has_app(self) -> bool:
        """Whether the demo app is installed."""
        return has_app(self)

    @property
    def runner_name(self) -> str:
        """See Device.runner_name."""
        return self.runner.name

    def ways(self) -> tuple[Way, ...]:
        """What of the phone can run files, and what is missing for the rest."""
        app = Way(AppRunner.name, None if self.has_app else NO_APP)
        runners = (AppProcessRunner(self, self._archives), KNOWN_BY), (PythonRunner(self, NO_PYTHON), DEFAULTS)
        return app, *(Way(runner.name, _lacks(runner, runtimes)) for runner, runtimes in runners)

    def _choose(self) -> Runner:
        wanted, java = self._wanted_runner, AppProcessRunner(self, self._archives)
        if wanted in (None, AppRunner.name) and self.has_app:
            return AppRunner(self)
        if wanted == AppRunner.name:
            raise DeviceError(f"{self.name}: {NO_APP}")
        if wanted == java.name or (wanted is None and self._archives and self._prefers(java)):
            return java
        return PythonRunner(self, NO_PYTHON)

    def _prefers(self, java: AppProcessRunner) -> bool:
        """Whether app_process is used rather than Python: where it cannot be, and there is a Python, it is not."""
        return _lacks(java, KNOWN_BY) is None or self.call("python3 -c pass").code != 0

    def environment(self) -> Environment:
        """CPU, governor, frequencies, temperatures, load, battery and thermal status of the phone now."""
        found = super().environment()
        battery, thermal = (self.call(f"dumpsys {service}").out.decode(errors="replace") for service in SERVICES)
        level, status = (re.search(pattern, battery) for pattern in (r"level: (\d{1,3})\b", r"status: (\d+)"))
        if level is not None:
            says = BATTERY.get(status[1], "status unknown") if status is not None else "status unknown"
            found = found.model_copy(update={"battery": f"{level[1]}%, {says}"})
        warm = re.search(r"Thermal Status: (\d)\b", thermal)
        return found if warm is None else found.model_copy(update={"thermal_status": int(warm[1])})

    @property
    def serial(self) -> str:
        """The phone's serial number, once adb has listed it as one that can be used."""
        if self._serial is None:
            self._serial = _chosen(phones(), self._wanted)
        return self._serial

    def _call(self, command: str) -> Done:
        """What it says of its errors is in its output."""
        done = self._finished(self.command(f"({command}\n); {SAY_ENDED}"))
        out, found, code = done.out.replace(b"\r\n", b"\n").rpartition(f"\n{ENDED}".encode())
        if not found:
            raise DeviceError(f"{self.name}: the connection was lost ({done.said or 'the phone is gone'})")
        return Done(_code(code), out, last_line(io.BytesIO(out)))

    def command(self, remote: str) -> list[str]:
        """See ShellDevice.command: one argument, which the phone's shell alone takes apart."""
        return ["adb", "-s", self.serial, "shell", remote]

    def printed(self, command: str) -> bytes:
        """See ShellDevice.printed: its shell may end lines in its own way."""
        return self._finished(["adb", "-s", self.serial, "exec-out", command]).out

    def bring(self, remote: str, path: Path) -> None:
        """See ShellDevice.bring."""
        done = self._finished(["adb", "-s", self.serial, "pull", remote, str(path)])
        if done.code != 0:
            raise DeviceError(f"{self.name}: {shlex.quote(remote)} could not be fetched ({done.said})")

    def _send(self, path: Path, remote: str) -> Done:
        seconds = COMMAND_SECONDS + PUSH_SECONDS_PER_MB * path.stat().st_size / 1e6
        return self._finished(["adb", "-s", self.serial, "push", str(path.resolve()), remote], seconds)

    def _hang_up(self) -> None:
        self._serial = None


def _lacks(runner: Runner, runtimes: Iterable[str]) -> str | None:
    """What is missing to run files on any of the runtimes by a runner; None if one of them can be."""
    try:
        found = [runner.lacks(runtime) for runtime in runtimes]
    except DeviceError as error:
        return str(error)
    return None if None in found else found[0]


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
