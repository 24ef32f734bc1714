"""Whether a model became worse than its baseline: in latency, paced latency, memory, size, quality and counts.

A regression is only what lies beyond the tolerance with its whole interval, a pass only what lies within it with its
whole interval; all else is inconclusive. Nothing passes that was not compared: each entry of the baseline has findings,
of its figures or of why there are none.
"""

import math
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path

from runtime_bench.environment import Environment
from runtime_bench.errors import BenchInputError
from runtime_bench.files import read_document
from runtime_bench.measurement import wrong_outputs
from runtime_bench.pairs import pairs, place, said, title
from runtime_bench.results import Entry, Failure, ModelInfo, Quality, Results
from runtime_bench.stats import CONFIDENCE, Interval, paired_ratio, ratio_interval
from runtime_bench.ways import APART, BACK_TO_BACK

MAXIMUM_BYTES = 1024**2
ROUNDING = 1e-9  # 1050 / 1000 - 1 is a little more than 0.05
# Failures that are the file's own, and signals that a runtime which cannot take a file ends with. All others (a device
# that is lost, a runtime that is not there, a time limit) say nothing of it.
OF_THE_FILE = ("wrong-outputs", "runtime", "memory")
CRASHES = ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV")
# Flags of a run on a machine that was not at rest: what slowed it down may be gone in another.
UNRESTFUL = ("noisy", "drift", "load", "frequency", "throttled")
LATENCIES = ("latency", *APART)
FAILURE, MISSING, NEW = "failure", "missing", "new"  # what stands in a figure's place where there is none


class Verdict(StrEnum):
    """What can be said, the worst first."""

    regression = "regression"
    inconclusive = "inconclusive"
    passed = "pass"


