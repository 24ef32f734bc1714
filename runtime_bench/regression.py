"""Whether a model became worse than its baseline: in latency, memory, size, accuracy and counts.

A regression is only what lies beyond the tolerance with its whole interval, a pass only what lies within it with its
whole interval; all else is inconclusive.
"""

import math
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path

from runtime_bench.environment import Environment
from runtime_bench.errors import BenchInputError
from runtime_bench.files import read_document
from runtime_bench.results import Accuracy, Entry, ModelInfo, Results
from runtime_bench.stats import Interval, paired_ratio, ratio_interval

MAXIMUM_BYTES = 1024**2
ROUNDING = 1e-9  # 1050 / 1000 - 1 is a little more than 0.05


class Verdict(StrEnum):
    """What can be said, the worst first."""

    regression = "regression"
    inconclusive = "inconclusive"
    passed = "pass"


@dataclass(frozen=True)
class Tolerances:
    """How much worse each figure may be: shares of the baseline; accuracy in 0..1 of top-1. Raises BenchInputError.

    counts: of MACs, parameters, operators, and the instructions of an emulated CPU, which repeat almost exactly.
    """

    latency: float = 0.05
    memory: float = 0.05
    size: float = 0.05
    counts: float = 0.005
    accuracy: float = 0.01

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise BenchInputError(f"the tolerance of {name} is a number of at least 0, not {value!r}")

    @classmethod
    def read(cls, path: Path) -> "Tolerances":
        """Of a TOML file with a number for each that differs from the default. Raises BenchInputError."""
        try:
            found = tomllib.loads(read_document(path, MAXIMUM_BYTES, "table of tolerances").decode())
        except OSError as error:
            raise BenchInputError(f"{path}: cannot be read ({error.strerror})") from error
        except ValueError as error:
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

    For accuracy it is the top-1 that was lost, in 0..1. `interval` is its 95% interval where it has one.
    """

    model: str
    figure: str
    old: float | None
    new: float | None
    change: float | None
    interval: Interval | None
    tolerance: float
    verdict: Verdict
    reason: str | None = None

    @property
    def says(self) -> str:
        """The change in words."""
        if self.change is None:
            return self.reason or "not measured"
        unit = " points" if self.figure == "accuracy" else "%"
        text = f"{100 * self.change:+.1f}{unit}"
        if self.interval is not None:
            text += f" ({100 * self.interval[0]:+.1f}..{100 * self.interval[1]:+.1f})"
        text += f", {100 * self.tolerance:g}{unit} allowed"
        return text if self.reason is None else f"{text}; {self.reason}"


def check(
    new: Sequence[Entry],
    old: Sequence[Entry],
    tolerances: Tolerances,
    *,
    doubt: str | None = None,
    interleaved: bool = False,
) -> tuple[Finding, ...]:
    """Every figure of the new entries beside that of the old one (see `baseline_of`).

    doubt: why latencies and memory of the two cannot be compared, if so. interleaved: they are of one run, in which
    their bursts took turns. Raises BenchInputError if no entry has a baseline.
    """
    findings: list[Finding] = []
    for entry in new:
        baseline = baseline_of(entry, old)
        if baseline is not None:
            findings += _findings(entry, baseline, tolerances, doubt, interleaved)
    if not findings:
        raise BenchInputError("the baseline has no file of the same format, precision and runtime to compare with")
    return tuple(findings)


def baseline_of(entry: Entry, old: Sequence[Entry]) -> Entry | None:
    """The old entry of the same format, precision, runtime and threads: of the same model's name, if there is one."""
    alike = [other for other in old if _kind(other) == _kind(entry)]
    return next((other for other in alike if other.model.name == entry.model.name), alike[0] if alike else None)


def worst(findings: Sequence[Finding]) -> Verdict:
    """The verdict on all of them."""
    order = [*Verdict]
    return min((finding.verdict for finding in findings), key=order.index, default=Verdict.inconclusive)


def incomparable(new: Results, old: Results) -> str | None:
    """Why latencies of two results cannot be compared, or None: only those of one machine in one state can."""
    for what, one, other in (
        ("machines", fingerprint(new.before), fingerprint(old.before)),
        ("devices", new.options.get("device"), old.options.get("device")),
    ):
        if one != other:
            return f"they were measured on different {what} ({one}; {other})"
    return None


def fingerprint(environment: Environment) -> str:
    """What must be the same for two latencies to be comparable, for people and programs."""
    parts = (environment.machine, environment.cpu, environment.cores, environment.kernel, environment.governor)
    return ", ".join(str(part) for part in parts if part is not None)


def _kind(entry: Entry) -> tuple[object, ...]:
    runtime = None if entry.runtime is None else (entry.runtime.name, entry.runtime.threads)
    return entry.model.target, entry.model.precision, runtime


