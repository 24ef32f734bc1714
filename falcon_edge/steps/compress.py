"""compress: a plan, the closed-form fit, BN statistics, and fine-tuning with the original as the teacher."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from falcon_edge.data import ClassMap, Dataset, open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.cutting import cut
from falcon_edge.falcon.forward import full_precision
from falcon_edge.falcon.moments import match_moments
from falcon_edge.falcon.narrow import refit
from falcon_edge.falcon.patches import PatchStatistics
from falcon_edge.falcon.plan import Plan, largest_saving_rank
from falcon_edge.falcon.statistics import has_batchnorm, patch_statistics, reestimate_batchnorm, sequential_statistics
from falcon_edge.manifest import Manifest, MeasuredQuality, Parent, Step
from falcon_edge.models.initialise import initialise
from falcon_edge.network import Network
from falcon_edge.notices import notice
from falcon_edge.place import bundle_path, hold
from falcon_edge.progress import Progress, Within, silent
from falcon_edge.steps.goals import Goal, Rank
from falcon_edge.steps.judging import MetricChoice
from falcon_edge.steps.opening import Choice, answer, open_with_data
from falcon_edge.steps.planning.budgets import Budget, Latency
from falcon_edge.steps.planning.contract import ROUNDS, fulfil
from falcon_edge.steps.planning.planner import plan_within, planner_for
from falcon_edge.steps.planning.trial import Trial
from falcon_edge.steps.quality import measured_quality
from falcon_edge.steps.tuning import answered, met, tune
from falcon_edge.steps.writing import identity, write_network
from falcon_edge.training.images import Images
from falcon_edge.training.recipe import Recipe
from falcon_edge.training.running import HERE, Running
from falcon_edge.training.team import ALONE, team

Init = Literal["svd", "whitened", "sequential", "random"]
FITTED_TO_DATA = ("whitened", "sequential")
STATISTICS_IMAGES = 512
BATCHNORM_IMAGES = 4096
MOMENT_IMAGES = 1024  # read anew for every layer
BATCH = 256
NAMED = 8  # layers in one line


def plan_compression(
    network: Network, dataset: Dataset | None, goal: Goal, *, init: Init = "svd", progress: Progress = silent
) -> tuple[Plan, dict[str, PatchStatistics]]:
    """The plan for a network, and the statistics that `init` needs: all but the change itself.

    `whitened` and `sequential` need data, `random` needs no fit at all. What costs more MACs than before is a notice.
    """
    plan = _decided(network, dataset, goal.checked(), init, progress)
    if init not in FITTED_TO_DATA:
        return plan, {}
    return _fitted(network, _narrower(network, plan, dataset, init), plan, dataset, init)


def _decided(network: Network, dataset: Dataset | None, goal: Goal, init: Init, progress: Progress) -> Plan:
    """The plan that a goal makes, before anything is fitted to data."""
    if network.compressed:
        raise BadInput(f"{network}: is compressed already; compress the standard network that it came from")
    if goal.budget is not None:
        plan = plan_within(network, dataset, goal.budget, progress=progress).plan
    else:
        plan = goal.plan_for(network, None if dataset is None else _statistics_images(network, dataset))
    _tell_cost(network, plan, goal.rank if isinstance(goal.rank, int) else None)
    if init in FITTED_TO_DATA and dataset is None:
        raise BadInput(f"`init` {init} needs `data`")
    return plan


def _narrower(network: Network, plan: Plan, dataset: Dataset | None, init: Init) -> nn.Module:
    """The network without the channels that a plan removes; with data what reads the others is fitted anew."""
    module = network.module
    if not plan.removed:
        return module
    if dataset is not None:
        images = _statistics_images(network, dataset)
        module = refit(module, network.input.shape, plan.removed, images, sequential=init == "sequential")
    return cut(module, plan.removed)


def _fitted(
    network: Network, narrower: nn.Module, plan: Plan, dataset: Dataset | None, init: Init
) -> tuple[Plan, dict[str, PatchStatistics]]:
    """A plan with the errors of fits by `init`, and the statistics that these need, of the narrower network."""
    if init not in FITTED_TO_DATA or dataset is None or not plan.replaced:
        return plan, {}
    images = _statistics_images(network, dataset)
    if init == "whitened":
        statistics = patch_statistics(narrower, plan.replaced, images())
    else:
        statistics = sequential_statistics(narrower, plan.replaced, images)
    return Goal(plan=plan).plan_for(network, statistics=statistics), statistics


def _statistics_images(network: Network, dataset: Dataset) -> Callable[[], Iterator[Tensor]]:
    """A loader of the images that layers are fitted by."""
    return partial(_inputs, _seen(dataset, network), STATISTICS_IMAGES)


def compress(
    network: Network,
    dataset: Dataset | None = None,
    *,
    rank: Rank | None = None,
    target_macs: float | None = None,
    plan: Plan | Path | None = None,
    form: str | None = None,
    cap_rank: bool = False,
    budget: Budget | None = None,
    init: Init = "svd",
    recipe: Recipe | None = None,
    metric: MetricChoice = None,
    checkpoint: Path | None = None,
    running: Running = HERE,
    progress: Progress = silent,
) -> Network:
    """Compress a standard network by `rank`, `target_macs`, `plan` or `budget` (see `Goal`); its module stays as it is.

    With data, which has the network's classes, its BN statistics are re-estimated (where there is no BN, the moments of
    its layers are matched), and with a recipe it is fine-tuned with the original as the teacher: from that alone where
    the data has no targets, or the network is no classifier. Without data it is the bare closed form. init: what takes
    a layer's place begins as its closed form, fitted to its kernel, to its outputs, or to these layer by layer; or with
    fresh weights, which the closed forms are to be compared with. metric: what its quality on the test split is
    measured by; without targets there it is compared with the original. checkpoint: where the fine-tuning keeps its
    state, to go on if it is killed; running: how that is carried out.
    """
    goal = Goal(rank, target_macs, plan, form, cap_rank, budget).checked()
    dataset = None if dataset is None else open_dataset(dataset)
    return _Compression(network, dataset, init, recipe, metric, running, progress).by(goal, checkpoint)


@dataclass(frozen=True)
class _Compression:
    """A standard network and how it is compressed, whatever decides its plan; see `compress`."""

    network: Network
    dataset: Dataset | None
    init: Init
    recipe: Recipe | None
    metric: MetricChoice
    running: Running
    progress: Progress

    @full_precision()
    def by(self, goal: Goal, checkpoint: Path | None) -> Network:
        """The compressed network of a goal that was checked."""
        if goal.budget is not None and goal.budget.max_drop is not None:
            return self.by_contract(goal, goal.budget, checkpoint)
        return self.by_plan(goal, checkpoint)

    def by_plan(self, goal: Goal, checkpoint: Path | None) -> Network:
        """The network of a goal's plan: fitted, its statistics re-estimated, fine-tuned and judged."""
        network = self.network
        tunes = _tunes(self.recipe, self.dataset)
        dataset = self.dataset.cut() if self.dataset is not None and tunes else self.dataset
        plan = _decided(network, dataset, goal, self.init, self.progress)
        narrower = _narrower(network, plan, dataset, self.init)
        plan, statistics = _fitted(network, narrower, plan, dataset, self.init)
        module = surgery.apply(narrower, plan.replaced, fit=self.init != "random", statistics=statistics)
        if self.init == "random":
            self.begin_afresh(module, plan)
        if tunes and dataset is not None and network.is_classifier and dataset.kind is not None:
            dataset.require_classes("our fine-tuning")
        answer(f"{network}, compressed,", module, network.input.shape)  # it may ask a layer for what is no more
        compressed = replace(network, module=module, plan=plan)
        said: dict[str, Any] = {**goal.said, "init": self.init, **met(dataset)}
        said |= {"seed": self.seed} if self.init == "random" else {}
        quality: tuple[MeasuredQuality, ...] = ()
        training: bytes | None = None
        if dataset is not None:
            _settle(network, compressed, plan, dataset)
            if tunes:
                recorded, training = self.tune(compressed, dataset, checkpoint)
                said |= recorded
            if dataset.test is not None:
                quality = measured_quality(compressed, dataset, "test", dataset.test, self.metric, reference=network)
        elif has_batchnorm(module):
            notice(
                "without data the statistics of batch normalisation stay those of the standard network, and the "
                "compressed one may answer at random: give `data`"
            )
        step = Step(verb="compress", options=said, data=None if dataset is None else dataset.name)
        parent = network.as_parent or Parent(name=network.name, identity=identity(network.module))
        return compressed.after(step, parent=parent, quality=quality, training=training)

    @property
    def seed(self) -> int:
        """Of fresh weights."""
        return 0 if self.recipe is None else self.recipe.seed

    def begin_afresh(self, module: nn.Module, plan: Plan) -> None:
        """Random weights in what stands in the place of a plan's layers."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            for name in plan.replaced:
                initialise(module.get_submodule(name))

    def tune(self, compressed: Network, dataset: Dataset, checkpoint: Path | None) -> tuple[dict[str, Any], bytes]:
        """Fine-tune its module in place: what a step says of that, and every epoch as a line of JSON."""
        recipe, network = self.recipe, self.network
        assert recipe is not None
        said: dict[str, Any] = {}
        taught, alone = dataset, not network.is_classifier
        if alone and dataset.kind is not None:
            notice(f"{network}: learns from the original's answers alone; what {dataset.kind} teach takes your loop")
        if alone or dataset.kind is None:
            recipe, said["labels"] = replace(recipe, distillation=1.0), "none: the network's own answers"
        if not alone and dataset.kind is None:
            taught = answered(network, dataset)
        history, recorded = tune(
            *(compressed, taught, recipe),
            learned=(network,),
            teacher=network.module,
            alone=alone,
            checkpoint=checkpoint,
            running=self.running,
            progress=self.progress,
        )
        return said | recorded, history.lines()

    def by_contract(self, goal: Goal, budget: Budget, checkpoint: Path | None) -> Network:
        """The best of a few networks that were tuned and measured; the others' figures stand in its step."""
        network, dataset = self.network, self.dataset
        if team() != ALONE:
            raise BadInput(f"{network}: what is measured and planned anew is made by one process, not by a team")
        planner = planner_for(network, dataset, budget.what, progress=self.progress)
        assert dataset is not None  # or there is no planner

        def make(plan: Plan, number: int) -> Network:
            place = checkpoint if checkpoint is None or number == 0 else round_checkpoint(checkpoint, number)
            said = Within(self.progress, f"plan {number + 1}")
            return replace(self, progress=said).by_plan(Goal(plan=plan), place)

        latency = budget.what if isinstance(budget.what, Latency) else None
        with Trial(network, dataset, latency, metric=self.metric) as trial:
            rounds = fulfil(planner, trial, budget, make, progress=self.progress)
        if not rounds:
            raise BadInput(f"{network}: no plan costs less than it does")
        best = rounds[0].network
        assert best.step is not None
        said = {**best.step.options, **goal.said, "contract": [each.said for each in rounds]}
        return replace(best, step=best.step.model_copy(update={"options": said}))


