"""pack: a network as it is, as a bundle: what everything is compared with."""

from pathlib import Path
from typing import Any

from falcon_edge.bundle import Manifest, Step
from falcon_edge.data import ClassMap
from falcon_edge.errors import BadInput
from falcon_edge.place import hold
from falcon_edge.steps.subject import Choice, about_classes, open_with_data, write_subject


def pack(
    choice: Choice,
    output: Path,
    *,
    data: str | None = None,
    class_map: ClassMap | None = None,
    force: bool = False,
) -> Manifest:
    """Write the network of `choice` as a bundle at `output`; DATA gives labels, normalisation and golden images.

    class_map: which class of DATA is which of the network, where they are not in one order.
    force: an earlier bundle there is replaced.
    """
    with hold(output, force=force) as place:
        subject, dataset = open_with_data(choice, data, class_map)
        if subject.lineage is not None:
            raise BadInput(f"{choice.model}: is a bundle already")
        weights = None if choice.weights is None else choice.weights.name
        options: dict[str, Any] = {"weights": weights, "seed": choice.seed}
        if choice.weights_key is not None:
            options["weights_key"] = choice.weights_key
        options |= about_classes(class_map)
        step = Step(verb="pack", options=options, data=None if data is None else data_name(data))
        return write_subject(place, subject, step=step, dataset=dataset)


def data_name(data: str) -> str:
    """What a bundle says about DATA: its last folder or file, not where it lay."""
    return Path(data).name or Path(data).resolve().name
