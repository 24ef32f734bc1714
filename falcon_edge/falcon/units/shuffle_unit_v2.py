"""ShuffleUnitV2: half of the channels pass, half go pointwise, depthwise, pointwise; both are shuffled."""

from dataclasses import dataclass

from torch import nn

from falcon_edge.falcon.forms.chain import along, pointwise
from falcon_edge.falcon.forms.form import Part, StandIn
from falcon_edge.falcon.units.layers import Branches, branch_channels, normalised, odd, passes
from falcon_edge.falcon.units.unit import Unit, few


@dataclass(frozen=True)
class ShuffleV2(Unit):
    """With h = N / 2: h^2 weights at H W, kh kw h + h^2 at H' W' where half of the channels pass.

    Else M h at H W, and kh kw (h + M) + h^2 + M h at H' W'.
    """

    name = "shufflev2"
    title = "ShuffleUnitV2"
    source = "ShuffleNetV2, arXiv 1807.11164, figure 3 c and d"

    def why_not(self, conv: nn.Conv2d) -> str | None:
        """The outputs have to be even; a stem of few channels stays as it is."""
        reason = super().why_not(conv) or odd(conv)
        return few(conv.in_channels, conv) if reason is None and not passes(conv) else reason

    def parts(self, conv: nn.Conv2d) -> tuple[Part, ...]:
        """Left, then right."""
        taps, channels = conv.weight[0, 0].numel(), conv.in_channels
        given, half = branch_channels(conv)
        left = (Part(taps * channels, "outputs"), Part(channels * half, "outputs"))
        right = (Part(given * half, "inputs"), Part(taps * half, "outputs"), Part(half * half, "outputs"))
        return right if passes(conv) else (*left, *right)

    def beside(self, conv: nn.Conv2d) -> int:
        """Three normalisations of N / 2 channels; left one of M and one of N / 2."""
        half = conv.out_channels // 2
        return 2 * 3 * half + (0 if passes(conv) else 2 * (conv.in_channels + half))

    def module(self, conv: nn.Conv2d) -> StandIn:
        """The left branch of figure 3 d has no first pointwise convolution."""
        channels = conv.in_channels
        given, half = branch_channels(conv)
        left = nn.Sequential(
            *normalised(along(conv, channels, channels, groups=channels)),
            *normalised(pointwise(channels, half), nn.ReLU),
        )
        right = nn.Sequential(
            *normalised(pointwise(given, half), nn.ReLU),
            *normalised(along(conv, half, half, groups=half)),
            *normalised(pointwise(half, half), nn.ReLU),
        )
        return Branches(conv, None if passes(conv) else left, right)