def _settle(network: Network, compressed: Network, plan: Plan, dataset: Dataset) -> None:
    """Its statistics of batch normalisation anew, or the moments of its layers as those of the standard network."""
    seen, module = _seen(dataset, network), compressed.module
    if has_batchnorm(module):
        reestimate_batchnorm(module, _inputs(seen, BATCHNORM_IMAGES))
        return
    changed = plan.replaced.keys() | {side.name for side in plan.removed if side.end == "inputs"}
    layers = [layer.name for layer in plan.layers if layer.name in changed]
    match_moments(module, network.module, layers, lambda: _inputs(seen, MOMENT_IMAGES), plan.removed)


def round_checkpoint(checkpoint: Path, number: int) -> Path:
    """Of a later round of a contract."""
    return checkpoint.with_name(f"{checkpoint.name}-{number}")


def plan_of(
    choice: Choice,
    goal: Goal,
    *,
    data: str | Dataset | None = None,
    class_map: ClassMap | None = None,
    init: Init = "svd",
    progress: Progress = silent,
) -> Plan:
    """What `compress_bundle` would do: the plan that a goal makes for a network."""
    goal = goal.checked()
    network, dataset = _opened(choice, data, class_map)
    return plan_compression(network, dataset, goal, init=init, progress=progress)[0]


