"""compress: a plan, the closed-form fit, BN statistics, and fine-tuning with the original as the teacher."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from falcon_edge.bundle import MAXIMUM_DOCUMENT, Manifest, MeasuredAccuracy, Parent, Step, parse_document
from falcon_edge.data import ClassMap, Dataset, data_name
from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.calibration import has_batchnorm, patch_statistics, reestimate_batchnorm
from falcon_edge.falcon.gep import PatchStatistics
from falcon_edge.falcon.plan import Plan, largest_saving_rank, make_plan, uniform_plan
from falcon_edge.notices import notice
from falcon_edge.place import bundle_path, hold
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.normalisation import guess
from falcon_edge.steps.subject import (
    Choice,
    Subject,
    about_classes,
    answer,
    open_with_data,
    weights_bytes,
    write_subject,
)
from falcon_edge.steps.train import measured_accuracy
from falcon_edge.steps.tuning import tune
from falcon_edge.training.fit import Recipe
from falcon_edge.training.images import Images
from runtime_bench.files import read_document

Init = Literal["svd", "whitened"]
STATISTICS_IMAGES = 512
BATCHNORM_IMAGES = 4096
BATCH = 256
NAMED = 8  # layers in one line


def plan_compression(
    choice: Choice,
    *,
    rank: int | None = None,
    plan_file: Path | None = None,
    cap_rank: bool = False,
    init: Init = "svd",
    data: str | None = None,
    class_map: ClassMap | None = None,
) -> tuple[Subject, Dataset | None, Plan, dict[str, PatchStatistics]]:
    """The network, its data, the plan for it, and the statistics that `init` needs: all but the change itself.

    Exactly one of `rank` and `plan_file` decides; cap_rank, of `rank`: no layer may cost more than it did. `whitened`
    needs data. What costs more MACs than before is a notice.
    """
    if (rank is None) == (plan_file is None):
        raise BadInput("give either --rank or --plan")
    if cap_rank and rank is None:
        raise BadInput("--cap-rank goes with --rank")
    if rank is not None and rank < 1:
        raise BadInput(f"rank {rank}: FALCON needs a rank of at least 1")
    wanted = None if plan_file is None else _read_plan(plan_file)
    subject, dataset = open_with_data(choice, data, class_map)
    if choice.weights is not None and subject.guessed is not None:
        notice(f"{choice.model}: {guess(subject.guessed)}")
    if subject.compressed:
        raise BadInput(f"{choice.model}: is compressed already; compress the standard network that it came from")
    if wanted is not None and not wanted.replaced:
        raise BadInput(f"{plan_file}: this plan replaces no layer; nothing to compress")
    network, shape = subject.network, subject.input.shape
    statistics: dict[str, PatchStatistics] = {}
    plan = _plan(network, shape, rank, cap_rank, wanted, statistics)
    _tell_cost(plan, rank)
    if init == "whitened":
        if dataset is None:
            raise BadInput("--init whitened needs --data")
        statistics = patch_statistics(
            network, plan.replaced, _inputs(_calibration(dataset, subject), STATISTICS_IMAGES)
        )
        plan = _plan(network, shape, rank, cap_rank, wanted, statistics)
    return subject, dataset, plan, statistics


def compress(
    choice: Choice,
    output: Path,
    *,
    data: str | None = None,
    class_map: ClassMap | None = None,
    rank: int | None = None,
    plan_file: Path | None = None,
    cap_rank: bool = False,
    init: Init = "svd",
    recipe: Recipe | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> Manifest:
    """Compress a network and write it as a bundle at `output`.

    With data its BN statistics are re-estimated, and with a recipe it is fine-tuned with the original as the teacher;
    without data it is the bare closed form. A killed run goes on from its last epoch when started again. force: an
    earlier bundle at `output` is replaced.
    """
    if recipe is not None and recipe.epochs > 0 and data is None:
        raise BadInput("fine-tuning needs --data")
    if os.path.realpath(bundle_path(output)) == os.path.realpath(choice.model):
        raise BadInput(f"{choice.model}: is the standard network, which is still needed; choose another output")
    with hold(output, force=force, goes_on=recipe is not None and recipe.epochs > 0) as place:
        subject, dataset, plan, statistics = plan_compression(
            choice,
            rank=rank,
            plan_file=plan_file,
            cap_rank=cap_rank,
            init=init,
            data=data,
            class_map=class_map,
        )
        teacher = subject.network
        network = surgery.apply(teacher, plan.replaced, statistics=statistics)
        answer(f"{choice.model}, compressed,", network, subject.input.shape)  # it may ask a layer for what is no more
        compressed = replace(subject, network=network, plan=plan)
        options = {"rank": rank, "plan": None if plan_file is None else plan_file.name, "init": init}
        options |= about_classes(class_map)
        options |= {"cap_rank": True} if cap_rank else {}
        accuracy: tuple[MeasuredAccuracy, ...] = ()
        training: bytes | None = None
        if dataset is not None:
            reestimate_batchnorm(network, _inputs(_calibration(dataset, subject), BATCHNORM_IMAGES))
            if recipe is not None and recipe.epochs > 0:
                history, recorded = tune(compressed, dataset, recipe, place, teacher=teacher, progress=progress)
                options |= recorded
                training = history.lines()
            accuracy = measured_accuracy(compressed, dataset, data or "")
        elif has_batchnorm(network):
            notice(
                "without data the statistics of batch normalisation stay those of the standard network, and the "
                "compressed one may answer at random: give --data"
            )
        return write_subject(
            place,
            compressed,
            step=Step(verb="compress", options=options, data=None if data is None else data_name(data)),
            dataset=dataset,
            accuracy=accuracy,
            training=training,
            parent=_parent(subject),
            earlier=() if subject.lineage is None else subject.lineage.steps,
        )


def _plan(
    network: nn.Module,
    shape: tuple[int, int, int],
    rank: int | None,
    cap_rank: bool,
    wanted: Plan | None,
    statistics: dict[str, PatchStatistics],
) -> Plan:
    if rank is not None:
        return uniform_plan(network, shape, rank, cap=cap_rank, statistics=statistics)
    assert wanted is not None
    reasons = {layer.name: layer.reason for layer in wanted.layers}
    return make_plan(network, shape, wanted.replaced, reasons=reasons, statistics=statistics)


def _read_plan(path: Path) -> Plan:
    try:
        data = read_document(path, MAXIMUM_DOCUMENT, "plan")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    return parse_document(data, path, Plan)


def _tell_cost(plan: Plan, rank: int | None) -> None:
    """A notice where the network, or layers of it, cost more MACs than before."""
    dear = [f"{layer.name} at rank {layer.rank}" for layer in plan.layers if layer.planned_macs > layer.macs]
    remedy = "lower their ranks in the plan" if rank is None else "--cap-rank lowers their rank"
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


def _calibration(dataset: Dataset, subject: Subject) -> Images:
    """Training images if there are any: calibration never looks at the test split where it can be helped."""
    return Images(dataset.first("train", "val", "test")[1], subject.input)


def _inputs(images: Images, limit: int) -> Iterator[Tensor]:
    return (inputs for inputs, _ in images.batches(BATCH, limit))


def _parent(subject: Subject) -> Parent:
    if subject.lineage is not None:
        return Parent(name=subject.name, identity=subject.lineage.identity)
    return Parent(name=subject.name, identity=hashlib.sha256(weights_bytes(subject.network)).hexdigest())
