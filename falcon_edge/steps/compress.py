"""compress: a plan, the closed-form fit, BN statistics, and fine-tuning with the original as the teacher."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from falcon_edge.bundle import MAXIMUM_DOCUMENT, Manifest, MeasuredAccuracy, Parent, Step, parse_document
from falcon_edge.data import ClassMap, Dataset
from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.calibration import patch_statistics, reestimate_batchnorm
from falcon_edge.falcon.gep import PatchStatistics
from falcon_edge.falcon.plan import Plan, make_plan, uniform_plan
from falcon_edge.notices import notice
from falcon_edge.place import bundle_path, hold
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.normalisation import guess
from falcon_edge.steps.pack import data_name
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
from falcon_edge.training.fit import Recipe, fit
from falcon_edge.training.images import Images
from runtime_bench.files import read_document

Init = Literal["svd", "whitened"]
STATISTICS_IMAGES = 512
BATCHNORM_IMAGES = 4096
BATCH = 256


def plan_compression(
    choice: Choice,
    *,
    rank: int | None = None,
    plan_file: Path | None = None,
    init: Init = "svd",
    data: str | None = None,
    class_map: ClassMap | None = None,
) -> tuple[Subject, Dataset | None, Plan, dict[str, PatchStatistics]]:
    """The network, its data, the plan for it, and the statistics that `init` needs: all but the change itself.

    Exactly one of `rank` and `plan_file` decides; `whitened` needs data.
    """
    if (rank is None) == (plan_file is None):
        raise BadInput("give either --rank or --plan")
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
    plan = _plan(network, shape, rank, wanted, statistics)
    if init == "whitened":
        if dataset is None:
            raise BadInput("--init whitened needs --data")
        statistics = patch_statistics(
            network, plan.replaced, _inputs(_calibration(dataset, subject), STATISTICS_IMAGES)
        )
        plan = _plan(network, shape, rank, wanted, statistics)
    return subject, dataset, plan, statistics


def compress(
    choice: Choice,
    output: Path,
    *,
    data: str | None = None,
    class_map: ClassMap | None = None,
    rank: int | None = None,
    plan_file: Path | None = None,
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
    if bundle_path(output).resolve() == Path(choice.model).resolve():
        raise BadInput(f"{choice.model}: is the standard network, which is still needed; choose another output")
    with hold(output, force=force, goes_on=recipe is not None and recipe.epochs > 0) as place:
        subject, dataset, plan, statistics = plan_compression(
            choice, rank=rank, plan_file=plan_file, init=init, data=data, class_map=class_map
        )
        teacher = subject.network
        network = surgery.apply(teacher, plan.replaced, statistics=statistics)
        answer(f"{choice.model}, compressed,", network, subject.input.shape)  # it may ask a layer for what is no more
        compressed = replace(subject, network=network, plan=plan)
        options = {"rank": rank, "plan": None if plan_file is None else plan_file.name, "init": init}
        options |= about_classes(class_map)
        accuracy: tuple[MeasuredAccuracy, ...] = ()
        if dataset is not None:
            reestimate_batchnorm(network, _inputs(_calibration(dataset, subject), BATCHNORM_IMAGES))
            if recipe is not None and recipe.epochs > 0:
                dataset.require("train")
                training, validation = dataset.train_and_val(seed=recipe.seed)
                history = fit(
                    network,
                    Images(training, subject.input),
                    Images(validation, subject.input),
                    recipe,
                    teacher=teacher,
                    checkpoint=place.checkpoint,
                    progress=progress,
                )
                options |= asdict(recipe) | {"best_epoch": history.best}
            accuracy = measured_accuracy(compressed, dataset, data or "")
        return write_subject(
            place,
            compressed,
            step=Step(verb="compress", options=options, data=None if data is None else data_name(data)),
            dataset=dataset,
            accuracy=accuracy,
            parent=_parent(subject),
            earlier=() if subject.lineage is None else subject.lineage.steps,
        )


def _plan(
    network: nn.Module,
    shape: tuple[int, int, int],
    rank: int | None,
    wanted: Plan | None,
    statistics: dict[str, PatchStatistics],
) -> Plan:
    if rank is not None:
        return uniform_plan(network, shape, rank, statistics=statistics)
    assert wanted is not None
    reasons = {layer.name: layer.reason for layer in wanted.layers}
    return make_plan(network, shape, wanted.replaced, reasons=reasons, statistics=statistics)


def _read_plan(path: Path) -> Plan:
    try:
        data = read_document(path, MAXIMUM_DOCUMENT, "plan")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    return parse_document(data, path, Plan)


def _calibration(dataset: Dataset, subject: Subject) -> Images:
    """Training images if there are any: calibration never looks at the test split where it can be helped."""
    split = dataset.train or dataset.val or dataset.test
    assert split is not None
    return Images(split, subject.input)


def _inputs(images: Images, limit: int) -> Iterator[Tensor]:
    return (inputs for inputs, _ in images.batches(BATCH, limit))


def _parent(subject: Subject) -> Parent:
    if subject.lineage is not None:
        return Parent(name=subject.name, identity=subject.lineage.identity)
    return Parent(name=subject.name, identity=hashlib.sha256(weights_bytes(subject.network)).hexdigest())
