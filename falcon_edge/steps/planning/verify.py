"""Plans of a frontier put to the test: built, tuned briefly, exported and measured."""

from collections.abc import Sequence
from dataclasses import replace

from falcon_edge.data import Dataset, spread
from falcon_edge.network import Network
from falcon_edge.progress import Progress, Within, silent
from falcon_edge.steps.compress import compress
from falcon_edge.steps.judging import MetricChoice
from falcon_edge.steps.planning.budgets import Latency
from falcon_edge.steps.planning.planner import Planned
from falcon_edge.steps.planning.trial import Outcome, Trial
from falcon_edge.training.recipe import Recipe


def verify(
    network: Network,
    dataset: Dataset,
    plans: Sequence[Planned],
    count: int,
    recipe: Recipe,
    *,
    latency: Latency | None = None,
    metric: MetricChoice = None,
    progress: Progress = silent,
) -> dict[int, Outcome]:
    """What `count` of the plans, evenly among them, cost and lose beside the standard network, by their numbers.

    recipe: how each is tuned. latency: of what; without it they are judged in memory, by quality alone. All are
    measured in turns. Raises BadInput as Trial and `compress`.
    """
    chosen = [index for index in map(int, spread(len(plans), min(count, len(plans)))) if plans[index].plan.compresses]
    untested = replace(dataset, test=None)
    with Trial(network, dataset, latency, metric=metric) as trial:
        networks = []
        for number, index in enumerate(chosen, start=1):
            said = Within(progress, f"plan {number} of {len(chosen)}")
            networks.append(compress(network, untested, plan=plans[index].plan, recipe=recipe, progress=said))
        return dict(zip(chosen, trial.outcomes(networks, progress=progress), strict=True))