def _findings(new: Entry, old: Entry, tolerances: Tolerances, doubt: str | None, interleaved: bool) -> list[Finding]:
    name = f"{new.model.name}, {new.model.file}"
    if (new.emulated and old.emulated) or (new.counts is not None and old.counts is not None):
        found = [_instructions(name, new, old, tolerances.counts)]
    else:
        found = [_latency(name, new, old, tolerances.latency, doubt, interleaved)]
    if new.memory is not None and old.memory is not None:
        peaks = new.memory.peak, old.memory.peak
        found += _exact(name, "memory", *peaks, tolerances.memory, doubt)
    found += _exact(name, "size", new.model.bytes, old.model.bytes, tolerances.size)
    found += _exact(name, "macs", new.model.macs, old.model.macs, tolerances.counts)
    found += _exact(name, "parameters", new.model.parameters, old.model.parameters, tolerances.counts)
    found += _operators(name, new.model, old.model, tolerances.counts)
    if old.accuracy is not None:
        found.append(_accuracy(name, new.accuracy, old.accuracy, tolerances.accuracy))
    return found


def _instructions(name: str, new: Entry, old: Entry, tolerance: float) -> Finding:
    if new.counts is None or old.counts is None:
        failed = (new if new.counts is None else old).failure
        why = "they were not counted" if failed is None else f"it failed: {failed.message}"
    elif new.counts.cpu != old.counts.cpu:
        why = f"they were counted on different CPUs ({new.counts.cpu}; {old.counts.cpu})"
    elif not old.counts.instructions:
        why = "none were counted of the baseline"
    else:
        (found,) = _exact(name, "instructions", new.counts.instructions, old.counts.instructions, tolerance)
        return found
    return Finding(name, "instructions", None, None, None, None, tolerance, Verdict.inconclusive, why)


def _latency(name: str, new: Entry, old: Entry, tolerance: float, doubt: str | None, interleaved: bool) -> Finding:
    if new.summary is None or old.summary is None:
        failed = new if new.summary is None else old
        why = "it was not measured" if failed.failure is None else f"it failed: {failed.failure.message}"
        return Finding(name, "latency", None, None, None, None, tolerance, Verdict.inconclusive, why)
    one, other = new.summary.p50_ns, old.summary.p50_ns
    if doubt is not None:
        return Finding(name, "latency", other, one, one / other - 1, None, tolerance, Verdict.inconclusive, doubt)
    if new.emulated or old.emulated:
        why = "an emulated time is no latency"
        return Finding(name, "latency", other, one, one / other - 1, None, tolerance, Verdict.inconclusive, why)
    paired = paired_ratio(new.bursts, old.bursts) if interleaved else None
    ratio, (low, high) = paired or (one / other, ratio_interval(new.bursts, old.bursts))
    interval = low - 1, high - 1
    return Finding(name, "latency", other, one, ratio - 1, interval, tolerance, _verdict(interval, tolerance))


def _exact(
    name: str, figure: str, new: int | None, old: int | None, tolerance: float, doubt: str | None = None
) -> list[Finding]:
    if new is None or not old:
        return []
    change = new / old - 1
    verdict = _verdict((change, change), tolerance) if doubt is None else Verdict.inconclusive
    return [Finding(name, figure, old, new, change, None, tolerance, verdict, doubt)]


def _operators(name: str, new: ModelInfo, old: ModelInfo, tolerance: float) -> list[Finding]:
    """How many operators compute the same thing. Another network may have more of them and be the better one."""
    if new.operators is None or old.operators is None or (new.macs, new.parameters) != (old.macs, old.parameters):
        return []
    found = _exact(name, "operators", sum(new.operators.values()), sum(old.operators.values()), tolerance)
    kinds = ((kind, old.operators.get(kind, 0), count) for kind, count in sorted(new.operators.items()))
    more = ", ".join(f"{kind} {before} -> {count}" for kind, before, count in kinds if count > before)
    return [replace(finding, reason=more or None) for finding in found]


def _accuracy(name: str, new: Accuracy | None, old: Accuracy, tolerance: float) -> Finding:
    """The loss of top-1, with Newcombe's interval of a difference from two Wilson intervals (1998, method 10).

    The images are the same, so that the true interval is narrower: what lost no more than allowed has passed.
    """
    if new is None or new.data != old.data or new.samples != old.samples:
        why = "it was not measured on the same images"
        found = None if new is None else new.top1
        return Finding(name, "accuracy", old.top1, found, None, None, tolerance, Verdict.inconclusive, why)
    lost = old.top1 - new.top1
    low = lost - math.hypot(old.top1 - old.interval[0], new.interval[1] - new.top1)
    high = lost + math.hypot(old.interval[1] - old.top1, new.top1 - new.interval[0])
    verdict = Verdict.passed if lost <= tolerance + ROUNDING else _verdict((low, high), tolerance)
    return Finding(name, "accuracy", old.top1, new.top1, lost, (low, high), tolerance, verdict)


def _verdict(interval: Interval, tolerance: float) -> Verdict:
    low, high = interval
    if low > tolerance + ROUNDING:
        return Verdict.regression
    return Verdict.passed if high <= tolerance + ROUNDING else Verdict.inconclusive
