"""A comparison that goes on measuring while it is inconclusive: when it is looked at, and what all its runs say.

Whoever looks at growing data until they please finds what is not there. So the looks are fixed before the first one,
after 1, 2, 4, 8, ... runs, and the level is divided among them: by Bonferroni's inequality the chance that any of their
intervals misses is no more than that of one interval of the whole level (Jennison and Turnbull, Group Sequential
Methods, 2000, sections 1.2 and 2.1).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median_low

from runtime_bench.regression import LATENCIES, ROUNDING, Finding, Tolerances, Verdict, check, failure_of, worst
from runtime_bench.results import Burst, Entry, Memory, Paced, Timing
from runtime_bench.stats import CONFIDENCE, with_summary
from runtime_bench.ways import APART

MOST = 8  # looks, of which the last is after 128 runs


@dataclass(frozen=True)
class Looks:
    """runs: after how many of them it is looked, in growing order."""

    runs: tuple[int, ...] = (1,)

    @property
    def confidence(self) -> float:
        """Of the interval of each look, so that that of all of them together is CONFIDENCE."""
        return 1 - (1 - CONFIDENCE) / len(self.runs)


@dataclass(frozen=True)
class Run:
    """One run of both sides in turns: the entries of each."""

    new: tuple[Entry, ...]
    old: tuple[Entry, ...]

    @property
    def failed(self) -> bool:
        """Whether a file of either side failed, which is not tolerated because it works another time."""
        return any(failure_of(entry) is not None for entry in (*self.new, *self.old))


class Comparison:
    """Runs of one pair, taken by `measured` one after the other as long as they are needed.

    runs: all of them, which took `seconds`; judged: those that the findings are of; looks: when they are looked at.
    """

    def __init__(self, measured: Callable[[], Run], tolerances: Tolerances, *, allow_missing: bool = False):
        self._measured, self._tolerances, self._allow_missing = measured, tolerances, allow_missing
        self.runs: list[Run] = []
        self.judged: list[Run] = []
        self.seconds = 0.0
        self.looks = Looks()

    @property
    def new(self) -> tuple[Entry, ...]:
        """The new side's entries in the runs that were judged."""
        return pooled([run.new for run in self.judged])

    @property
    def old(self) -> tuple[Entry, ...]:
        """The baseline's."""
        return pooled([run.old for run in self.judged])

    def settled(self, patience: float | None = None, *, confirm: bool = True) -> tuple[Finding, ...]:
        """What is found at the first look that decides, or at the last one within `patience` seconds.

        By default patience is as long as the first run. confirm: the run after those in which a regression is found
        has to lie beyond the tolerance too, by itself. On an emulated device it is looked at once. Of a run in which
        something failed, that is what is found.
        """
        self._take()
        first = self.seconds
        if all(entry.emulated for entry in (*self.runs[0].new, *self.runs[0].old)):
            confirm = False
        else:
            self.looks = planned(first if patience is None else patience, first)
        limit = first + (first if patience is None else patience)
        findings: tuple[Finding, ...] = ()
        for wanted in self.looks.runs:
            if not self._reach(wanted, limit):
                break
            self.judged = self.runs[:wanted]
            findings = self._findings(self.judged)
            if worst(findings) is Verdict.regression and confirm:
                if not self._reach(wanted + 1, math.inf):
                    break
                findings = unconfirmed(findings, self._findings(self.runs[wanted : wanted + 1]))
            if worst(findings) is not Verdict.inconclusive or not may_settle(findings):
                break
        if self.runs[-1].failed:
            self.judged = self.runs[-1:]
            findings = self._findings(self.judged)
        return findings

    def _reach(self, wanted: int, limit: float) -> bool:
        """Take runs until there are so many; whether there are, within the limit and without a failure."""
        while len(self.runs) < wanted and self.seconds < limit and not self.runs[-1].failed:
            self._take()
        return len(self.runs) >= wanted and not self.runs[-1].failed

    def _take(self) -> None:
        started = time.monotonic()
        self.runs.append(self._measured())
        self.seconds += time.monotonic() - started

    def _findings(self, runs: Sequence[Run]) -> tuple[Finding, ...]:
        return check(
            pooled([run.new for run in runs]),
            pooled([run.old for run in runs]),
            self._tolerances,
            interleaved=True,
            allow_missing=self._allow_missing,
            confidence=self.looks.confidence,
        )


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
    found = with_summary(_numbered([entry.bursts for entry in entries]))
    for way in APART:
        timings = [entry.timings.get(way) for entry in entries]
        known = [timing for timing in timings if timing is not None]
        if len(known) == len(timings):
            found[way] = _pooled_timing(known)
    peaks = [entry.memory.peak for entry in entries if entry.memory is not None and entry.memory.peak is not None]
    memory: Memory | None = last.memory
    if memory is not None and peaks:
        memory = memory.model_copy(update={"peak": median_low(peaks)})
    return last.model_copy(update=found | {"memory": memory})


def _pooled_timing(timings: Sequence[Timing]) -> Timing:
    found = with_summary(_numbered([timing.bursts for timing in timings]))
    paced = [timing for timing in timings if isinstance(timing, Paced)]
    if paced:
        found["missed"] = sum(timing.missed for timing in paced)
    return timings[-1].model_copy(update=found)


def _numbered(runs: Sequence[Sequence[Burst]]) -> list[Burst]:
    """The bursts of several runs, their processes numbered through."""
    bursts: list[Burst] = []
    for run in runs:
        first = 1 + max((burst.process for burst in bursts), default=-1)
        bursts += [burst.model_copy(update={"process": first + burst.process}) for burst in run]
    return bursts


def may_settle(findings: Sequence[Finding]) -> bool:
    """Whether more samples could decide something: the interval of a latency becomes narrower, and nothing else."""
    return any(
        each.verdict is Verdict.inconclusive and each.figure in LATENCIES and each.interval is not None
        for each in findings
    )


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
