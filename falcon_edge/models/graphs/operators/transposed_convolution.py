"""ConvTranspose: nn.ConvTranspose1d, nn.ConvTranspose2d or nn.ConvTranspose3d."""

from typing import Any

from torch import nn

from falcon_edge.models.graphs.node import Call, Node, NoLayer, makes
from falcon_edge.models.graphs.windows import Border, Sides

LAYERS: dict[int, Any] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


@makes("ConvTranspose")
def transposed_convolution(node: Node) -> Call:
    """The layer with its padding; where that is uneven, the layer without any, and what is too much is cut."""
    weight, bias = node.constant(1), node.optional(2)
    rank, given = weight.ndim - 2, node.given
    if rank not in LAYERS or node.rank() != rank + 2:
        raise NoLayer(f"{rank} spatial dimensions")
    kernel = tuple(weight.shape[2:])
    if tuple(given.get("kernel_shape", kernel)) != kernel:
        raise NoLayer(f"weights of {kernel} for windows of {tuple(given['kernel_shape'])}")
    stride, dilation = (tuple(given.get(name, (1,) * rank)) for name in ("strides", "dilations"))
    groups = given.get("group", 1)
    cut, more = _cut(node, kernel, stride, dilation)
    before, behind = cut[:rank], cut[rank:]
    even = before == behind and min(before) >= 0
    layer = LAYERS[rank](
        weight.shape[0],
        weight.shape[1] * groups,
        kernel,
        stride,
        before if even else 0,
        more,
        groups,
        bias is not None,
        dilation,
    )
    pairs = zip(reversed(before), reversed(behind), strict=True)
    after = None if even else Border([-amount for pair in pairs for amount in pair])
    return node.layer(layer, after=after, weight=weight, bias=bias)


def _cut(node: Node, kernel: Sides, stride: Sides, dilation: Sides) -> tuple[Sides, Sides]:
    """What is cut before and behind of the whole result (ConvTranspose of the ONNX specification), and what is made
    more of it behind first."""
    rank, given = len(kernel), node.given
    more = tuple(given.get("output_padding", (0,) * rank))
    rule = given.get("auto_pad", "NOTSET")
    if rule == "VALID" or (rule == "NOTSET" and "output_shape" not in given):
        pads = (0,) * 2 * rank if rule == "VALID" else tuple(given.get("pads", (0,) * 2 * rank))
        return pads, more
    sizes = node.sizes()[2:]
    wanted = given.get("output_shape", [size * step for size, step in zip(sizes, stride, strict=True)])
    before, behind, extra = [], [], []
    for size, side, step, wide, beyond, goal in zip(
        sizes, kernel, stride, dilation, more, list(wanted)[-rank:], strict=True
    ):
        total = step * (size - 1) + beyond + (side - 1) * wide + 1 - goal
        if total < 0 and rule.startswith("SAME"):
            raise NoLayer(f"auto_pad {rule} and windows that do not meet, of which ONNX Runtime makes another size")
        extra.append(beyond + max(-total, 0))
        small = max(total, 0) // 2
        large = max(total, 0) - small
        before.append(small if rule == "SAME_UPPER" else large)
        behind.append(large if rule == "SAME_UPPER" else small)
    return (*before, *behind), tuple(extra)
