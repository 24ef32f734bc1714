"""The loop that all our training goes through: epochs of gradient descent on a module, wherever that is."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from falcon_edge.errors import BadInput
from falcon_edge.falcon.observe import device_of

# Of all parameters together. Runs that go well never come near it (docs/method.md): it takes the edge off an explosion.
LARGEST_GRADIENT = 200.0


class NotFinite(BadInput):
    """Loss, gradients or outputs are not finite."""


@dataclass(frozen=True)
class Descent:
    """SGD with momentum, a linear warm-up and a cosine decay to zero.

    warm_up: share of all steps in which the learning rate rises; weight_decay: on every parameter.
    temperature, distillation: T and w of (1 - w) loss + w T^2 KL(teacher || student), both softened by T
    (Hinton et al., 2015); they count only where there is a teacher.
    """

    epochs: int
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warm_up: float = 0.1
    temperature: float = 4.0
    distillation: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 0 or not 0 < self.learning_rate < math.inf:
            raise BadInput("training needs epochs >= 0 and a learning rate > 0")
        if not (0 <= self.distillation <= 1 and 0 < self.temperature < math.inf and 0 <= self.warm_up < 1):
            raise BadInput("distillation weight lies in 0..1, temperature above 0, warm-up in 0..1")
        if not (0 <= self.momentum < 1 and 0 <= self.weight_decay < math.inf):
            raise BadInput("momentum lies in 0..1, weight decay is at least 0")
        if not 0 <= self.seed < 2**32:
            raise BadInput("a seed lies in 0..4294967295")

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of one step (from 0) of `steps` in all."""
        rising = self.warm_up * steps
        if step < rising:
            return self.learning_rate * (step + 1) / (rising + 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


class Loop:
    """Epochs on a module, which stays where it is: batches are brought to it. The same seed gives the same bytes.

    steps: batches of an epoch. loss: of inputs, and of what stands beside them in a batch.
    """

    def __init__(self, module: nn.Module, descent: Descent, steps: int, loss: Callable[[Tensor, Any], Tensor]):
        self.module, self.descent, self.steps, self.loss = module, descent, steps, loss
        self.device = device_of(module)
        self.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        if not self.parameters:
            raise BadInput("nothing of this network can be trained: all its parameters are frozen")
        self.optimiser = torch.optim.SGD(
            self.parameters, descent.learning_rate, momentum=descent.momentum, weight_decay=descent.weight_decay
        )

    def epoch(self, number: int, batches: Iterable[tuple[Tensor, Any]], tell: Callable[[int], None]) -> float:
        """Epoch `number` (from 1): its mean loss. tell: called with the place of every step, when it is done.

        Whatever is random in it (dropout, a loader that shuffles by torch's own generator) is so by seed and number.
        Raises NotFinite where the loss or its gradients are no numbers any more, BadInput for a loss without gradients.
        """
        torch.manual_seed(self.descent.seed * 1_000_003 + number)
        self.module.train()
        total, done = 0.0, 0
        for inputs, beside in islice(batches, self.steps):
            rate = self.descent.rate((number - 1) * self.steps + done, self.descent.epochs * self.steps)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            loss = self.loss(*brought((inputs, beside), self.device))
            if not loss.requires_grad:
                raise BadInput(
                    "the loss has no gradient: it is detached, of integers, or computed within torch.no_grad"
                )
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            if not torch.isfinite(nn.utils.clip_grad_norm_(self.parameters, LARGEST_GRADIENT)):
                raise NotFinite(f"batch {done}: the gradients are not finite")
            self.optimiser.step()
            total += float(loss.detach())
            if not math.isfinite(total):
                raise NotFinite(f"batch {done}: the loss is not finite")
            tell(done)
            done += 1
        return total / done


def brought(value: Any, device: torch.device) -> Any:
    """The same, however it is nested, with its tensors on a device; NumPy's arrays become tensors."""

    def leaf(part: Any) -> Any:
        part = torch.as_tensor(part) if isinstance(part, np.ndarray) else part
        return part.to(device) if isinstance(part, Tensor) else part

    return tree_map(leaf, value)
