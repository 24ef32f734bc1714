"""pack: a network as it is, as a bundle: what everything is compared with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from falcon_edge.bundle import is_bundle
from falcon_edge.data import ClassMap, Dataset
from falcon_edge.errors import BadInput
from falcon_edge.falcon.forward import full_precision
from falcon_edge.manifest import Manifest, MeasuredQuality, Step
from falcon_edge.models.sources import BUILTIN
from falcon_edge.network import Network
from falcon_edge.notices import notice
from falcon_edge.place import hold
from falcon_edge.steps.judging import MetricChoice
from falcon_edge.steps.normalisation import better, tell_preparation
from falcon_edge.steps.opening import PHOTO_SOURCES, Choice, open_with_data
from falcon_edge.steps.quality import measured_quality
from falcon_edge.steps.tuning import met
from falcon_edge.steps.writing import write_network

MEASURED, TRIED = 2000, 250  # images, for its quality and for every other normalisation
NO_BETTER = 0.01


@full_precision()
def pack(
    network: Network,
    dataset: Dataset | None = None,
    *,
    metric: MetricChoice = None,
    options: Mapping[str, Any] | None = None,
) -> Network:
    """The network as it is, its quality measured on data with its classes; `options`: how it came to its weights.

    Says what makes doubt that it is the one that was trained.
    """
    return network.after(
        Step(verb="pack", options={**(options or {}), **met(dataset)}, data=None if dataset is None else dataset.name),
        quality=() if dataset is None else _measured(network, dataset, metric),
    )


def pack_bundle(
    choice: Choice,
    output: Path,
    *,
    data: str | Dataset | None = None,
    class_map: ClassMap | None = None,
    metric: MetricChoice = None,
    force: bool = False,
) -> Manifest:
    """Write the network of `choice` as a bundle; DATA gives labels, normalisation, golden images and its quality.

    Says what it had to guess; see `pack`. class_map: which class of DATA is which of the network, where they are not in
    one order. force: an earlier bundle there is replaced.
    """
    with hold(output, force=force) as place:
        if is_bundle(Path(choice.model)):
            raise BadInput(f"{choice.model}: is a bundle already")
        network, dataset = open_with_data(choice, data, class_map)
        options: dict[str, Any] = {"weights": None if choice.weights is None else choice.weights.name}
        options["seed"] = choice.seed
        if choice.weights_key is not None:
            options["weights_key"] = choice.weights_key
        if choice.weights is None and (choice.model in BUILTIN or choice.model.startswith(PHOTO_SOURCES)):
            notice(f"{choice.model}: no weights were given, so that it has fresh random ones")
        elif network.guessed is not None:
            notice(f"{choice.model}: {network.guessed}")
        tell_preparation(network, dataset, choice.model)
        return write_network(place, pack(network, dataset, metric=metric, options=options), dataset)


def _measured(network: Network, dataset: Dataset, metric: MetricChoice) -> tuple[MeasuredQuality, ...]:
    """On images that are spread over the test split or another one, and a word on it where it may be better."""
    name, split = dataset.first("test", "val", "train")
    images = split.spread(MEASURED)
    found = measured_quality(network, dataset, name, images, metric)
    if network.is_classifier and split.kind == "classes" and found[0].metric == "top1":
        _doubt(network, dataset, name, len(images), found[0].value)
    return found


def _doubt(network: Network, dataset: Dataset, name: str, count: int, top1: float) -> None:
    """Say where another normalisation would be better, or top-1 is what guessing gives."""
    split, source = dataset.splits[name], network.called or network.architecture.source
    assert split is not None
    found = better(network.module, network.input, split.spread(TRIED), dataset)
    if found is not None:
        other, then, now = found
        notice(
            f"{source}: top-1 is {100 * now:.1f}% on {min(TRIED, len(split))} {name} images, and {100 * then:.1f}% "
            f"with another normalisation, {other.whose}: {other}"
        )
        return
    guessing = binomtest(round(top1 * count), count, 1 / len(network.labels), alternative="greater")
    if guessing.pvalue > NO_BETTER:
        notice(
            f"{source}: top-1 is {100 * top1:.1f}% on {count} {name} images, no better than guessing; look at its "
            "weights, and at the order of its classes"
        )
