"""Rows of a CSV file that grows while a benchmark runs, so that an interrupted run goes on; means over its seeds."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from falcon_edge.steps.study.groups import around


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


def mean(values: Sequence[float], form: str = ".2f") -> str:
    """The mean over seeds, with half of its 95% interval (Student's t) where there are several."""
    said = f"{np.mean(values):{form}}"
    if len(values) == 1:
        return said
    low, high = around(values)
    return f"{said} ± {(high - low) / 2:.2f}"
