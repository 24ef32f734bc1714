"""What units are made of: convolutions with normalisation behind them, the shuffle of channels, two branches."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without a bias whose padding keeps the size at stride 1."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def normalised(conv: nn.Module, channels: int, *, relu: bool) -> list[nn.Module]:
    """A convolution with batch normalisation, and ReLU, behind it."""
    return [conv, nn.BatchNorm2d(channels), *([nn.ReLU(inplace=True)] if relu else [])]


def shuffle(x: Tensor, groups: int) -> Tensor:
    """Channel shuffle (ShuffleNet, arXiv 1707.01083, figure 1): (B, groups * n, H, W) read as (n, groups)."""
    return x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


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
