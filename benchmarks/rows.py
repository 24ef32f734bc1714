"""Rows of a CSV file that grows while a benchmark runs, so that an interrupted run goes on."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path


def read(path: Path) -> list[dict[str, str]]:
    """The rows that are there, none if the file is not."""
    if not path.exists():
        return []
    with path.open(newline="") as lines:
        return [*csv.DictReader(lines)]


def append(path: Path, columns: Sequence[str], row: Mapping[str, object]) -> None:
    """Write one more row, below a heading of columns."""
    fresh = not path.exists()
    with path.open("a", newline="") as lines:
        writer = csv.DictWriter(lines, columns)
        if fresh:
            writer.writeheader()
        writer.writerow(row)
