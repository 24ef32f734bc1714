"""Energy where the kernel counts it, on folders as powercap has them: no machine that this ran on had such counters."""

import sys

import pytest

from runtime_bench import worker as worker_module
from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.devices.local import LocalDevice

# worker.py with a counter that takes 5 J between two looks at it.
COUNTING = """
import runtime_bench.worker as w
w.POWERCAP, contents = {folder!r}, w.contents
def counted(path):
    text = contents(path)
    if path.endswith("energy_uj"):
        with open(path, "w") as file:
            file.write(str((int(text) + 5_000_000) % 262143328850))
    return text
w.contents = counted
w.main()
"""


@pytest.fixture
def zone(tmp_path, monkeypatch):
    """Makes a zone of powercap."""
    monkeypatch.setattr(worker_module, "POWERCAP", str(tmp_path))

    def zone(folder, name, energy, most=262143328850):
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        for file, value in (("name", name), ("energy_uj", energy), ("max_energy_range_uj", most)):
            (path / file).write_text(f"{value}\n")
        return path

    return zone


def test_all_packages_are_added_and_nothing_twice(zone):
    zone("intel-rapl:0", "package-0", 1_000_000)
    zone("intel-rapl:1", "package-1", 7_000_000)
    zone("intel-rapl:0:0", "core", 500_000)
    zone("intel-rapl:2", "psys", 9_000_000)
    before = worker_module.energy()
    zone("intel-rapl:0", "package-0", 3_500_000)
    zone("intel-rapl:1", "package-1", 7_250_000)
    zone("intel-rapl:0:0", "core", 2_000_000)
    zone("intel-rapl:2", "psys", 90_000_000)
    assert worker_module.joules(before, worker_module.energy()) == 2.75


def test_a_counter_that_begins_anew(zone):
    zone("intel-rapl:0", "package-0", 9_900_000, most=10_000_000)
    before = worker_module.energy()
    zone("intel-rapl:0", "package-0", 300_000, most=10_000_000)
    assert worker_module.joules(before, worker_module.energy()) == 0.4


def test_where_nothing_counts_nothing_is_said(zone, tmp_path):
    assert worker_module.energy() == {}
    assert worker_module.joules({}, {}) is None
    zone("intel-rapl:0", "psys", 1)
    assert worker_module.energy() == {}
    damaged = zone("intel-rapl:1", "package-0", "<unknown>")
    assert worker_module.energy() == {}
    (damaged / "energy_uj").unlink()
    assert worker_module.energy() == {}


def test_one_package_that_cannot_be_read_is_no_sum(zone):
    zone("intel-rapl:0", "package-0", 1)
    before = worker_module.energy()
    (zone("intel-rapl:1", "package-1", 1) / "energy_uj").unlink()
    assert worker_module.energy() == {}
    assert worker_module.joules(before, worker_module.energy()) is None


def test_an_inference_takes_its_share_of_what_all_bursts_took(zone, tmp_path, files):
    zone("intel-rapl:0", "package-0", 262_140_000_000)
    device = LocalDevice((sys.executable, "-c", COUNTING.format(folder=str(tmp_path))))
    protocol = Protocol(runs=24, seconds=0.0, processes=2, rounds=3, warm_up_runs=1, warm_up_seconds=0.0, every=0)
    candidate = Candidate(files["vgg.onnx"], "onnxruntime", "vgg", "onnx", "fp32")
    (entry,) = bench([candidate], device, protocol).entries
    assert entry.failure is None
    assert entry.energy_j == pytest.approx(6 * 5 / 24)
