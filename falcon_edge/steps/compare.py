"""compare: results files, every entry beside its standard."""

from collections.abc import Collection, Sequence
from pathlib import Path

from runtime_bench.compare import Row
from runtime_bench.compare import compare as beside_each_other
from runtime_bench.results import load


def compare(paths: Sequence[Path], *, baseline: str | None = None, across: Collection[str] = ()) -> Sequence[Row]:
    """What `runtime_bench.compare.compare` finds in files that bench wrote. Raises BenchInputError."""
    return beside_each_other([load(path) for path in paths], baseline=baseline, across=across)
