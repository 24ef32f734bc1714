"""Latency as an app has it: at ticks, models in turns, and with emptied caches; and what is said of it everywhere."""

import csv
import io
import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_bench import worker as worker_module
from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.ci import benchmark_json, csv_table
from runtime_bench.compare import compare
from runtime_bench.devices.local import LocalDevice
from runtime_bench.errors import BenchInputError
from runtime_bench.history import Line, drifts, lines
from runtime_bench.interrupts import STOP, Stop, at_once
from runtime_bench.looks import may_settle, pooled
from runtime_bench.regression import Tolerances, Verdict, check
from runtime_bench.report.contents import contents
from runtime_bench.results import Burst, Cold, Flag, Paced, load, save, summarise
from runtime_bench.stats import intervals
from runtime_bench.validity import flags_apart

QUICK = Protocol(
    runs=4, seconds=0.0, processes=2, rounds=2, warm_up_runs=1, warm_up_seconds=0.0, every=0.02, ticks=8, cold=True
)
# A worker whose runs are noted: when each began and ended (monotonic ns), and that takes SECONDS longer.
NOTING = """
import os, runpy, sys, time
worker = runpy.run_path(sys.argv[1], run_name="worker")
paced = worker["Worker"].paced
def noted(self, *request):
    run = self.model.run
    def timed(value):
        began = time.monotonic_ns()
        found = run(value)
        time.sleep(SECONDS)
        with open(NOTES, "a") as file:
            file.write(f"{os.getpid()} {began} {time.monotonic_ns()}" + chr(10))
        return found
    self.model.run = timed
    try:
        return paced(self, *request)
    finally:
        self.model.run = run
worker["Worker"].paced = noted
sys.path[:] = sys.path[1:]
worker["main"]()
"""


def candidates(files, *names):
    runtimes = {".onnx": "onnxruntime", ".tflite": "litert"}
    return [
        Candidate(files[name], runtimes[files[name].suffix], name, files[name].suffix[1:], "fp32") for name in names
    ]


def noting(notes, seconds=0.0):
    script = NOTING.replace("NOTES", repr(str(notes))).replace("SECONDS", str(seconds))
    return LocalDevice((sys.executable, "-c", script))


@pytest.fixture(scope="module")
def measured(files):
    return bench(candidates(files, "vgg.onnx", "falcon.onnx", "vgg.tflite"), LocalDevice(), QUICK)


def bursts(*processes):
    return tuple(Burst(process=number, round=0, samples_ns=samples) for number, samples in enumerate(processes))


def paced(*processes, every_ms=33.0, **options):
    found = bursts(*processes)
    known = {"period_ms": 2 * every_ms, **options}
    return Paced(bursts=found, summary=summarise(found), intervals=intervals(found), every_ms=every_ms, **known)


def cold(*processes):
    found = bursts(*processes)
    return Cold(bursts=found, summary=summarise(found), intervals=intervals(found), flushed=1 << 27)


# -- ticks --


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.lists(st.integers(0, 3 * 10**9), min_size=1, max_size=8))
def test_ticks_come_when_they_are_due_and_those_that_have_passed_are_left_out(period, phase, work):
    clock = SimpleNamespace(now=12_345_678_901)

    def sleep(seconds):
        assert seconds > 0
        clock.now += max(1, round(seconds * 1e9))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_module, "time", SimpleNamespace(monotonic_ns=lambda: clock.now, sleep=sleep))
        before = clock.now
        for tick, worked in zip(worker_module.ticks(period, phase, len(work)), work, strict=True):
            assert (tick - phase) % period == 0
            assert before <= tick <= clock.now < tick + 2
            before, clock.now = tick + 1, clock.now + worked


def test_models_take_turns_and_none_meets_another_at_work(tmp_path, files):
    notes = tmp_path / "notes"
    results = bench(
        candidates(files, "vgg.onnx", "falcon.onnx", "vgg.tflite"), noting(notes), replace(QUICK, cold=False)
    )
    assert [entry.failure for entry in results.entries] == [None] * 3
    rows = sorted(tuple(map(int, line.split())) for line in notes.read_text().splitlines())
    assert len(rows) == 3 * 8
    rows.sort(key=lambda row: row[1])
    pauses = [after[1] - before[2] for before, after in pairwise(rows)]
    assert min(pauses) > 0
    for process in ({row[0] for row in rows[:12]}, {row[0] for row in rows[12:]}):
        assert len(process) == 3
    for start in range(0, 24, 3):  # each once in every round of turns
        assert len({row[0] for row in rows[start : start + 3]}) == 3


