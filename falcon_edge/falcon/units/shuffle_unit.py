"""ShuffleUnit: grouped pointwise to N / 4, shuffle, depthwise, grouped pointwise to N."""

from dataclasses import dataclass

from torch import Tensor, nn

from falcon_edge.falcon.forms.chain import along
from falcon_edge.falcon.forms.form import Part, StandIn
from falcon_edge.falcon.units.layers import normalised, shuffle
from falcon_edge.falcon.units.unit import Unit, biases, option

BOTTLENECK = 4  # a quarter of the outputs, as in ShuffleNet


class ShuffleUnit(StandIn):
    """ShuffleNet's unit without its shortcut, which only some convolutions could have."""

    def __init__(self, conv: nn.Conv2d, groups: int):
        super().__init__()
        self.stand_for(conv)
        hidden = conv.out_channels // BOTTLENECK
        self.shuffled = groups
        self.reduce = normalised(nn.Conv2d(conv.in_channels, hidden, 1, groups=groups, bias=False), nn.ReLU)
        self.depthwise = normalised(along(conv, hidden, hidden, groups=hidden))
        self.expand = nn.Conv2d(hidden, conv.out_channels, 1, groups=groups, bias=conv.bias is not None)

    def forward(self, x: Tensor) -> Tensor:
        """(B, M, H, W) to (B, N, H', W')."""
        answer: Tensor = self.expand(self.depthwise(shuffle(self.reduce(x), self.shuffled)))
        return answer


@dataclass(frozen=True)
class Shuffle(Unit):
    """With h = N / 4: M h / g weights at H W, kh kw h + h N / g at H' W'."""

    name = "shuffle"
    title = "ShuffleUnit"
    source = "ShuffleNet, arXiv 1707.01083, figure 2 b"

    groups: int = option(2, most=64)

    def why_not(self, conv: nn.Conv2d) -> str | None:
        """The groups have to divide the inputs and a quarter of the outputs."""
        reason = super().why_not(conv)
        if reason is not None:
            return reason
        if conv.in_channels % self.groups:
            return f"its {conv.in_channels} input channels do not divide into {self.groups} groups"
        if conv.out_channels % (BOTTLENECK * self.groups):
            return f"a quarter of its {conv.out_channels} output channels does not divide into {self.groups} groups"
        return None

    def parts(self, conv: nn.Conv2d) -> tuple[Part, ...]:
        """M h / g, kh kw h, h N / g."""
        count, channels, height, width = conv.weight.shape
        hidden = count // BOTTLENECK
        return (
            Part(channels * hidden // self.groups, "inputs"),
            Part(height * width * hidden, "outputs"),
            Part(hidden * count // self.groups, "outputs"),
        )

    def beside(self, conv: nn.Conv2d) -> int:
        """Two normalisations of N / 4 channels, and the bias."""
        return 2 * 2 * (conv.out_channels // BOTTLENECK) + biases(conv)

    def module(self, conv: nn.Conv2d) -> StandIn:
        """ShuffleUnit."""
        return ShuffleUnit(conv, self.groups)
