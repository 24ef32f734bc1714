"""check: a model against its baseline, with real workers."""

import sys
from dataclasses import replace

import pytest

from falcon_edge.errors import BadInput
from falcon_edge.steps.bench import Selection, bench
from falcon_edge.steps.check import PROTOCOL, check_models
from runtime_bench.devices.local import LocalDevice
from runtime_bench.regression import Tolerances, Verdict
from runtime_bench.results import save

QUICK = replace(PROTOCOL, runs=16, seconds=0.0, processes=2, rounds=1, warm_up_runs=1, warm_up_seconds=0.0)
LOOSE = Tolerances(latency=20.0, memory=5.0)
ONNX = Selection(runtimes=["ort"])
# The second worker of every pair loads the baseline: it alone is quick.
SLOW = """
import os, runpy, sys, time
worker = runpy.run_path(sys.argv[1], run_name="worker")
run = worker["OnnxRuntime"].run
def slow(self, value):
    time.sleep(SECONDS)
    return run(self, value)
worker["OnnxRuntime"].run = slow
worker["main"]()
"""


class Slowed(LocalDevice):
    """Every worker but those of the baseline sleeps before it answers."""

    def __init__(self, seconds, times=10**9):
        super().__init__()
        self.seconds, self.times, self.started = seconds, times, 0

    def start_worker(self):
        self.started += 1
        late = self.started % 2 == 1 and self.started <= self.times
        self._python = (sys.executable, "-c", SLOW.replace("SECONDS", str(self.seconds))) if late else (sys.executable,)
        return super().start_worker()


def test_a_model_against_itself_has_no_regression(exported):
    checked = check_models(exported[0], exported[0], LOOSE, protocol=QUICK, selection=ONNX)
    assert checked.verdict is Verdict.passed
    assert {finding.figure for finding in checked.findings} == {"latency", "memory", "size", "macs", "parameters"}
    assert len(checked.results.entries) == 2


def test_a_slow_model_is_a_regression_that_was_measured_twice(exported):
    device = Slowed(0.02)
    checked = check_models(exported[0], exported[0], Tolerances(), protocol=QUICK, device=device, selection=ONNX)
    assert checked.verdict is Verdict.regression
    assert device.started == 2 * 2 * QUICK.processes


def test_a_regression_that_a_second_run_does_not_find_is_none(exported):
    device = Slowed(0.02, times=2 * QUICK.processes)
    checked = check_models(exported[0], exported[0], LOOSE, protocol=QUICK, device=device, selection=ONNX)
    strict = Slowed(0.02, times=2 * QUICK.processes)
    unconfirmed = check_models(
        exported[0], exported[0], LOOSE, protocol=QUICK, device=strict, selection=ONNX, confirm=False
    )
    assert checked.verdict is not Verdict.regression
    assert unconfirmed.verdict is Verdict.regression
    assert (device.started, strict.started) == (4 * QUICK.processes, 2 * QUICK.processes)


def test_a_larger_network_fails_by_size_and_counts(exported):
    standard, compressed = exported
    checked = check_models(standard, compressed, LOOSE, protocol=QUICK, selection=ONNX)
    assert checked.verdict is Verdict.regression
    worse = {finding.figure for finding in checked.findings if finding.verdict is Verdict.regression}
    assert {"size", "macs", "parameters"} <= worse


def test_results_are_compared_without_measuring(exported, tmp_path):
    path = tmp_path / "results.json"
    results = bench(exported[:1], QUICK, selection=ONNX)
    save(results, path)
    checked = check_models(path, path, LOOSE)
    assert checked.results is None
    assert checked.verdict is Verdict.passed
    other = results.model_copy(update={"before": results.before.model_copy(update={"cpu": "another"})})
    save(other, tmp_path / "other.json")
    moved = check_models(tmp_path / "other.json", path, Tolerances())
    assert moved.verdict is Verdict.inconclusive
    assert {finding.figure for finding in moved.findings if finding.verdict is Verdict.passed} == {
        "size", "macs", "parameters",
    }  # fmt: skip


def test_results_and_models_are_not_compared(exported, tmp_path):
    with pytest.raises(BadInput, match="two results files, or two models"):
        check_models(exported[0], tmp_path / "results.json", Tolerances())
