"""What units are made of: convolutions with normalisation behind them, the shuffle of channels, two branches."""

import torch
from torch import Tensor, nn

from falcon_edge.falcon.forms.form import StandIn


def normalised(conv: nn.Conv2d | StandIn, activation: type[nn.Module] | None = None) -> nn.Sequential:
    """A convolution, or what stands in its place, with batch normalisation and perhaps an activation behind it."""
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), *([] if activation is None else [activation()]))


def shuffle(x: Tensor, groups: int) -> Tensor:
    """Channel shuffle (ShuffleNet, arXiv 1707.01083, figure 1): (B, groups * n, H, W) read as (n, groups)."""
    return x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


def passes(conv: nn.Conv2d) -> bool:
    """Whether half of a convolution's channels can pass it by: as many come out as go in, and as many pixels."""
    along_axes = zip(conv.kernel_size, conv.dilation, conv.stride, strict=True)
    reach = [dilation * (size - 1) for size, dilation, _ in along_axes]
    padded = (
        conv.padding == "same"
        if isinstance(conv.padding, str)
        else all(2 * padding == wanted for padding, wanted in zip(conv.padding, reach, strict=True))
    )
    return conv.in_channels == conv.out_channels and set(conv.stride) == {1} and padded


def branch_channels(conv: nn.Conv2d) -> tuple[int, int]:
    """Channels that go into and come out of a branch that works."""
    half = conv.out_channels // 2
    return (half if passes(conv) else conv.in_channels), half


def odd(conv: nn.Conv2d) -> str | None:
    """Why branches cannot stand in a convolution's place, or None."""
    return f"its {conv.out_channels} output channels cannot be halved" if conv.out_channels % 2 else None


class Branches(StandIn):
    """Two halves, concatenated and shuffled (ShuffleNetV2, arXiv 1807.11164, figure 3 c and d).

    Without a left branch the first half of the channels passes and the second goes through the right one (see
    `passes`); else all channels go through both, to N / 2 each.
    """

    def __init__(self, conv: nn.Conv2d, left: nn.Module | None, right: nn.Module):
        super().__init__()
        self.stand_for(conv)
        self.left, self.right = left, right

    def forward(self, x: Tensor) -> Tensor:
        """(B, M, H, W) to (B, N, H', W')."""
        if self.left is None:
            passing, worked = x.chunk(2, 1)
        else:
            passing, worked = self.left(x), x
        return shuffle(torch.cat([passing, self.right(worked)], 1), 2)
