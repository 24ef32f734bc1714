"""Intervals by bootstrap: of processes and samples, not of samples alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from runtime_bench.results import Burst
from runtime_bench.stats import _drawn, _medians, by_process, histogram, intervals, paired_ratio, ratio_interval


def bursts(*processes):
    return tuple(
        Burst(process=index, round=0, samples_ns=tuple(int(value) for value in samples))
        for index, samples in enumerate(processes)
    )


def drawn(seed, processes=8, samples=30, middle=1e6, between=0.02, within=0.01):
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
    """Samples alone would say a few parts in 1,000; the processes differ by 1 part in 50."""
    low, high = intervals(drawn(0)).p50_ns
    assert 0.01 < (high - low) / 1e6 < 0.06


@pytest.mark.parametrize("ratio", [1.0, 1.5])
def test_intervals_cover_the_truth_about_as_often_as_they_say(ratio):
    covered = 0
    for seed in range(40):
        low, high = ratio_interval(drawn(2 * seed, middle=ratio * 1e6), drawn(2 * seed + 1))
        covered += low <= ratio <= high
    assert covered >= 33  # of 38 expected; a bootstrap over eight processes is somewhat narrow


@pytest.mark.parametrize("shape", [(1, 200), (5, 30), (8, 1500)])
def test_medians_of_resamples_are_those_of_resamples_that_are_made(shape):
    """The test of Kolmogorov and Smirnov tells them not apart, and does from those of other processes."""
    processes, others = by_process(drawn(3, *shape)), by_process(drawn(4, *shape))
    random = np.random.default_rng(0)
    made = [np.median(_drawn(processes, random)) for _ in range(999)]
    assert ks_2samp(made, _medians(processes, random)).pvalue > 0.01
    assert ks_2samp(made, _medians(others, random)).pvalue < 1e-6


def test_a_histogram_counts_every_sample_by_its_share_of_the_median():
    counts = histogram(bursts([100] * 5, [10, 119, 1000]), np.array([0.9, 1.1, 1.3]))
    assert counts.tolist() == [6, 2]


def taken_in_turns(ratio, seed=0, processes=8, rounds=10, runs=20):
    """Bursts of two models on a machine whose speed goes up and down by a third from round to round."""
    random = np.random.default_rng(seed)
    sides = ([], [])
    for process in range(processes):
        for number in range(rounds):
            mood = random.uniform(1.0, 1.33)
            for side, factor in zip(sides, (ratio, 1.0), strict=True):
                samples = 1e6 * factor * mood * random.normal(1, 0.01, runs)
                side.append(Burst(process=process, round=number, samples_ns=tuple(samples.astype(int).tolist())))
    return sides


@pytest.mark.parametrize("ratio", [0.9, 1.0, 1.1])
def test_bursts_in_turns_tell_a_ratio_that_the_machines_moods_hide(ratio):
    one, other = taken_in_turns(ratio)
    estimate, (low, high) = paired_ratio(one, other)
    assert low <= ratio <= high
    assert low <= estimate <= high
    assert high - low < 0.01
    unpaired = ratio_interval(one, other)
    assert unpaired[1] - unpaired[0] > 0.05


def test_bursts_of_other_rounds_do_not_pair():
    one, other = taken_in_turns(1.0)
    assert paired_ratio(one, other[:-1]) is None
    assert paired_ratio([], []) is None


@settings(deadline=None, max_examples=20)
@given(st.lists(st.lists(st.integers(1, 10**9), min_size=1, max_size=30), min_size=1, max_size=6))
def test_intervals_are_in_order_within_the_samples_and_the_same_every_time(processes):
    found = intervals(bursts(*processes))
    values = [value for samples in processes for value in samples]
    for low, high in (found.p50_ns, found.p90_ns, found.p95_ns, found.p99_ns):
        assert min(values) <= low <= high <= max(values)
    assert intervals(bursts(*processes)) == found
