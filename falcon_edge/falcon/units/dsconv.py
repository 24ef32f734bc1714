"""Depthwise separable convolution: depthwise on the M inputs, then pointwise to N."""

from dataclasses import dataclass

from torch import nn

from falcon_edge.falcon.forms import FORMS
from falcon_edge.falcon.forms.form import Part, StandIn
from falcon_edge.falcon.units.unit import Unit, biases

FORM, SIZES = FORMS["dsconv"], (1,)


@dataclass(frozen=True)
class DSConv(Unit):
    """kh kw M + M N weights, at H' W': the form of this name at rank 1, not fitted to anything."""

    name = "dsconv"
    title = "DSConv"
    source = "MobileNet, arXiv 1704.04861, section 3.1"

    def why_not(self, conv: nn.Conv2d) -> str | None:
        """A stem of few channels stays as it is: the published VGG19 keeps its own."""
        return super().why_not(conv) or FORM.unwise(conv)

    def parts(self, conv: nn.Conv2d) -> tuple[Part, ...]:
        """kh kw M, M N."""
        return FORM.parts(conv.weight, SIZES)

    def beside(self, conv: nn.Conv2d) -> int:
        """The bias."""
        return biases(conv)

    def module(self, conv: nn.Conv2d) -> StandIn:
        """DSConv2d."""
        return FORM.module(conv, SIZES)