@dataclass(frozen=True)
class Tolerances:
    """How much worse each figure may be, as shares of the baseline. Raises BenchInputError.

    latency: back to back; paced, cold: of what was measured so.
    accuracy: of metrics that are shares, such as top-1 and mean IoU, in 0..1; quality: of all other metrics. counts: of
    MACs, parameters, operators, and the instructions of an emulated CPU, which repeat almost exactly.
    """

    latency: float = 0.05
    paced: float = 0.05
    cold: float = 0.05
    memory: float = 0.05
    size: float = 0.05
    counts: float = 0.005
    accuracy: float = 0.01
    quality: float = 0.02

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, dict | list):  # of any depth
                what = "a table" if isinstance(value, dict) else "a list"
                raise BenchInputError(f"the tolerance of {field.name} is a number of at least 0, not {what}")
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= sys.float_info.max:
                raise BenchInputError(f"the tolerance of {field.name} is a number of at least 0, not {value!r}")

    def __str__(self) -> str:
        """'latency 5%, paced 5%, cold 5%, memory 5%, size 5%, counts 0.5%, accuracy 1 point, quality 2%'."""
        points = 100 * self.accuracy
        said = {name: f"{100 * value:g}%" for name, value in asdict(self).items()}
        said["accuracy"] = f"{points:g} point{'' if points == 1 else 's'}"
        return ", ".join(f"{name} {value}" for name, value in said.items())

    @classmethod
    def read(cls, path: Path) -> "Tolerances":
        """Of a TOML file with a number for each that differs from the default. Raises BenchInputError."""
        try:
            found = tomllib.loads(read_document(path, MAXIMUM_BYTES, "table of tolerances").decode())
        except OSError as error:
            raise BenchInputError(f"{path}: cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError) as error:
            raise BenchInputError(f"{path}: not a TOML file ({error})") from error
        known = [field.name for field in fields(cls)]
        unknown = [name for name in found if name not in known]
        if unknown:
            raise BenchInputError(f"{path}: {unknown[0]} has no tolerance; there are {', '.join(known)}")
        try:
            return cls(**found)
        except BenchInputError as error:
            raise BenchInputError(f"{path}: {error}") from error


@dataclass(frozen=True)
class Finding:
    """One figure of one file beside the baseline's. `change` is a share of the baseline, above 0 where it is worse.

    Of a metric, `figure` is its name and `unit` its unit; of one that is a share the change is what was lost, in 0..1.
    `interval` is that of the change where it has one. `baseline` is what `model` was compared with, `place` where both
    were measured. Where there is no figure FAILURE, MISSING or NEW stands for it (of MISSING, `model` is the
    baseline's). A verdict of None decides nothing, unless it `failed`.
    """

    model: str
    figure: str
    old: float | None
    new: float | None
    change: float | None
    interval: Interval | None
    tolerance: float | None
    verdict: Verdict | None
    reason: str | None = None
    baseline: str | None = None
    place: str | None = None
    unit: str | None = None

    @property
    def failed(self) -> bool:
        """Whether it could not be found out what the new file is worth: then there is no verdict on anything."""
        return self.figure == FAILURE and self.verdict is None

    @property
    def word(self) -> str:
        """The verdict as tables have it."""
        return "failed" if self.failed else self.verdict or "-"

    @property
    def compared(self) -> str:
        """What was compared with what, and where."""
        beside = "" if self.baseline is None else f" beside {self.baseline}"
        return f"{self.model}{beside}" + ("" if self.place is None else f" ({self.place})")

    @property
    def says(self) -> str:
        """The change in words."""
        if self.change is None or self.tolerance is None:
            return self.reason or "not measured"
        unit = " points" if self.unit == "share" else "%"
        text = f"{100 * self.change:+.1f}{unit}"
        if self.interval is not None:
            text += f" ({100 * self.interval[0]:+.1f}..{100 * self.interval[1]:+.1f})"
        text += f", {100 * self.tolerance:g}{unit} allowed"
        return text if self.reason is None else f"{text}; {self.reason}"


@dataclass(frozen=True)
class _Terms:
    """On which two entries are compared: see `check`."""

    tolerances: Tolerances
    doubt: str | None
    interleaved: bool
    confidence: float


def check(
    new: Sequence[Entry],
    old: Sequence[Entry],
    tolerances: Tolerances,
    *,
    doubt: str | None = None,
    interleaved: bool = False,
    allow_missing: bool = False,
    confidence: float = CONFIDENCE,
) -> tuple[Finding, ...]:
    """Every figure of the new entries beside that of the old one (see `pairs`), then what has no other side.

    doubt: why latencies and memory of the two cannot be compared, if so. interleaved: they are of one run, in which
    their bursts took turns. allow_missing: entries that only the baseline has are no regression. confidence: of the
    intervals of latency. Raises BenchInputError if no entry has a baseline, or several have the same.
    """
    found = pairs(new, old)
    if not found.both:
        one, other = (said(side[0]) if side else "nothing" for side in (new, old))
        raise BenchInputError(
            "the baseline has no file of the same format, precision, runtime, threads and device to compare with "
            f"(of several models: of equal names): NEW has {one}, the baseline {other}"
        )
    terms, findings = _Terms(tolerances, doubt, interleaved, confidence), list[Finding]()
    for entry, baseline in found.both:
        where = place(entry if entry.runtime is not None else baseline)
        for finding in _findings(entry, baseline, terms):
            findings.append(replace(finding, baseline=title(baseline), place=where))
    for entry in found.missing:
        verdict = None if allow_missing else Verdict.regression
        findings.append(_row(entry, MISSING, verdict, "the baseline has it, and nothing new was compared with it"))
    for entry in found.added:
        failure = failure_of(entry)
        row = _row(entry, NEW, None, "the baseline has nothing like it")
        findings.append(row if failure is None else replace(_failed(entry, failure), place=row.place))
    return tuple(findings)


def failure_of(entry: Entry) -> Failure | None:
    """How an entry failed: golden outputs that it missed are a failure, whoever wrote its results."""
    return entry.failure or wrong_outputs(entry.agreement, "the golden ones")


def worst(findings: Sequence[Finding]) -> Verdict | None:
    """The verdict on all of them; None where one of them failed (see `Finding.failed`)."""
    if any(finding.failed for finding in findings):
        return None
    order = [*Verdict]
    verdicts = (finding.verdict for finding in findings if finding.verdict is not None)
    return min(verdicts, key=order.index, default=Verdict.inconclusive)


def incomparable(new: Results, old: Results) -> str | None:
    """Why latencies of two results cannot be compared, or None: only those of one machine can."""
    one, other = fingerprint(new.before), fingerprint(old.before)
    return None if one == other else f"they were measured on different machines ({one}; {other})"


def fingerprint(environment: Environment) -> str:
    """What must be the same for two latencies to be comparable, for people and programs."""
    parts = (environment.machine, environment.cpu, environment.cores, environment.kernel, environment.governor)
    return ", ".join(str(part) for part in parts if part is not None)


def in_doubt(new: Entry, old: Entry, way: str) -> str | None:
    """Why latencies of two runs cannot be compared, or None: only those of a machine in one state can, at rest.

    way: of measuring them.
    """
    for entry, whose in ((new, "the new"), (old, "the baseline's")):
        found = next((flag for flag in entry.flags if flag.flag in (*UNRESTFUL, f"noisy-{way}")), None)
        if found is not None:
            return f"{whose} is in doubt ({found.flag}: {found.reason}); measure it again on a machine at rest"
    return None


def _row(entry: Entry, figure: str, verdict: Verdict | None, reason: str) -> Finding:
    return Finding(title(entry), figure, None, None, None, None, None, verdict, reason, place=place(entry))


def _failed(new: Entry, failure: Failure) -> Finding:
    """A new entry that failed: what is the file's fault is a regression, all else is no verdict."""
    crashed = failure.kind == "signal" and failure.signal in CRASHES
    verdict = Verdict.regression if crashed or failure.kind in OF_THE_FILE else None
    return _row(new, FAILURE, verdict, f"it failed: {failure.message}")


def _findings(new: Entry, old: Entry, terms: _Terms) -> list[Finding]:
    name, tolerances = title(new), terms.tolerances
    failure, former = failure_of(new), failure_of(old)
    if failure is not None:
        found = [_failed(new, failure)]
    elif former is not None:
        found = [_row(new, FAILURE, Verdict.inconclusive, f"the baseline failed: {former.message}")]
    else:
        found = _measured(new, old, terms)
    found += _exact(name, "size", new.model.bytes, old.model.bytes, tolerances.size)
    found += _exact(name, "macs", new.model.macs, old.model.macs, tolerances.counts)
    found += _exact(name, "parameters", new.model.parameters, old.model.parameters, tolerances.counts)
    return found + _operators(name, new.model, old.model, tolerances.counts)


def _measured(new: Entry, old: Entry, terms: _Terms) -> list[Finding]:
    name, tolerances = title(new), terms.tolerances
    if (new.emulated and old.emulated) or (new.counts is not None and old.counts is not None):
        found = [_instructions(name, new, old, tolerances.counts)]
    else:
        ways = [BACK_TO_BACK, *(way for way in APART if way in old.timings)]
        found = [_latency(way, new, old, terms) for way in ways]
    peak, former = (None if entry.memory is None else entry.memory.peak for entry in (new, old))
    found += _exact(name, "memory", peak, former, tolerances.memory, terms.doubt)
    if old.agreement and not new.agreement:
        why = "its golden outputs were not compared, and the baseline's were"
        found.append(_row(new, "outputs", Verdict.inconclusive, why))
    for before in old.quality:
        same = next((each for each in new.quality if each.metric == before.metric), None)
        found.append(_quality(name, same, before, tolerances))
    return found


def _instructions(name: str, new: Entry, old: Entry, tolerance: float) -> Finding:
    if new.counts is None or old.counts is None:
        why = "they were not counted"
    elif new.counts.cpu != old.counts.cpu:
        why = f"they were counted on different CPUs ({new.counts.cpu}; {old.counts.cpu})"
    elif not old.counts.instructions:
        why = "none were counted of the baseline"
    else:
        (found,) = _exact(name, "instructions", new.counts.instructions, old.counts.instructions, tolerance)
        return found
    return Finding(name, "instructions", None, None, None, None, tolerance, Verdict.inconclusive, why)


def _latency(way: str, new: Entry, old: Entry, terms: _Terms) -> Finding:
    """The median of latency measured in one way."""
    figure = "latency" if way == BACK_TO_BACK else way
    one, other = new.timings.get(way), old.timings.get(way)
    tolerance: float = getattr(terms.tolerances, figure)
    found = Finding(title(new), figure, None, None, None, None, tolerance, Verdict.inconclusive)
    if one is None or other is None:
        return replace(found, reason="it was not measured" if one is None else "the baseline was not measured")
    unlike = one.unlike(other)
    if unlike is not None:
        return replace(found, reason=unlike)
    shaken = terms.doubt if terms.doubt is not None or terms.interleaved else in_doubt(new, old, way)
    if shaken is None and (new.emulated or old.emulated):
        shaken = "an emulated time is no latency"
    p50, former = one.summary.p50_ns, other.summary.p50_ns
    found = replace(found, old=former, new=p50)
    if shaken is not None:
        return replace(found, change=p50 / former - 1, reason=shaken)
    paired = paired_ratio(one.bursts, other.bursts, terms.confidence) if terms.interleaved else None
    ratio, (low, high) = paired or (p50 / former, ratio_interval(one.bursts, other.bursts, terms.confidence))
    interval = low - 1, high - 1
    return replace(found, change=ratio - 1, interval=interval, verdict=_verdict(interval, tolerance))


def _exact(
    name: str, figure: str, new: int | None, old: int | None, tolerance: float, doubt: str | None = None
) -> list[Finding]:
    if old is None or new == old == 0:
        return []
    if new is None or old == 0:
        why = "it is not known of the new file" if new is None else "it is 0 of the baseline"
        return [Finding(name, figure, old, new, None, None, tolerance, Verdict.inconclusive, why)]
    change = new / old - 1
    verdict = _verdict((change, change), tolerance) if doubt is None else Verdict.inconclusive
    return [Finding(name, figure, old, new, change, None, tolerance, verdict, doubt)]


def _operators(name: str, new: ModelInfo, old: ModelInfo, tolerance: float) -> list[Finding]:
    """How many operators compute the same thing. Another network may have more of them and be the better one, and so
    may a rewritten graph."""
    same = (new.macs, new.parameters, new.rewrites) == (old.macs, old.parameters, old.rewrites)
    if old.operators is None or not same:
        return []
    if new.operators is None:
        return _exact(name, "operators", None, sum(old.operators.values()), tolerance)
    found = _exact(name, "operators", sum(new.operators.values()), sum(old.operators.values()), tolerance)
    kinds = ((kind, old.operators.get(kind, 0), count) for kind, count in sorted(new.operators.items()))
    more = ", ".join(f"{kind} {before} -> {count}" for kind, before, count in kinds if count > before)
    return [replace(finding, reason=more or None) for finding in found]


def _quality(name: str, new: Quality | None, old: Quality, tolerances: Tolerances) -> Finding:
    """What was lost of a metric, with the interval of a difference from two intervals.

    Newcombe's of two Wilson intervals (1998, method 10), which holds for any two (Zou and Donner 2008, MOVER). The
    images are the same, so that the true interval is narrower: what lost no more than allowed has passed.
    """
    share = old.unit == "share"
    tolerance = tolerances.accuracy if share else tolerances.quality
    found = Finding(
        name, old.metric, old.value, None, None, None, tolerance, Verdict.inconclusive, unit=old.unit or "number"
    )
    if new is None or (new.data, new.samples, new.unit) != (old.data, old.samples, old.unit):
        return replace(found, new=None if new is None else new.value, reason="it was not measured on the same images")
    scale = 1.0 if share else abs(old.value)
    if scale == 0:
        return replace(found, new=new.value, reason="it is 0 of the baseline")
    sign = 1 if old.higher_is_better else -1
    lost = sign * (old.value - new.value) / scale
    found = replace(found, new=new.value, change=lost)
    if old.interval is None or new.interval is None:
        why = "it has no interval on so few images"
        return replace(found, reason=why) if lost > tolerance + ROUNDING else replace(found, verdict=Verdict.passed)
    best, worst = (1, 0) if old.higher_is_better else (0, 1)

    def off(each: Quality, end: int) -> float:
        return 0.0 if each.interval is None else (each.interval[end] - each.value) / scale

    low = lost - math.hypot(off(old, worst), off(new, best))
    high = lost + math.hypot(off(old, best), off(new, worst))
    verdict = Verdict.passed if lost <= tolerance + ROUNDING else _verdict((low, high), tolerance)
    return replace(found, interval=(low, high), verdict=verdict)


def _verdict(interval: Interval, tolerance: float) -> Verdict:
    low, high = interval
    if low > tolerance + ROUNDING:
        return Verdict.regression
    return Verdict.passed if high <= tolerance + ROUNDING else Verdict.inconclusive
