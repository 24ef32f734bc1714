"""Boards and phones with the shell, tools, Python and runtimes of an arm64 machine, which QEMU emulates.

What they take is emulated time, and nothing here looks at it.
"""

import os
import signal
import threading
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from math import ceil, log2

import pytest
import torch
from arm64 import require
from arm64_machine import DEGREES, GOVERNOR, MHZ, Machine
from board import SSHD, Board
from phone import ADB
from small_networks import Branches, samples
from waiting import gone

from converters import onnx_graph
from converters.onnx_export import export_onnx
from converters.quantization.arm_rounding import with_arm_rounding
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import quantize
from converters.quantization.twin import signed_twin
from converters.tflite.emit import emit_tflite
from runtime_bench import worker as worker_module
from runtime_bench.bench import Protocol, bench
from runtime_bench.devices.adb import AdbDevice
from runtime_bench.devices.app import PACKAGE
from runtime_bench.devices.arm64.cpus import CORES
from runtime_bench.devices.arm64.device import NATIVE
from runtime_bench.devices.local import LocalDevice
from runtime_bench.devices.ssh import SshDevice
from runtime_bench.environment import DUMP, remote_files
from runtime_bench.errors import DeviceError, WorkerError
from runtime_bench.golden import Tolerance

if NATIVE:
    pytest.skip("this machine is an arm64 one", allow_module_level=True)
pytestmark = pytest.mark.xdist_group("arm64 sessions")  # one process of xdist makes the machine
QUICK = Protocol(runs=2, processes=1, seconds=0.0, rounds=1, warm_up_runs=1, warm_up_seconds=0.0, every=0)


@pytest.fixture(scope="module")
def machine(request, tmp_path_factory):
    return Machine(request.config.cache, tmp_path_factory.mktemp("arm64"))


@pytest.fixture
def board(machine, tmp_path_factory, monkeypatch):
    if SSHD is None:
        require("no sshd here: apt-get install openssh-server")
    board = Board(tmp_path_factory.mktemp("b"))
    machine.be_board(board)
    monkeypatch.setenv("PATH", f"{board.path}:{os.environ['PATH']}")
    yield board
    board.hang_up()


@pytest.fixture
def ssh(board):
    device = SshDevice("ssh://board")
    yield device
    device.close()


@pytest.fixture
def phone(machine, plug):
    if ADB is None:
        require("no adb here: apt-get install adb")
    phone = plug(python=None)
    machine.be_phone(phone)
    return phone


@pytest.fixture
def adb(phone):
    device = AdbDevice("adb")
    yield device
    device.close()


@pytest.fixture
def app(phone, machine):
    """The phone with the app."""
    phone.install(worker_module.__file__, machine.python())
    return phone


@pytest.fixture
def close(candidates):
    """fp32 in both formats: ARM adds the same numbers in another order."""
    return [replace(candidate, tolerances=(Tolerance(rtol=1e-5),)) for candidate in candidates]


@pytest.fixture
def int8(files, candidate, tmp_path):
    """int8 in both formats, whose answers have to have the same bits."""
    made = quantize(onnx_graph.load(files["vgg.onnx"]), samples((3, 24, 24), 16))
    paths = tmp_path / "int8.onnx", tmp_path / "int8.tflite"
    onnx_graph.save(write_qdq(made.model, made.spec), paths[0])
    emit_tflite(made.model, paths[1], quantization=made.spec)
    return [candidate(path, "int8") for path in paths]


@pytest.fixture
def check(probe):
    return partial(checked, probe)


def checked(probe, there, candidates):
    """What a machine measured, all of it, and its answers are those of this one."""
    here = bench(candidates, LocalDevice(), QUICK, probe=probe)
    for one, other in zip(there.entries, here.entries, strict=True):
        assert (one.failure, one.emulated) == (None, False)
        assert one.agreement[0].within_tolerance
        assert (one.quality, one.runtime) == (other.quality, other.runtime)
        assert one.quality[0].samples == 40
        assert one.summary.count >= QUICK.runs
    for state in (there.before, there.after):
        assert (state.machine, state.cores, state.governor) == ("aarch64", CORES, GOVERNOR)
        assert (state.frequencies_mhz, state.temperatures_c) == ((MHZ,) * CORES, {"thermal_zone0:cpu": DEGREES})


