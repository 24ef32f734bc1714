"""Comparisons that go on measuring: their looks, and how often they would be wrong."""

from itertools import count
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_bench.looks import MOST, Comparison, Looks, Run, may_settle, planned, pooled, unconfirmed
from runtime_bench.regression import Finding, Tolerances, Verdict
from runtime_bench.results import Burst, Entry, Failure, Memory, ModelInfo, RuntimeInfo, summarise
from runtime_bench.stats import intervals

MODEL = ModelInfo(name="net", file="net.onnx", sha256="0" * 64, bytes=1000, target="onnx", precision="fp32")
RUNTIME = RuntimeInfo(name="onnxruntime", package="onnxruntime", version="1", kernels="", threads=1)
PROCESSES, ROUNDS = 8, 6


def entry(medians, peak=1000):
    """Of medians (processes, rounds) in nanoseconds."""
    bursts = tuple(
        Burst(process=process, round=number, samples_ns=(max(int(value), 1),) * 3)
        for process, row in enumerate(medians)
        for number, value in enumerate(row)
    )
    memory = Memory(before_load=1, after_load=1, peak=peak)
    found = {"bursts": bursts, "summary": summarise(bursts), "intervals": intervals(bursts)}
    return Entry(model=MODEL, runtime=RUNTIME, device="local", emulated=False, memory=memory, **found)


def run(random, slowdown):
    """(new, old) of a loaded machine: its pace drifts, bursts and processes differ, some by much."""
    pace = np.exp(np.cumsum(0.1 * random.standard_normal((PROCESSES, ROUNDS)), axis=1))
    sides = []
    for share in (slowdown, 0.0):
        processes = 1 + 0.02 * random.standard_normal((PROCESSES, 1))
        noise = 1 + 0.04 * random.standard_t(3, (PROCESSES, ROUNDS))
        sides.append(entry(1e6 * (1 + share) * pace * processes * np.clip(noise, 0.3, None)))
    return sides


def verdict(random, slowdown, looks):
    """What `check` would say with so many looks."""
    with mock.patch("runtime_bench.looks.time.monotonic", side_effect=map(float, count())):  # each run takes a second
        compared = Comparison(
            lambda: Run(*([side] for side in run(random, slowdown))), Tolerances(latency=0.05, memory=9.0)
        )
        findings = compared.settled(float(looks.runs[-1] - 1))
    assert compared.looks == looks
    assert len(compared.judged) in looks.runs
    return findings[0].verdict


@pytest.mark.slow
@pytest.mark.parametrize("most", [1, 2, 4])
def test_simulated_comparisons_raise_hardly_an_alarm_and_find_what_is_slower(most):
    looks = Looks(tuple(2**number for number in range(most)))
    same = [verdict(np.random.default_rng([most, 0, seed]), 0.0, looks) for seed in range(300)]
    slower = [verdict(np.random.default_rng([most, 1, seed]), 0.12, looks) for seed in range(100)]
    assert same.count(Verdict.regression) <= 3
    assert slower.count(Verdict.passed) == 0
    if most > 1:
        assert slower.count(Verdict.regression) >= 95


@given(st.floats(0, 1e6), st.floats(0, 1e4))
def test_looks_lie_within_the_patience_and_share_the_level(patience, seconds):
    looks = planned(patience, seconds)
    assert looks.runs == tuple(2**number for number in range(len(looks.runs)))
    assert 1 <= len(looks.runs) <= MOST
    assert (looks.runs[-1] - 1) * seconds <= patience * (1 + 1e-9)
    assert 1 - looks.confidence == pytest.approx(0.05 / len(looks.runs))


def test_as_long_as_the_first_run_is_two_looks():
    assert planned(7.0, 7.0).runs == (1, 2)
    assert planned(120.0, 7.0).runs == (1, 2, 4, 8, 16)


def test_runs_are_pooled_with_all_their_samples():
    random = np.random.default_rng(0)
    runs = [run(random, 0.0)[0] for _ in range(3)]
    runs = [
        each.model_copy(update={"memory": Memory(before_load=1, after_load=1, peak=peak)})
        for each, peak in zip(runs, (9, 2, 3), strict=True)
    ]
    (found,) = pooled([[each] for each in runs])
    assert {burst.process for burst in found.bursts} == set(range(3 * PROCESSES))
    assert found.summary.count == sum(each.summary.count for each in runs)
    assert found.memory.peak == 3
    assert Entry.model_validate_json(found.model_dump_json()) == found  # it is what results may hold


def test_one_run_is_itself():
    (one, _) = run(np.random.default_rng(0), 0.0)
    assert pooled([[one]]) == (one,)


def finding(figure, verdict, change=0.1, interval=(0.08, 0.12)):
    return Finding("net", figure, 1.0, 1.1, change, interval, 0.05, verdict, place="here")


def test_only_latency_settles_by_more_samples():
    assert may_settle([finding("latency", Verdict.inconclusive), finding("size", Verdict.passed)])
    assert not may_settle([finding("latency", Verdict.inconclusive, interval=None)])
    assert may_settle([finding("latency", Verdict.inconclusive), finding("accuracy", Verdict.inconclusive)])
    assert not may_settle([finding("accuracy", Verdict.inconclusive)])
    assert not may_settle([finding("latency", Verdict.passed)])


def test_a_regression_that_another_run_lacks_is_inconclusive():
    found = [finding("latency", Verdict.regression), finding("memory", Verdict.regression, interval=None)]
    kept = unconfirmed(found, [finding("latency", Verdict.inconclusive), finding("memory", Verdict.passed, 0.01)])
    assert [each.verdict for each in kept] == [Verdict.regression, Verdict.inconclusive]
    assert kept[1].reason == "another run did not find it"


def test_the_run_that_confirms_is_not_judged_with_the_others():
    random = np.random.default_rng(0)
    shares = iter([0.5, 0.0, 0.0])
    compared = Comparison(lambda: Run(*([side] for side in run(random, next(shares)))), Tolerances(memory=9.0))
    findings = compared.settled(0.0)
    assert (len(compared.runs), len(compared.judged), compared.looks.runs) == (2, 1, (1,))
    assert (findings[0].verdict, findings[0].reason) == (Verdict.inconclusive, "another run did not find it")
    assert findings[0].change > 0.3


def test_a_run_in_which_something_fails_is_what_is_found():
    random = np.random.default_rng(0)
    good, bad = (run(random, 0.5) for _ in range(2))
    failed = bad[0].model_copy(update={"failure": Failure(kind="timeout", message="it took too long")})
    runs = iter([Run((good[0],), (good[1],)), Run((failed,), (bad[1],))])
    compared = Comparison(lambda: next(runs), Tolerances(memory=9.0))
    findings = compared.settled(0.0)
    assert findings[0].failed
    assert compared.new == (failed,)
