"""check: a new model against its baseline, from results or measured now against each other."""

from dataclasses import dataclass
from pathlib import Path

from falcon_edge.errors import BadInput
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.bench import Selection, bench_groups
from runtime_bench.bench import Protocol
from runtime_bench.devices.device import Device
from runtime_bench.regression import Finding, Tolerances, Verdict, check, incomparable, worst
from runtime_bench.results import Results, load

RESULTS = ".json"
# Eight processes a side make an interval over processes worth something; about 20 s for a pair of files.
PROTOCOL = Protocol(runs=400, seconds=4.0, processes=8, rounds=10, warm_up_seconds=0.2)


@dataclass(frozen=True)
class Checked:
    """The verdict, what it rests on, and the results that were measured for it, if any."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    results: Results | None


def check_models(
    new: Path,
    baseline: Path,
    tolerances: Tolerances,
    *,
    protocol: Protocol = PROTOCOL,
    device: str | Device = "local",
    selection: Selection | None = None,
    data: str | None = None,
    confirm: bool = True,
    progress: Progress = silent,
) -> Checked:
    """Compare two bundles or model files, measured now in turns, or two results files.

    With `confirm`, a regression of models counts only if a second run finds one too. Raises BadInput for a pair of
    results and model, BenchInputError (runtime_bench) where nothing of the one has a baseline in the other.
    """
    kinds = {path.suffix == RESULTS for path in (new, baseline)}
    if kinds == {True, False}:
        raise BadInput(f"{new} and {baseline}: compare two results files, or two models")
    if kinds == {True}:
        fresh, former = load(new), load(baseline)
        findings = check(fresh.entries, former.entries, tolerances, doubt=incomparable(fresh, former))
        return Checked(worst(findings), findings, None)

    def measured() -> Checked:
        results, (one, other) = bench_groups(
            [[new], [baseline]], protocol, device=device, selection=selection, data=data, progress=progress
        )
        found = check(one, other, tolerances, interleaved=True)
        return Checked(worst(found), found, results)

    first = measured()
    if first.verdict is not Verdict.regression or not confirm:
        return first
    second = measured()
    return second if second.verdict is not Verdict.regression else first
