"""Training as a part of a verb: the data's splits, the run, and what the bundle says about it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from falcon_edge.data import Dataset, Split, open_dataset
from falcon_edge.falcon.forward import device_of, full_precision
from falcon_edge.manifest import Step
from falcon_edge.network import Network
from falcon_edge.notices import notice
from falcon_edge.progress import Progress
from falcon_edge.steps.held_out import HELD_OUT, kept_apart
from falcon_edge.steps.judging import MetricChoice
from falcon_edge.steps.quality import answers_to, measured_quality
from falcon_edge.training.fit import fit
from falcon_edge.training.history import History
from falcon_edge.training.images import Images
from falcon_edge.training.recipe import Recipe
from falcon_edge.training.running import HERE, Running


def tune(
    network: Network,
    dataset: Dataset,
    recipe: Recipe,
    *,
    learned: Sequence[Network] = (),
    teacher: nn.Module | None = None,
    alone: bool = False,
    checkpoint: Path | None = None,
    running: Running = HERE,
    progress: Progress,
) -> tuple[History, dict[str, Any]]:
    """Train a network's module in place; its history, and the options of the step that say how it was trained.

    learned: what it begins with or learns from, which may know the images. alone: from the teacher alone, see `fit`.
    """
    training, validation = dataset.train_and_val()
    digest = validation.digest()
    seen = dataset.val is None and not all(kept_apart(each.steps, digest) for each in learned)
    if seen:
        training = dataset.require("train")
        notice(
            f"{dataset.source}: has no validation split, and {learned[-1]} may have learned from all of its training "
            "images: epochs are judged by images that are trained on, too"
        )
    with running.placed(network.module, teacher):
        device = device_of(network.module)
        history = fit(
            network.module,
            Images(training, network.input, device),
            Images(validation, network.input, device),
            recipe,
            teacher=teacher,
            alone=alone,
            seen=seen,
            checkpoint=checkpoint,
            running=running,
            progress=progress,
        )
    if history.best == 0:
        notice(_no_better(history))
    return history, recipe.said | {
        HELD_OUT: None if seen else digest,
        "learning_rate": history.learning_rate,
        "best_epoch": history.best,
    }


def answered(network: Network, dataset: Dataset) -> Dataset:
    """Data without targets as a data set of the network's own answers: the highest class of each image.

    So that a student can be judged, epoch by epoch, by how often it answers as its teacher does.
    """
    train, val = (_answered(network, dataset.splits[name]) for name in ("train", "val"))
    return replace(dataset, class_names=network.labels, train=train, val=val, test=None)


def _answered(network: Network, split: Split | None) -> Split | None:
    if split is None:
        return None
    found = (next(iter(outputs.values())) for outputs in answers_to(network, Images(split, network.input)))
    return Split(split.images, np.concatenate([logits.argmax(1) for logits in found]))


@full_precision()
def tuned(
    network: Network,
    dataset: Dataset | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    metric: MetricChoice = None,
) -> Network:
    """A network whose module was tuned by a loop of the user's: its step says so, and its quality is measured anew.

    options: what is to be known of the loop. dataset: with the network's classes. Raises BadInput as `compress` does.
    """
    dataset = None if dataset is None else open_dataset(dataset)
    said = {"tuned": dict(options or {})} | met(dataset)
    quality = (
        ()
        if dataset is None or dataset.test is None or dataset.kind is None
        else (measured_quality(network, dataset, "test", dataset.test, metric))
    )
    if network.step is None:
        data = None if dataset is None else dataset.name
        return network.after(Step(verb="tune", options=said, data=data), quality=quality)
    step = network.step.model_copy(update={"options": network.step.options | said})
    return replace(network, step=step, quality=quality, training=None)


def met(dataset: Dataset | None) -> dict[str, Any]:
    """What a step's options say of how the data met the network: the class map, where there is one."""
    return {} if dataset is None or dataset.class_map is None else {"class_map": dict(dataset.class_map)}


def _no_better(history: History) -> str:
    rates = [attempt.learning_rate for attempt in history.attempts]
    figures = [epoch.figure for made in history.attempts for epoch in made.epochs if epoch.figure is not None]
    best = f"at best {100 * max(figures):.2f}%" if figures else "diverged"
    tried = f"{rates[0]:g}" if len(rates) == 1 else f"{rates[0]:g} to {rates[-1]:g}"
    return (
        f"training could not improve the network, which stays as it was: {history.words} {100 * history.figure:.2f}% "
        f"on the validation images, {best} with learning rate {tried}"
    )
