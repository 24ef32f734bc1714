"""Forms that are convolutions one behind the other: their geometry, and singular vectors as factors."""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from falcon_edge.falcon.forms.form import FormConv2d, Sizes


class Chain(FormConv2d):
    """Named convolutions, one behind the other; the bias stands on the last."""

    def __init__(self, conv: nn.Conv2d, links: Mapping[str, nn.Conv2d]):
        super().__init__()
        self.stand_for(conv)
        for name, link in links.items():
            self.add_module(name, link)

    def forward(self, input: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H', W')."""
        for link in self.children():
            input = link(input)
        return input

    def last(self) -> dict[str, nn.Conv2d]:
        """The last convolution."""
        name, link = list(self.named_children())[-1]
        return {name: cast(nn.Conv2d, link)}


def pointwise(inputs: int, outputs: int, bias: bool = False) -> nn.Conv2d:
    """A 1x1 convolution."""
    return nn.Conv2d(inputs, outputs, 1, bias=bias)


def along(
    conv: nn.Conv2d,
    inputs: int,
    outputs: int,
    *,
    axes: tuple[int, ...] = (0, 1),
    groups: int = 1,
    bias: bool = False,
) -> nn.Conv2d:
    """A convolution with the geometry of another in the named axes (0: height, 1: width), of size 1 in the others."""

    def of(value: Any, neutral: int) -> Any:
        return value if isinstance(value, str) else tuple(value[axis] if axis in axes else neutral for axis in (0, 1))

    return nn.Conv2d(
        inputs,
        outputs,
        of(conv.kernel_size, 1),
        of(conv.stride, 1),
        of(conv.padding, 0),
        of(conv.dilation, 1),
        groups,
        bias,
        padding_mode=conv.padding_mode,
    )


def ungrouped(conv: nn.Conv2d) -> str | None:
    """Why a form without groups cannot stand in a convolution's place, or None."""
    return f"it has {conv.groups} groups" if conv.groups > 1 else None


def pair_of_sizes(weights: Mapping[str, Sizes], *names: str) -> list[Sizes] | None:
    """Shapes of the weights of the convolutions `names`, if these are all there are; biases are passed over."""
    found = {name.removesuffix(".weight"): shape for name, shape in weights.items() if name.endswith(".weight")}
    return [found[name] for name in names] if found.keys() == set(names) else None


def singular(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Left singular vectors (d, d) and energies (d,) of a matrix (d, n), the largest first, signs made unique.

    From the Gram matrix (d, d) in float64.
    """
    values, vectors = torch.linalg.eigh(matrix @ matrix.mT)
    vectors = vectors.flip(1)
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    return vectors * torch.where(largest < 0, -1.0, 1.0).double(), values.flip(0).clamp(min=0)


def behind(energies: Tensor, limit: int) -> Tensor:
    """(limit,): share of the energy that is left behind 1..limit directions."""
    total = energies.sum()
    kept = energies[:limit].cumsum(0) / total if total > 0 else energies.new_ones(limit)
    return (1 - kept).clamp(min=0)
