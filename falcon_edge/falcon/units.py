"""The units that FALCON is compared with: each takes the place of one standard 3x3 (D x D) convolution.

As in the FALCON paper they end where the convolution ends: the network's own batch normalisation and activation
follow. Inside, units that need it have BN and ReLU of their own, as in the papers they come from.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from falcon_edge.falcon.forms.falcon import FalconConv2d


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def _normalised(conv: nn.Module, channels: int, *, relu: bool) -> list[nn.Module]:
    return [conv, nn.BatchNorm2d(channels), *([nn.ReLU(inplace=True)] if relu else [])]


def shuffle(x: Tensor, groups: int) -> Tensor:
    """Channel shuffle (ShuffleNet, arXiv 1707.01083, figure 1): (B, groups * n, H, W) read as (n, groups)."""
    return x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


class DSConv(nn.Sequential):
    """Depthwise separable convolution (MobileNet, arXiv 1704.04861): depthwise on M, then pointwise to N."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1):
        super().__init__(_conv(inputs, inputs, kernel, stride, groups=inputs), _conv(inputs, outputs))


class MobileConvV2(nn.Sequential):
    """Inverted residual without the residual (MobileNetV2, arXiv 1801.04381): expand by t, depthwise, project."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, expansion: int = 2):
        hidden = expansion * inputs
        super().__init__(
            *_normalised(_conv(inputs, hidden), hidden, relu=True),
            *_normalised(_conv(hidden, hidden, kernel, stride, groups=hidden), hidden, relu=True),
            _conv(hidden, outputs),
        )


class ShuffleUnit(nn.Module):
    """ShuffleNet's unit (arXiv 1707.01083): grouped pointwise, shuffle, depthwise, grouped pointwise.

    The bottleneck has N / 4 channels, as there; `groups` must divide M, N and N / 4.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, groups: int = 2):
        super().__init__()
        hidden = outputs // 4
        if inputs % groups or outputs % (4 * groups):
            raise ValueError(f"{groups} groups do not divide {inputs} inputs and a quarter of {outputs} outputs")
        self.groups = groups
        self.reduce = nn.Sequential(*_normalised(_conv(inputs, hidden, groups=groups), hidden, relu=True))
        self.depthwise = nn.Sequential(
            *_normalised(_conv(hidden, hidden, kernel, stride, groups=hidden), hidden, relu=False)
        )
        self.expand = _conv(hidden, outputs, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(B, M, H, W) to (B, N, H / stride, W / stride)."""
        return self.expand(self.depthwise(shuffle(self.reduce(x), self.groups)))


class BranchUnit(nn.Module):
    """Two halves, concatenated and shuffled (ShuffleNetV2, arXiv 1807.11164, figure 3 c and d).

    At stride 1 with M = N the first half of the channels passes and the second goes through `branch`; elsewhere all
    channels go through two branches to N / 2. `branch(inputs, outputs, stride)` makes one.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, branch: Callable[[int, int, int], nn.Module]):
        super().__init__()
        if outputs % 2:
            raise ValueError(f"{outputs} output channels cannot be halved")
        self.splits = stride == 1 and inputs == outputs
        half = outputs // 2
        self.right = branch(half if self.splits else inputs, half, stride)
        self.left: nn.Module | None = None if self.splits else branch(inputs, half, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, M, H, W) to (B, N, H / stride, W / stride)."""
        if self.left is None:
            passing, worked = x.chunk(2, 1)
        else:
            passing, worked = self.left(x), x
        return shuffle(torch.cat([passing, self.right(worked)], 1), 2)


class ShuffleUnitV2(BranchUnit):
    """ShuffleNetV2's unit: the branch is pointwise, depthwise, pointwise; the left branch of (d) has no first one."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1):
        def branch(from_: int, to: int, step: int) -> nn.Module:
            return nn.Sequential(
                *_normalised(_conv(from_, to), to, relu=True),
                *_normalised(_conv(to, to, kernel, step, groups=to), to, relu=False),
                *_normalised(_conv(to, to), to, relu=True),
            )

        super().__init__(inputs, outputs, stride, branch)
        if self.left is not None:
            self.left = nn.Sequential(
                *_normalised(_conv(inputs, inputs, kernel, stride, groups=inputs), inputs, relu=False),
                *_normalised(_conv(inputs, outputs // 2), outputs // 2, relu=True),
            )


class StConvBranch(BranchUnit):
    """FALCON paper's StConv-branch: the branch is a standard convolution with BN and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1):
        def branch(from_: int, to: int, step: int) -> nn.Module:
            return nn.Sequential(*_normalised(_conv(from_, to, kernel, step), to, relu=True))

        super().__init__(inputs, outputs, stride, branch)


class FalconBranch(BranchUnit):
    """FALCON paper's FALCON-branch: StConv-branch with every standard convolution as FALCON of rank k."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, rank: int = 1):
        def branch(from_: int, to: int, step: int) -> nn.Module:
            conv = FalconConv2d(from_, to, kernel, step, kernel // 2, bias=False, rank=rank)
            return nn.Sequential(*_normalised(conv, to, relu=True))

        super().__init__(inputs, outputs, stride, branch)
