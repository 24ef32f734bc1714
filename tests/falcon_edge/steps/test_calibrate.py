"""calibrate on a synthetic board: a real sshd and real workers, whose CPU, clock and latencies are made up."""

import hashlib
import os
import sys
from pathlib import Path

import pytest
import torch
from arm64 import userland
from board import SSHD
from timed_board import A53, TimedBoard
from torch import nn
from typer.testing import CliRunner

from converters.onnx_export import export_onnx
from converters.tflite.emit import emit_tflite
from falcon_edge.bundle import open_bundle
from falcon_edge.cli.main import app
from falcon_edge.errors import BadInput
from falcon_edge.steps import calibrate as steps
from falcon_edge.steps.bench import BenchRequest, bench
from falcon_edge.steps.calibrate import calibrate
from runtime_bench import worker
from runtime_bench.bench import Protocol
from runtime_bench.calibration import FEWEST, load
from runtime_bench.counting import cycles
from runtime_bench.devices.local import LocalDevice, LocalWorker
from runtime_bench.devices.ssh import SshDevice
from runtime_bench.errors import BenchInputError, DeviceError
from runtime_bench.results import load as load_results

if SSHD is None and "CI" not in os.environ:
    pytest.skip("no sshd here: apt-get install openssh-server", allow_module_level=True)
pytestmark = pytest.mark.xdist_group("ssh")
QUICK = Protocol(runs=3, processes=1, seconds=0.0, rounds=1, warm_up_runs=1, warm_up_seconds=0.0, every=0)
COSTS = 1.7, 9.0, 140.0  # cycles of the board
MHZ = 1500


