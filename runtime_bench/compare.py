"""Compressed beside standard, from results alone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runtime_bench import units
from runtime_bench.errors import BenchInputError
from runtime_bench.results import Entry, Results
from runtime_bench.stats import Interval, ratio_interval
from runtime_bench.ways import BACK_TO_BACK


@dataclass(frozen=True)
class Speedup:
    """How many times as fast as the standard one an entry is in one way of measuring: the ratio of the p50s.

    interval: of 95%; realised_share: of the MACs ratio, where that is known and promises any.
    """

    ratio: float
    interval: Interval
    realised_share: float | None


@dataclass(frozen=True)
class Row:
    """An entry beside the standard one of the same runtime and precision. None: one of the two figures is missing.

    speedups: by the way of measuring, where both were measured so. macs_ratio: standard over this. Of an emulated entry
    there is no speedup, but instructions_ratio: standard over this.
    """

    entry: Entry
    standard: Entry | None = None
    speedups: Mapping[str, Speedup] = field(default_factory=dict)
    macs_ratio: float | None = None
    instructions_ratio: float | None = None

    @property
    def speedup(self) -> float | None:
        """Back to back."""
        return None if self._warm is None else self._warm.ratio

    @property
    def speedup_interval(self) -> Interval | None:
        """Of the speedup back to back."""
        return None if self._warm is None else self._warm.interval

    @property
    def realised_share(self) -> float | None:
        """Of the speedup back to back."""
        return None if self._warm is None else self._warm.realised_share

    def said(self, way: str = BACK_TO_BACK) -> str:
        """The speedup in a way, with its interval, as in '5.30x (5.06..5.61)'; empty where there is none."""
        found = self.speedups.get(way)
        if found is None or self.standard is self.entry:
            return units.ratio(None if found is None else found.ratio)
        return f"{units.ratio(found.ratio)} {units.bounds(found.interval, 1, 2)}"

    @property
    def _warm(self) -> Speedup | None:
        return self.speedups.get(BACK_TO_BACK)


ACROSS = ("machine", "device", "emulation", "threads", "precision")


def compare(
    results: Sequence[Results], *, baseline: str | None = None, across: Collection[str] = ()
) -> tuple[Row, ...]:
    """Put every entry beside its standard: by lineage, else the entry with the name or the identity `baseline`.

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
    if not any(entry.summary or entry.counts or entry.quality or entry.failure for entry in entries):
        raise BenchInputError("nothing was measured: these results have no samples")
    chosen = [entry.model.name for entry in entries if _is(entry, baseline)]
    if baseline is not None and not chosen:
        names = ", ".join(sorted({entry.model.name for entry in entries}))
        raise BenchInputError(f"no model is called {baseline}; there are {names}")
    rows = tuple(map(_row, entries, standards(results, baseline=baseline, across=across)))
    others = [row for row in rows if not _is(row.entry, baseline)]
    if baseline is not None and others and all(row.standard is None for row in others):
        raise BenchInputError(
            f"{chosen[0]} is no baseline for {others[0].entry.model.name}: it is the standard of other models, "
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
            if _is(candidate, baseline) and not _unrelated(entry, candidate):
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


def _is(entry: Entry, baseline: str | None) -> bool:
    """Whether it has this name or identity."""
    return baseline is not None and baseline in (entry.model.name, entry.model.identity)


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
            if other is not None and timing.unlike(other) is None:
                ratio = other.summary.p50_ns / timing.summary.p50_ns
                interval = (1.0, 1.0) if standard is entry else ratio_interval(other.bursts, timing.bursts)
                share = None if macs_ratio is None or macs_ratio < 1 else ratio / macs_ratio
                found[way] = Speedup(ratio, interval, share)
    return Row(entry, standard, found, macs_ratio, instructions_ratio)


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
