"""The loop that all our training goes through: epochs of gradient descent on a module, wherever that is."""

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils._pytree import tree_map

from falcon_edge.errors import BadInput
from falcon_edge.falcon.forward import device_of
from falcon_edge.training.team import team

# Of all parameters together. Runs that go well never come near it (docs/method.md): it takes the edge off an explosion.
LARGEST_GRADIENT = 200.0


class NotFinite(BadInput):
    """Loss, gradients or outputs are not finite."""


Schedule = Literal["cosine", "steps", "one-cycle"]
SEEDS = 2**32
MOMENTUM, WARM_UP = 0.9, 0.1
CYCLE_MOMENTUM = 0.95, 0.85  # of one cycle: at its ends, and at the peak of its rate


class Pace(NamedTuple):
    """Of one step."""

    rate: float
    momentum: float


@dataclass(frozen=True)
class Descent:
    """SGD with momentum, whose learning rate follows a schedule.

    schedule: cosine (a linear warm-up and a cosine decay to zero), steps (a warm-up, then a tenth at every milestone)
    or one-cycle (Smith and Topin, arXiv 1708.07120, section 2, in PyTorch's form: from a 25th up to the peak by a
    cosine, and down to nearly nothing; momentum goes the other way, 0.95 to 0.85 and back). warm_up: share of all steps
    in which the rate rises; milestones: shares of all steps. weight_decay: on every parameter.
    ema: what is judged and kept is an exponential mean of the weights and statistics with this decay a step; 0: none.
    autocast: outputs and losses in bfloat16 where torch takes that to be safe; weights stay float32.
    temperature, distillation: T and w of (1 - w) loss + w T^2 KL(teacher || student), both softened by T
    (Hinton et al., 2015); they count only where there is a teacher.
    """

    epochs: int
    learning_rate: float = 0.1
    momentum: float = MOMENTUM
    weight_decay: float = 5e-4
    warm_up: float = WARM_UP
    temperature: float = 4.0
    distillation: float = 0.9
    seed: int = 0
    schedule: Schedule = "cosine"
    milestones: tuple[float, ...] = ()
    ema: float = 0.0
    autocast: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 0 or not 0 < self.learning_rate < math.inf:
            raise BadInput("training needs epochs >= 0 and a learning rate > 0")
        if not (0 <= self.distillation <= 1 and 0 < self.temperature < math.inf and 0 <= self.warm_up < 1):
            raise BadInput("distillation weight lies in 0..1, temperature above 0, warm-up in 0..1")
        if not (0 <= self.momentum < 1 and 0 <= self.weight_decay < math.inf):
            raise BadInput("momentum lies in 0..1, weight decay is at least 0")
        if not 0 <= self.seed < SEEDS:
            raise BadInput(f"a seed lies in 0..{SEEDS - 1}")
        if self.schedule not in get_args(Schedule):
            raise BadInput(f"{self.schedule}: no schedule of this name; there are {', '.join(get_args(Schedule))}")
        if not 0 <= self.ema < 1:
            raise BadInput("the decay of an exponential mean lies in 0..1")
        if not all(0 < share < 1 for share in self.milestones):
            raise BadInput("milestones are shares of all steps, between 0 and 1")
        if bool(self.milestones) != (self.schedule == "steps"):
            raise BadInput("milestones are for the schedule steps, which needs some")
        if self.schedule == "one-cycle" and (self.warm_up, self.momentum) != (WARM_UP, MOMENTUM):
            raise BadInput("one-cycle has a warm-up and a momentum of its own: leave them out")

    def pace(self, step: int, steps: int) -> Pace:
        """Learning rate and momentum of one step (from 0) of `steps` in all."""
        peak = self.learning_rate
        if self.schedule == "one-cycle":
            turn, (ends, middle) = 0.3 * steps - 1, CYCLE_MOMENTUM
            if step < turn:
                share = step / turn
                return Pace(_between(peak / 25, peak, share), _between(ends, middle, share))
            share = (step - turn) / (steps - 1 - turn)
            return Pace(_between(peak, peak / 250_000, share), _between(middle, ends, share))
        rising = self.warm_up * steps
        if step < rising:
            rate = peak * (step + 1) / (rising + 1)
        elif self.schedule == "steps":
            rate = peak * 0.1 ** sum(step >= share * steps for share in self.milestones)
        else:
            rate = peak * 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))
        return Pace(rate, self.momentum)

    def precision(self, device: torch.device) -> AbstractContextManager[Any]:
        """Within which outputs and losses are computed."""
        if not self.autocast:
            return nullcontext()
        # Without its cache: weights that were cast for a judge would have no gradients in the next epoch.
        return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)