def network(channels, depth, pixels, hidden):
    """Convolutions that compute, and a fully connected layer that reads memory."""
    stem = [nn.Conv2d(3, channels, 3, 2, 1), nn.ReLU()]
    body = [layer for _ in range(depth) for layer in (nn.Conv2d(channels, channels, 3, 1, 1), nn.ReLU())]
    head = [nn.Flatten(), nn.Linear(channels * (pixels // 2) ** 2, hidden), nn.ReLU(), nn.Linear(hidden, 4)]
    return nn.Sequential(*stem, *body, *head).eval()


# Channels, depth, pixels, hidden: from what computes most of the time to what is larger than the second cache.
NETWORKS = ((16, 2, 32, 8), (64, 3, 24, 8), (32, 0, 16, 512), (16, 1, 32, 256), (32, 4, 48, 16))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Ten files: NETWORKS in two formats."""
    folder = tmp_path_factory.mktemp("files")
    torch.manual_seed(0)
    found = []
    for channels, depth, pixels, hidden in NETWORKS:
        path = folder / f"net-{channels}-{depth}-{pixels}-{hidden}.onnx"
        pixel = torch.zeros(1, 3, pixels, pixels)
        export_onnx(network(channels, depth, pixels, hidden), pixel, path, simplify=False)
        emit_tflite(path, path.with_suffix(".tflite"))
        found += [path, path.with_suffix(".tflite")]
    return found


@pytest.fixture
def board(tmp_path_factory, monkeypatch):
    """Makes a board that `ssh board` leads to."""
    made = []

    def board(**options):
        made.append(TimedBoard(tmp_path_factory.mktemp("b"), mhz=MHZ, **options))
        monkeypatch.setenv("PATH", f"{made[0].path}:{os.environ['PATH']}")
        return made[0]

    yield board
    for each in made:
        each.hang_up()


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def nanoseconds(counted):
    """What counts take on the board, by file."""
    return {
        name: 1000 / MHZ * sum(cost * count for cost, count in zip(COSTS, counts, strict=True))
        for name, counts in counted.items()
    }


class Canned(LocalDevice):
    """Stands for the emulated CPU: what a file's inference counts is said beforehand."""

    name, emulated = "arm64:cortex-a72", True

    def __init__(self, counted):
        super().__init__()
        self._counted = counted

    def fastest_cpus(self, count):
        return None

    def lacks_cycles(self):
        return None

    def start_counter(self):
        return CannedCounter(self._counted)


class CannedCounter(LocalWorker):
    def __init__(self, counted):
        super().__init__((sys.executable, worker.__file__))
        self._counted = counted

    def ask(self, action, **request):
        if action == "load":
            self._loaded = sha256(Path(request["path"]))
        if action != "count":
            return super().ask(action, **request)
        cycles, l1_misses, l2_misses = self._counted[self._loaded]
        nothing = dict.fromkeys(("instructions", "loads", "stores", "bytes_loaded", "bytes_stored"), 0)
        misses = {"l1_misses": l1_misses, "l2_misses": l2_misses}
        return {"cpu": "cortex-a72", "cycles": (cycles, 9 * cycles), "cycle_model": "LLVM"} | nothing | misses


@pytest.fixture(scope="module")
def table(files):
    """What an inference of every file counts, by its hash: of what no one is a multiple of the other."""
    counts = [(1e6 * (1 + index), 30_000 * (index * 3 % 11), 9_000 * (index % 3)) for index in range(len(files))]
    return dict(zip(map(sha256, files), counts, strict=True))


@pytest.fixture
def counted(table, monkeypatch):
    """The same, and the CPU that stands for the emulated one counts it."""
    monkeypatch.setattr(steps, "arm64_device", lambda cpu: {"cortex-a72": Canned(table)}[cpu.name])
    return table


@pytest.fixture(scope="module")
def calibrated(files, table, tmp_path_factory):
    """The file of a calibrated board, and what the command said; one of the models was named twice."""
    there = TimedBoard(tmp_path_factory.mktemp("b"), mhz=MHZ)
    there.takes(nanoseconds(table))
    path = tmp_path_factory.mktemp("calibration") / "board.calibration.json"
    try:
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setenv("PATH", f"{there.path}:{os.environ['PATH']}")
            monkeypatch.setattr(steps, "arm64_device", lambda cpu: {"cortex-a72": Canned(table)}[cpu.name])
            monkeypatch.setattr(steps, "Protocol", lambda every: QUICK)
            done = run("devices", "calibrate", "ssh://board", *files, files[0], "-o", path)
    finally:
        there.hang_up()
    return path, done


def test_the_coefficients_of_the_board_are_found(calibrated, table):
    path, done = calibrated
    assert done.exit_code == 0, done.output
    assert "board (A Synthetic Board) at 1500 MHz: cortex-a72" in done.stdout
    assert done.stderr.splitlines()[-1] == f"written to {path}"
    found = load(path)
    assert [each.value for each in found.coefficients.values()] == pytest.approx(COSTS, rel=1e-4)
    assert found.largest_error < 1e-4
    assert (found.board, found.board_cpu, found.cpu, found.mhz) == ("board", "A Synthetic Board", "cortex-a72", MHZ)
    assert [each.sha256 for each in found.observations] == [*table]
    assert set(found.runtimes) == {"onnxruntime", "litert"}
    assert found.runtimes == found.counted_runtimes
    assert found.flags == ()


@pytest.mark.slow
def test_a_clock_that_changed_is_refused(board, files, counted, monkeypatch):
    there = board()
    there.takes(nanoseconds(counted))

    def slowing(*arguments, **options):
        results = bench(*arguments, **options)
        there.ticks(there.cpus[-1], 0.95 * MHZ)
        return results

    monkeypatch.setattr(steps, "bench", slowing)
    with pytest.raises(DeviceError, match=r"its clock changed \(1500 MHz before and 1425 MHz after the run\): cool"):
        calibrate(SshDevice("ssh://board"), files, protocol=QUICK)


# -- what is refused before anything is measured --


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"part": A53}, BadInput, r"no cycle model of cortex-a53: "),
        (
            {"part": 0xD05},
            BadInput,
            r"board has the CPU 0xd05 of 0x41; known are cortex-a72, .*, neoverse-n1: .* `cpu`$",
        ),
        ({"part": None}, BadInput, r"board does not tell its CPU; known are "),
        (
            {"governor": "ondemand"},
            DeviceError,
            r"its clock is not fixed \(governor ondemand\): run 'echo perf.* there$",
        ),
        ({"bits": 32}, DeviceError, r"its system has 32 bits, and the emulated one 64"),
    ],
)
def test_boards_that_cannot_be_calibrated(board, files, counted, options, kind, said):
    board(**options)
    with pytest.raises(kind, match=said):
        calibrate(SshDevice("ssh://board"), files, protocol=QUICK)


