"""bench on several devices: at once where they share no CPU, and none of them costs another anything."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from converters.errors import ConversionError
from falcon_edge.errors import BadInput
from falcon_edge.steps.bench import BenchRequest
from falcon_edge.steps.several import bench_each, file_of
from runtime_bench.bench import Protocol
from runtime_bench.devices.local import LocalDevice
from runtime_bench.errors import BenchInputError, DeviceError
from runtime_bench.results import Results

QUICK = Protocol(runs=3, processes=1, seconds=0.0, rounds=2, warm_up_runs=1, warm_up_seconds=0.0, every=0)


class Board:
    """Another machine, to all but itself: this one's workers under another name."""

    emulated = False

    def __init__(self, name, meet=None, failure=None):
        self.name, self._here, self._meet, self._failure = name, LocalDevice(), meet, failure

    def __getattr__(self, name):
        return getattr(self._here, name)

    def environment(self):
        if self._failure is not None:
            raise self._failure
        return self._here.environment()

    def start_worker(self):
        if self._meet is not None:
            self._meet.wait(timeout=60)  # breaks unless the others come here, too
        return self._here.start_worker()


@pytest.fixture
def model(exported):
    """One file."""
    return [exported[0] / "exports/model.fp32.onnx"]


def test_devices_with_cpus_of_their_own_are_measured_at_once(model):
    meet = threading.Barrier(2)
    lines = []
    found = bench_each(
        model, BenchRequest(QUICK), [Board("a", meet), Board("b", meet)], progress=lambda *line: lines.append(line)
    )
    assert [results.options["device"] for results in found] == ["a", "b"]
    assert all(results.entries[0].summary.count >= 3 for results in found)
    assert {text.partition(":")[0] for _, _, text in lines} == {"a", "b"}
    assert lines[-1][0] == lines[-1][1]


def test_this_machine_has_its_turn_after_the_others(model):
    order = []
    found = bench_each(
        model,
        BenchRequest(QUICK),
        [LocalDevice(), Board("a")],
        progress=lambda done, total, text: order.append(text.partition(":")[0]),
    )
    assert [results.options["device"] for results in found] == ["local", "a"]
    assert order == sorted(order)  # a before local


@pytest.mark.parametrize("failure", [DeviceError("a: unplugged"), BenchInputError("a: has no CPU 9")])
def test_a_device_that_cannot_be_used_costs_the_others_nothing(model, failure):
    found = bench_each(model, BenchRequest(QUICK), [Board("a", failure=failure), Board("b"), LocalDevice()])
    assert found[0] is failure
    for results in found[1:]:
        assert results.entries[0].failure is None


def test_ctrl_c_keeps_what_every_device_has(model):
    meet = threading.Barrier(3)
    devices = [Board("a", meet), Board("b", meet)]
    many = Protocol(runs=3, processes=40, seconds=0.0, rounds=1, warm_up_runs=1, warm_up_seconds=0.0, every=0)

    def interrupt():
        meet.wait(timeout=60)
        for device in devices:
            device._meet = None
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    found = bench_each(model, BenchRequest(many), devices)
    assert len(found) == 2
    for results in found:
        assert isinstance(results, Results)
        assert results.interrupted
        assert 0 < len(results.entries[0].bursts) < 40


def test_what_no_device_can_measure_is_said(tmp_path):
    (tmp_path / "model.txt").write_text("no model")
    with pytest.raises(ConversionError, match=r"model\.txt"):
        bench_each([tmp_path / "model.txt"], BenchRequest(QUICK), [Board("a"), Board("b")])


def test_a_device_twice_is_refused(model):
    with pytest.raises(BadInput, match="a: named twice"):
        bench_each(model, BenchRequest(QUICK), [Board("a"), Board("b"), Board("a")])


def test_every_device_has_a_file_of_its_own():
    path = Path("out/results.json")
    assert file_of(path, "adb:10.0.0.2:5555") == Path("out/results.adb-10.0.0.2-5555.json")
    assert file_of(path, "ssh://pi@board:22") == Path("out/results.ssh-pi-board-22.json")
