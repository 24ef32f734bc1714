"""plan: the frontier of a network, its plans as files of a folder, and what was measured of some."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from falcon_edge.data import ClassMap, Dataset
from falcon_edge.documents import canonical_json
from falcon_edge.errors import BadInput
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.judging import MetricChoice
from falcon_edge.steps.opening import Choice, open_with_data
from falcon_edge.steps.planning.budgets import By, Latency
from falcon_edge.steps.planning.frontier_page import Shown, frontier_page
from falcon_edge.steps.planning.planner import COUNT, DOWN_TO, Planner, planner_for
from falcon_edge.steps.planning.trial import Outcome
from falcon_edge.steps.planning.verify import verify
from falcon_edge.training.recipe import Recipe
from runtime_bench.files import check_outputs, write

NAME, NAMED = "plan-{:02}.json", re.compile(r"plan-\d{2,}\.json")
RANKS = 1, 2  # of FALCON in every layer, beside the plans


@dataclass(frozen=True)
class Verified:
    """How many plans are built, tuned by a recipe, exported and measured."""

    count: int
    recipe: Recipe


@dataclass(frozen=True)
class Frontier:
    """Plans by the names of their files, from dear to cheap; FALCON in every layer; what both are predicted by."""

    planner: Planner
    plans: tuple[Shown, ...]
    rivals: tuple[Shown, ...]


def write_frontier(
    choice: Choice,
    data: str | Dataset | None,
    output: Path,
    *,
    what: By | Latency,
    class_map: ClassMap | None = None,
    count: int = COUNT,
    down_to: float = DOWN_TO,
    report: Path | None = None,
    verified: Verified | None = None,
    metric: MetricChoice = None,
    force: bool = False,
    progress: Progress = silent,
) -> Frontier:
    """Plan a network at `count` costs down to the share `down_to`, and write plan-01.json and so on to `output`.

    what: plans are to save. report: a page of them. force: the plans of an earlier frontier are replaced. Raises
    BadInput, before anything is looked at, for a place that is not theirs or cannot be written.
    """
    if not 0 <= down_to < 1:
        raise BadInput(f"`down_to` {down_to:g}: give a share below 1")
    there = sorted(path for path in output.glob("*") if NAMED.fullmatch(path.name))  # no others, that users named
    if there and not force:
        raise BadInput(f"{output}: has plans already; choose another folder, or replace them with `force`")
    check_outputs(there or [output / NAME.format(1) if output.exists() else output])
    if report is not None:
        if output.resolve() in (report.resolve(), report.resolve().parent):
            raise BadInput(f"`report` {report}: the folder of the plans is theirs; choose another place")
        check_outputs([report])
    network, dataset = open_with_data(choice, data, class_map)
    if verified is not None and dataset is not None:
        dataset.require("test")
    planner = planner_for(network, dataset, what, progress=progress)
    found = planner.frontier(count, down_to)
    falcon = {rank: planner.falcon(rank) for rank in RANKS}
    rivals = tuple(Shown(f"FALCON, rank {rank}", each) for rank, each in falcon.items() if each is not None)
    outcomes: Mapping[int, Outcome] = {}
    if verified is not None and dataset is not None:
        latency = None if isinstance(what, str) else what
        outcomes = verify(
            *(network, dataset, found, verified.count, verified.recipe),
            latency=latency,
            metric=metric,
            progress=progress,
        )
    plans = tuple(
        Shown(NAME.format(number), each, outcomes.get(number - 1)) for number, each in enumerate(found, start=1)
    )
    output.mkdir(parents=True, exist_ok=True)
    for each in plans:
        write(canonical_json(each.planned.plan), output / each.name)
    for path in {path.name for path in there} - {each.name for each in plans}:
        (output / path).unlink()
    if report is not None:
        write(frontier_page(network, planner, plans, rivals).encode(), report)
    return Frontier(planner, plans, rivals)