@contextmanager
def measuring(device, path):
    """A worker on a device that has a file loaded, and its measurement, which does not end by itself."""
    with device.start_worker() as worker:
        worker.ask("load", timeout=60, path=device.push(path), runtime="onnxruntime", threads=1)
        yield lambda timeout=60: worker.ask("measure", timeout=timeout, runs=10**9)


def soon(action, *words):
    """Have something happen in the middle of a measurement."""
    threading.Timer(1.0, action, words).start()


# -- a board over SSH --


@pytest.mark.parametrize("format", [pytest.param(0, id="onnx"), pytest.param(1, id="tflite", marks=pytest.mark.slow)])
def test_a_board_answers_as_this_machine_and_says_that_it_is_an_arm64_one(board, ssh, close, format, check):
    there = bench([close[format]], ssh, QUICK)
    check(there, [close[format]])
    assert "CPU part\t: 0xd08" in remote_files(ssh.run(DUMP))["proc/cpuinfo"]
    assert gone(board.workers)
    assert ssh.call("gcc").code == 127  # nothing of this machine is a command there


def test_a_board_without_a_runtime_says_what_to_install(board, ssh, machine, tmp_path):
    """Debian's Python with numpy's real wheel and ONNX Runtime's, and with none."""
    for name in ("numpy", "numpy.libs", "onnxruntime"):
        (tmp_path / name).symlink_to(machine.packages / name)
    board.answer_by(f'exec {machine.python("-S", PYTHONPATH=tmp_path)} "$@"')
    assert ssh.lacks("onnxruntime") is None
    assert ssh.lacks("litert") == "ssh://board lacks ai-edge-litert: run 'python3 -m pip install ai-edge-litert' there"
    ssh.close()
    board.answer_by(f'exec {machine.python("-S")} "$@"')
    assert ssh.lacks("onnxruntime") == (
        "ssh://board lacks numpy and onnxruntime: run 'python3 -m pip install numpy onnxruntime' there"
    )


def test_a_python_for_another_machine(board, ssh, machine):
    (board.tools / "python3").write_bytes(machine.program_for_another())
    with pytest.raises(DeviceError, match=r"ssh://board: its python3 does not answer \(.*Exec format error"):
        ssh.environment()


@pytest.mark.slow
def test_int8_on_a_board_has_the_same_bits_and_clean_leaves_nothing(board, int8, check):
    with closing(SshDevice("ssh://board", clean=True)) as device:
        there = bench(int8, device, QUICK)
    check(there, int8)
    assert all(entry.agreement[0].max_abs == 0 for entry in there.entries)
    assert not (board.home / ".cache/falcon-edge").exists()


@pytest.mark.slow
def test_additions_in_int8_round_on_a_board_as_arm_does(ssh, candidate, tmp_path):
    """And otherwise than here: with scales that are powers of two many sums end in a half, and pass for wrong."""
    path, rounded = tmp_path / "added.onnx", tmp_path / "rounded.onnx"
    export_onnx(Branches(3, 8, 2).eval(), torch.zeros(1, 3, 24, 24), path, simplify=False)
    made = quantize(onnx_graph.load(path), samples((3, 24, 24), 16))
    powers = {name: replace(a, scale=2.0 ** ceil(log2(a.scale))) for name, a in made.spec.activations.items()}
    quantized = write_qdq(made.model, replace(made.spec, activations=powers))
    onnx_graph.save(quantized, path)
    onnx_graph.save(with_arm_rounding(signed_twin(quantized)), rounded)
    plain = replace(candidate(path, "int8"), evaluation=None)
    found = bench([replace(plain, rounded=rounded), plain], ssh, QUICK).entries
    assert (found[0].failure, found[0].agreement[0].max_abs) == (None, 0)
    assert found[1].failure.kind == "wrong-outputs"


