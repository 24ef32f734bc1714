"""The demo app as a phone's runner: the contract of docs/phones.md, with the app acted by worker.py."""

import os
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from phone import ADB
from waiting import Amid, gone, killed_at_work

from runtime_bench import worker as worker_module
from runtime_bench.bench import Protocol, bench
from runtime_bench.devices.adb import AdbDevice
from runtime_bench.devices.app import PACKAGE
from runtime_bench.devices.local import LocalDevice
from runtime_bench.errors import WorkerError

if ADB is None and "CI" not in os.environ:
    pytest.skip("no adb here: apt-get install adb", allow_module_level=True)
pytestmark = pytest.mark.xdist_group("adb")
QUICK = Protocol(runs=6, processes=2, seconds=0.0, rounds=2, warm_up_runs=1, warm_up_seconds=0.0, every=0)

PACED = replace(QUICK, every=0.02, ticks=4, cold=True)


@pytest.fixture
def phone(plug):
    phone = plug(python=None)
    phone.install(worker_module.__file__)
    return phone


@pytest.fixture
def device(phone):
    device = AdbDevice("adb")
    yield device
    device.close()


@pytest.fixture
def loaded(device, files):
    with device.start_worker() as worker:
        worker.ask("load", timeout=60, path=device.push(files["vgg.onnx"]), runtime="onnxruntime", threads=1)
        yield worker


def running(phone):
    """The app's process, if any."""
    command = phone.run(f"pidof {PACKAGE}")
    return [int(word) for word in command.communicate()[0].split()]


def test_a_phone_with_the_app_gives_what_this_machine_gives(phone, candidates):
    with closing(AdbDevice("adb")) as device:
        there, here = (bench(candidates, where, PACED) for where in (device, LocalDevice()))
    for one, other in zip(there.entries, here.entries, strict=True):
        assert (one.failure, one.device) == (None, "adb")
        assert (one.paced.summary.count, one.paced.every_ms, one.cold.summary.count) == (4, 20.0, 4)
        assert {(burst.process, burst.round) for burst in one.bursts} == {(0, 0), (0, 1), (1, 0), (1, 1)}
        assert (one.quality, one.agreement) == (other.quality, other.agreement)
    assert (there.before.battery, there.before.thermal_status) == ("87%, discharging", 1)
    starts = [command for command in phone.commands if "force-stop" in command]
    assert len(starts) >= 4  # a fresh process for every model and process
    assert not list(phone.folder.glob("appdata/files/bench/*"))
    assert gone(lambda: running(phone))


def test_it_is_removed_when_asked_with_all_files(phone, files):
    device = AdbDevice("adb", clean=True)
    assert device.runner.name == "app"
    assert Path(device.push(files["vgg.onnx"])).exists()
    device.close()
    assert not AdbDevice("adb").has_app
    assert not Path(device.folder).exists()


def test_a_request_is_answered_as_it_was_asked(loaded, phone):
    assert len(loaded.ask("measure", timeout=60, runs=3)["samples_ns"]) == 3
    started = [command for command in phone.commands if "am start" in command][-1]
    assert f"-n {PACKAGE}/.BenchmarkActivity --ei contract 1 --es id " in started
    assert " --es do measure --ei runs 3" in started


@pytest.fixture
def looks(phone):
    """When it was looked whether an answer is there."""
    found = []

    class Commands(list):
        def append(self, command):
            if "cat files/bench" in command:
                found.append(time.monotonic())
            super().append(command)

    phone.commands = Commands(phone.commands)
    return found


def test_while_the_app_sleeps_until_its_ticks_nobody_asks_for_the_answer(loaded, looks):
    began = time.monotonic()
    assert len(loaded.ask("measure", timeout=60, runs=21, every_ms=50, turn=1, turns=2)["samples_ns"]) == 21
    assert looks[0] - began > 20 * 0.1
    assert len(looks) <= 5


def test_while_the_app_measures_nobody_asks_before_it_can_be_done(loaded, looks):
    shortest = min(loaded.ask("measure", timeout=60, runs=50)["samples_ns"]) / 1e9
    del looks[:]
    runs, began = round(1.5 / shortest), time.monotonic()
    shortest = min(shortest, *(each / 1e9 for each in loaded.ask("measure", timeout=60, runs=runs)["samples_ns"]))
    assert looks[0] - began >= min(1.5, runs * shortest)
    began, runs = time.monotonic(), round(1 / shortest)
    del looks[:]
    loaded.ask("warm_up", timeout=60, runs=runs, seconds=0)
    assert looks[0] - began >= 0.99


def test_an_error_of_the_app_is_said(loaded):
    with pytest.raises(WorkerError, match="load: "):
        loaded.ask("load", timeout=60, path="/nothing.onnx", runtime="onnxruntime", threads=1)


def test_an_app_that_crashes(loaded, phone):
    (there,) = running(phone)
    (phone.folder / "logcat").write_text(
        "FATAL EXCEPTION: main\njava.lang.OutOfMemoryError: Failed to allocate\n\tat org.falconedge...\n"
    )
    killed_at_work(there)
    with pytest.raises(WorkerError, match=r"measure: the app crashed: java\.lang\.OutOfMemoryError: Failed") as caught:
        loaded.ask("measure", timeout=60, runs=10**9)
    assert caught.value.kind == "exit"


def test_an_app_that_does_not_answer_is_stopped(loaded, phone):
    with pytest.raises(WorkerError, match="measure: no answer within 1 s"):
        loaded.ask("measure", timeout=1, runs=10**9)
    assert gone(lambda: running(phone))


def test_an_answer_that_stays_half_written(loaded, phone):
    (phone.folder / "half").touch()
    with pytest.raises(WorkerError, match="the app's answer is damaged: update the app"):
        loaded.ask("measure", timeout=4, runs=2)


def test_an_app_that_was_removed_meanwhile(loaded, phone):
    (phone.folder / "installed").unlink()
    with pytest.raises(WorkerError, match=r"measure: the app cannot be started \(Error type 3\)"):
        loaded.ask("measure", timeout=5, runs=2)


def test_unplugged_while_measuring(phone, candidates):
    cut = Amid(phone.unplug)
    results = bench(
        candidates,
        AdbDevice("adb"),
        Protocol(runs=10**8, seconds=0.0, processes=1, warm_up_seconds=0.0, every=0),
        progress=cut,
    )
    cut.timer.join()
    for entry in results.entries:
        assert entry.failure.kind == "device"
        assert "adb" in entry.failure.message
