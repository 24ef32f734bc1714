"""The table of a study: a row a cell, in the order of its file, with what was measured of its files."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from falcon_edge.steps.study.cells import Cell
from falcon_edge.steps.study.columns import FILES, File, interval_of
from falcon_edge.steps.study.making import TOP1, Record, records_of
from runtime_bench import text
from runtime_bench.files import write
from runtime_bench.results import Entry, load

TABLE, RESULTS = "study.csv", "results.json"
OF_CELL = ("model", "width", "kind", "what", "rank", "options", "macs_of", "taught", "init", "epochs", "seed")
OF_NETWORK = ("network_width", "parameters", "macs", "top1", "low", "high", "images", "failed")


def figures_of(entry: Entry) -> dict[str, float]:
    """What was measured of a file, by the columns' names: latencies in microseconds, and its accuracy."""
    assert entry.runtime is not None
    file = File(entry.runtime.name, entry.model.precision)
    found: dict[str, float] = {}
    for way, timing in entry.timings.items():
        name = file.latency(way)
        found[name] = timing.summary.p50_ns / 1e3
        if timing.intervals is not None:
            found |= zip(interval_of(name), (end / 1e3 for end in timing.intervals.p50_ns), strict=True)
    for quality in entry.quality:
        if quality.metric == TOP1:
            found[file.top1] = quality.value
            if quality.interval is not None:
                found |= zip(interval_of(file.top1), quality.interval, strict=True)
    return found


def entries_of(folder: Path) -> tuple[Entry, ...]:
    """What results.json has of cells' files; nothing where there is none."""
    path = folder / RESULTS
    return tuple(load(path).entries) if path.exists() else ()


def measured(entries: Sequence[Entry]) -> dict[str, dict[str, float]]:
    """The figures of cells' files, by cell."""
    found: dict[str, dict[str, float]] = {}
    for entry in entries:
        if entry.failure is None and entry.runtime is not None:
            found.setdefault(entry.model.name, {}).update(figures_of(entry))
    return found


def write_table(folder: Path, cells: Sequence[Cell]) -> None:
    """Write study.csv, as a whole: the same records give the same bytes."""
    records, figures = records_of(folder, cells), measured(entries_of(folder))
    known = {name for each in figures.values() for name in each}
    columns = [name for file in FILES for name in file.columns if name in known]
    rows = [_row(cell, records.get(cell.name)) | figures.get(cell.name, {}) for cell in cells]
    lines = io.StringIO()
    writer = csv.DictWriter(lines, ["cell", *OF_CELL, *OF_NETWORK, *columns], restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: text.csv(value) if isinstance(value, str) else value for name, value in row.items()})
    write(lines.getvalue().encode(), folder / TABLE)


def _row(cell: Cell, record: Record | None) -> dict[str, Any]:
    row: dict[str, Any] = {"cell": cell.name, **{name: getattr(cell, name) for name in OF_CELL}}
    row["options"] = " ".join(f"{name}={value}" for name, value in cell.options.items() if name != "rank")
    row["taught"] = "yes" if cell.taught else ""
    row = {name: "" if value is None else value for name, value in row.items()}
    if record is None or record.made is None:
        return row | {"failed": "" if record is None else record.failed or ""}
    made = record.made
    low, high = made.interval or ("", "")
    own = {"network_width": made.network_width, "parameters": made.parameters, "macs": made.macs}
    return row | own | {"top1": made.top1, "low": low, "high": high, "images": made.images}
