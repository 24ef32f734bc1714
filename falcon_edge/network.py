"""The network: what every step takes and returns, in memory."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from falcon_edge.errors import BadInput
from falcon_edge.falcon.plan import Plan
from falcon_edge.manifest import Architecture, Lineage, MeasuredQuality, Output, Parent, Step
from falcon_edge.preprocessing import InputSpec


@dataclass(frozen=True)
class Network:
    """A torch module in eval mode and everything that a bundle says about it.

    plan: which layers are FALCON, where the network is compressed or came from a bundle. lineage: where it came from,
    if it came from a bundle. images: raw ones, of the golden vectors of that bundle. guessed: a word on its
    normalisation, where nobody said which one it was trained with. called: its bundle's path, for errors. fresh:
    whether its weights are known to be random ones, so that it has learned from no image yet.

    step, parent, quality, training: of what was done to it since: the step, the model that it was made from, what was
    measured then, and every epoch as a line of JSON.
    """

    module: nn.Module
    name: str
    architecture: Architecture
    input: InputSpec
    labels: tuple[str, ...]
    outputs: tuple[Output, ...]
    plan: Plan | None = None
    lineage: Lineage | None = None
    images: tuple[np.ndarray, ...] = ()
    guessed: str | None = None
    called: str | None = None
    fresh: bool = False
    step: Step | None = None
    parent: Parent | None = None
    quality: tuple[MeasuredQuality, ...] = ()
    training: bytes | None = None

    def __str__(self) -> str:
        return self.called or self.name

    @property
    def is_classifier(self) -> bool:
        """Whether it answers with one row of classes."""
        return len(self.outputs) == 1 and self.outputs[0].kind == "classes"

    def require_classifier(self, what: str) -> None:
        """Raise BadInput, saying `what` this is needed for, unless it is one."""
        if not self.is_classifier:
            given = ", ".join(f"{each.name} {each.shape}" for each in self.outputs)
            raise BadInput(f"{self}: gives {given}; {what} is for one row of classes: use a loop of your own")

    @property
    def compressed(self) -> bool:
        """Whether a plan was applied to it."""
        return self.plan is not None and self.plan.compresses

    @property
    def as_parent(self) -> Parent | None:
        """What one that is made from it says of it; None where it came from no bundle."""
        return None if self.lineage is None else Parent(name=self.name, identity=self.lineage.identity)

    @property
    def steps(self) -> tuple[Step, ...]:
        """What was done to it, in order."""
        earlier = () if self.lineage is None else self.lineage.steps
        return earlier if self.step is None else (*earlier, self.step)

    def after(self, step: Step, **changes: Any) -> "Network":
        """The network that a step made of this one, which is its parent unless `changes` say otherwise."""
        return replace(self, **{"step": step, "parent": self.as_parent, "fresh": False} | changes)
