"""A comparison that goes on measuring while it is inconclusive: when it is looked at, and what all its runs say.

Whoever looks at growing data until they please finds what is not there. So the looks are fixed before the first one,
after 1, 2, 4, 8, ... runs, and the level is divided among them: by Bonferroni's inequality the chance that any of their
intervals misses is no more than that of one interval of the whole level (Jennison and Turnbull, Group Sequential
Methods, 2000, sections 1.2 and 2.1).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median_low

from runtime_bench.regression import ROUNDING, Finding, Verdict
from runtime_bench.results import Entry, Memory, summarise
from runtime_bench.stats import CONFIDENCE, intervals

MOST = 8  # looks, of which the last is after 128 runs


@dataclass(frozen=True)
class Looks:
    """runs: after how many of them it is looked, in growing order."""

    runs: tuple[int, ...] = (1,)

    @property
    def confidence(self) -> float:
        """Of the interval of each look, so that that of all of them together is CONFIDENCE."""
        return 1 - (1 - CONFIDENCE) / len(self.runs)


def planned(patience: float, run: float) -> Looks:
    """The looks within `patience` seconds beyond the first run, where a run takes `run` seconds."""
    runs = 1 + max(patience, 0.0) / max(run, 1e-3)
    return Looks(tuple(2**number for number in range(1 + min(int(math.log2(runs)), MOST - 1))))


def pooled(runs: Sequence[Sequence[Entry]]) -> tuple[Entry, ...]:
    """The entries of several runs of the same files as those of one, with all samples; processes are numbered through.

    Of the peaks of memory it has the middle one, of all else what the last run has.
    """
    return tuple(_pooled(entries) for entries in zip(*runs, strict=True))


def _pooled(entries: Sequence[Entry]) -> Entry:
    last = entries[-1]
    if len(entries) == 1 or any(entry.summary is None for entry in entries):
        return last
    bursts, first = [], 0
    for entry in entries:
        bursts += [burst.model_copy(update={"process": first + burst.process}) for burst in entry.bursts]
        first = 1 + max(burst.process for burst in bursts)
    peaks = [entry.memory.peak for entry in entries if entry.memory is not None and entry.memory.peak is not None]
    memory: Memory | None = last.memory
    if memory is not None and peaks:
        memory = memory.model_copy(update={"peak": median_low(peaks)})
    found = {"bursts": tuple(bursts), "summary": summarise(tuple(bursts)), "intervals": intervals(bursts)}
    return last.model_copy(update=found | {"memory": memory})


def may_settle(findings: Sequence[Finding]) -> bool:
    """Whether more samples could decide what is open: an interval becomes narrower, and nothing else changes."""
    open_ones = [finding for finding in findings if finding.verdict is Verdict.inconclusive]
    return bool(open_ones) and all(each.figure == "latency" and each.interval is not None for each in open_ones)


def unconfirmed(findings: Sequence[Finding], another: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings with those regressions made inconclusive that `another` run, by itself, does not have beyond tolerance.

    What slows one run down (how its processes came to lie in memory, what ran beside it) is in all of its samples.
    """
    beyond = {(each.model, each.figure, each.place): _is_beyond(each) for each in another}
    return tuple(
        replace(each, verdict=Verdict.inconclusive, reason="another run did not find it")
        if each.verdict is Verdict.regression and not beyond.get((each.model, each.figure, each.place), False)
        else each
        for each in findings
    )


def _is_beyond(finding: Finding) -> bool:
    if finding.change is None or finding.tolerance is None:
        return finding.verdict is Verdict.regression
    return finding.change > finding.tolerance + ROUNDING
