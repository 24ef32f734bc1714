"""Results as tables for people: a row is a line on a terminal of 100 columns (rich)."""

from typing import TYPE_CHECKING

from falcon_edge.cli.tables import Table
from runtime_bench import units
from runtime_bench.text import terminal
from runtime_bench.ways import APART, BACK_TO_BACK

if TYPE_CHECKING:  # rich and numpy are imported where they are used: --help must answer at once
    from collections.abc import Mapping, Sequence

    from rich.console import Group, RenderableType

    from falcon_edge.cli.tables import Cell
    from runtime_bench.compare import Row
    from runtime_bench.report.headline import Headline
    from runtime_bench.results import Entry, Results

WORDS = {"model", "format", "samples", "device"}  # columns that begin at the left; numbers end at the right
BLOCKS = "▁▂▃▄▅▆▇█"
SPARKS, FASTEST, SLOWEST = 8, 0.9, 1.5  # columns of a sparkline, and the shares of the median that it goes over
SAMPLES = f"samples: how they lie from {FASTEST:.0%} to {SLOWEST:.0%} of p50, and beyond"


def results_table(results: "Results") -> "Group":
    """Every entry's figures; of an emulated device the counts, for it has no times."""
    entries = [entry for entry in results.entries if entry.failure is None]
    emulated = any(entry.emulated for entry in entries)
    agreements = [each for entry in entries for each in entry.agreement]
    agreed = all(each.classes_equal in (None, each.vectors) and each.within_tolerance for each in agreements)
    rows = [
        _identity(entry, entries)
        | (_counts(entry) if emulated else {"size": units.megabytes(entry.model.bytes), **_times(entry)})
        | {units.metrics(entries): units.quality(entry), "golden": "" if agreed else _golden(entry)}
        for entry in entries
    ]
    notes = [
        ", ".join(dict.fromkeys(map(_runtime, entries))),
        f"{results.before.cpu}: counts of one inference, no times" if emulated else SAMPLES if rows else "",
        _ways(entries),
        "cycles: estimated, uncalibrated" if any(row.get("cycles") for row in rows) else "",
        *_boards(entries),
        "all golden outputs agree" if agreements and agreed else "",
    ]
    return _group(rows, notes, results.entries)


def comparison_table(rows: "Sequence[Row]") -> "Group":
    """Compressed beside standard; where it was measured in more ways than one, speed is a table of its own."""
    from rich.console import Group

    working = sorted(
        (row for row in rows if row.entry.failure is None),
        key=lambda row: (row.entry.model.target, row.entry.model.precision),
    )
    entries = [row.entry for row in working]
    known = [
        _identity(row.entry, entries)
        | {
            "size": units.megabytes(row.entry.model.bytes),
            "memory": _memory(row.entry),
            units.metrics(entries): units.quality(row.entry),
        }
        for row in working
    ]
    speeds = [
        {
            "p50": _p50(row.entry),
            "speedup": _speedup(row, BACK_TO_BACK),
            "instructions ratio": units.ratio(row.instructions_ratio),
            **_promise(row),
        }
        for row in working
    ]
    places = dict.fromkeys(entry.device for entry in entries if entry.emulated)
    notes = [f"{place}, emulated: instructions of one inference, no times" for place in places]
    every = [row.entry for row in rows]
    ways = [way for way in APART if any(way in entry.timings for entry in entries)]
    if not ways:
        return _group([one | other for one, other in zip(known, speeds, strict=True)], notes, every)
    for cells, found, row in zip(known, speeds, working, strict=True):
        cells["MACs ratio"] = "" if row.standard is row.entry else units.ratio(row.macs_ratio)
        found |= {"MACs ratio": "", "realised": "" if row.standard is row.entry else units.percent(row.realised_share)}
        found |= _speeds_apart(row, ways[0])
    names = [_identity(row.entry, entries) for row in working]
    tables = [
        _group(known, (), []),
        _group([name | found for name, found in zip(names, speeds, strict=True)], (), []),
        *(
            _group([name | _speeds_apart(row, way) for name, row in zip(names, working, strict=True)], (), [])
            for way in ways[1:]
        ),
    ]
    return Group(*(part for table in tables for part in (table, "")), _group([], [*notes, _ways(entries)], every))


def _speeds_apart(row: "Row", way: str) -> "dict[str, Cell]":
    """Paced or cold: the median, and the speedup with the share of the MACs ratio that it is."""
    speedup = row.speedups.get(way)
    share = None if speedup is None or row.standard is row.entry else speedup.realised_share
    return {
        way: _median(row.entry, way),
        f"{way} speedup": _speedup(row, way),
        f"{way} share": units.percent(share),
    }


def headlines_table(headlines: "Sequence[Headline]") -> "Group":
    """What a report says first."""
    from rich.console import Group

    parts: list[RenderableType] = []
    for headline in headlines:
        facts = Table("fact", "figure", "says", heading=False)
        for fact in headline.facts:
            facts.add_row(fact.name, fact.figure, fact.says)
        parts += [headline.says, headline.place, facts]
    return Group(*parts)


