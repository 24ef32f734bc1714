"""Images that training holds out where the data has no validation split, and who has not learned them."""

from collections.abc import Sequence

import numpy as np

from falcon_edge.data import Dataset, Split
from falcon_edge.manifest import Step

HELD_OUT = "held_out"  # of a step: the digest of the validation images, None where they are trained on, too


def kept_apart(steps: Sequence[Step], digest: str) -> bool:
    """Whether a network of these steps was trained, and never on the images of this digest, as far as they tell."""
    trained = [step.options.get(HELD_OUT) for step in steps if step.verb == "train"]
    elsewhere = any(step.verb in ("tune", "adopt") or "tuned" in step.options for step in steps)
    return bool(trained) and not elsewhere and set(trained) == {digest}


def for_choices(dataset: Dataset, steps: Sequence[Step]) -> tuple[str, Split]:
    """What choices about a network of these steps are made by, and what such images are called.

    Validation images: those of the data, or what training held out. Without them test images, whose figure is then
    a little too good, and training images where there is nothing else.
    """
    train, said = dataset.train, any(step.options.get(HELD_OUT) for step in steps)
    if said and dataset.val is None and train is not None and (held_out := np.flatnonzero(dataset.held_out())).size:
        validation = train.subset(held_out)
        if kept_apart(steps, validation.digest()):
            return "validation", validation
    name, split = dataset.first("val", "test", "train")
    return {"val": "validation", "train": "training"}.get(name, name), split