def _between(start: float, end: float, share: float) -> float:
    """Along half of a cosine."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


class _Lossy(nn.Module):
    """A module with its loss behind it, so that a team knows which parameters that comes from."""

    def __init__(self, module: nn.Module, loss: Callable[[nn.Module, Tensor, Any], Tensor]):
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, inputs: Tensor, beside: Any) -> Tensor:
        """The loss of a batch."""
        return self.loss(self.module, inputs, beside)


class Loop:
    """Epochs on a module, which stays where it is: batches are brought to it. The same seed gives the same bytes.

    steps: batches of an epoch. loss: of the module's answers to inputs, and of what stands beside them in a batch.
    """

    def __init__(
        self, module: nn.Module, descent: Descent, steps: int, loss: Callable[[nn.Module, Tensor, Any], Tensor]
    ):
        self.module, self.descent, self.steps = module, descent, steps
        self.team = team()
        self.called = self.team.wrapped(_Lossy(module, loss))
        self.device = device_of(module)
        self.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        if not self.parameters:
            raise BadInput("nothing of this network can be trained: all its parameters are frozen")
        self.optimiser = torch.optim.SGD(
            self.parameters, descent.learning_rate, momentum=descent.momentum, weight_decay=descent.weight_decay
        )
        self.mean: AveragedModel | None = None
        if descent.ema:
            self.mean = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(descent.ema), use_buffers=True)

    @property
    def outcome(self) -> nn.Module:
        """What is judged and kept: the module, or the mean of its weights."""
        return self.module if self.mean is None else self.mean.module

    def state(self) -> dict[str, Any]:
        """What it needs to go on, beside the module's own state."""
        return {"optimiser": self.optimiser.state_dict(), "mean": None if self.mean is None else self.mean.state_dict()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.optimiser.load_state_dict(state["optimiser"])
        if self.mean is not None:
            self.mean.load_state_dict(state["mean"])

    def epoch(self, number: int, batches: Iterable[tuple[Tensor, Any]], tell: Callable[[int], None]) -> float:
        """Epoch `number` (from 1): its mean loss. tell: called with the place of every step, when it is done.

        Whatever is random in it (dropout, a loader that shuffles by torch's own generator) is so by seed and number.
        Raises NotFinite where the loss or its gradients are no numbers any more, BadInput for a loss without gradients.
        """
        torch.manual_seed(self.descent.seed * 1_000_003 + number + self.team.rank * 1_000_000_007)
        self.module.train()
        total, done = 0.0, 0
        for inputs, beside in islice(batches, self.steps):
            pace = self.descent.pace((number - 1) * self.steps + done, self.descent.epochs * self.steps)
            for group in self.optimiser.param_groups:
                group["lr"], group["momentum"] = pace
            with self.team.together(), self.descent.precision(self.device):
                loss = self.called(*brought((inputs, beside), self.device))
            if not loss.requires_grad:
                raise BadInput(
                    "the loss has no gradient: it is detached, of integers, or computed within torch.no_grad"
                )
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            if not torch.isfinite(nn.utils.clip_grad_norm_(self.parameters, LARGEST_GRADIENT)):
                raise NotFinite(f"batch {done}: the gradients are not finite")
            self.optimiser.step()
            if self.mean is not None:
                self.mean.update_parameters(self.module)
            total += float(loss.detach())
            if not math.isfinite(total):
                raise NotFinite(f"batch {done}: the loss is not finite")
            tell(done)
            done += 1
        return self.team.total(total / done)[0] / self.team.size


def brought(value: Any, device: torch.device) -> Any:
    """The same, however it is nested, with its tensors on a device; NumPy's arrays become tensors."""

    def leaf(part: Any) -> Any:
        part = torch.as_tensor(part) if isinstance(part, np.ndarray) else part
        return part.to(device) if isinstance(part, Tensor) else part

    return tree_map(leaf, value)
