"""train: a network, standard or of any unit, from its data."""

from pathlib import Path
from typing import Any

from falcon_edge.data import ClassMap, Dataset
from falcon_edge.errors import BadInput
from falcon_edge.falcon.forward import full_precision
from falcon_edge.manifest import Manifest, Step
from falcon_edge.network import Network
from falcon_edge.place import hold
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.normalisation import tell_preparation
from falcon_edge.steps.opening import Choice, open_network, open_with_data
from falcon_edge.steps.quality import measured_quality
from falcon_edge.steps.tuning import met, tune
from falcon_edge.steps.writing import identity, write_network
from falcon_edge.training.recipe import Recipe
from falcon_edge.training.running import HERE, Running


@full_precision()
def train(
    network: Network,
    dataset: Dataset,
    recipe: Recipe,
    *,
    teacher: Network | None = None,
    checkpoint: Path | None = None,
    running: Running = HERE,
    progress: Progress = silent,
) -> Network:
    """Train a standard network, or one of units, on data with its classes; its module is changed in place.

    teacher: a network of the same input and labels, from whose answers it learns, too: see `Recipe`. The best weights
    on the validation split are kept: those of an epoch, or those that it began with (best_epoch 0). checkpoint: where
    the run keeps its state, to go on if it is killed; running: how it is carried out. Raises BadInput for a compressed
    network, data without a training split, or a teacher of another input or other labels.
    """
    require_trainable(network, dataset, recipe)
    taught: dict[str, Any] = {}
    learned = [] if network.fresh else [network]
    if teacher is not None:
        learned.append(teacher)
        _require_alike(network, teacher)
        taught = {"teacher": {"name": teacher.name, "identity": identity(teacher.module)}}
    history, options = tune(
        *(network, dataset, recipe),
        learned=learned,
        teacher=None if teacher is None else teacher.module,
        checkpoint=checkpoint,
        running=running,
        progress=progress,
    )
    return network.after(
        Step(verb="train", options=options | taught | met(dataset), data=dataset.name),
        quality=() if dataset.test is None else measured_quality(network, dataset, "test", dataset.test, None),
        training=history.lines(),
    )


def require_trainable(network: Network, dataset: Dataset, recipe: Recipe) -> None:
    """Raise BadInput for a network or data that our training cannot use, and for a recipe that does not train."""
    if recipe.epochs < 1:
        raise BadInput(f"{network}: is trained for at least 1 epoch, not {recipe.epochs}")
    dataset.require("train")
    dataset.require_classes("our training")
    network.require_classifier("our training")
    if network.compressed:
        raise BadInput(f"{network}: is compressed; train a standard network")


def _require_alike(network: Network, teacher: Network) -> None:
    """Raise BadInput for a teacher that answers another question than its student."""
    teacher.require_classifier("a teacher")
    if teacher.labels != network.labels:
        raise BadInput(f"{teacher}: the teacher's classes are not those of {network}, in the same order")
    if teacher.input != network.input:
        raise BadInput(
            f"{teacher}: the teacher's input is not that of {network}; look at `input_shape`, `mean` and `std`"
        )


def train_bundle(
    choice: Choice,
    data: str | Dataset,
    output: Path,
    recipe: Recipe,
    *,
    teacher: Path | None = None,
    class_map: ClassMap | None = None,
    running: Running = HERE,
    force: bool = False,
    progress: Progress = silent,
) -> Manifest:
    """Train a network, built by name or from a bundle, and write it as a bundle; see `train`.

    teacher: its bundle. A killed run goes on from its last epoch when it is started again with the same words.
    class_map: which class of DATA is which of the network, where their names do not say so. force: an earlier bundle at
    `output` is replaced.
    """
    with hold(output, force=force, goes_on=True) as place:
        taught = None if teacher is None else open_network(Choice(str(teacher), trust_code=choice.trust_code))
        network, dataset = open_with_data(choice, data, class_map)
        assert dataset is not None  # as there is DATA
        require_trainable(network, dataset, recipe)
        if network.lineage is None:  # of a bundle it was told when that was made
            tell_preparation(network, dataset, choice.model)
        trained = train(
            *(network, dataset, recipe),
            teacher=taught,
            checkpoint=place.checkpoint,
            running=running,
            progress=progress,
        )
        return write_network(place, trained, dataset)
