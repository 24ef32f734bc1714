"""FALCON-branch: StConv-branch with FALCON in the place of its standard convolutions."""

from dataclasses import dataclass

from torch import nn

from falcon_edge.falcon.forms import FALCON
from falcon_edge.falcon.forms.form import Part, StandIn
from falcon_edge.falcon.units.falcon import sizes
from falcon_edge.falcon.units.stconv_branch import StConvBranch
from falcon_edge.falcon.units.unit import option


@dataclass(frozen=True)
class FalconBranch(StConvBranch):
    """k (h^2 + kh kw h) weights with h = N / 2 where half of the channels pass, else twice k (M h + kh kw h).

    What `compress` makes of a trained network of StConv-branch has the same structure, and begins with its kernels.
    """

    name = "falcon_branch"
    title = "FALCON-branch"

    rank: int = option(1, most=64)

    def worked(self, conv: nn.Conv2d) -> nn.Conv2d | StandIn:
        """FalconConv2d."""
        return FALCON.module(conv, sizes(conv, self.rank))

    def worked_parts(self, conv: nn.Conv2d) -> tuple[Part, ...]:
        """Those of FALCON."""
        return FALCON.parts(conv.weight, sizes(conv, self.rank))
