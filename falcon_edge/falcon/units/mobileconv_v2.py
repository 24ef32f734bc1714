"""MobileConvV2: pointwise to t times the channels, depthwise on these, pointwise to N."""

from dataclasses import dataclass

from torch import Tensor, nn

from falcon_edge.falcon.forms.chain import along, pointwise
from falcon_edge.falcon.forms.form import Part, StandIn
from falcon_edge.falcon.units.layers import normalised
from falcon_edge.falcon.units.unit import Unit, biases, few, option


class MobileConvV2(StandIn):
    """MobileNetV2's inverted residual without the residual, which only some convolutions could have."""

    def __init__(self, conv: nn.Conv2d, expansion: int):
        super().__init__()
        self.stand_for(conv)
        hidden = expansion * conv.in_channels
        self.expand = normalised(pointwise(conv.in_channels, hidden), nn.ReLU6)
        self.depthwise = normalised(along(conv, hidden, hidden, groups=hidden), nn.ReLU6)
        self.project = pointwise(hidden, conv.out_channels, conv.bias is not None)

    def forward(self, x: Tensor) -> Tensor:
        """(B, M, H, W) to (B, N, H', W')."""
        answer: Tensor = self.project(self.depthwise(self.expand(x)))
        return answer


@dataclass(frozen=True)
class MobileV2(Unit):
    """t M^2 weights at H W, t (kh kw M + M N) at H' W'."""

    name = "mobilev2"
    title = "MobileConvV2"
    source = "MobileNetV2, arXiv 1801.04381, table 1"

    expansion: int = option(2, most=16)

    def why_not(self, conv: nn.Conv2d) -> str | None:
        """A stem of few channels stays as it is, unless it is expanded to as many as the kernel has taps."""
        return super().why_not(conv) or few(self.expansion * conv.in_channels, conv)

    def parts(self, conv: nn.Conv2d) -> tuple[Part, ...]:
        """t M^2, t kh kw M, t M N."""
        count, channels, height, width = conv.weight.shape
        hidden = self.expansion * channels
        return (
            Part(channels * hidden, "inputs"),
            Part(height * width * hidden, "outputs"),
            Part(hidden * count, "outputs"),
        )

    def beside(self, conv: nn.Conv2d) -> int:
        """Two normalisations of t M channels, and the bias."""
        return 2 * 2 * self.expansion * conv.in_channels + biases(conv)

    def module(self, conv: nn.Conv2d) -> StandIn:
        """MobileConvV2."""
        return MobileConvV2(conv, self.expansion)
