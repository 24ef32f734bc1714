"""train: a standard network from its data."""

from dataclasses import asdict
from pathlib import Path

from falcon_edge.bundle import Manifest, MeasuredAccuracy, Step, bundle_path
from falcon_edge.data import Dataset, open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.pack import data_name
from falcon_edge.steps.subject import Choice, Subject, open_subject, write_subject
from falcon_edge.training.fit import Recipe, accuracy, fit
from falcon_edge.training.images import Images


def train(choice: Choice, data: str, output: Path, recipe: Recipe, *, progress: Progress = silent) -> Manifest:
    """Train a network built by name and write it as a bundle; the best epoch on the validation split is kept.

    A killed run goes on from its last epoch when it is started again with the same words.
    """
    dataset = open_dataset(data)
    dataset.require("train")
    subject = open_subject(choice, dataset)
    if subject.compressed:
        raise BadInput(f"{choice.model}: is compressed; train a standard network")
    training, validation = dataset.train_and_val(seed=recipe.seed)
    checkpoint = checkpoint_path(output)
    history = fit(
        subject.network,
        Images(training, subject.input),
        Images(validation, subject.input),
        recipe,
        checkpoint=checkpoint,
        progress=progress,
    )
    options = asdict(recipe) | {"best_epoch": history.best}
    return write_subject(
        output,
        subject,
        step=Step(verb="train", options=options, data=data_name(data)),
        dataset=dataset,
        accuracy=measured_accuracy(subject, dataset, data),
    )


def measured_accuracy(subject: Subject, dataset: Dataset, data: str) -> tuple[MeasuredAccuracy, ...]:
    """Top-1 on the test split, if there is one."""
    if dataset.test is None:
        return ()
    top1 = accuracy(subject.network, Images(dataset.test, subject.input))
    name = data_name(data) or data
    return (MeasuredAccuracy(data=name, split="test", samples=len(dataset.test), top1=top1),)


def checkpoint_path(output: Path) -> Path:
    """Where a run that writes the bundle `output` keeps its state until it ends."""
    bundle = bundle_path(output)
    try:
        bundle.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{bundle}: cannot be written ({error.strerror})") from error
    return bundle.with_name(f".{bundle.stem}.checkpoint")
