"""StConv-branch: half of the channels pass, half go through a standard convolution; both are shuffled."""

from dataclasses import dataclass

from torch import nn

from falcon_edge.falcon.forms.chain import along
from falcon_edge.falcon.forms.form import Part, StandIn
from falcon_edge.falcon.units.layers import Branches, branch_channels, normalised, odd, passes
from falcon_edge.falcon.units.unit import Unit


@dataclass(frozen=True)
class StConvBranch(Unit):
    """kh kw (N / 2)^2 weights at H' W' where half of the channels pass, else twice kh kw M N / 2."""

    name = "stconv_branch"
    title = "StConv-branch"
    source = "FALCON, arXiv 1909.11321"

    def why_not(self, conv: nn.Conv2d) -> str | None:
        """The outputs have to be even."""
        return super().why_not(conv) or odd(conv)

    def worked(self, conv: nn.Conv2d) -> nn.Conv2d | StandIn:
        """What stands in a branch in the place of its standard convolution."""
        return conv

    def worked_parts(self, conv: nn.Conv2d) -> tuple[Part, ...]:
        """The convolutions of that."""
        return (Part(conv.weight.numel(), "outputs"),)

    def parts(self, conv: nn.Conv2d) -> tuple[Part, ...]:
        """Those of one branch, or of two."""
        return self.worked_parts(_standard(conv)) * _branches(conv)

    def beside(self, conv: nn.Conv2d) -> int:
        """A normalisation of N / 2 channels in every branch."""
        return 2 * (conv.out_channels // 2) * _branches(conv)

    def module(self, conv: nn.Conv2d) -> StandIn:
        """Branches of a convolution, BN and ReLU."""
        left, right = (normalised(self.worked(_standard(conv)), nn.ReLU) for _ in range(2))
        return Branches(conv, None if passes(conv) else left, right)


def _standard(conv: nn.Conv2d) -> nn.Conv2d:
    """The standard convolution of a branch."""
    return along(conv, *branch_channels(conv))


def _branches(conv: nn.Conv2d) -> int:
    """How many branches have one."""
    return 1 if passes(conv) else 2