def test_a_model_that_is_slower_than_a_tick_has_more_of_them_to_itself(tmp_path, files):
    notes = tmp_path / "notes"
    protocol = replace(QUICK, every=0.01, ticks=4, processes=1)
    results = bench(candidates(files, "vgg.onnx", "falcon.onnx"), noting(notes, seconds=0.03), protocol)
    for entry in results.entries:
        assert entry.paced.missed >= 3 * 4 - 1
        (flag,) = [flag for flag in entry.flags if flag.flag == "missed-ticks"]
        assert "ticks of 10 ms" in flag.reason


# -- what is measured --


def test_every_sample_is_kept_with_its_process_and_round(measured, tmp_path):
    for entry in measured.entries:
        assert entry.failure is None
        assert [*entry.timings] == ["back to back", "paced", "cold"]
        for timing in (entry.paced, entry.cold):
            assert [(each.process, each.round) for each in timing.bursts] == [(0, 0), (0, 1), (1, 0), (1, 1)]
            assert timing.summary == summarise(timing.bursts)
            assert timing.summary.count == 8
            assert timing.intervals.p50_ns[0] <= timing.summary.p50_ns <= timing.intervals.p50_ns[1]
        assert (entry.paced.every_ms, entry.paced.period_ms) == (20.0, pytest.approx(60.0))
        assert entry.summary.count == 4
    save(measured, tmp_path / "results.json")
    assert load(tmp_path / "results.json").entries == measured.entries


def test_caches_are_emptied_by_more_than_they_hold_and_that_is_no_memory_of_the_model(measured):
    caches = measured.before.caches
    for entry in measured.entries:
        assert entry.cold.flushed >= max(4 * max(caches, default=0), 8 << 20)
        assert entry.memory.peak < entry.memory.after_load + (8 << 20)


def test_it_is_left_out_where_nobody_asks_for_it(files):
    (entry,) = bench(candidates(files, "vgg.onnx"), LocalDevice(), replace(QUICK, every=0.0, cold=False)).entries
    assert (entry.paced, entry.cold) == (None, None)


@pytest.mark.parametrize(
    ("protocol", "says"),
    [(replace(QUICK, cold=False), "has not paced"), (replace(QUICK, every=0.0), "has not emptied its caches")],
)
def test_a_worker_that_does_not_know_it_is_not_believed(files, protocol, says):
    script = """
import runpy, sys
worker = runpy.run_path(sys.argv[1], run_name="worker")
measure = worker["Worker"].measure
worker["Worker"].measure = lambda self, runs, **request: {"samples_ns": measure(self, runs)["samples_ns"]}
sys.path[:] = sys.path[1:]
worker["main"]()
"""
    (entry,) = bench(candidates(files, "vgg.onnx"), LocalDevice((sys.executable, "-c", script)), protocol).entries
    assert says in entry.failure.message
    assert entry.failure.kind == "contract"
    assert entry.summary.count == 2  # of the first process


def test_the_clock_before_at_and_after_a_tick(tmp_path, monkeypatch):
    clock = tmp_path / "scaling_cur_freq"
    clock.write_text("600000\n")
    monkeypatch.setattr(worker_module, "CLOCK", str(tmp_path / "scaling_cur_freq") + "%.0s")
    worker = worker_module.Worker()
    worker.model = SimpleNamespace(run=lambda value: clock.write_text("1800000\n"))
    found = worker.measure(3, every_ms=2)
    assert found["mhz"] == [1800, 1800, 1800]
    ticks, sleep = worker_module.ticks, time.sleep

    def slowing(*asked):
        for tick in ticks(*asked):
            clock.write_text("900000\n")
            yield tick

    def sleeping(seconds):
        sleep(seconds)
        if clock.read_text() == "900000\n":
            clock.write_text("1200000\n")

    monkeypatch.setattr(worker_module, "ticks", slowing)
    monkeypatch.setattr(worker_module.time, "sleep", sleeping)
    assert worker.measure(3, every_ms=2)["mhz"] == [900, 1200, 1800]
    monkeypatch.undo()
    monkeypatch.setattr(worker_module, "CLOCK", str(tmp_path / "none") + "%.0s")
    assert worker.measure(3, every_ms=2)["mhz"] is None


@pytest.mark.parametrize("every", [-0.01, 0.0001, 61.0, float("nan")])
def test_ticks_without_a_meaning(every):
    with pytest.raises(BenchInputError, match=r"a tick comes every 0\.001 to 60 seconds, or never"):
        Protocol(every=every)


