"""What a unit is: something that is put in a convolution's place before a network is trained."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import ClassVar

from torch import nn

from falcon_edge.falcon.forms.chain import ungrouped
from falcon_edge.falcon.forms.form import Part, StandIn, already_pointwise, why_not
from falcon_edge.falcon.observe import Use


def option(default: int, most: int) -> int:
    """A field of a unit, from 1 to `most`."""
    made: int = field(default=default, metadata={"most": most})
    return made


@dataclass(frozen=True)
class Unit(ABC):
    """A unit by its `name`; its options are the fields of its class. source: the paper that it comes from.

    It ends where the convolution ended: the network's own normalisation and activation follow. What is spatial in it
    has the convolution's stride, padding, padding mode and dilation. Weights are fresh.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]

    @property
    def options(self) -> dict[str, int]:
        """By their names."""
        return asdict(self)

    def why_not(self, conv: nn.Conv2d) -> str | None:
        """Why it cannot stand in a convolution's place, or None."""
        return why_not(conv) or ungrouped(conv) or already_pointwise(conv)

    @abstractmethod
    def parts(self, conv: nn.Conv2d) -> tuple[Part, ...]:
        """Its convolutions, in order."""

    @abstractmethod
    def beside(self, conv: nn.Conv2d) -> int:
        """Parameters that are no weights of convolutions: two a channel of batch normalisation, and the bias."""

    @abstractmethod
    def module(self, conv: nn.Conv2d) -> StandIn:
        """The module in a convolution's place, where nothing is in the way."""

    def like(self, conv: nn.Conv2d) -> StandIn:
        """The module on a convolution's device, in its dtype and mode. Raises ValueError where it cannot be."""
        reason = self.why_not(conv)
        if reason is not None:
            raise ValueError(f"{self.title} cannot stand in this convolution's place: {reason}")
        return self.module(conv).to(conv.weight.device, conv.weight.dtype).train(conv.training)

    def parameters(self, conv: nn.Conv2d) -> int:
        """All of them."""
        return sum(part.weights for part in self.parts(conv)) + self.beside(conv)

    def macs(self, conv: nn.Conv2d, use: Use) -> int:
        """MACs over all calls of the convolution for one image."""
        return sum(part.weights * getattr(use, part.at) for part in self.parts(conv))


def biases(conv: nn.Conv2d) -> int:
    """N where the convolution has a bias, which the last one of a unit then has, too."""
    return 0 if conv.bias is None else conv.out_channels


def few(filters: int, conv: nn.Conv2d) -> str | None:
    """Why so few depthwise filters are no good in the place of a kernel, or None: an RGB stem's, for example."""
    taps = conv.weight[0, 0].numel()
    return "its few input channels would be filtered alike for all outputs" if filters < taps else None
