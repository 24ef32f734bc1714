"""compress: a plan, the closed-form fit, BN statistics, and fine-tuning with the original as the teacher."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from falcon_edge.data import ClassMap, Dataset, open_dataset
from falcon_edge.documents import MAXIMUM_DOCUMENT, parse_document
from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.gep import PatchStatistics
from falcon_edge.falcon.moments import match_moments
from falcon_edge.falcon.observe import full_precision
from falcon_edge.falcon.plan import Plan, largest_saving_rank, make_plan, uniform_plan
from falcon_edge.falcon.statistics import has_batchnorm, patch_statistics, reestimate_batchnorm
from falcon_edge.manifest import Manifest, MeasuredQuality, Parent, Step
from falcon_edge.network import Network
from falcon_edge.notices import notice
from falcon_edge.place import bundle_path, hold
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.judging import MetricChoice, measured_quality
from falcon_edge.steps.opening import Choice, answer, open_with_data
from falcon_edge.steps.tuning import answered, met, tune
from falcon_edge.steps.writing import identity, write_network
from falcon_edge.training.fit import Recipe
from falcon_edge.training.images import Images
from runtime_bench.files import read_document

Init = Literal["svd", "whitened"]
STATISTICS_IMAGES = 512
BATCHNORM_IMAGES = 4096
MOMENT_IMAGES = 1024  # read anew for every layer
BATCH = 256
NAMED = 8  # layers in one line


def plan_compression(
    network: Network,
    dataset: Dataset | None = None,
    *,
    rank: int | None = None,
    plan: Plan | None = None,
    cap_rank: bool = False,
    init: Init = "svd",
) -> tuple[Plan, dict[str, PatchStatistics]]:
    """The plan for a network, and the statistics that `init` needs: all but the change itself.

    Exactly one of `rank` and `plan` decides; cap_rank, of `rank`: no layer may cost more than it did. `whitened` needs
    data. What costs more MACs than before is a notice.
    """
    _check_choice(rank, plan, cap_rank)
    if network.compressed:
        raise BadInput(f"{network}: is compressed already; compress the standard network that it came from")
    if plan is not None and not plan.replaced:
        raise BadInput("this plan replaces no layer; nothing to compress")
    statistics: dict[str, PatchStatistics] = {}
    made = _plan(network, rank, cap_rank, plan, statistics)
    _tell_cost(made, rank)
    if init == "whitened":
        if dataset is None:
            raise BadInput("`init` whitened needs `data`")
        inputs = _inputs(_seen(dataset, network), STATISTICS_IMAGES)
        statistics = patch_statistics(network.module, made.replaced, inputs)
        made = _plan(network, rank, cap_rank, plan, statistics)
    return made, statistics


@full_precision()
def compress(
    network: Network,
    dataset: Dataset | None = None,
    *,
    rank: int | None = None,
    plan: Plan | None = None,
    cap_rank: bool = False,
    init: Init = "svd",
    recipe: Recipe | None = None,
    metric: MetricChoice = None,
    options: Mapping[str, Any] | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Network:
    """Compress a standard network by `rank` or `plan` (see `plan_compression`); its own module stays as it is.

    With data, which has the network's classes, its BN statistics are re-estimated (where there is no BN, the moments of
    its layers are matched), and with a recipe it is fine-tuned with the original as the teacher: from that alone where
    the data has no targets, or the network is no classifier. Without data it is the bare closed form. metric: what its
    quality on the test split is measured by; without targets there it is compared with the original. options: what else
    its step is to say. checkpoint: where the fine-tuning keeps its state, to go on if it is killed.
    """
    dataset = None if dataset is None else open_dataset(dataset)
    tunes = _tunes(recipe, dataset)
    dataset = dataset.cut() if dataset is not None and tunes else dataset
    made, statistics = plan_compression(network, dataset, rank=rank, plan=plan, cap_rank=cap_rank, init=init)
    module = surgery.apply(network.module, made.replaced, statistics=statistics)
    if tunes:
        assert dataset is not None
        if network.is_classifier and dataset.kind is not None:
            dataset.require_classes("our fine-tuning")
    answer(f"{network}, compressed,", module, network.input.shape)  # it may ask a layer for what is no more
    compressed = replace(network, module=module, plan=made)
    said: dict[str, Any] = {"rank": rank, "plan": None, "init": init, **(options or {}), **met(dataset)}
    said |= {"cap_rank": True} if cap_rank else {}
    quality: tuple[MeasuredQuality, ...] = ()
    training: bytes | None = None
    if dataset is not None:
        seen = _seen(dataset, network)
        if has_batchnorm(module):
            reestimate_batchnorm(module, _inputs(seen, BATCHNORM_IMAGES))
        else:
            match_moments(module, network.module, list(made.replaced), lambda: _inputs(seen, MOMENT_IMAGES))
        if tunes and recipe is not None:
            taught, alone = dataset, not network.is_classifier
            if alone and dataset.kind is not None:
                notice(
                    f"{network}: learns from the original's answers alone; what {dataset.kind} teach takes your loop"
                )
            if alone or dataset.kind is None:
                recipe, said["labels"] = replace(recipe, distillation=1.0), "none: the network's own answers"
            if not alone and dataset.kind is None:
                taught = answered(network, dataset)
            history, recorded = tune(
                *(compressed, taught, recipe),
                teacher=network.module,
                alone=alone,
                checkpoint=checkpoint,
                progress=progress,
            )
            said |= recorded
            training = history.lines()
        if dataset.test is not None:
            quality = measured_quality(compressed, dataset, "test", dataset.test, metric, reference=network)
    elif has_batchnorm(module):
        notice(
            "without data the statistics of batch normalisation stay those of the standard network, and the "
            "compressed one may answer at random: give `data`"
        )
    step = Step(verb="compress", options=said, data=None if dataset is None else dataset.name)
    parent = network.as_parent or Parent(name=network.name, identity=identity(network.module))
    return compressed.after(step, parent=parent, quality=quality, training=training)


def plan_of(
    choice: Choice,
    *,
    data: str | Dataset | None = None,
    class_map: ClassMap | None = None,
    rank: int | None = None,
    plan_file: Path | None = None,
    cap_rank: bool = False,
    init: Init = "svd",
) -> Plan:
    """What `compress_bundle` would do: the plan that `rank` or `plan_file` makes for a network."""
    network, dataset, wanted = _opened(choice, data, class_map, rank, plan_file, cap_rank)
    return plan_compression(network, dataset, rank=rank, plan=wanted, cap_rank=cap_rank, init=init)[0]


def compress_bundle(
    choice: Choice,
    output: Path,
    *,
    data: str | Dataset | None = None,
    class_map: ClassMap | None = None,
    rank: int | None = None,
    plan_file: Path | None = None,
    cap_rank: bool = False,
    init: Init = "svd",
    recipe: Recipe | None = None,
    metric: MetricChoice = None,
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
        network, dataset, wanted = _opened(choice, data, class_map, rank, plan_file, cap_rank)
        compressed = compress(
            network,
            dataset,
            rank=rank,
            plan=wanted,
            cap_rank=cap_rank,
            init=init,
            recipe=recipe,
            metric=metric,
            options={} if plan_file is None else {"plan": plan_file.name},
            checkpoint=place.checkpoint,
            progress=progress,
        )
        return write_network(place, compressed, dataset)


def refuse_own_place(choice: Choice, output: Path) -> None:
    """Raise BadInput for an output that would replace the network it is made from."""
    if os.path.realpath(bundle_path(output)) == os.path.realpath(choice.model):
        raise BadInput(f"{choice.model}: is the standard network, which is still needed; choose another output")


def _opened(
    choice: Choice,
    data: str | Dataset | None,
    class_map: ClassMap | None,
    rank: int | None,
    plan_file: Path | None,
    cap_rank: bool,
) -> tuple[Network, Dataset | None, Plan | None]:
    """The network, its data and the plan of a file; what is refused is refused before the network is read."""
    _check_choice(rank, plan_file, cap_rank)
    wanted = None if plan_file is None else read_plan(plan_file)
    network, dataset = open_with_data(choice, data, class_map)
    if choice.weights is not None and network.guessed is not None:
        notice(f"{choice.model}: {network.guessed}")
    return network, dataset, wanted


def _tunes(recipe: Recipe | None, data: object) -> bool:
    """Whether a recipe fine-tunes. Raises BadInput if there is no data for it."""
    if recipe is None or recipe.epochs <= 0:
        return False
    if data is None:
        raise BadInput("fine-tuning needs `data`")
    return True


def _check_choice(rank: int | None, plan: object, cap_rank: bool) -> None:
    if (rank is None) == (plan is None):
        raise BadInput("give either `rank` or `plan`")
    if cap_rank and rank is None:
        raise BadInput("`cap_rank` goes with `rank`")
    if rank is not None and rank < 1:
        raise BadInput(f"rank {rank}: FALCON needs a rank of at least 1")


def _plan(
    network: Network,
    rank: int | None,
    cap_rank: bool,
    wanted: Plan | None,
    statistics: dict[str, PatchStatistics],
) -> Plan:
    module, shape = network.module, network.input.shape
    if rank is not None:
        return uniform_plan(module, shape, rank, cap=cap_rank, statistics=statistics)
    assert wanted is not None
    reasons = {layer.name: layer.reason for layer in wanted.layers}
    return make_plan(module, shape, wanted.replaced, reasons=reasons, statistics=statistics)


def read_plan(path: Path) -> Plan:
    """The plan of a file. Raises BadInput."""
    try:
        data = read_document(path, MAXIMUM_DOCUMENT, "plan")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    return parse_document(data, path, Plan)


def _tell_cost(plan: Plan, rank: int | None) -> None:
    """A notice where the network, or layers of it, cost more MACs than before."""
    dear = [f"{layer.name} at rank {layer.rank}" for layer in plan.layers if layer.planned_macs > layer.macs]
    remedy = "lower their ranks in the plan" if rank is None else "`cap_rank` lowers their rank"
    if plan.planned_macs >= plan.macs:
        saving = largest_saving_rank(plan)
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
