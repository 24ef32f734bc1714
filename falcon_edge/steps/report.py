"""report: results files as one HTML file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from falcon_edge.steps.answers import loaded
from falcon_edge.steps.compare import measured
from runtime_bench.files import check_outputs, write
from runtime_bench.report import page
from runtime_bench.report.contents import contents
from runtime_bench.report.headline import Headline


@dataclass(frozen=True)
class Report:
    """A report that was written: its size, and what it says first."""

    path: Path
    bytes: int
    headlines: tuple[Headline, ...]


def report(paths: Sequence[Path], output: Path, *, baseline: str | None = None) -> Report:
    """Write files that bench wrote, or a phone's app shared, as one HTML file that needs no network.

    baseline: as of `compare`. Raises BadInput, BenchInputError.
    """
    check_outputs([output], paths)
    results = loaded(paths)
    found = contents(results, baseline=measured(baseline, results))
    data = page.html(found).encode()
    write(data, output)
    return Report(output, len(data), found.headlines)
