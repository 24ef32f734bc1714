"""Compressed beside standard, from results alone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from runtime_bench import units
from runtime_bench.errors import BenchInputError
from runtime_bench.results import Entry, Paced, Results, Timing
from runtime_bench.stats import Interval, ratio_interval


@dataclass(frozen=True)
class Speedup:
    """How many times as fast as the standard one an entry is in one way of measuring: the ratio of the p50s.

    interval: of 95%; realised_share: of the MACs ratio, where that is known.
    """

    ratio: float
    interval: Interval
    realised_share: float | None


@dataclass(frozen=True)
class Row:
    """An entry beside the standard one of the same runtime and precision. None: one of the two figures is missing.

    speedup, speedup_interval and realised_share: back to back; paced, cold: the same where both were measured so.
    macs_ratio: standard over this. Of an emulated entry there is no speedup, but instructions_ratio: standard over
    this.
    """

    entry: Entry
    standard: Entry | None = None
    speedup: float | None = None
    speedup_interval: Interval | None = None
    macs_ratio: float | None = None
    realised_share: float | None = None
    instructions_ratio: float | None = None
    paced: Speedup | None = None
    cold: Speedup | None = None

    @property
    def speedups(self) -> dict[str, Speedup]:
        """By way of measuring."""
        found = {"paced": self.paced, "cold": self.cold}
        if self.speedup is not None and self.speedup_interval is not None:
            found = {units.BACK_TO_BACK: Speedup(self.speedup, self.speedup_interval, self.realised_share), **found}
        return {way: speedup for way, speedup in found.items() if speedup is not None}


ACROSS = ("machine", "device", "emulation", "threads", "precision")


def compare(
    results: Sequence[Results], *, baseline: str | None = None, across: Collection[str] = ()
) -> tuple[Row, ...]:
    """Put every entry beside its standard: by lineage, else the entry named `baseline`.

    Only what was measured alike is compared, but for what `across` names (of ACROSS): then the fp32 standard with the
    fewest threads is the one. A standard of the same results file goes before one of another: only those two were
    measured interleaved. Raises BenchInputError if entries differ otherwise, or if no standard is found.
    """
    unknown = [name for name in across if name not in ACROSS]
    if unknown:
        raise BenchInputError(f"{unknown[0]}: models can be compared across {', '.join(ACROSS)}")
    _refuse_mixtures(results, [entry for result in results for entry in result.entries], across)
    rows = beside_standards(results, baseline=baseline, across=across)
    if all(row.standard is None or row.standard is row.entry for row in rows):
        raise BenchInputError("nothing to compare with: measure the standard model too, or name it as `baseline`")
    return rows


def beside_standards(
    results: Sequence[Results], *, baseline: str | None = None, across: Collection[str] = ()
) -> tuple[Row, ...]:
    """As `compare`, of whatever mixture: an entry beside which nothing was measured alike has no standard.

    Raises BenchInputError if nothing was measured, or for a baseline that is not there or that of other models.
    """
    entries = [entry for result in results for entry in result.entries]
    if all(entry.summary is None and entry.counts is None and entry.failure is None for entry in entries):
        raise BenchInputError("nothing was measured: these results have no samples")
    if baseline is not None and all(entry.model.name != baseline for entry in entries):
        names = ", ".join(sorted({entry.model.name for entry in entries}))
        raise BenchInputError(f"no model is called {baseline}; there are {names}")
    rows = tuple(map(_row, entries, standards(results, baseline=baseline, across=across)))
    others = [row for row in rows if row.entry.model.name != baseline]
    if baseline is not None and others and all(row.standard is None for row in others):
        raise BenchInputError(
            f"{baseline} is no baseline for {others[0].entry.model.name}: it is the standard of other models, "
            "or was measured otherwise"
        )
    return rows


def standards(
    results: Sequence[Results], *, baseline: str | None = None, across: Collection[str] = ()
) -> tuple[Entry | None, ...]:
    """The standard of every entry as `compare` finds it, in order; None where there is none."""
    runs = [[(entry, machine(result)) for entry in result.entries] for result in results]
    everything = _plainest_first([placed for run in runs for placed in run])
    return tuple(
        _standard(placed, (*_plainest_first(run), *everything), baseline, across) for run in runs for placed in run
    )


def machine(results: Results) -> str:
    """The machine of these results, in words."""
    return ", ".join(filter(None, (results.before.machine, results.before.cpu)))


_Placed = tuple[Entry, str]  # an entry, and the machine that it was measured on


def _plainest_first(entries: Sequence[_Placed]) -> list[_Placed]:
    return sorted(entries, key=lambda placed: (placed[0].model.precision != "fp32", _threads(placed[0]) or 0))


def _standard(
    placed: _Placed, others: Sequence[_Placed], baseline: str | None, across: Collection[str]
) -> Entry | None:
    entry = placed[0]
    for other in others:
        candidate = other[0]
        if _setting(other, across) != _setting(placed, across):
            continue
        if baseline is not None:
            if candidate.model.name == baseline and not _unrelated(entry, candidate):
                return candidate
        elif candidate.model.role == "standard" and (
            candidate is entry
            or (
                candidate.model.identity is not None
                and candidate.model.identity in (entry.model.parent, entry.model.identity)
            )
        ):
            return candidate
    return None


def _unrelated(entry: Entry, baseline: Entry) -> bool:
    """Whether both tell where they come from, and it is not the same."""
    if entry.model.parent is None or baseline.model.identity is None:
        return False
    return {entry.model.parent, entry.model.identity}.isdisjoint(
        {baseline.model.identity, baseline.model.parent} - {None}
    )


def _setting(placed: _Placed, across: Collection[str]) -> tuple[Any, ...]:
    entry, place = placed
    free = {
        "machine": place,
        "device": entry.device,
        "emulation": entry.emulated,
        "threads": _threads(entry),
        "precision": entry.model.precision,
    }
    return entry.model.target, *(value for name, value in free.items() if name not in across)


def _threads(entry: Entry) -> int | None:
    return None if entry.runtime is None else entry.runtime.threads


def _row(entry: Entry, standard: Entry | None) -> Row:
    if standard is None:
        return Row(entry)
    macs_ratio = instructions_ratio = None
    if standard.model.macs and entry.model.macs:
        macs_ratio = standard.model.macs / entry.model.macs
    if standard.counts is not None and entry.counts is not None and entry.counts.instructions:
        instructions_ratio = standard.counts.instructions / entry.counts.instructions
    found: dict[str, Speedup] = {}
    if not (standard.emulated or entry.emulated):  # their times say nothing
        for way, timing in entry.timings.items():
            other = standard.timings.get(way)
            if other is not None and _alike(timing, other):
                ratio = other.summary.p50_ns / timing.summary.p50_ns
                interval = (1.0, 1.0) if standard is entry else ratio_interval(other.bursts, timing.bursts)
                found[way] = Speedup(ratio, interval, None if macs_ratio is None else ratio / macs_ratio)
    warm = found.get(units.BACK_TO_BACK)
    return Row(
        entry,
        standard,
        speedup=None if warm is None else warm.ratio,
        speedup_interval=None if warm is None else warm.interval,
        macs_ratio=macs_ratio,
        realised_share=None if warm is None else warm.realised_share,
        instructions_ratio=instructions_ratio,
        paced=found.get("paced"),
        cold=found.get("cold"),
    )


def _alike(one: Timing, other: Timing) -> bool:
    """Whether both had as long a time between inferences."""
    return not isinstance(one, Paced) or not isinstance(other, Paced) or one.is_like(other)


def _refuse_mixtures(results: Sequence[Results], entries: Sequence[Entry], across: Collection[str]) -> None:
    threads: dict[str, set[int]] = {}
    for entry in entries:
        if entry.runtime is not None:
            threads.setdefault(entry.model.name, set()).add(entry.runtime.threads)
    settings: dict[str, set[Any]] = {
        "machine": {machine(result) for result in results},
        # every model with the same numbers of them is one sweep
        "threads": {", ".join(map(str, sorted(numbers))) for numbers in threads.values()},
        "device": {entry.device for entry in entries},
        "emulation": {entry.emulated for entry in entries},
    }
    for what, values in settings.items():
        if len(values) > 1 and what not in across:
            shown = " and ".join(sorted(map(str, values)))
            raise BenchInputError(
                f"these results differ in {what} ({shown}); measure them alike to compare them, or `across` {what}"
            )
