"""What re-estimated batch normalisation does, for networks that have none any more: files have it in their weights.

After the fit a layer's output has another mean and variance than what its successors were trained on. With batch
normalisation behind it, estimating that anew brings them back; where it was folded into the convolution, nothing does.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from falcon_edge.falcon.coupling import Side
from falcon_edge.falcon.cutting import Removed
from falcon_edge.falcon.forms.form import FormConv2d
from falcon_edge.falcon.forward import evaluating, fed

LARGEST_SCALE = 10.0  # of a channel that hardly varies any more after the fit: what is left of it is no signal


@torch.no_grad()
def match_moments(
    student: nn.Module,
    teacher: nn.Module,
    layers: Sequence[str],
    batches: Callable[[], Iterable[Any]],
    removed: Removed | None = None,
) -> None:
    """Give the output of each changed convolution the mean and variance, channel by channel, that its original has.

    layers: module paths in the order of execution; one after the other, each with what those before it then give.
    removed: channels that the student has no more. A plain convolution without a bias keeps the mean that it has.
    batches: a loader, read anew for every layer: inputs (B, C, H, W), alone or each with its targets. Weights and
    biases of `student` are changed in place. Bias correction as in Nagel and others, 2019 (section 4.2), and the same
    for the scale.
    """
    wanted = _moments(teacher, layers, batches())
    for name in wanted:
        layer, gone = student.get_submodule(name), {*(removed or {}).get(Side(name, "outputs"), ())}
        mean, variance = wanted[name]
        if gone:
            stays = torch.tensor([channel for channel in range(len(mean)) if channel not in gone]).to(mean.device)
            mean, variance = mean[stays], variance[stays]
        found = _moments(student, [name], batches())[name]
        scale = (variance / found[1].clamp_min(torch.finfo(torch.float64).tiny)).sqrt().clamp(max=LARGEST_SCALE)
        shift = mean - scale * found[0]
        if isinstance(layer, FormConv2d):
            layer.rescale(scale, shift)
        elif isinstance(layer, nn.Conv2d):
            layer.weight.copy_(layer.weight.double() * scale[:, None, None, None])
            if layer.bias is not None:
                layer.bias.copy_(scale * layer.bias.double() + shift)


def _moments(module: nn.Module, layers: Sequence[str], batches: Iterable[Any]) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and variance (N,), float64, of what layers give, over all images and places; of none without images."""
    sums = {name: ChannelSums() for name in layers}
    hooks = [
        module.get_submodule(name).register_forward_hook(lambda _, __, given, name=name: sums[name].add(given))
        for name in layers
    ]
    try:
        with evaluating(module):
            for batch in fed(module, batches):
                module(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: each.moments() for name, each in sums.items() if each.count}


class ChannelSums:
    """Of the numbers that a layer gives, channel by channel, and of their squares, in float64 where the layer is."""

    def __init__(self) -> None:
        self.count = 0
        self.total = self.squares = torch.zeros(1, dtype=torch.float64)

    def add(self, given: Tensor) -> None:
        """Take in one batch (B, N, H, W)."""
        rows = given.transpose(0, 1).flatten(1).double()
        self.count += rows.shape[1]
        self.total = self.total.to(rows.device) + rows.sum(1)
        self.squares = self.squares.to(rows.device) + rows.square().sum(1)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and variance."""
        mean = self.total / self.count
        return mean, (self.squares / self.count - mean.square()).clamp_min(0)