def test_what_was_measured_at_another_pace_is_not_taken_over(files):
    models, protocol = candidates(files, "vgg.onnx"), replace(QUICK, cold=False)
    earlier, heard = bench(models, LocalDevice(), protocol), []
    again = bench(models, LocalDevice(), protocol, earlier=earlier, notice=heard.append)
    assert (again.entries, heard) == (earlier.entries, [])
    bench(models, LocalDevice(), replace(protocol, every=0.01), earlier=earlier, notice=heard.append)
    assert "another protocol (every)" in heard[0]


def test_an_interruption_reaches_every_worker_that_sleeps_until_a_tick(files):
    workers = [LocalDevice().start_worker() for _ in range(2)]
    request = {"path": str(files["vgg.onnx"]), "runtime": "onnxruntime", "threads": 1}
    for worker in workers:
        worker.ask("load", timeout=60, **request)
    asks = [partial(worker.ask, "measure", timeout=600, runs=1000, every_ms=1000) for worker in workers]
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    began = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        at_once(asks)
    assert time.monotonic() - began < 10
    for worker in workers:
        worker.__exit__(KeyboardInterrupt)


def test_another_interruption_leaves_no_thread_behind():
    ended = []

    def ends_late():
        time.sleep(0.6)
        STOP.get().check()
        ended.append(False)  # it was not asked

    def stubborn():
        try:
            ends_late()
        except KeyboardInterrupt:
            ended.append(True)

    timers = [threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)) for seconds in (0.1, 0.25)]
    for timer in timers:
        timer.start()
    with pytest.raises(KeyboardInterrupt):
        at_once([stubborn, stubborn])
    assert ended == [True, True]


def test_noise_of_one_way_is_no_doubt_of_another(entry):
    flag = Flag(flag="noisy-paced", reason="so", remedy="so")
    old = entry("a", (500,) * 9, paced=paced([1000] * 9))
    found = {each.figure: each for each in check([old.model_copy(update={"flags": (flag,)})], [old], Tolerances())}
    assert found["latency"].verdict is Verdict.passed
    assert found["paced"].verdict is Verdict.inconclusive


def test_a_model_alone_has_every_tick_to_itself(files):
    (entry,) = bench(candidates(files, "vgg.onnx"), LocalDevice(), replace(QUICK, cold=False, every=0.002)).entries
    assert entry.paced.period_ms == pytest.approx(2.0)


def test_a_thread_that_is_asked_to_end_takes_its_own_threads_along():
    stop, met = Stop(), []

    def waiting():
        while True:
            time.sleep(0.01)
            STOP.get().check()

    def outer():
        STOP.set(stop)
        try:
            at_once([waiting, waiting])
        except KeyboardInterrupt:
            met.append(True)

    thread = threading.Thread(target=outer)
    thread.start()
    stop.ask()
    thread.join(10)
    assert met == [True]
    stop.close()


# -- what is said of it --


def test_flags():
    steady = paced([1000, 1010] * 10)
    assert flags_apart("paced", steady, wanted=20) == ()
    found = flags_apart("paced", paced([1000, 2000] * 10, missed=1), wanted=21)
    assert [flag.flag for flag in found] == ["too-few-samples-paced", "noisy-paced", "missed-ticks"]
    assert all(flag.reason.startswith("paced: ") for flag in found)
    assert "beyond 1 tick of 33 ms" in found[2].reason
    assert [flag.flag for flag in flags_apart("cold", cold([1000, 2000] * 10), wanted=20)] == ["noisy-cold"]


