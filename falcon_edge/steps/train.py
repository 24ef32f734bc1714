"""train: a standard network from its data."""

from pathlib import Path

from falcon_edge.data import ClassMap, Dataset
from falcon_edge.errors import BadInput
from falcon_edge.falcon.observe import full_precision
from falcon_edge.manifest import Manifest, Step
from falcon_edge.network import Network
from falcon_edge.place import hold
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.normalisation import tell_preparation
from falcon_edge.steps.opening import Choice, open_with_data
from falcon_edge.steps.quality import measured_quality
from falcon_edge.steps.tuning import met, tune
from falcon_edge.steps.writing import write_network
from falcon_edge.training.recipe import Recipe
from falcon_edge.training.running import HERE, Running


@full_precision()
def train(
    network: Network,
    dataset: Dataset,
    recipe: Recipe,
    *,
    checkpoint: Path | None = None,
    running: Running = HERE,
    progress: Progress = silent,
) -> Network:
    """Train a standard network on data with its classes; its module is changed in place.

    The best weights on the validation split are kept: those of an epoch, or those that it began with (best_epoch 0).
    checkpoint: where the run keeps its state, to go on if it is killed; running: how it is carried out. Raises BadInput
    for a compressed network, or data without a training split.
    """
    require_trainable(network, dataset)
    history, options = tune(network, dataset, recipe, checkpoint=checkpoint, running=running, progress=progress)
    return network.after(
        Step(verb="train", options=options | met(dataset), data=dataset.name),
        quality=() if dataset.test is None else measured_quality(network, dataset, "test", dataset.test, None),
        training=history.lines(),
    )


def require_trainable(network: Network, dataset: Dataset) -> None:
    """Raise BadInput for a network or data that our training cannot use."""
    dataset.require("train")
    dataset.require_classes("our training")
    network.require_classifier("our training")
    if network.compressed:
        raise BadInput(f"{network}: is compressed; train a standard network")


def train_bundle(
    choice: Choice,
    data: str | Dataset,
    output: Path,
    recipe: Recipe,
    *,
    class_map: ClassMap | None = None,
    running: Running = HERE,
    force: bool = False,
    progress: Progress = silent,
) -> Manifest:
    """Train a network, built by name or from a bundle, and write it as a bundle; see `train`.

    A killed run goes on from its last epoch when it is started again with the same words. class_map: which class of
    DATA is which of the network, where their names do not say so. force: an earlier bundle at `output` is replaced.
    """
    with hold(output, force=force, goes_on=True) as place:
        network, dataset = open_with_data(choice, data, class_map)
        assert dataset is not None  # as there is DATA
        require_trainable(network, dataset)
        if network.lineage is None:  # of a bundle it was told when that was made
            tell_preparation(network, dataset, choice.model)
        trained = train(network, dataset, recipe, checkpoint=place.checkpoint, running=running, progress=progress)
        return write_network(place, trained, dataset)
