"""Workers on an emulated CPU, in real processes: what holds for local ones holds for them."""

import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from arm64 import emulated, userland

from runtime_bench.devices.arm64 import device as arm64
from runtime_bench.devices.arm64.cpus import DEFAULT
from runtime_bench.devices.device import CountingDevice
from runtime_bench.devices.local import LocalDevice
from runtime_bench.devices.names import device_named
from runtime_bench.errors import BenchInputError, CannotCount, WorkerError

pytestmark = pytest.mark.xdist_group("arm64 device")  # one process of xdist starts the worker
GIBIBYTE = 1 << 30
PARENT = """
from runtime_bench.devices.names import device_named
worker = device_named("arm64:cortex-a72").start_worker()
worker.ask("load", timeout=60, path={path!r}, runtime="litert", threads=1)
print(worker.pid, flush=True)
worker.ask("warm_up", timeout=600, runs=1, seconds=600)
"""


@pytest.fixture(scope="module")
def device():
    device = emulated()
    yield device
    device.close()


@pytest.fixture(scope="module")
def worker(device, files):
    """A worker with a file loaded, and its reply."""
    with device.start_worker() as worker:
        request = {"path": str(files["vgg.onnx"]), "runtime": "onnxruntime", "threads": 1}
        yield worker, worker.ask("load", timeout=120, memory_limit=8 * GIBIBYTE, **request)


def status(pid, name):
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


def test_it_is_an_emulated_device_that_counts(device):
    assert isinstance(device, CountingDevice)
    assert not isinstance(LocalDevice(), CountingDevice)
    assert (device.name, device.emulated) == ("arm64:cortex-a72", True)
    environment = device.environment()
    assert environment.machine == "aarch64"
    assert environment.cpu.startswith("cortex-a72, emulated by QEMU ")
    assert platform.machine() in environment.kernel
    assert environment.python == userland().versions["python"]
    assert environment.frequencies_mhz == ()


def test_a_native_machine_is_no_emulated_one(monkeypatch):
    monkeypatch.setattr(arm64, "NATIVE", True)
    native = arm64.arm64_device()
    assert (native.name, native.emulated) == ("arm64", False)
    assert emulated().emulated  # a CPU that is named is emulated there, too
    assert arm64.arm64_device(DEFAULT).emulated


def test_a_file_is_loaded_and_run(worker):
    _, reply = worker
    assert reply["runtime"]["version"] == userland().versions["onnxruntime"]
    assert reply["input"] == {"shape": [1, 3, 24, 24], "dtype": "float32", "layout": "NCHW"}


def test_memory_is_that_of_the_program_without_the_emulator(worker):
    handle, reply = worker
    memory = handle.ask("memory", timeout=60)
    assert memory["peak"] is None
    assert reply["memory_before_load"] < memory["resident"] < status(handle.pid, "VmRSS") - (1 << 20)
    assert memory["resident"] > 30 << 20  # Python, numpy and ONNX Runtime


def test_its_address_space_is_limited_from_outside(worker, files):
    handle, _ = worker
    assert resource.prlimit(handle.pid, resource.RLIMIT_AS) == (8 * GIBIBYTE, 8 * GIBIBYTE)
    request = {"path": str(files["resnet.onnx"]), "runtime": "onnxruntime", "threads": 1}
    handle.ask("load", timeout=120, memory_limit=9 * GIBIBYTE, **request)  # the limit of the first file stays
    assert resource.prlimit(handle.pid, resource.RLIMIT_AS) == (8 * GIBIBYTE, 8 * GIBIBYTE)


def test_a_run_without_end_is_ended_by_the_kernel(device, files):
    with device.start_worker() as worker:
        worker.ask("load", timeout=60, path=str(files["vgg.tflite"]), runtime="litert", threads=1)
        with pytest.raises(WorkerError, match="warm_up: the worker was killed by SIGXCPU"):
            worker.ask("warm_up", timeout=120, cpu_seconds=0.5, runs=1, seconds=100)


def test_it_dies_with_its_parent_in_the_middle_of_a_run(files):
    userland()
    script = PARENT.format(path=str(files["vgg.tflite"]))
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    worker = Path("/proc", parent.stdout.readline().strip(), "stat")
    before = worker.read_text().split()[13]
    while worker.read_text().split()[13] == before:  # until it burns time: it is warming up
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 20
    while running(worker) and time.monotonic() < until:
        time.sleep(0.01)
    assert not running(worker)


def running(stat):
    """Whether a process is alive: neither gone nor a zombie."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_without_plugins_nothing_is_counted(device, tmp_path):
    qemu = tmp_path / "qemu"
    qemu.write_text('#!/bin/sh\n[ "$1" = -h ] && exit\nexec qemu-aarch64 "$@"\n')
    qemu.chmod(0o700)
    with pytest.raises(CannotCount, match=r"QEMU \d+\.\d+\S* as it is built here takes no plugins"):
        emulated(qemu=str(qemu)).start_counter()


def test_unknown_cpus_are_refused():
    with pytest.raises(BenchInputError, match="a99: no such CPU"):
        device_named("arm64:a99")
