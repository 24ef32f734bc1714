"""bench on two phones at once, by the real adb client."""

import os
import sys

import pytest
from phone import ADB, Phone
from rack import Rack

from falcon_edge.steps.several import bench_each
from runtime_bench.bench import Protocol
from runtime_bench.devices.adb import AdbDevice, phones
from runtime_bench.errors import DeviceError

if ADB is None and "CI" not in os.environ:
    pytest.skip("adb is not installed", allow_module_level=True)
pytestmark = pytest.mark.xdist_group("exported")  # one process makes the exported bundles
QUICK = Protocol(runs=3, processes=2, seconds=0.0, rounds=1, warm_up_runs=1, warm_up_seconds=0.0)
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
    devices = [AdbDevice(f"adb:{serial}") for serial in SERIALS]
    for device, phone in zip(devices, plugged, strict=True):
        device.folder = f"{phone.folder}/data/falcon-edge"
    yield plugged, devices
    rack.close()
    for phone in plugged:
        phone.close()


def test_two_phones_are_measured_at_once(two, exported):
    plugged, devices = two
    assert [phone.serial for phone in phones()] == [*SERIALS]
    found = bench_each([exported[0]], QUICK, devices)
    for results, device, phone in zip(found, devices, plugged, strict=True):
        assert results.options["device"] == device.name
        assert [entry.failure for entry in results.entries] == [None, None]
        assert all(entry.agreement.within_tolerance for entry in results.entries)
        assert list((phone.folder / "data/falcon-edge").glob("*.onnx"))  # what it ran was sent to it
        assert any("worker" in command for command in phone.commands)
        assert not phone.workers()


def test_a_phone_that_is_gone_costs_the_other_nothing(two, exported):
    plugged, devices = two
    plugged[1].state = "unauthorized"
    plugged[0].others[:] = [(SERIALS[1], "unauthorized")]
    first, second = bench_each([exported[0]], QUICK, devices)
    assert [entry.failure for entry in first.entries] == [None, None]
    assert isinstance(second, DeviceError)
    assert "allow USB debugging on its screen" in str(second)