def compress_bundle(
    choice: Choice,
    output: Path,
    *,
    data: str | Dataset | None = None,
    class_map: ClassMap | None = None,
    rank: Rank | None = None,
    target_macs: float | None = None,
    plan_file: Path | None = None,
    form: str | None = None,
    cap_rank: bool = False,
    budget: Budget | None = None,
    init: Init = "svd",
    recipe: Recipe | None = None,
    metric: MetricChoice = None,
    running: Running = HERE,
    force: bool = False,
    progress: Progress = silent,
) -> Manifest:
    """Compress a network, built by name or from a bundle, and write it as a bundle at `output`; see `compress`.

    A killed run goes on from its last epoch when started again. class_map: which class of DATA is which of the network,
    where their names do not say so. force: an earlier bundle at `output` is replaced.
    """
    tunes = _tunes(recipe, data)
    refuse_own_place(choice, output)
    with hold(output, force=force, goes_on=tunes) as place:
        goal = Goal(rank, target_macs, plan_file, form, cap_rank, budget).checked()  # before the network is read
        network, dataset = _opened(choice, data, class_map)
        compression = _Compression(network, dataset, init, recipe, metric, running, progress)
        manifest = write_network(place, compression.by(goal, place.checkpoint), dataset)
        for number in range(1, ROUNDS):
            round_checkpoint(place.checkpoint, number).unlink(missing_ok=True)
        return manifest


