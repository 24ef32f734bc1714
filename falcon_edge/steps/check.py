"""check: a new model against its baseline, from results or measured now against each other."""

import math
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from falcon_edge.data import ClassMap, Dataset
from falcon_edge.errors import BadInput
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.bench import BenchRequest, Selection, bench_groups
from falcon_edge.steps.judging import MetricChoice
from runtime_bench.bench import Protocol
from runtime_bench.devices.device import Device
from runtime_bench.history import append, drifts, lines, read
from runtime_bench.looks import Comparison, Looks, Run
from runtime_bench.regression import Finding, Tolerances, Verdict, check, incomparable, worst
from runtime_bench.results import Entry, Results, load
from runtime_bench.units import count

RESULTS = ".json"
# Eight processes a side make an interval over processes worth something; about 35 s for a pair of files.
PROTOCOL = Protocol(runs=400, seconds=4.0, processes=8, rounds=10, warm_up_seconds=0.2, ticks=200)


@dataclass(frozen=True)
class Checked:
    """What was found, and the results that were measured for it, if any.

    looks: when the comparison was looked at; runs: how many it took, in so many seconds. None where nothing was
    measured.
    """

    findings: tuple[Finding, ...]
    results: Results | None
    looks: Looks | None = None
    runs: int = 0
    seconds: float = 0.0

    @property
    def measured(self) -> str | None:
        """The measuring in words."""
        if self.looks is None:
            return None
        looked = f"looked at after {', '.join(map(str, self.looks.runs))} at most, each time with"
        return (
            f"{count(self.runs, 'run')} in {self.seconds:.0f} s; {looked} intervals of "
            f"{100 * self.looks.confidence:.4g}%"
        )

    @property
    def verdict(self) -> Verdict | None:
        """The worst of all findings; None where a device or worker failed."""
        return worst(self.findings)


def check_models(
    new: Path,
    baseline: Path,
    tolerances: Tolerances,
    *,
    protocol: Protocol = PROTOCOL,
    device: str | Device | None = None,
    selection: Selection | None = None,
    data: str | Dataset | None = None,
    class_map: ClassMap | None = None,
    metric: MetricChoice = None,
    confirm: bool | None = None,
    patience: float | None = None,
    allow_missing: bool = False,
    history: Path | None = None,
    progress: Progress = silent,
) -> Checked:
    """Compare two bundles or model files, measured now in turns, or two results files, of each what is selected.

    While a comparison of models is inconclusive, and more samples could decide it, it goes on for `patience` seconds at
    most (by default as long as the first run took): see runtime_bench.looks. Unless `confirm` is False, a regression of
    models counts only if one more run has it too. Neither is done on an emulated device, where what is counted repeats,
    nor for a file that fails. With `allow_missing`, what only the baseline has is no regression. What was measured of
    `new` is added to the file `history`, and a slow drift in it is a regression too. Raises BadInput for a pair of
    results and model, or for results with what only measuring uses; BenchInputError (runtime_bench) where nothing of
    the one has a baseline in the other, KeyboardInterrupt if the measurement was interrupted.
    """
    chosen = selection or Selection()
    measuring: dict[str, object] = {"device": device, "data": data, "class_map": class_map, "metric": metric}
    measuring |= {"confirm": confirm, "patience": patience}
    refuse_for_results(new, baseline, measuring)
    if patience is not None and not 0 <= patience < math.inf:
        raise BadInput(f"`patience` {patience}: is a number of seconds, at least 0")
    if history is not None:
        read(history)  # a damaged one costs no time
    if new.suffix.lower() == RESULTS:
        fresh, former = (_selected(path, chosen) for path in (new, baseline))
        doubt = incomparable(fresh, former)
        findings = check(fresh.entries, former.entries, tolerances, doubt=doubt, allow_missing=allow_missing)
        return Checked((*findings, *_drifts(history, fresh, fresh.entries, (), tolerances)), None)

    taken: list[Results] = []

    def measured() -> Run:
        results, (one, other) = bench_groups(
            [[new], [baseline]],
            BenchRequest(protocol, selection=chosen, data=data, class_map=class_map, metric=metric),
            device="local" if device is None else device,
            progress=progress,
        )
        if results.interrupted:
            raise KeyboardInterrupt
        taken.append(results)
        return Run(one, other)

    compared = Comparison(measured, tolerances, allow_missing=allow_missing)
    findings = compared.settled(patience, confirm=confirm is not False)
    one, other = compared.new, compared.old
    results = taken[-1].model_copy(update={"before": taken[0].before, "entries": (*one, *other)})
    drifted = _drifts(history, results, one, other, tolerances)
    return Checked((*findings, *drifted), results, compared.looks, len(compared.runs), compared.seconds)


def refuse_for_results(new: Path, baseline: Path, given: Mapping[str, object]) -> None:
    """Raise BadInput for results beside a model, and for results with what only measuring uses (`given`, by name)."""
    kinds = {path.suffix.lower() == RESULTS for path in (new, baseline)}
    if kinds == {True, False}:
        raise BadInput(f"{new} and {baseline}: compare two results files, or two models")
    names = [name for name, value in given.items() if value is not None]
    if kinds == {True} and names:
        raise BadInput(f"{new} and {baseline} are results, and nothing is measured; leave `{names[0]}` out")


def _selected(path: Path, selection: Selection) -> Results:
    """What a results file has of the selected files. Raises BadInput if that is nothing."""
    results = load(path)
    entries = tuple(entry for entry in results.entries if selection.takes_entry(entry))
    if not entries:
        raise BadInput(f"{path}: has no entry{' that is selected' if results.entries else ''}; nothing can be compared")
    return results.model_copy(update={"entries": entries})


def _drifts(
    history: Path | None, results: Results, new: Sequence[Entry], old: Sequence[Entry], tolerances: Tolerances
) -> list[Finding]:
    """Add a run to a history, and say what has drifted in it."""
    if history is None:
        return []
    fresh = lines(results, new, old, _commit())
    known = append(history, fresh)
    return [finding for line in fresh for finding in drifts(known, line, tolerances)]


def _commit() -> str | None:
    """The commit that the current folder is at, if it lies in a git repository."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
