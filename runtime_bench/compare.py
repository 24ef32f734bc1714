"""Compressed beside standard, from results alone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from runtime_bench.errors import BenchInputError
from runtime_bench.results import Entry, Results
from runtime_bench.stats import Interval, ratio_interval


@dataclass(frozen=True)
class Row:
    """An entry beside the standard one of the same runtime and precision. None: one of the two figures is missing.

    speedup: ratio of the p50s; speedup_interval: its 95% interval; macs_ratio: standard over this; realised_share:
    speedup / macs_ratio.
    """

    entry: Entry
    standard: Entry | None
    speedup: float | None
    speedup_interval: Interval | None
    macs_ratio: float | None
    realised_share: float | None


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
    entries = [entry for result in results for entry in result.entries]
    _refuse_mixtures(results, entries, across)
    if baseline is not None and all(entry.model.name != baseline for entry in entries):
        names = ", ".join(sorted({entry.model.name for entry in entries}))
        raise BenchInputError(f"no model is called {baseline}; there are {names}")
    rows = tuple(
        _row(entry, _standard(entry, (*_plainest_first(result.entries), *_plainest_first(entries)), baseline, across))
        for result in results
        for entry in result.entries
    )
    if all(row.standard is None or row.standard is row.entry for row in rows):
        raise BenchInputError("nothing to compare with: measure the standard model too, or name it with --baseline")
    return rows


def _plainest_first(entries: Sequence[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (entry.model.precision != "fp32", _threads(entry) or 0))


def _standard(entry: Entry, entries: Sequence[Entry], baseline: str | None, across: Collection[str]) -> Entry | None:
    for other in entries:
        if _setting(other, across) != _setting(entry, across):
            continue
        if baseline is not None:
            if other.model.name == baseline:
                return other
        elif other.model.role == "standard" and (
            other is entry
            or (other.model.identity is not None and other.model.identity in (entry.model.parent, entry.model.identity))
        ):
            return other
    return None


def _setting(entry: Entry, across: Collection[str]) -> tuple[Any, ...]:
    free = {"precision": entry.model.precision, "threads": _threads(entry)}
    return entry.model.target, *(value for name, value in free.items() if name not in across)


def _threads(entry: Entry) -> int | None:
    return None if entry.runtime is None else entry.runtime.threads


def _row(entry: Entry, standard: Entry | None) -> Row:
    speedup = interval = macs_ratio = share = None
    if standard is not None and standard.summary is not None and entry.summary is not None:
        speedup = standard.summary.p50_ns / entry.summary.p50_ns
        interval = (1.0, 1.0) if standard is entry else ratio_interval(standard.bursts, entry.bursts)
    if standard is not None and standard.model.macs and entry.model.macs:
        macs_ratio = standard.model.macs / entry.model.macs
    if speedup is not None and macs_ratio is not None:
        share = speedup / macs_ratio
    return Row(entry, standard, speedup, interval, macs_ratio, share)


def _refuse_mixtures(results: Sequence[Results], entries: Sequence[Entry], across: Collection[str]) -> None:
    threads: dict[str, set[int]] = {}
    for entry in entries:
        if entry.runtime is not None:
            threads.setdefault(entry.model.name, set()).add(entry.runtime.threads)
    settings: dict[str, set[Any]] = {
        "machine": {f"{result.before.machine}, {result.before.cpu}" for result in results},
        # every model with the same numbers of them is one sweep
        "threads": {", ".join(map(str, sorted(numbers))) for numbers in threads.values()},
        "device": {entry.device for entry in entries},
        "emulation": {entry.emulated for entry in entries},
    }
    for what, values in settings.items():
        if len(values) > 1 and what not in across:
            shown = " and ".join(sorted(map(str, values)))
            raise BenchInputError(
                f"these results differ in {what} ({shown}); measure them alike to compare them, or say --across {what}"
            )