def test_a_board_that_does_not_tell_its_clock(board, files):
    there = board()
    there.ticks(there.cpus[-1], None)
    with pytest.raises(DeviceError, match=r"not tell its clock \(there is no /sys/.*/scaling_cur_freq\): .*`mhz`$"):
        calibrate(SshDevice("ssh://board"), files, protocol=QUICK)


def test_a_clock_that_is_told_is_not_given(board, files):
    board()
    with pytest.raises(BadInput, match="tells its clock, 1500 MHz: leave `mhz` out"):
        calibrate(SshDevice("ssh://board"), files, mhz=2000, protocol=QUICK)


def test_the_cpu_may_be_chosen(board, files, counted):
    there = board(part=0xD05, governor="powersave")
    with pytest.raises(DeviceError, match="governor powersave"):  # the next thing that it looks at
        calibrate(SshDevice("ssh://board"), files, cpu="a72", protocol=QUICK)
    assert there.workers() == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cpu": "a53"}, "no cycle model of cortex-a53"),
        ({"cpu": "z80"}, "z80: no such CPU; emulated are cortex-a53, cortex-a72, cortex-a76, neoverse-n1"),
    ],
)
def test_cpus_that_cannot_be_chosen(files, options, said):
    with pytest.raises((BadInput, BenchInputError), match=said):
        calibrate(SshDevice("ssh://nowhere.invalid"), files, **options)


def test_fewer_than_eight_files(files):
    with pytest.raises(BadInput, match="7 files: a calibration takes at least 8; export more models"):
        calibrate(SshDevice("ssh://nowhere.invalid"), files[:7])


@pytest.mark.slow
def test_without_llvm_the_board_is_not_asked_to_measure(board, files, monkeypatch):
    userland()
    there = board()
    monkeypatch.setattr(cycles, "_tools", lambda: None)
    with pytest.raises(DeviceError, match=r"llvm-mca of LLVM 17 or newer: missing; apt-get install llvm-19"):
        calibrate(SshDevice("ssh://board"), files, protocol=QUICK)
    assert not list(there.home.rglob("*.onnx"))


# -- the commands --


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def test_bench_estimates_by_a_calibration(calibrated, files, table, tmp_path, monkeypatch):
    monkeypatch.setattr("runtime_bench.devices.names.arm64_device", lambda cpu: Canned(table))
    output = tmp_path / "results.json"
    done = run("bench", files[3], "--device", "arm64:a72", "--calibration", calibrated[0], "-o", output)
    assert done.exit_code == 0, done.output
    (entry,) = load_results(output).entries
    assert entry.counts.estimate.ns == pytest.approx(nanoseconds(table)[entry.model.sha256], rel=1e-4)
    assert f"{entry.counts.estimate.ns / 1e6:.3f} ms ± 1%" in done.stdout
    assert "estimated: on board, by its calibration" in done.stdout
    assert entry.summary is None


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("local", "local is measured, not estimated: --calibration is for the device arm64:cortex-a72"),
        ("arm64:a76", "the calibration of board is of cortex-a72, and not of cortex-a76"),
    ],
)
def test_bench_refuses_a_calibration_of_something_else(calibrated, files, device, said):
    if device != "local":
        userland()
    done = run("bench", files[0], "--device", device, "--calibration", calibrated[0])
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == f"error: {said}"


@pytest.fixture
def machine(monkeypatch, table):
    """Has this machine be an arm64 one, with the CPU and the clock that are given."""

    def machine(part, **cpufreq):
        (cpu,) = LocalDevice().fastest_cpus(1)
        block = f"processor\t: {cpu}\nCPU implementer\t: 0x41\nCPU part\t: {part:#x}"
        clock = {f"sys/devices/system/cpu/cpu{cpu}/cpufreq/{name}": text for name, text in cpufreq.items()}
        monkeypatch.setattr(steps, "NATIVE", True)
        monkeypatch.setattr(steps, "local_files", lambda: {"proc/cpuinfo": block} | clock)
        monkeypatch.setattr(steps, "arm64_device", lambda cpu: {"cortex-a72": Canned(table)}[cpu.name])

    return machine


