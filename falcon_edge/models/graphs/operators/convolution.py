"""Conv: nn.Conv1d, nn.Conv2d or nn.Conv3d."""

from typing import Any

from torch import nn

from falcon_edge.models.graphs.node import Call, Node, makes
from falcon_edge.models.graphs.windows import Border, amounts, window_of

LAYERS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


@makes("Conv")
def convolution(node: Node) -> Call:
    """The layer with its padding, behind a border of zeros where that is uneven."""
    weight, bias = node.constant(1), node.optional(2)
    window = window_of(node, weight.shape[2:])
    groups = node.given.get("group", 1)
    layer = LAYERS[len(window.kernel)](
        weight.shape[1] * groups,
        weight.shape[0],
        window.kernel,
        window.stride,
        window.before if window.even else 0,
        window.dilation,
        groups,
        bias is not None,
    )
    before = None if window.even else Border(amounts(window))
    return node.layer(layer, before=before, weight=weight, bias=bias)