def _group(cells: "Sequence[Mapping[str, Cell]]", notes: "Sequence[str]", entries: "Sequence[Entry]") -> "Group":
    """A table without columns that nothing is in, then what failed, then notes."""
    from rich.console import Group
    from rich.text import Text

    titles = list(cells[0] if cells else ())
    table = Table(*titles, keys=2, left=WORDS, gap=1)
    for row in cells:
        table.add_row(*(row[title] for title in titles))
    failures = [
        Text(terminal(f"failed: {entry.model.name}, {entry.model.file}: {entry.failure.message}"), style="red")
        for entry in entries
        if entry.failure is not None
    ]
    return Group(*([table] if cells else []), *failures, *filter(None, notes))


def _identity(entry: "Entry", entries: "Sequence[Entry]") -> "dict[str, Cell]":
    """What tells an entry from the others."""
    several = {
        "device": len({(each.device, each.emulated) for each in entries}) > 1,
        "threads": len({each.runtime.threads for each in entries if each.runtime is not None}) > 1,
    }
    return {
        "model": entry.model.name,
        "format": f"{entry.model.target} {entry.model.precision}",
        "device": entry.device if several["device"] else "",
        "threads": str(entry.runtime.threads) if several["threads"] and entry.runtime is not None else "",
    }


def _times(entry: "Entry") -> "dict[str, Cell]":
    return {
        "p50": _p50(entry),
        "p90": units.milliseconds(None if entry.summary is None else entry.summary.p90_ns),
        "samples": _sparkline(entry),
        **{way: _median(entry, way) for way in APART},
        "memory": _memory(entry),
    }


def _median(entry: "Entry", way: str) -> str:
    """The median latency, measured in that way."""
    timing = entry.timings.get(way)
    return units.milliseconds(None if timing is None else timing.summary.p50_ns)


def _ways(entries: "Sequence[Entry]") -> str:
    """What the columns of latencies are."""
    said = units.ways(entries)
    return f"p50: back to back; {said}" if said else ""


def _memory(entry: "Entry") -> str:
    """What is resident once the file is loaded."""
    return units.megabytes(None if entry.memory is None else entry.memory.after_load)


def _p50(entry: "Entry") -> str:
    """The median latency; of an emulated entry there is none."""
    return units.milliseconds(None if entry.summary is None or entry.emulated else entry.summary.p50_ns)


def _counts(entry: "Entry") -> "dict[str, Cell]":
    counts = entry.counts
    if counts is None:
        return dict.fromkeys(("instructions", "MACs", "moved", "L1, L2 misses", "emptied", "cycles", "estimated"), "")
    return {
        "instructions": _millions(counts.instructions),
        "MACs": _millions(sum(counts.macs.values())),
        "moved": units.megabytes(counts.bytes_loaded + counts.bytes_stored),
        "L1, L2 misses": _misses(counts.l1_misses, counts.l2_misses),
        "emptied": _misses(counts.l1_misses_emptied, counts.l2_misses_emptied),
        "cycles": "" if counts.estimate else units.cycles(counts.cycles),  # which is made of them
        "estimated": units.estimate(counts.estimate),
    }


def _misses(*found: int | None) -> str:
    return ", ".join(filter(None, map(_millions, found)))


def _boards(entries: "Sequence[Entry]") -> "list[str]":
    """What the estimates are of."""
    found = (entry.counts.estimate for entry in entries if entry.counts is not None)
    names = dict.fromkeys(estimate.board for estimate in found if estimate is not None)
    return [f"estimated: on {name}, by its calibration; ± its largest error; not measured" for name in names]


def _sparkline(entry: "Entry") -> str:
    """The distribution of the samples; those beyond its ends are in the first and the last block."""
    if entry.summary is None:
        return ""
    import numpy as np

    from runtime_bench.stats import histogram

    counts = histogram(entry.bursts, np.linspace(FASTEST, SLOWEST, SPARKS + 1))
    heights = np.ceil((len(BLOCKS) - 1) * counts / counts.max()).astype(int)
    return "".join(BLOCKS[height] for height in heights)


def _speedup(row: "Row", way: str) -> "Cell":
    """Green where it is faster for sure, red where it is slower, yellow where that is open."""
    from rich.text import Text

    found = row.speedups.get(way)
    if found is None or row.standard is row.entry:
        return units.ratio(None if found is None else found.ratio)
    low, high = found.interval
    return Text(row.said(way), style="green" if low > 1 else "red" if high < 1 else "yellow")


def _promise(row: "Row") -> "dict[str, Cell]":
    """The MACs ratio, with the share of it that became speed where both are known."""
    promised, share = units.ratio(row.macs_ratio), units.percent(row.realised_share)
    if row.standard is row.entry:
        promised = share = ""
    return {"MACs ratio": "" if share else promised, "realised": f"{share} of {promised}" if share else ""}


def _runtime(entry: "Entry") -> str:
    runtime = entry.runtime
    return "" if runtime is None else f"{runtime.package} {runtime.version}"


def _golden(entry: "Entry") -> str:
    if not entry.agreement:
        return ""
    equal = [each.classes_equal for each in entry.agreement if each.classes_equal is not None]
    inexact = [each.output for each in entry.agreement if not each.within_tolerance]
    words = [f"{min(equal)}/{entry.agreement[0].vectors}"] if equal else []
    if inexact:
        words.append("inexact" if len(entry.agreement) == 1 else f"inexact: {', '.join(map(str, inexact))}")
    return ", ".join(words) or f"{entry.agreement[0].vectors} exact"


def _millions(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:.2f} M"
