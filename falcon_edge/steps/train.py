"""train: a standard network from its data."""

from pathlib import Path

from falcon_edge.bundle import Manifest, MeasuredAccuracy, Parent, Step
from falcon_edge.data import ClassMap, Dataset, data_name
from falcon_edge.errors import BadInput
from falcon_edge.place import hold
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.subject import Choice, Subject, about_classes, open_with_data, write_subject
from falcon_edge.steps.tuning import tune
from falcon_edge.training.fit import Recipe, accuracy
from falcon_edge.training.images import Images


def train(
    choice: Choice,
    data: str,
    output: Path,
    recipe: Recipe,
    *,
    class_map: ClassMap | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> Manifest:
    """Train a network, built by name or from a bundle, and write it as a bundle.

    The best weights on the validation split are kept: those of an epoch, or those that it began with (best_epoch 0). A
    killed run goes on from its last epoch when it is started again with the same words. class_map: which class of DATA
    is which of the network, where their names do not say so. force: an earlier bundle at `output` is replaced.
    """
    with hold(output, force=force, goes_on=True) as place:
        subject, dataset = open_with_data(choice, data, class_map)
        assert dataset is not None  # as there is DATA
        dataset.require("train")
        if subject.compressed:
            raise BadInput(f"{choice.model}: is compressed; train a standard network")
        history, options = tune(subject, dataset, recipe, place, progress=progress)
        options |= about_classes(class_map)
        before = subject.lineage
        return write_subject(
            place,
            subject,
            step=Step(verb="train", options=options, data=data_name(data)),
            dataset=dataset,
            accuracy=measured_accuracy(subject, dataset, data),
            training=history.lines(),
            parent=None if before is None else Parent(name=subject.name, identity=before.identity),
            earlier=() if before is None else before.steps,
        )


def measured_accuracy(subject: Subject, dataset: Dataset, data: str) -> tuple[MeasuredAccuracy, ...]:
    """Top-1 on the test split, if there is one."""
    if dataset.test is None:
        return ()
    top1 = accuracy(subject.network, Images(dataset.test, subject.input))
    return (MeasuredAccuracy(data=data_name(data), split="test", samples=len(dataset.test), top1=top1),)