@pytest.mark.slow
def test_a_worker_that_is_killed_on_a_board(board, ssh, files):
    with measuring(ssh, files["vgg.onnx"]) as measure:
        (there,) = board.workers()
        soon(os.kill, there, signal.SIGKILL)
        with pytest.raises(WorkerError, match="measure: the worker was killed by SIGKILL") as caught:
            measure()
    assert (caught.value.kind, caught.value.signal) == ("signal", "SIGKILL")


@pytest.mark.slow
def test_a_worker_that_hangs_on_a_board_is_killed_there(board, ssh, files):
    with measuring(ssh, files["vgg.onnx"]) as measure, pytest.raises(WorkerError, match="no answer within 1 s"):
        measure(timeout=1)
    assert gone(board.workers, 5)


@pytest.mark.slow
def test_a_lost_connection_to_a_board(board, ssh, files):
    with measuring(ssh, files["vgg.onnx"]) as measure:
        assert board.workers()
        soon(board.hang_up)
        with pytest.raises(WorkerError, match="measure: the connection to ssh://board was lost") as caught:
            measure()
    assert caught.value.kind == "connection"
    assert gone(board.workers)


# -- a phone over adb --


def test_a_python_for_another_machine_on_a_phone(phone, adb, machine):
    (phone.tools / "python3").write_bytes(machine.program_for_another())
    with pytest.raises(DeviceError, match=r"adb: its python3 does not answer \(.*python3: not executable: 64-bit ELF"):
        adb.environment()


@pytest.mark.slow
@pytest.mark.parametrize("format", [pytest.param(0, id="onnx"), pytest.param(1, id="tflite")])
def test_the_app_on_a_phone_answers_as_this_machine(app, close, format, check):
    with closing(AdbDevice("adb")) as phone:
        there = bench([close[format]], phone, QUICK)
    check(there, [close[format]])
    assert (there.before.battery, there.before.python) == ("87%, discharging", "none")
    assert not list(app.folder.glob("appdata/files/bench/*"))
    assert gone(app.workers)


@pytest.mark.slow
def test_int8_by_the_app_has_the_same_bits_and_clean_removes_it(app, int8, check):
    with closing(AdbDevice("adb", clean=True)) as device:
        there = bench(int8, device, QUICK)
    check(there, int8)
    assert all(entry.agreement[0].max_abs == 0 for entry in there.entries)
    assert not AdbDevice("adb").has_app
    assert not (app.folder / "data/falcon-edge").exists()


@pytest.mark.slow
def test_a_phone_with_python_answers_as_this_machine(phone, close, int8, check):
    with closing(AdbDevice("adb", clean=True)) as device:
        there = bench([*close, *int8], device, QUICK)
    check(there, [*close, *int8])
    assert all(entry.agreement[0].max_abs == 0 for entry in there.entries[len(close) :])
    assert gone(phone.workers)
    assert not (phone.folder / "data/falcon-edge").exists()


@pytest.mark.slow
def test_an_app_that_crashes_on_a_phone(app, adb, files):
    with measuring(adb, files["vgg.onnx"]) as measure:
        (app.folder / "logcat").write_text("Fatal signal 9 (SIGKILL)\n")
        soon(os.kill, int(adb.run(f"pidof {PACKAGE}")), signal.SIGKILL)
        with pytest.raises(WorkerError, match=r"measure: the app crashed: Fatal signal 9") as caught:
            measure()
    assert caught.value.kind == "exit"


@pytest.mark.slow
def test_a_worker_that_is_killed_on_a_phone(phone, adb, files):
    with measuring(adb, files["vgg.onnx"]) as measure:
        (there,) = phone.workers()
        soon(os.kill, there, signal.SIGKILL)
        with pytest.raises(WorkerError, match="measure: the worker was killed by SIGKILL"):
            measure()


@pytest.mark.slow
def test_a_phone_that_is_unplugged(phone, adb, files):
    with measuring(adb, files["vgg.onnx"]) as measure:
        assert phone.workers()
        soon(phone.unplug)
        with pytest.raises(WorkerError, match="measure: the connection to adb was lost") as caught:
            measure()
    assert caught.value.kind == "connection"
    assert gone(phone.workers)
