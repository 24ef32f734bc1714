"""A phone over adb: the real adb client against a server of ours whose phone is a shell on this machine."""

import os
import time

import pytest
from phone import ADB
from waiting import Amid, gone, killed_at_work

from runtime_bench.bench import Protocol, bench
from runtime_bench.devices.adb import AdbDevice, phones
from runtime_bench.devices.local import LocalDevice
from runtime_bench.errors import BenchInputError, DeviceError, WorkerError

if ADB is None and "CI" not in os.environ:
    pytest.skip("no adb here: apt-get install adb", allow_module_level=True)
pytestmark = pytest.mark.xdist_group("adb")
QUICK = Protocol(runs=6, processes=2, seconds=0.0, rounds=1, warm_up_runs=1, warm_up_seconds=0.0, every=0)


@pytest.fixture
def phone(plug):
    return plug()


@pytest.fixture
def device(phone):
    device = AdbDevice("adb")
    yield device
    device.close()


def started(device, path):
    worker = device.start_worker()
    worker.ask("load", timeout=60, path=device.push(path), runtime="onnxruntime", threads=1)
    return worker


def test_phones_are_listed_with_what_to_do(plug):
    plug(others=[("AAAA", "unauthorized"), ("10.0.0.2:5555", "offline")])
    found = {phone.serial: phone for phone in phones()}
    assert [phone.state for phone in found.values()] == ["device", "unauthorized", "offline"]
    assert found["emulator-9999"].model == "A_Phone"
    assert found["emulator-9999"].remedy is None
    assert found["AAAA"].remedy == "allow USB debugging on its screen"
    assert "adb reconnect offline" in found["10.0.0.2:5555"].remedy


def test_a_phone_gives_what_this_machine_gives(phone, candidates):
    there, here = (bench(candidates, where, QUICK) for where in (AdbDevice("adb:emulator-9999"), LocalDevice()))
    for one, other in zip(there.entries, here.entries, strict=True):
        assert (one.failure, one.device) == (None, "adb:emulator-9999")
        assert one.summary.count >= 6
        assert (one.quality, one.agreement, one.runtime) == (other.quality, other.agreement, other.runtime)
    assert there.before.kernel == here.before.kernel
    assert gone(phone.workers)


def test_nothing_is_sent_twice_and_clean_leaves_nothing(phone, files, tmp_path):
    remote = None
    for _ in range(2):
        device = AdbDevice("adb", clean=False)
        remote = device.push(files["vgg.onnx"])
        assert phone.folder.joinpath(remote).read_bytes() == files["vgg.onnx"].read_bytes()
        device.close()
    assert sum("mv " in command for command in phone.commands) == 1  # the move of the one that was sent
    device = AdbDevice("adb", clean=True)
    assert device.environment().python != "none"
    device.close()
    assert not os.path.exists(device.folder)


def test_a_file_with_a_hostile_name(device, files, tmp_path):
    path = tmp_path / "$(touch hacked) '; touch hacked; \".onnx"
    path.write_bytes(files["vgg.onnx"].read_bytes())
    assert device.push(path) == device.push(files["vgg.onnx"])
    with started(device, path) as worker:
        assert worker.ask("measure", timeout=60, runs=2)["samples_ns"]
    assert not list(tmp_path.rglob("hacked"))


def test_commands_say_how_they_ended(device):
    assert device.call("exit 3").code == 3
    assert device.call("printf 'no end of line'").out == b"no end of line"
    with pytest.raises(DeviceError, match=r"adb: 'cat nothing' failed there \(cat: nothing: No such file"):
        device.run("cat nothing")


# -- what goes wrong --


@pytest.mark.parametrize("name", ["adb:", "adb:a b", "adb:a;b", "adb:$(x)", "adbx"])
def test_names_that_are_none(name):
    with pytest.raises(BenchInputError, match=r"not of the form adb\[:SERIAL\]"):
        AdbDevice(name)


def test_phones_that_cannot_be_used(plug):
    phone = plug(others=[("AAAA", "unauthorized"), ("BBBB", "offline"), ("CCCC", "device")])
    for name, said in (
        ("adb:AAAA", "adb:AAAA is unauthorized: allow USB debugging on its screen"),
        ("adb:BBBB", "adb:BBBB is offline: plug it in again"),
        ("adb:DDDD", r"adb:DDDD is not plugged in; adb lists emulator-9999 \(device\), AAAA"),
        ("adb", r"adb lists several phones: .*; name one, as in adb:emulator-9999"),
    ):
        with pytest.raises(DeviceError, match=said):
            AdbDevice(name).environment()
    phone.state, phone.others = None, []
    with pytest.raises(DeviceError, match="adb lists no phone: plug one in"):
        AdbDevice("adb").environment()


def test_without_adb(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DeviceError, match="adb is not installed here"):
        AdbDevice("adb").environment()


def test_a_phone_without_python(plug):
    phone = plug(python=None)
    phone.answer_by("exit 127")
    with pytest.raises(DeviceError, match="adb has no python3"):
        AdbDevice("adb").environment()


def test_unplugged_while_measuring(phone, candidates):
    cut = Amid(phone.unplug)
    began = time.monotonic()
    results = bench(
        candidates,
        AdbDevice("adb"),
        Protocol(runs=10**7, seconds=0.0, processes=1, warm_up_seconds=0.0, every=0),
        progress=cut,
    )
    cut.timer.join()
    assert time.monotonic() - began < 60
    for entry in results.entries:
        assert entry.failure.kind in ("connection", "device")
    assert gone(phone.workers)


def test_unplugged_while_sending(phone, device, tmp_path):
    large = tmp_path / "large.onnx"
    with large.open("wb") as file:
        file.truncate(2**27)
    assert device.environment()

    phone.breaks_after = 2**20
    with pytest.raises(DeviceError, match=r"adb: (large\.onnx could not be sent|the connection was lost)"):
        device.push(large)
    assert not list(phone.folder.rglob("*.onnx"))


def test_a_worker_that_is_killed(phone, device, files):
    with started(device, files["vgg.onnx"]) as worker:
        (there,) = phone.workers()
        killed_at_work(there)
        with pytest.raises(WorkerError, match="measure: the worker was killed by SIGKILL") as caught:
            worker.ask("measure", timeout=60, runs=10**9)
    assert (caught.value.kind, caught.value.signal) == ("signal", "SIGKILL")


def test_a_worker_that_does_not_answer_is_killed_there(phone, device, files):
    with started(device, files["vgg.onnx"]) as worker, pytest.raises(WorkerError, match="no answer within 1 s"):
        worker.ask("measure", timeout=1, runs=10**9)
    assert gone(phone.workers)
