"""Intervals by bootstrap: processes are drawn anew, and samples within each, since both differ from run to run.

Samples of one worker process share its memory layout and its moment, so that an interval over samples alone is far too
narrow (Kalibera and Jones, Rigorous benchmarking in reasonable time, ISMM 2013).
"""

from collections.abc import Callable, Sequence

import numpy as np

from runtime_bench.results import Burst, Intervals

CONFIDENCE = 0.95
RESAMPLES = 999
SAMPLES_A_PROCESS = 1000  # drawn of a process in a resample, at most: more change nothing that shows

Interval = tuple[float, float]


def by_process(bursts: Sequence[Burst]) -> list[np.ndarray]:
    """Samples in nanoseconds, one array a worker process that has any."""
    found: dict[int, list[int]] = {}
    for burst in bursts:
        found.setdefault(burst.process, []).extend(burst.samples_ns)
    return [np.array(samples, np.float64) for samples in found.values() if samples]


def intervals(bursts: Sequence[Burst], seed: int = 0) -> Intervals:
    """The 95% intervals of the order statistics of all samples; there must be some."""
    low, high = _interval([by_process(bursts)], lambda drawn: np.percentile(drawn[0], (50, 90, 95, 99)), seed)
    p50, p90, p95, p99 = zip(low.tolist(), high.tolist(), strict=True)
    return Intervals(p50_ns=p50, p90_ns=p90, p95_ns=p95, p99_ns=p99)


def ratio_interval(numerator: Sequence[Burst], denominator: Sequence[Burst], seed: int = 0) -> Interval:
    """The 95% interval of the ratio of two medians. Both need samples."""
    groups = [by_process(numerator), by_process(denominator)]
    low, high = _interval(groups, lambda drawn: np.median(drawn[0]) / np.median(drawn[1]), seed)
    return float(low), float(high)


def paired_ratio(
    numerator: Sequence[Burst], denominator: Sequence[Burst], seed: int = 0
) -> tuple[float, Interval] | None:
    """The median ratio of bursts that were taken in turns, and its 95% interval; None where they do not pair.

    What slows a machine down for a second slows down both bursts of a round, and leaves their ratio as it is.
    """
    one, other = (
        {(burst.process, burst.round): float(np.median(burst.samples_ns)) for burst in bursts if burst.samples_ns}
        for bursts in (numerator, denominator)
    )
    if not one or one.keys() != other.keys():
        return None
    found: dict[int, list[float]] = {}
    for place, value in one.items():
        found.setdefault(place[0], []).append(value / other[place])
    ratios = [np.array(values) for values in found.values()]
    low, high = _interval([ratios], lambda drawn: np.median(drawn[0]), seed)
    return float(np.median(np.concatenate(ratios))), (float(low), float(high))


def _interval(
    groups: Sequence[list[np.ndarray]], statistic: Callable[[list[np.ndarray]], np.ndarray], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of a statistic of groups of processes; scipy's bootstrap knows no samples within samples."""
    random = np.random.default_rng(seed)
    found = [statistic([_drawn(processes, random) for processes in groups]) for _ in range(RESAMPLES)]
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(found, (tail, 100 - tail), axis=0)
    return low, high


def _drawn(processes: list[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """As many processes as there are, with replacement, and of each some of its samples, with replacement."""
    chosen = (processes[index] for index in random.integers(0, len(processes), len(processes)))
    return np.concatenate(
        [samples[random.integers(0, len(samples), min(len(samples), SAMPLES_A_PROCESS))] for samples in chosen]
    )
