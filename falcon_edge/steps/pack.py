"""pack: a network as it is, as a bundle: what everything is compared with."""

from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from falcon_edge.bundle import Manifest, MeasuredAccuracy, Step, is_bundle
from falcon_edge.data import ClassMap, Dataset, data_name
from falcon_edge.errors import BadInput
from falcon_edge.models.sources import BUILTIN
from falcon_edge.notices import notice
from falcon_edge.place import hold
from falcon_edge.steps.normalisation import better, guess
from falcon_edge.steps.subject import (
    PHOTO_SOURCES,
    Choice,
    Subject,
    about_classes,
    open_with_data,
    write_subject,
)
from falcon_edge.training.fit import accuracy as measured_top1
from falcon_edge.training.images import Images

MEASURED, TRIED = 2000, 250  # images, for top-1 and for every other normalisation
NO_BETTER = 0.01


def pack(
    choice: Choice,
    output: Path,
    *,
    data: str | None = None,
    class_map: ClassMap | None = None,
    force: bool = False,
) -> Manifest:
    """Write the network of `choice` as a bundle at `output`; DATA gives labels, normalisation, golden images and top-1.

    Says what it had to guess, and what makes it doubt that the network is the one that was trained.
    class_map: which class of DATA is which of the network, where they are not in one order.
    force: an earlier bundle there is replaced.
    """
    with hold(output, force=force) as place:
        if is_bundle(Path(choice.model)):
            raise BadInput(f"{choice.model}: is a bundle already")
        subject, dataset = open_with_data(choice, data, class_map)
        weights = None if choice.weights is None else choice.weights.name
        options: dict[str, Any] = {"weights": weights, "seed": choice.seed}
        if choice.weights_key is not None:
            options["weights_key"] = choice.weights_key
        options |= about_classes(class_map)
        step = Step(verb="pack", options=options, data=None if data is None else data_name(data))
        if choice.weights is None and (choice.model in BUILTIN or choice.model.startswith(PHOTO_SOURCES)):
            notice(f"{choice.model}: no weights were given, so that it has fresh random ones")
        elif subject.guessed is not None:
            notice(f"{choice.model}: {guess(subject.guessed)}")
        accuracy = () if dataset is None else (_measured(subject, dataset, data or ""),)
        return write_subject(place, subject, step=step, dataset=dataset, accuracy=accuracy)


def _measured(subject: Subject, dataset: Dataset, data: str) -> MeasuredAccuracy:
    """Top-1 on images that are spread over the test split or another one, and a word on it where it may be better."""
    name, split = dataset.first("test", "val", "train")
    images = split.spread(MEASURED)
    top1 = measured_top1(subject.network, Images(images, subject.input))
    found = better(subject.network, subject.input, split.spread(TRIED), dataset)
    if found is not None:
        other, then, now = found
        notice(
            f"{subject.architecture.source}: top-1 is {100 * now:.1f}% on {min(TRIED, len(split))} {name} images, and "
            f"{100 * then:.1f}% with another normalisation, {other.whose}: {other}"
        )
    else:
        guessing = binomtest(round(top1 * len(images)), len(images), 1 / len(subject.labels), alternative="greater")
        if guessing.pvalue > NO_BETTER:
            notice(
                f"{subject.architecture.source}: top-1 is {100 * top1:.1f}% on {len(images)} {name} images, no better "
                "than guessing; look at its weights, and at the order of its classes"
            )
    return MeasuredAccuracy(data=data_name(data), split=name, samples=len(images), top1=top1)
