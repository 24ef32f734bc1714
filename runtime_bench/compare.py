"""Compressed beside standard, from results alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runtime_bench.errors import BenchInputError
from runtime_bench.results import Entry, Results


@dataclass(frozen=True)
class Row:
    """An entry beside the standard one of the same runtime and precision. None: one of the two figures is missing.

    speedup: ratio of the p50s; macs_ratio: standard over this; realised_share: speedup / macs_ratio.
    """

    entry: Entry
    standard: Entry | None
    speedup: float | None
    macs_ratio: float | None
    realised_share: float | None


def compare(results: Sequence[Results], *, baseline: str | None = None) -> tuple[Row, ...]:
    """Put every entry beside its standard: by lineage, else the entry named `baseline`.

    A standard of the same results file goes before one of another: only those two were measured interleaved.
    Raises BenchInputError if entries differ in machine, device, threads or emulation, or if no standard is found.
    """
    entries = [entry for result in results for entry in result.entries]
    _refuse_mixtures(results, entries)
    if baseline is not None and all(entry.model.name != baseline for entry in entries):
        names = ", ".join(sorted({entry.model.name for entry in entries}))
        raise BenchInputError(f"no model is called {baseline}; there are {names}")
    rows = tuple(
        _row(entry, _standard(entry, (*result.entries, *entries), baseline))
        for result in results
        for entry in result.entries
    )
    if all(row.standard is None or row.standard is row.entry for row in rows):
        raise BenchInputError("nothing to compare with: measure the standard model too, or name it with --baseline")
    return rows


def _standard(entry: Entry, entries: Sequence[Entry], baseline: str | None) -> Entry | None:
    for other in entries:
        if _setting(other) != _setting(entry):
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


def _setting(entry: Entry) -> tuple[str, str]:
    return entry.model.target, entry.model.precision


def _row(entry: Entry, standard: Entry | None) -> Row:
    speedup = macs_ratio = share = None
    if standard is not None and standard.summary is not None and entry.summary is not None:
        speedup = standard.summary.p50_ns / entry.summary.p50_ns
    if standard is not None and standard.model.macs and entry.model.macs:
        macs_ratio = standard.model.macs / entry.model.macs
    if speedup is not None and macs_ratio is not None:
        share = speedup / macs_ratio
    return Row(entry, standard, speedup, macs_ratio, share)


def _refuse_mixtures(results: Sequence[Results], entries: Sequence[Entry]) -> None:
    settings: dict[str, set[Any]] = {
        "machine": {f"{result.before.machine}, {result.before.cpu}" for result in results},
        "threads": {entry.runtime.threads for entry in entries if entry.runtime is not None},
        "device": {entry.device for entry in entries},
        "emulation": {entry.emulated for entry in entries},
    }
    for what, values in settings.items():
        if len(values) > 1:
            shown = " and ".join(sorted(map(str, values)))
            raise BenchInputError(f"these results differ in {what} ({shown}); measure them alike to compare them")
