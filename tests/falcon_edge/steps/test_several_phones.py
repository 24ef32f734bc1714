"""bench on two phones at once, by the real adb client."""

import os
import sys
import threading
import time

import pytest
from phone import ADB, Phone
from rack import Rack
from typer.testing import CliRunner
from waiting import gone

from falcon_edge.cli.main import app
from falcon_edge.steps.bench import BenchRequest
from falcon_edge.steps.several import bench_each
from runtime_bench.bench import Protocol
from runtime_bench.devices.adb import AdbDevice, phones
from runtime_bench.errors import DeviceError
from runtime_bench.results import load

if ADB is None and "CI" not in os.environ:
    pytest.skip("adb is not installed", allow_module_level=True)
QUICK = Protocol(runs=3, processes=2, seconds=0.0, rounds=1, warm_up_runs=1, warm_up_seconds=0.0, every=0)
SERIALS = "emulator-9999", "10.0.0.7:5555"


@pytest.fixture
def two(tmp_path, monkeypatch):
    """Two phones, and the devices that they are by their serial numbers."""
    others = [(SERIALS[1], "device")]
    plugged = [
        Phone(tmp_path / str(number), serial, sys.executable, others if number == 0 else ())
        for number, serial in enumerate(SERIALS)
    ]
    rack = Rack(plugged)
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(rack.port))
    monkeypatch.setattr(AdbDevice, "folder", "data/falcon-edge")  # of the folder that stands for each phone
    yield plugged, [AdbDevice(f"adb:{serial}") for serial in SERIALS]
    rack.close()
    for phone in plugged:
        phone.close()


def test_two_phones_are_measured_at_once(two, exported):
    plugged, devices = two
    assert [phone.serial for phone in phones()] == [*SERIALS]
    found = bench_each([exported[0]], BenchRequest(QUICK), devices)
    for results, device, phone in zip(found, devices, plugged, strict=True):
        assert results.options["device"] == device.name
        assert [entry.failure for entry in results.entries] == [None, None]
        assert all(entry.agreement[0].within_tolerance for entry in results.entries)
        assert list((phone.folder / "data/falcon-edge").glob("*.onnx"))  # what it ran was sent to it
        assert any("worker" in command for command in phone.commands)
        assert not phone.workers()


def test_a_phone_that_is_gone_costs_the_other_nothing(two, exported):
    plugged, devices = two
    plugged[1].state = "unauthorized"
    plugged[0].others[:] = [(SERIALS[1], "unauthorized")]
    first, second = bench_each([exported[0]], BenchRequest(QUICK), devices)
    assert [entry.failure for entry in first.entries] == [None, None]
    assert isinstance(second, DeviceError)
    assert "allow USB debugging on its screen" in str(second)


def bench_command(exported, folder, *options):
    names = [word for serial in SERIALS for word in ("--device", f"adb:{serial}")]
    words = [
        "bench",
        *exported,
        *names,
        "--processes",
        "1",
        "--ticks",
        "2",
        *options,
        "-o",
        folder / "results.json",
        "-q",
    ]
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done, [folder / f"results.adb-{serial.replace(':', '-')}.json" for serial in SERIALS]


def test_one_command_writes_a_file_for_each_phone_which_are_read_together(two, exported, tmp_path):
    done, files = bench_command(
        exported, tmp_path, "--runs", "4", "--seconds", "0", "--warm-up", "0", "--target", "onnx"
    )
    assert (done.exit_code, done.stderr) == (0, "")
    for serial, file in zip(SERIALS, files, strict=True):
        assert f"adb:{serial}" in done.stdout
        assert [entry.failure for entry in load(file).entries] == [None, None]
    compared = CliRunner().invoke(app, ["compare", *map(str, files), "--across", "device"])
    assert compared.exit_code == 0
    assert all(compared.stdout.count(f"adb:{serial}") == 4 for serial in SERIALS)  # in each of two tables


def test_a_phone_unplugged_in_the_middle_is_failed_entries_and_the_other_goes_on(two, exported, tmp_path):
    plugged, _ = two

    def pull_the_cable():
        while not any(" remote" in command for command in plugged[1].commands):  # which starts a worker
            time.sleep(0.01)
        plugged[1].unplug()

    thread = threading.Thread(target=pull_the_cable)
    thread.start()
    done, (one, other) = bench_command(exported[:1], tmp_path, "--runs", "4", "--seconds", "2", "--warm-up", "0")
    thread.join()
    assert done.exit_code == 4
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: adb:{SERIALS[1]}: model.fp32.onnx: ")
    assert [entry.failure for entry in load(one).entries] == [None, None]
    failed = load(other).entries
    assert [entry.model.file for entry in failed] == ["model.fp32.onnx", "model.fp32.tflite"]
    assert all(entry.failure.kind in ("connection", "device") for entry in failed)
    assert gone(plugged[1].workers)
    report = CliRunner().invoke(app, ["report", str(one), str(other), "-o", str(tmp_path / "report.html"), "-q"])
    assert report.exit_code == 0