def refuse_own_place(choice: Choice, output: Path) -> None:
    """Raise BadInput for an output that would replace the network it is made from."""
    if os.path.realpath(bundle_path(output)) == os.path.realpath(choice.model):
        raise BadInput(f"{choice.model}: is the standard network, which is still needed; choose another output")


def _opened(choice: Choice, data: str | Dataset | None, class_map: ClassMap | None) -> tuple[Network, Dataset | None]:
    """The network and its data."""
    network, dataset = open_with_data(choice, data, class_map)
    if choice.weights is not None and network.guessed is not None:
        notice(f"{choice.model}: {network.guessed}")
    return network, dataset


def _tunes(recipe: Recipe | None, data: object) -> bool:
    """Whether a recipe fine-tunes. Raises BadInput if there is no data for it."""
    if recipe is None or recipe.epochs <= 0:
        return False
    if data is None:
        raise BadInput("fine-tuning needs `data`")
    return True


def _tell_cost(network: Network, plan: Plan, rank: int | None) -> None:
    """A notice where the network, or layers of it, cost more MACs than before."""
    dear = [f"{layer.name} at {layer.size}" for layer in plan.layers if layer.planned_macs > layer.macs]
    remedy = "lower their ranks in the plan" if rank is None else "`cap_rank` lowers their rank"
    if plan.planned_macs >= plan.macs:
        saving = largest_saving_rank(network.module, plan)
        advice = f"the largest rank that saves is {saving}" if saving else "no rank saves any"
        notice(
            f"compressed, the network has more MACs than before ({plan.planned_macs:,} instead of {plan.macs:,}): "
            f"{advice if rank is not None else remedy}"
        )
    if dear:
        more = f" and {len(dear) - NAMED} more" if len(dear) > NAMED else ""
        notice(f"these layers cost more MACs than before: {', '.join(dear[:NAMED])}{more}; {remedy}")


def _seen(dataset: Dataset, network: Network) -> Images:
    """Training images if there are any: calibration never looks at the test split where it can be helped."""
    return Images(dataset.first("train", "val", "test")[1], network.input)


def _inputs(images: Images, limit: int) -> Iterator[Tensor]:
    return images.unlabelled(BATCH, limit)
