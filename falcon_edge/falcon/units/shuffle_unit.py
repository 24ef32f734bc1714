"""ShuffleNet's unit."""

from torch import Tensor, nn

from falcon_edge.falcon.units.parts import conv, normalised, shuffle


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
        self.reduce = nn.Sequential(*normalised(conv(inputs, hidden, groups=groups), hidden, relu=True))
        self.depthwise = nn.Sequential(
            *normalised(conv(hidden, hidden, kernel, stride, groups=hidden), hidden, relu=False)
        )
        self.expand = conv(hidden, outputs, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(B, M, H, W) to (B, N, H / stride, W / stride)."""
        return self.expand(self.depthwise(shuffle(self.reduce(x), self.groups)))
