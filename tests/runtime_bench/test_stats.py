"""Intervals by bootstrap: of processes and samples, not of samples alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime_bench.results import Burst
from runtime_bench.stats import by_process, intervals, ratio_interval


def bursts(*processes):
    return tuple(
        Burst(process=index, round=0, samples_ns=tuple(int(value) for value in samples))
        for index, samples in enumerate(processes)
    )


def drawn(seed, processes=8, samples=200, middle=1e6, between=0.02, within=0.01):
    random = np.random.default_rng(seed)
    shifts = 1 + between * random.standard_normal(processes)
    return bursts(*(middle * shift * (1 + within * random.standard_normal(samples)) for shift in shifts))


def test_samples_are_put_together_by_process():
    found = by_process(
        [Burst(process=process, round=0, samples_ns=samples) for process, samples in ((0, (1, 2)), (1, ()), (0, (3,)))]
    )
    assert [part.tolist() for part in found] == [[1.0, 2.0, 3.0]]


def test_equal_samples_have_an_interval_without_width():
    same = bursts([1000] * 20, [1000] * 20)
    assert intervals(same).p99_ns == (1000, 1000)
    assert ratio_interval(same, bursts([500] * 20)) == (2, 2)


def test_the_interval_knows_of_differences_between_processes():
    """Samples alone would say 1 part in 1,000; the processes differ by 1 part in 50."""
    low, high = intervals(drawn(0)).p50_ns
    assert 0.01 < (high - low) / 1e6 < 0.06


@pytest.mark.parametrize("ratio", [0.9, 1.0, 1.5])
def test_intervals_cover_the_truth_about_as_often_as_they_say(ratio):
    covered = 0
    for seed in range(60):
        low, high = ratio_interval(drawn(2 * seed, middle=ratio * 1e6), drawn(2 * seed + 1))
        covered += low <= ratio <= high
    assert covered >= 50  # of 57 expected; a bootstrap over eight processes is somewhat narrow


@settings(deadline=None, max_examples=20)
@given(st.lists(st.lists(st.integers(1, 10**9), min_size=1, max_size=30), min_size=1, max_size=6))
def test_intervals_are_in_order_within_the_samples_and_the_same_every_time(processes):
    found = intervals(bursts(*processes))
    values = [value for samples in processes for value in samples]
    for low, high in (found.p50_ns, found.p90_ns, found.p95_ns, found.p99_ns):
        assert min(values) <= low <= high <= max(values)
    assert intervals(bursts(*processes)) == found
