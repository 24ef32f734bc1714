"""The demo app as a phone's runner: the requests of worker.py, each an `am start`; docs/phones.md is the contract.

A worker is a fresh process of the app. It answers a request by a file of JSON, which it writes under another name
first, so that a file under the right name is whole.
"""

import contextlib
import shlex
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime_bench.devices.runner import Runner
from runtime_bench.devices.shell import LOOK_SECONDS, ShellDevice
from runtime_bench.errors import DeviceError, WorkerError
from runtime_bench.interrupts import check_stop
from runtime_bench.replies import answer

PACKAGE = "org.falconedge.demo"
ACTIVITY = f"{PACKAGE}/.BenchmarkActivity"
CONTRACT = 1
FOLDER = "files/bench"  # in the app's own storage
INT_LIMIT = 2**31
# Seconds: to look for an answer takes the phone's time, and an app that has crashed takes ours.
FIRST_POLL, LAST_POLL, LONGEST_UNSEEN = 0.1, 2.0, 10.0


class AppRunner(Runner):
    """The app that is installed; it has both runtimes, or says so itself."""

    name = "app"
    side_by_side = False

    def lacks(self, runtime: str) -> None:
        """See Device.lacks."""

    def start_worker(self) -> "AppWorker":
        """A fresh process of the app."""
        return AppWorker(self._device)

    def scratch(self) -> str:
        """See Device.scratch: an app writes to its own storage only."""
        return FOLDER

    def fetch(self, remote: str, path: Path) -> None:
        """See Device.fetch."""
        path.write_bytes(self._device.printed(shlex.join(["run-as", PACKAGE, "cat", remote])))

    def close(self, *, clean: bool) -> None:
        """Remove its answers; with `clean` the app."""
        self._device.call(f"pm uninstall {PACKAGE}" if clean else f"run-as {PACKAGE} rm -rf {FOLDER}")


def has_app(device: ShellDevice) -> bool:
    """Whether the app is installed."""
    return device.call(f"pm path {PACKAGE}").out.startswith(b"package:")


class AppWorker:
    """A fresh process of the app; only one at a time lives on a phone."""

    def __init__(self, device: ShellDevice):
        self._device = device
        self._shortest = 0.0  # seconds of an inference, as far as it is known
        self._stop()
        device.run(f"run-as {PACKAGE} mkdir -p {FOLDER}")
        device.run("logcat -c || true")  # what it may say of a crash is of this process

    def ask(self, action: str, *, timeout: float, **request: Any) -> dict[str, Any]:
        """See WorkerHandle.ask."""
        request.pop("cpu_seconds", None)  # an app is stopped by its name, wherever it hangs
        if "path" in request:
            request["model"] = request.pop("path")
        number = uuid.uuid4().hex
        extras = _extras({"contract": CONTRACT, "id": number, "do": action} | request)
        said = self._device.run(shlex.join(["am", "start", "-W", "-n", ACTIVITY, *extras]))
        error = next((line for line in said.splitlines() if line.startswith("Error")), None)
        if error is not None:
            raise WorkerError(f"{action}: the app cannot be started ({error})", kind="start")
        reply = answer(action, self._reply(action, number, timeout, self._earliest(action, request)))
        if action == "measure":
            self._learn(reply)
        return reply

    def __enter__(self) -> "AppWorker":
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(DeviceError):  # the phone is gone, and the app is no worker of ours any more
            self._stop()

    def _stop(self) -> None:
        self._device.run(f"am force-stop {PACKAGE}")

    def _earliest(self, action: str, request: Mapping[str, Any]) -> float:
        """Seconds that a reply takes at least: to look for it sooner would take the phone's time for nothing."""
        runs = request.get("runs", 0)
        if action not in ("measure", "warm_up") or not isinstance(runs, int):
            return 0.0
        every = request.get("every_ms")
        if every is not None:
            return max(0, runs - 1) * every * request.get("turns", 1) / 1000
        return max(runs * self._shortest, request.get("seconds", 0.0))

    def _learn(self, reply: Mapping[str, Any]) -> None:
        """Keep how long an inference takes at least; what is no duration is found out by whoever asked."""
        samples = reply.get("samples_ns")
        known = [each for each in samples if type(each) is int and each > 0] if isinstance(samples, list) else []
        if known:
            shortest = min(known) / 1e9
            self._shortest = min(self._shortest or shortest, shortest)

    def _reply(self, action: str, number: str, timeout: float, earliest: float) -> bytes:
        """Wait for the file of a reply, and take it away: half of one is none yet."""
        began = time.monotonic()
        path, until = f"{FOLDER}/{number}.json", began + timeout
        damaged, pause = False, FIRST_POLL
        while True:
            _sleep(min(began + min(earliest, timeout) - time.monotonic(), LONGEST_UNSEEN))
            found = self._device.call(f"run-as {PACKAGE} cat {path} 2>/dev/null")
            if found.code == 0:
                damaged = not found.out.rstrip().endswith(b"}")
                if not damaged:
                    self._device.call(f"run-as {PACKAGE} rm -f {path}")
                    return found.out
            elif self._device.call(f"pidof {PACKAGE}").code != 0:
                raise WorkerError(f"{action}: the app crashed{self._last_words()}", kind="exit")
            now = time.monotonic()
            if now > until:
                self._stop()
                if damaged:
                    raise WorkerError(f"{action}: the app's answer is damaged: update the app", kind="protocol")
                raise WorkerError(f"{action}: no answer within {timeout:g} s (`timeout`)", kind="timeout")
            if now >= began + earliest:
                _sleep(pause)
                pause = min(2 * pause, LAST_POLL)

    def _last_words(self) -> str:
        """What Android says of a crash."""
        try:
            lines = self._device.run("logcat -d -v raw AndroidRuntime:E libc:F *:S").splitlines()
        except DeviceError:
            return ""
        wanted = ("Exception", "Error", "Fatal signal")
        said = [line.strip() for line in lines if any(word in line for word in wanted) and "FATAL" not in line]
        return f": {said[-1]}" if said else ""


def _sleep(seconds: float) -> None:
    """Sleep, unless this thread is asked to end."""
    until = time.monotonic() + seconds
    check_stop()
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, LOOK_SECONDS))
        check_stop()


def _extras(request: dict[str, Any]) -> Iterator[str]:
    """The fields of a request as am takes them, by their types; None is left out."""
    for name, value in request.items():
        if value is not None:
            yield from (_option(value), name, _text(value))


def _option(value: Any) -> str:
    if isinstance(value, bool):
        return "--ez"
    if isinstance(value, int):
        return "--ei" if -INT_LIMIT <= value < INT_LIMIT else "--el"
    if isinstance(value, float):
        return "--ef"
    if isinstance(value, str):
        return "--es"
    kinds = {type(item) for item in value}
    return "--esa" if str in kinds else "--efa" if float in kinds else "--eia"


def _text(value: Any) -> str:
    """am takes commas apart in lists; those of strings hold paths of ours, which have none."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