def test_speedups_of_every_way_and_none_of_different_paces(entry, results):
    standard = entry("standard", (1000,) * 9, macs=900, paced=paced([2000] * 9), cold=cold([3000] * 9))
    falcon = {"role": "compressed", "identity": "falcon", "parent": "standard", "macs": 100}
    small = entry("falcon", (200,) * 9, **falcon, paced=paced([1000] * 9), cold=cold([1500] * 9))
    row = compare([results(standard, small)])[1]
    assert {way: found.ratio for way, found in row.speedups.items()} == {"back to back": 5, "paced": 2, "cold": 2}
    assert (row.speedup, row.realised_share) == (5, pytest.approx(5 / 9))
    assert row.speedups["paced"].realised_share == pytest.approx(2 / 9)
    slower = entry("falcon", (200,) * 9, **falcon, paced=paced([1000] * 9, every_ms=50.0))
    assert [*compare([results(standard, slower)])[1].speedups] == ["back to back"]
    (headline,) = contents([results(standard, small)]).headlines
    assert headline.says == ("falcon is 2.0 times as fast as standard paced; 2.0 times cold; 5.0 times back to back")
    names = [fact.name for fact in headline.facts]
    assert names[:3] == ["Speedup paced", "Speedup cold", "Speedup back to back"]
    assert "one inference every 33 ms" in headline.facts[0].says


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, Verdict.passed), (1.2, Verdict.regression), (0.8, Verdict.passed)]
)
def test_the_gate_judges_it_as_a_figure_of_its_own(entry, factor, verdict):
    processes = [[1000 + 5 * number + step for step in range(10)] for number in range(6)]
    slower = [[round(factor * sample) for sample in process] for process in processes]
    made = [entry("a", (500,) * 9, paced=paced(*each), cold=cold(*each)) for each in (processes, slower)]
    found = {finding.figure: finding for finding in check(made[1:], made[:1], Tolerances(), interleaved=True)}
    assert found["latency"].verdict is Verdict.passed
    assert (found["paced"].verdict, found["cold"].verdict) == (verdict, verdict)
    assert found["paced"].change == pytest.approx(factor - 1, abs=0.002)
    loose = check(made[1:], made[:1], Tolerances(paced=0.3, cold=0.3), interleaved=True)
    assert {finding.verdict for finding in loose if finding.figure in ("paced", "cold")} == {Verdict.passed}


def test_the_gate_compares_no_other_pace_and_passes_nothing_that_is_missing(entry):
    old = entry("a", (500,) * 9, paced=paced([1000] * 9))
    for new, says in (
        (entry("a", (500,) * 9, paced=paced([1000] * 9, every_ms=50.0)), "every 100 ms, and the baseline every 66 ms"),
        (entry("a", (500,) * 9, paced=paced([1000] * 9, period_ms=400.0)), "every 400 ms, and the baseline every 66"),
        (entry("a", (500,) * 9), "it was not measured"),
    ):
        (found,) = [each for each in check([new], [old], Tolerances()) if each.figure == "paced"]
        assert found.verdict is Verdict.inconclusive
        assert says in found.reason
        assert not may_settle([found])


def test_runs_are_pooled_with_all_their_ticks(entry):
    runs = [[entry("a", (500,) * 9, paced=paced([1000, 1100], missed=2))] for _ in range(3)]
    (found,) = pooled(runs)
    assert [burst.process for burst in found.paced.bursts] == [0, 1, 2]
    assert (found.paced.summary.count, found.paced.missed) == (6, 6)


def test_tables_of_ci_have_it(entry, results):
    found = results(entry("a", (500,) * 9, paced=paced([1000, 1000, 1200], missed=1)), entry("b", (500,) * 9))
    rows = [*csv.DictReader(io.StringIO(csv_table(found)))]
    assert [row["paced_p50_ns"] for row in rows] == ["1000.0", ""]
    assert (rows[0]["paced_every_ms"], rows[0]["missed_ticks"], rows[0]["cold_p50_ns"]) == ("33.0", "1", "")
    names = [row["name"] for row in json.loads(benchmark_json(found))]
    assert sum(name.endswith("paced p50") for name in names) == 1


def test_a_drift_of_it_is_found_and_other_paces_are_other_series(entry, results):
    def line(number, factor, every_ms=33.0):
        timing = paced([round(factor * (1_000_000 + 1000 * (number % 3)))] * 3, every_ms=every_ms)
        (found,) = lines(
            results(entry("a", (500,) * 9, paced=timing)), [entry("a", (500,) * 9, paced=timing)], [], None
        )
        return found

    flat, slow = [line(number, 1.0) for number in range(10)], [line(number, 1.2) for number in range(10)]
    assert isinstance(flat[0], Line)
    assert drifts(flat, flat[-1], Tolerances()) == []
    (found,) = drifts([*flat, *slow], slow[-1], Tolerances())
    assert found.figure.startswith("paced over ")
    others = [line(number, 1.2, 50.0) for number in range(10)]
    assert drifts([*flat, *others], others[-1], Tolerances()) == []


def test_ratios_of_turns_are_of_each_way(entry, results):
    old = entry("a", (500,) * 9, paced=paced([1000] * 4), cold=cold([1000] * 4))
    new = entry("a", (500,) * 9, paced=paced([1100] * 4), cold=cold([1300] * 4))
    (found,) = lines(results(new), [new], [old], None)
    assert (found.ratio, found.paced_ratio, found.cold_ratio) == (1.0, pytest.approx(1.1), pytest.approx(1.3))
    assert np.isclose(found.paced_ns, 1100)