N2 = 0xD49


@pytest.mark.slow
def test_this_machine_is_calibrated_if_it_is_an_arm64_one(files, table, machine):
    """A virtual one, whose CPU is not emulated and whose clock is not told; its latencies are this host's."""
    machine(N2)
    with pytest.raises(BadInput, match=r"^local has the CPU 0xd49 of 0x41; known are "):
        calibrate(LocalDevice(), files, protocol=QUICK)
    with pytest.raises(DeviceError, match=r"^local: does not tell its clock"):
        calibrate(LocalDevice(), files, cpu="a72", protocol=QUICK)
    found = calibrate(LocalDevice(), files, cpu="a72", mhz=3400, protocol=QUICK)
    assert (found.board, found.cpu, found.mhz) == ("local", "cortex-a72", 3400)
    assert {each.sha256 for each in found.observations} <= set(table)
    (untold,) = [flag for flag in found.flags if flag.flag == "clock-untold"]
    assert "cycles of one of 3400 MHz" in untold.reason


def test_a_clock_that_this_machine_tells_must_be_fixed(files, machine):
    machine(0xD08, scaling_cur_freq="1500000", scaling_governor="schedutil")
    with pytest.raises(DeviceError, match=r"^local: its clock is not fixed \(governor schedutil\)"):
        calibrate(LocalDevice(), files, protocol=QUICK)


def test_calibrate_refuses_what_is_no_board(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "NATIVE", False)
    done = run("devices", "calibrate", "local", "-o", tmp_path / "board.json")
    assert done.exit_code == 2
    assert done.stderr == "error: local: this machine is no arm64 one; name a board, or calibrate on one that is\n"
    done = run("devices", "calibrate", "board", "-o", tmp_path / "board.json")
    assert done.exit_code == 2
    assert done.stderr == "error: board: not of the form ssh://[user@]host[:port]\n"
    done = run("devices", "calibrate", "ssh://board", "-o", tmp_path / "missing" / "board.json")
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr


@pytest.mark.slow
def test_the_network_that_ships_with_us_gives_enough_files(tmp_path):
    paths = steps._shipped(tmp_path, lambda done, total, text: None)
    files = [bundle.file(each.file) for bundle in map(open_bundle, paths) for each in bundle.manifest.exports]
    assert len({sha256(path) for path in files}) == 16 > FEWEST


@pytest.mark.slow
def test_a_board_is_calibrated_by_what_its_emulation_counts(board, files, tmp_path):
    """Its latencies are what real counts take: these are found again, and the coefficients with them."""
    userland()
    results = bench(files, BenchRequest(Protocol()), device="arm64:cortex-a72")
    counts = {entry.model.sha256: entry.counts for entry in results.entries}
    assert all(each.cycles[0] > 0 for each in counts.values())
    board().takes(
        nanoseconds({name: (each.cycles[0], each.l1_misses, each.l2_misses) for name, each in counts.items()})
    )
    path = tmp_path / "board.calibration.json"
    done = run("devices", "calibrate", "ssh://board", *files, "-o", path)
    assert done.exit_code == 0, done.output
    found = load(path)
    assert [each.value for each in found.coefficients.values()] == pytest.approx(COSTS, rel=0.05)
    assert found.largest_error < 0.02
    output = tmp_path / "results.json"
    done = run("bench", files[5], "--device", "arm64:cortex-a72", "--calibration", path, "-o", output)
    assert done.exit_code == 0, done.output
    (entry,) = load_results(output).entries
    (there,) = [each for each in found.observations if each.sha256 == entry.model.sha256]
    assert entry.counts.estimate.ns == pytest.approx(there.ns, rel=0.02)
    assert not {"extrapolated", "other-cycle-model"} & {flag.flag for flag in entry.flags}
