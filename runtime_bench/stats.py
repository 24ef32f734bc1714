"""Intervals by bootstrap: processes are drawn anew, and samples within each, since both differ from run to run.

Samples of one worker process share its memory layout and its moment, so that an interval over samples alone is far too
narrow (Kalibera and Jones, Rigorous benchmarking in reasonable time, ISMM 2013).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from runtime_bench.results import Burst, Intervals, summarise

CONFIDENCE = 0.95
RESAMPLES, SEED = 999, 0  # the same samples give the same interval
SAMPLES_A_PROCESS = 1000  # drawn of a process in a resample, at most: more change nothing that shows

Interval = tuple[float, float]


def by_process(bursts: Sequence[Burst]) -> list[np.ndarray]:
    """Samples in nanoseconds, one array a worker process that has any."""
    found: dict[int, list[int]] = {}
    for burst in bursts:
        found.setdefault(burst.process, []).extend(burst.samples_ns)
    return [np.array(samples, np.float64) for samples in found.values() if samples]


def intervals(bursts: Sequence[Burst]) -> Intervals:
    """The 95% intervals of the order statistics of all samples; there must be some."""
    low, high = _interval(by_process(bursts), lambda drawn: np.percentile(drawn, (50, 90, 95, 99)))
    p50, p90, p95, p99 = zip(low.tolist(), high.tolist(), strict=True)
    return Intervals(p50_ns=p50, p90_ns=p90, p95_ns=p95, p99_ns=p99)


def with_summary(bursts: Sequence[Burst]) -> dict[str, Any]:
    """Samples, their summary and its intervals, under the names that results have for them; None without any."""
    kept = tuple(bursts)
    summary = summarise(kept)
    return {"bursts": kept, "summary": summary, "intervals": None if summary is None else intervals(kept)}


def ratio_interval(
    numerator: Sequence[Burst], denominator: Sequence[Burst], confidence: float = CONFIDENCE
) -> Interval:
    """The interval of the ratio of two medians. Both need samples."""
    random = np.random.default_rng(SEED)
    ratios = _medians(by_process(numerator), random) / _medians(by_process(denominator), random)
    low, high = _ends(ratios, confidence)
    return float(low), float(high)


def paired_ratio(
    numerator: Sequence[Burst], denominator: Sequence[Burst], confidence: float = CONFIDENCE
) -> tuple[float, Interval] | None:
    """The median ratio of bursts that were taken in turns, and its interval; None where they do not pair.

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
    low, high = _interval(ratios, np.median, confidence)
    return float(np.median(np.concatenate(ratios))), (float(low), float(high))


def histogram(bursts: Sequence[Burst], edges: np.ndarray) -> np.ndarray:
    """Counts (bins,) of all samples between edges (bins + 1,), in shares of their median; there must be some.

    What lies beyond the edges is counted in the first and the last bin.
    """
    samples = np.concatenate(by_process(bursts))
    counts, _ = np.histogram(np.clip(samples / np.median(samples), edges[0], edges[-1]), edges)
    return counts


def _interval(
    processes: list[np.ndarray],
    statistic: Callable[[np.ndarray], np.ndarray],
    confidence: float = CONFIDENCE,
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of a statistic of all samples; scipy's bootstrap knows no samples within samples."""
    random = np.random.default_rng(SEED)
    return _ends(np.array([statistic(_drawn(processes, random)) for _ in range(RESAMPLES)]), confidence)


def _ends(found: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    tail = 50 * (1 - confidence)
    low, high = np.percentile(found, (tail, 100 - tail), axis=0)
    return low, high


def _drawn(processes: list[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """As many processes as there are, with replacement, and of each some of its samples, with replacement."""
    chosen = (processes[index] for index in random.integers(0, len(processes), len(processes)))
    return np.concatenate(
        [samples[random.integers(0, len(samples), min(len(samples), SAMPLES_A_PROCESS))] for samples in chosen]
    )


def _medians(processes: list[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """The medians (RESAMPLES,) of such draws, without making them: that takes a tenth of the time.

    Of the samples that a process gives to a resample, a binomial number lies in the lower half of all values. Halving
    the values time and again, towards where the middle one must be, ends at the middle one.
    """
    values = np.unique(np.concatenate(processes))
    below = np.stack([np.searchsorted(np.sort(samples), values, side="right") / len(samples) for samples in processes])
    below = np.hstack([np.zeros((len(processes), 1)), below])  # (processes, values + 1): the share below each
    chosen = random.integers(0, len(processes), (RESAMPLES, len(processes)))
    drawn = np.minimum([len(samples) for samples in processes], SAMPLES_A_PROCESS)[chosen]
    rank = (drawn.sum(axis=1) + random.integers(1, 3, RESAMPLES)) // 2  # of two in the middle one or the other
    start, stop = np.zeros(RESAMPLES, np.intp), np.full(RESAMPLES, len(values))
    while np.any(stop - start > 1):
        middle = (start + stop + 1) // 2
        first, second, last = (below[chosen, edge[:, None]] for edge in (start, middle, stop))
        share = np.divide(second - first, last - first, out=np.zeros_like(first), where=last > first)
        lower = random.binomial(drawn, np.clip(share, 0, 1))
        count = lower.sum(axis=1)
        left = rank <= count
        drawn = np.where(left[:, None], lower, drawn - lower)
        rank = np.where(left, rank, rank - count)
        start, stop = np.where(left, start, middle), np.where(left, middle, stop)
    return values[start]
