"""Reasons to doubt a latency: each planted, and absent where nothing is wrong."""

import numpy as np
import pytest

from runtime_bench.environment import Environment
from runtime_bench.results import Burst, summarise
from runtime_bench.validity import flags


def moment(**changes):
    values = {
        "machine": "x86_64", "cpu": "a CPU", "cores": 2, "kernel": "Linux", "python": "3.11.0", "governor": None,
        "frequencies_mhz": (), "temperatures_c": {}, "load_1min": 0.3,
    }  # fmt: skip
    return Environment(**values | changes)


def raised(samples, *, wanted=40, load=0.3, bursts=4, pinned=True, before=None, after=None):
    pieces = tuple(
        Burst(process=0, round=index, samples_ns=tuple(map(int, piece)))
        for index, piece in enumerate(np.array_split(samples, bursts))
    )
    machine = {"before": before or moment(load_1min=load), "after": after or moment()}
    found = flags(pieces, summarise(pieces), wanted=wanted, pinned=pinned, **machine)
    return {flag.flag: flag for flag in found}


def steady(count=40, middle=1000, half=20):
    """Samples that go up and down between middle - half and middle + half, in no order that time would matter for."""
    return np.array([middle + (half if index % 2 else -half) for index in range(count)])


def test_steady_samples_raise_nothing():
    assert raised(steady()) == {}
    assert raised(steady(), load=None) == {}


@pytest.mark.parametrize(("count", "flagged"), [(39, True), (40, False)])
def test_too_few_samples(count, flagged):
    found = raised(steady(count))
    assert set(found) == ({"too-few-samples"} if flagged else set())
    if flagged:
        assert found["too-few-samples"].reason == "39 samples of 40"


@pytest.mark.parametrize(("half", "flagged"), [(60, True), (40, False)])
def test_a_spread_of_more_than_a_tenth_of_the_median(half, flagged):
    found = raised(steady(half=half))
    assert set(found) == ({"noisy"} if flagged else set())
    if flagged:
        assert "12% of the median" in found["noisy"].reason
        assert "idle cores" in found["noisy"].remedy


def test_a_few_stragglers_are_not_noise():
    samples = steady()
    samples[::10] = 50_000
    assert raised(samples) == {}


@pytest.mark.parametrize(
    ("last", "reason"),
    [(1070, "the last quarter is +7% against the first"), (930, "the last quarter is -7% against the first")],
)
def test_drift(last, reason):
    found = raised(np.concatenate([steady(30, half=0), steady(10, last, half=0)]))
    assert set(found) == {"drift"}
    assert found["drift"].reason == reason


def test_small_drift_and_too_few_samples_for_it():
    assert raised(np.concatenate([steady(30, half=0), steady(10, 1040, half=0)])) == {}
    assert set(raised(np.array([1000, 1000, 5000]), wanted=3, bursts=1)) == {"noisy"}


@pytest.mark.parametrize(("load", "flagged"), [(2.1, True), (2.0, False)])
def test_a_machine_that_was_busy_before(load, flagged):
    found = raised(steady(), load=load)
    assert set(found) == ({"load"} if flagged else set())
    if flagged:
        assert found["load"].reason == "a load of 2.1 on 2 cores before the run"


def test_threads_that_could_move():
    found = raised(steady(), pinned=False)
    assert set(found) == {"unpinned"}
    assert "name the CPUs" in found["unpinned"].remedy


def test_on_a_mac_threads_move_and_no_cpus_can_be_named():
    found = raised(steady(), pinned=False, before=moment(kernel="Darwin 24.6.0"))
    assert set(found) == {"unpinned"}
    assert "name the CPUs" not in found["unpinned"].remedy


@pytest.mark.parametrize(("after", "flagged"), [((1795.0, 1700.0), True), ((1805.0, 900.0), False)])
def test_the_fastest_cpu_became_slower(after, flagged):
    found = raised(steady(), before=moment(frequencies_mhz=(2000.0, 1500.0)), after=moment(frequencies_mhz=after))
    assert set(found) == ({"frequency"} if flagged else set())


@pytest.mark.parametrize(("before", "after", "flagged"), [(3, 5, True), (3, 3, False), (None, 5, False)])
def test_throttling(before, after, flagged):
    found = raised(steady(), before=moment(throttled=before), after=moment(throttled=after))
    assert set(found) == ({"throttled"} if flagged else set())


@pytest.mark.parametrize(("before", "after", "flagged"), [(0, 1, True), (2, 4, True), (1, 1, False), (None, 3, False)])
def test_a_thermal_status_that_rose(before, after, flagged):
    found = raised(steady(), before=moment(thermal_status=before), after=moment(thermal_status=after))
    assert set(found) == ({"throttled"} if flagged else set())


def test_every_flag_says_why_and_what_to_do():
    found = raised(np.concatenate([steady(20, half=200), steady(10, 2000, half=0)]), load=9, pinned=False)
    assert set(found) == {"too-few-samples", "noisy", "drift", "load", "unpinned"}
    assert all(flag.reason and flag.remedy for flag in found.values())
