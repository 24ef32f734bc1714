"""FALCON itself: pointwise to N, then depthwise; k such pairs, summed."""

from dataclasses import dataclass

from torch import nn

from falcon_edge.falcon.forms import FALCON
from falcon_edge.falcon.forms.form import Part, Sizes, StandIn
from falcon_edge.falcon.units.unit import Unit, biases, option


@dataclass(frozen=True)
class Falcon(Unit):
    """k (M N + kh kw N) weights: the form at rank k, at most the lossless one, not fitted to anything."""

    name = "falcon"
    title = "FALCON"
    source = "FALCON, arXiv 1909.11321, equation (6) and section 3.4"

    rank: int = option(1, most=64)

    def why_not(self, conv: nn.Conv2d) -> str | None:
        """As the form, which takes groups."""
        return FALCON.why_not(conv)

    def parts(self, conv: nn.Conv2d) -> tuple[Part, ...]:
        """k M N at H W, k kh kw N at H' W'."""
        return FALCON.parts(conv.weight, sizes(conv, self.rank))

    def beside(self, conv: nn.Conv2d) -> int:
        """The bias."""
        return biases(conv)

    def module(self, conv: nn.Conv2d) -> StandIn:
        """FalconConv2d."""
        return FALCON.module(conv, sizes(conv, self.rank))


def sizes(conv: nn.Conv2d, rank: int) -> Sizes:
    """A rank, but at most the one with which FALCON equals a convolution."""
    return tuple(min(rank, most) for most in FALCON.lossless(conv.weight))
