"""check: a model against its baseline, with real workers."""

import subprocess
import sys
from dataclasses import replace

import pytest

from falcon_edge.errors import BadInput
from falcon_edge.steps.bench import BenchRequest, Selection, bench
from falcon_edge.steps.check import PROTOCOL, check_models
from runtime_bench.devices.local import LocalDevice
from runtime_bench.errors import BenchInputError
from runtime_bench.history import read
from runtime_bench.regression import UNRESTFUL, Tolerances, Verdict
from runtime_bench.results import Failure, Flag, save, summarise

QUICK = replace(
    PROTOCOL, runs=16, seconds=0.0, processes=2, rounds=1, warm_up_runs=1, warm_up_seconds=0.0, every=0.005, ticks=8
)
LOOSE = Tolerances(latency=20.0, paced=20.0, memory=5.0)
ONNX = Selection(runtimes=["ort"])
# The second worker of every pair loads the baseline: it alone is quick.
SLOW = """
import os, runpy, sys, time
worker = runpy.run_path(sys.argv[1], run_name="worker")
load = worker["Worker"].load
def slowed(self, **request):
    reply, run = load(self, **request), self.model.run
    def slow(value):
        time.sleep(SECONDS)
        return run(value)
    self.model.run = slow
    return reply
worker["Worker"].load = slowed
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


def at_rest(results):
    """The same without doubts: so few samples are noisy, and other tests run beside."""
    return results.model_copy(
        update={"entries": tuple(each.model_copy(update={"flags": ()}) for each in results.entries)}
    )


def test_a_model_against_itself_has_no_regression(exported):
    checked = check_models(exported[0], exported[0], LOOSE, protocol=QUICK, selection=ONNX)
    assert checked.verdict is Verdict.passed
    assert {finding.figure for finding in checked.findings} == {
        *("latency", "paced", "memory", "size"),
        *("macs", "parameters", "operators"),
    }
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
    results = at_rest(bench(exported[:1], BenchRequest(QUICK, selection=ONNX)))
    save(results, path)
    checked = check_models(path, path, LOOSE)
    assert checked.results is None
    assert checked.verdict is Verdict.passed
    other = results.model_copy(update={"before": results.before.model_copy(update={"cpu": "another"})})
    save(other, tmp_path / "other.json")
    moved = check_models(tmp_path / "other.json", path, Tolerances())
    assert moved.verdict is Verdict.inconclusive
    assert {finding.figure for finding in moved.findings if finding.verdict is Verdict.passed} == {
        "size", "macs", "parameters", "operators",
    }  # fmt: skip


@pytest.mark.parametrize("flag", UNRESTFUL)
@pytest.mark.parametrize("doubtful", ["new", "old"])
def test_results_of_a_machine_that_was_not_at_rest_are_inconclusive(exported, tmp_path, flag, doubtful):
    results = at_rest(bench(exported[:1], BenchRequest(QUICK, selection=ONNX)))
    (entry,) = results.entries
    doubt = Flag(flag=flag, reason="of other work", remedy="stop it")
    shaken = results.model_copy(update={"entries": (entry.model_copy(update={"flags": (doubt,)}),)})
    for name in ("new", "old"):
        save(shaken if name == doubtful else results, tmp_path / f"{name}.json")
    checked = check_models(tmp_path / "new.json", tmp_path / "old.json", LOOSE)
    for figure, latency in zip(("latency", "paced"), checked.findings, strict=False):
        assert (latency.figure, latency.verdict) == (figure, Verdict.inconclusive)
        assert f"is in doubt ({flag}: of other work)" in latency.reason
    assert {finding.verdict for finding in checked.findings[2:]} == {Verdict.passed}


def test_what_is_inconclusive_goes_on_as_long_as_it_is_told(exported):
    device = Slowed(0.0)
    never = Tolerances(latency=0.0, paced=20.0, memory=5.0)  # the interval of equal models has 0 within
    checked = check_models(
        exported[0], exported[0], never, protocol=QUICK, device=device, selection=ONNX, patience=10.0, confirm=False
    )
    runs = checked.looks.runs
    assert len(runs) > 1
    assert checked.looks.confidence == pytest.approx(1 - 0.05 / len(runs))
    assert device.started == 2 * QUICK.processes * checked.runs
    assert {burst.process for entry in checked.results.entries for burst in entry.bursts} == set(
        range(QUICK.processes * checked.runs)
    )
    assert checked.measured.startswith(f"{checked.runs} run")


def test_without_patience_it_is_looked_at_once(exported):
    never = Tolerances(latency=0.0, paced=20.0, memory=5.0)
    checked = check_models(exported[0], exported[0], never, protocol=QUICK, selection=ONNX, patience=0.0, confirm=False)
    assert (checked.looks.runs, checked.looks.confidence, checked.runs) == ((1,), pytest.approx(0.95), 1)


@pytest.mark.parametrize("patience", [-1.0, float("nan"), float("inf")])
def test_a_patience_without_meaning_is_refused(exported, patience):
    with pytest.raises(BadInput, match=r"`patience` .*: is a number of seconds"):
        check_models(exported[0], exported[0], LOOSE, patience=patience)


def test_what_was_measured_is_kept_with_the_ratio_to_the_baseline(exported, tmp_path):
    path = tmp_path / "history.jsonl"
    standard, compressed = exported
    checked = check_models(compressed, standard, LOOSE, protocol=QUICK, selection=ONNX, history=path)
    (line,) = read(path)
    new, old = checked.results.entries
    assert (line.sha256, line.baseline) == (new.model.sha256, old.model.sha256)
    assert line.p50_ns == new.summary.p50_ns
    assert line.ratio == pytest.approx(1 + checked.findings[0].change)
    assert (line.memory, line.bytes) == (new.memory.peak, new.model.bytes)


def test_a_drift_in_the_history_is_a_regression_though_the_model_passes_beside_its_baseline(exported, tmp_path):
    """Half as fast as it was, as its history has it."""
    path, old, new = tmp_path / "history.jsonl", tmp_path / "old.json", tmp_path / "new.json"
    results = at_rest(bench(exported[:1], BenchRequest(QUICK, selection=ONNX)))
    (entry,) = results.entries
    bursts = [burst.model_copy(update={"samples_ns": tuple(2 * t for t in burst.samples_ns)}) for burst in entry.bursts]
    slow = entry.model_copy(update={"bursts": tuple(bursts), "summary": summarise(bursts)})
    for number in range(12):
        made = results.model_copy(update={"created": f"{number}", "entries": (entry if number < 6 else slow,)})
        save(made, new)
        save(made, old)
        checked = check_models(new, old, LOOSE, history=path)
        assert checked.verdict is Verdict.passed
    again = check_models(new, old, Tolerances(), history=path)
    assert again.verdict is Verdict.regression
    (drift,) = [finding for finding in again.findings if finding.verdict is Verdict.regression]
    assert drift.figure == "latency over 6 runs"
    assert drift.change == pytest.approx(1.0)
    assert len(read(path)) == 12


def test_a_line_says_at_which_commit_it_was_measured(exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(bench(exported[:1], BenchRequest(QUICK, selection=ONNX)), tmp_path / "results.json")
    inputs = tmp_path / "results.json", tmp_path / "results.json"
    check_models(*inputs, LOOSE, history=tmp_path / "outside.jsonl")
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "a"],
    ):
        subprocess.run(["git", *command], check=True)
    check_models(*inputs, LOOSE, history=tmp_path / "inside.jsonl")
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert [line.commit for line in read(tmp_path / "outside.jsonl")] == [None]
    assert [line.commit for line in read(tmp_path / "inside.jsonl")] == [head]


def test_a_damaged_history_is_found_before_anything_is_measured(exported, tmp_path):
    (tmp_path / "history.jsonl").write_text("{}\n")
    device = Slowed(0.0)
    with pytest.raises(BenchInputError, match="line 1 is not of a history"):
        check_models(exported[0], exported[0], LOOSE, device=device, history=tmp_path / "history.jsonl")
    assert device.started == 0


class Interrupted(LocalDevice):
    def start_worker(self):
        raise KeyboardInterrupt


def test_an_interrupted_measurement_says_nothing(exported, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        check_models(exported[0], exported[0], LOOSE, protocol=QUICK, device=Interrupted(), selection=ONNX)


def test_of_results_only_what_is_selected_is_compared(exported, tmp_path):
    path = tmp_path / "results.json"
    results = bench(exported[:1], BenchRequest(QUICK))
    save(results, path)
    assert {entry.runtime.name for entry in results.entries} == {"onnxruntime", "litert"}
    checked = check_models(path, path, LOOSE, selection=Selection(runtimes=["tflite"]))
    assert {finding.place for finding in checked.findings} == {"litert, 1 thread, local"}
    with pytest.raises(BadInput, match=r"results\.json: has no entry that is selected"):
        check_models(path, path, LOOSE, selection=Selection(precisions=["int8"]))
    unloaded = [entry.model_copy(update={"runtime": None, "failure": FAILED}) for entry in results.entries]
    save(results.model_copy(update={"entries": tuple(unloaded)}), path)
    checked = check_models(path, path, LOOSE, selection=Selection(runtimes=["tflite"]))
    assert [finding.model for finding in checked.findings if finding.figure == "failure"] == [
        "standard, model.fp32.tflite"
    ]


@pytest.mark.parametrize(
    "given", [{"device": "local"}, {"data": "sample"}, {"class_map": {}}, {"confirm": True}, {"patience": 1.0}]
)
def test_what_only_measuring_uses_is_refused_for_results(tmp_path, given):
    with pytest.raises(BadInput, match=f"are results, and nothing is measured; leave `{next(iter(given))}` out"):
        check_models(tmp_path / "a.json", tmp_path / "b.json", Tolerances(), **given)


class Missing(LocalDevice):
    """A device without LiteRT."""

    def lacks(self, runtime):
        return "there is no LiteRT" if runtime == "litert" else super().lacks(runtime)


def test_without_a_runtime_there_is_no_verdict(exported):
    checked = check_models(exported[0], exported[0], LOOSE, protocol=QUICK, device=Missing())
    assert checked.verdict is None
    (failed,) = [finding for finding in checked.findings if finding.failed]
    assert failed.says == "it failed: there is no LiteRT"


def test_a_file_that_cannot_be_loaded_is_a_regression_at_once(exported):
    """It is not measured a second time, in which it may be well."""
    device = Broken()
    checked = check_models(exported[0], exported[0], LOOSE, protocol=QUICK, device=device, selection=ONNX)
    assert checked.verdict is Verdict.regression
    (found,) = [finding for finding in checked.findings if finding.figure == "failure"]
    assert "cannot be loaded today" in found.says
    assert device.started == 1 + QUICK.processes


class Broken(Slowed):
    """The first worker, which is of the new model, cannot load it."""

    def __init__(self):
        super().__init__(0.0, times=0)

    def start_worker(self):
        worker = super().start_worker()
        if self.started > 1:
            return worker
        worker.__exit__(None, None, None)
        self._python = (sys.executable, "-c", BROKEN)
        return LocalDevice.start_worker(self)


BROKEN = """
import runpy, sys
worker = runpy.run_path(sys.argv[1], run_name="worker")
def load(self, *arguments, **options):
    raise ValueError("cannot be loaded today")
worker["Worker"].load = load
worker["main"]()
"""
FAILED = Failure(kind="runtime", message="cannot be loaded")


def test_results_and_models_are_not_compared(exported, tmp_path):
    with pytest.raises(BadInput, match="two results files, or two models"):
        check_models(exported[0], tmp_path / "results.json", Tolerances())
