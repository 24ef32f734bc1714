"""A board over SSH: the real ssh and scp against a real sshd on this machine."""

import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest
from board import SSHD, Board
from environments import environment
from waiting import Amid, gone, killed_at_work

from runtime_bench.bench import Protocol, bench
from runtime_bench.devices.local import LocalDevice
from runtime_bench.devices.python import OLDEST_PYTHON
from runtime_bench.devices.ssh import SshDevice
from runtime_bench.environment import local_environment
from runtime_bench.errors import BenchInputError, DeviceError, WorkerError
from runtime_bench.golden import Tolerance
from runtime_bench.profile import Graph, add_profiles
from runtime_bench.validity import NOT_PROFILED

if SSHD is None and "CI" not in os.environ:
    pytest.skip("no sshd here: apt-get install openssh-server", allow_module_level=True)
pytestmark = pytest.mark.xdist_group("ssh")
QUICK = Protocol(runs=6, processes=2, seconds=0.0, rounds=1, warm_up_runs=1, warm_up_seconds=0.0, every=0)


@pytest.fixture
def board(tmp_path_factory, monkeypatch):
    board = Board(tmp_path_factory.mktemp("b"))
    monkeypatch.setenv("PATH", f"{board.path}:{os.environ['PATH']}")
    yield board
    board.hang_up()


@pytest.fixture
def device(board):
    device = SshDevice("ssh://board")
    yield device
    device.close()


def stored(board):
    return sorted(path for path in (board.home / ".cache/falcon-edge").rglob("*") if path.is_file())


def test_a_board_gives_what_this_machine_gives(board, device, candidates):
    protocol = replace(QUICK, every=0.02, ticks=4, cold=True)
    there, here = (bench(candidates, where, protocol) for where in (device, LocalDevice()))
    device.close()
    for one, other in zip(there.entries, here.entries, strict=True):
        assert (one.failure, one.device, one.emulated) == (None, "ssh://board", False)
        assert one.summary.count >= 6
        assert (one.paced.summary.count, one.paced.every_ms, one.cold.summary.count) == (4, 20.0, 4)
        assert {burst.process for burst in one.bursts} == {0, 1}
        assert (one.quality, one.agreement, one.runtime) == (other.quality, other.agreement, other.runtime)
        assert one.agreement[0].max_abs == 0
        assert one.memory.peak > one.memory.after_load // 2
        assert one.cpus == other.cpus
    assert there.before.cpu == local_environment().cpu
    assert there.before.kernel == here.before.kernel
    assert gone(board.workers)
    # The worker, both runtimes, both files, the input, the images: under the hash of what is in them, and nothing else.
    names = [path.name for path in stored(board)]
    assert len(names) == 7
    assert all(len(name.partition(".")[0]) == 32 for name in names)


def test_nothing_is_sent_twice(board, candidates):
    times = []
    for _ in range(2):
        with closing(SshDevice("ssh://board")) as device:
            assert bench(candidates[:1], device, replace(QUICK, processes=1)).entries[0].failure is None
        times.append([path.stat().st_ctime_ns for path in stored(board)])
    assert times[0] == times[1]


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + b"?"])
def test_what_is_there_under_the_hash_of_a_file_and_is_none_is_sent_anew(board, device, files, damage):
    """Half of it, and as much of something else; found out at every load, not at the first alone."""
    remote = device.push(files["vgg.onnx"])
    for _ in range(2):
        (board.home / remote).write_bytes(damage(files["vgg.onnx"].read_bytes()))
        assert device.push(files["vgg.onnx"]) == remote
        assert (board.home / remote).read_bytes() == files["vgg.onnx"].read_bytes()


def test_two_benches_that_send_one_file_do_not_share_its_parts(board, device, files):
    other, parts = SshDevice("ssh://board"), []
    for each in (device, other):
        send = each._send
        each._send = lambda path, remote, send=send: parts.append(remote) or send(path, remote)
        (board.home / each.push(files["vgg.onnx"])).unlink()
    other.close()
    assert len(set(parts)) == 2


def test_half_a_file_is_sent_anew(board, device, files):
    remote = device.push(files["vgg.onnx"])
    (board.home / remote).write_bytes(b"half")
    again = SshDevice("ssh://board")
    assert again.push(files["vgg.onnx"]) == remote
    again.close()
    assert (board.home / remote).read_bytes() == files["vgg.onnx"].read_bytes()


def test_clean_leaves_nothing_behind(board, candidates):
    with closing(SshDevice("ssh://board", clean=True)) as device:
        assert bench(candidates[:1], device, QUICK).entries[0].failure is None
    assert not (board.home / ".cache/falcon-edge").exists()


def test_it_may_be_used_again_after_it_was_closed(device, files):
    device.push(files["vgg.onnx"])
    device.close()
    assert device.push(files["vgg.onnx"])


# -- what goes wrong --


@pytest.mark.parametrize(
    "name",
    ["ssh://", "ssh://-oProxyCommand=x", "ssh://a b", "ssh://a;b", "ssh://a/path", "ssh://u:secret@a", "ssh://a:x"],
)
def test_names_that_are_none(name):
    with pytest.raises(BenchInputError, match=r"not of the form ssh://\[user@\]host\[:port\]"):
        SshDevice(name)


def test_a_refused_connection(board, device):
    board.hang_up()
    with pytest.raises(DeviceError, match=r"ssh://board: cannot be reached \(.*Connection refused\)"):
        device.environment()


def test_an_unknown_host_key(board, device):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", board.folder / "other"], check=True)
    board.trust((board.folder / "other.pub").read_text())
    with pytest.raises(DeviceError, match=r"Host key verification failed.*connect once by hand"):
        device.environment()


