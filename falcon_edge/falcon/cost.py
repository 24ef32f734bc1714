"""What a network costs: parameters, and multiply-accumulates (MACs) of convolutions and matrix products.

MACs are without the additions of biases; parameters are all of them.
"""

from dataclasses import dataclass

from torch import nn

from falcon_edge.falcon.forward import Shape
from falcon_edge.falcon.observe import Executed, observe


@dataclass(frozen=True)
class Cost:
    """Cost of a network for one image of `input_shape` (C, H, W), product by product in order of execution.

    unused: parameters that no answer depends on, which are among `parameters` all the same.
    """

    input_shape: Shape
    layers: tuple[Executed, ...]
    parameters: int
    unused: int = 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers)


def cost(model: nn.Module, input_shape: Shape) -> Cost:
    """Cost of `model` for one image (C, H, W), by one forward pass of zeros.

    The model's mode, statistics and gradients stay as they are.
    """
    observed = observe(model, input_shape)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    unused = sum(sizes[name] for name in observed.unused)
    return Cost(input_shape, observed.executed, sum(sizes.values()), unused)
