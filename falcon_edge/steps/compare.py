"""compare: results files, every entry beside its standard."""

from collections.abc import Collection, Sequence
from pathlib import Path

from falcon_edge.bundle import is_bundle, open_bundle
from falcon_edge.errors import BadInput
from falcon_edge.steps.answers import loaded
from runtime_bench.compare import Row
from runtime_bench.compare import compare as beside_each_other
from runtime_bench.results import Results


def compare(paths: Sequence[Path], *, baseline: str | None = None, across: Collection[str] = ()) -> Sequence[Row]:
    """What `runtime_bench.compare.compare` finds in files that bench wrote, or a phone's app shared.

    baseline: a model by its name in them, or a bundle's path. Raises BadInput, BenchInputError.
    """
    results = loaded(paths)
    return beside_each_other(results, baseline=measured(baseline, results), across=across)


def measured(baseline: str | None, results: Sequence[Results]) -> str | None:
    """A baseline as results know it: by name, or by the identity of the bundle whose path is given.

    Raises BadInput for a bundle that they are not of.
    """
    models = [entry.model for result in results for entry in result.entries]
    if baseline is None or baseline in {model.name for model in models} or not is_bundle(Path(baseline)):
        return baseline
    identity = open_bundle(Path(baseline)).manifest.lineage.identity
    if identity not in {model.identity for model in models}:
        names = ", ".join(sorted({model.name for model in models}))
        raise BadInput(f"{baseline}: was not measured here as it is now; these results are of {names}")
    return identity