def test_a_lost_connection_while_measuring(board, device, candidates):
    cut = Amid(board.hang_up)
    started = time.monotonic()
    results = bench(candidates, device, replace(QUICK, seconds=1000.0), progress=cut)
    cut.timer.join()
    assert time.monotonic() - started < 60
    for entry in results.entries:
        assert entry.failure.kind in ("connection", "device")
        assert "ssh://board" in entry.failure.message
    assert gone(board.workers)


def test_a_connection_lost_before_profiling_keeps_what_was_measured(board, device, candidates):
    results = bench(candidates, device, QUICK)
    board.hang_up()
    graphs = {candidate.path: Graph(()) for candidate in candidates}
    profiled = add_profiles(results, candidates, graphs, device, QUICK, candidates)
    assert [entry.summary for entry in profiled.entries] == [entry.summary for entry in results.entries]
    assert (profiled.peaks, profiled.interrupted) == (None, False)
    for entry in profiled.entries:
        assert entry.failure is None
        assert [flag.flag for flag in entry.flags if flag.flag == NOT_PROFILED] == [NOT_PROFILED]


def test_a_lost_connection_while_sending(board, device, tmp_path):
    large = tmp_path / "large.onnx"
    with large.open("wb") as file:
        file.truncate(2**29)

    def pull_the_cable():
        while not list(board.home.rglob("*.part")):
            time.sleep(0.01)
        board.hang_up()

    cable = threading.Thread(target=pull_the_cable)
    cable.start()
    with pytest.raises(DeviceError, match=r"ssh://board: large\.onnx could not be sent \(.*(lost|closed|reset)"):
        device.push(large)
    cable.join()
    assert not list(board.home.rglob("*.onnx"))  # a file is there as a whole or under another name


def test_a_worker_that_is_killed(board, device, files):
    with device.start_worker() as worker:
        request = {"path": device.push(files["vgg.onnx"]), "runtime": "onnxruntime", "threads": 1}
        worker.ask("load", timeout=60, **request)
        (there,) = board.workers()
        killed_at_work(there)
        with pytest.raises(WorkerError, match="measure: the worker was killed by SIGKILL") as caught:
            worker.ask("measure", timeout=60, runs=10**9)
    assert (caught.value.kind, caught.value.signal) == ("signal", "SIGKILL")


def test_a_worker_that_does_not_answer_is_killed_there(board, device, files):
    with device.start_worker() as worker:
        request = {"path": device.push(files["vgg.onnx"]), "runtime": "onnxruntime", "threads": 1}
        worker.ask("load", timeout=60, **request)
        with pytest.raises(WorkerError, match="no answer within 1 s"):
            worker.ask("measure", timeout=1, runs=10**9)
    assert gone(board.workers, 5)


def test_a_board_without_python(board, device):
    board.answer_by("exit 127")  # as a shell says it of what is not there
    with pytest.raises(DeviceError, match=r"ssh://board has no python3: install it there \(apt-get install python3"):
        device.environment()


def test_a_python_that_is_too_old(board, device):
    board.answer_by("""echo '{"python": "3.7.9", "modules": [], "cpus": [0]}'""")
    with pytest.raises(DeviceError, match=r"ssh://board has Python 3\.7\.9; 3\.8 or newer is needed there"):
        device.environment()


def test_a_board_whose_python_is_for_another_machine(board, device):
    board.answer_by("echo 'cannot execute binary file: Exec format error' >&2; exit 126")
    with pytest.raises(DeviceError, match=r"its python3 does not answer \(cannot execute binary file"):
        device.environment()


def test_a_missing_runtime_costs_its_own_files_only(board, candidates):
    """A Python with numpy and ONNX Runtime, but without LiteRT."""
    hidden = board.folder / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util, sys\nfind = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if 'lite' in name else find(name, *rest)\n"
    )
    board.answer_by(f'PYTHONPATH={hidden} exec {sys.executable} "$@"')
    with closing(SshDevice("ssh://board")) as device:
        results = bench(candidates, device, QUICK)
    one, other = results.entries
    assert one.failure is None
    assert other.failure.kind == "missing-runtime"
    assert other.failure.message == (
        "ssh://board lacks ai-edge-litert: run 'python3 -m pip install ai-edge-litert' there"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk(board, device, files):
    (board.home / ".cache").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", board.home / ".cache"]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no disk can be mounted here")
    try:
        with pytest.raises(
            DeviceError, match=r"ssh://board: no room for vgg\.onnx: 0\.0 MB, and 0\.0 MB are free there"
        ):
            device.push(files["vgg.onnx"])
        assert stored(board) == []
    finally:
        device.close()
        subprocess.run(["umount", board.home / ".cache"], check=True)


@pytest.mark.slow
def test_the_oldest_python_with_the_last_runtimes_for_it(board, files, candidates, request):
    python = environment("python-3.8", request.config.cache, OLDEST_PYTHON).folder / "bin/python"
    board.answer_by(f'exec {python} "$@"')
    close = [replace(candidate, tolerances=(Tolerance(rtol=1e-5),)) for candidate in candidates]
    with closing(SshDevice("ssh://board")) as device:
        there = bench(close, device, QUICK)
    assert there.before.python.startswith("3.8.")
    assert [(entry.failure, entry.agreement[0].within_tolerance) for entry in there.entries] == [(None, True)] * 2
    found = [(entry.runtime.package, entry.runtime.version) for entry in there.entries]
    assert found == [("onnxruntime", "1.19.2"), ("tflite-runtime", "2.14.0")]
    assert all(entry.summary.count >= 6 and entry.quality[0].samples == 40 for entry in there.entries)
