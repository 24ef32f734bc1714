"""Pools: nn.MaxPool2d, nn.AvgPool2d, and those over the whole image."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from falcon_edge.models.graphs.node import Call, Node, NoLayer, makes
from falcon_edge.models.graphs.windows import Border, Sides, Window, amounts, window_of

MAXIMA: dict[int, Any] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGES: dict[int, Any] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
WHOLE: dict[str, dict[int, Any]] = {
    "GlobalAveragePool": {3: nn.AdaptiveAvgPool1d, 4: nn.AdaptiveAvgPool2d, 5: nn.AdaptiveAvgPool3d},
    "GlobalMaxPool": {3: nn.AdaptiveMaxPool1d, 4: nn.AdaptiveMaxPool2d, 5: nn.AdaptiveMaxPool3d},
}
LOWEST = torch.finfo(torch.float32).min  # what a window without a pixel gives in ONNX Runtime, too


@makes("MaxPool")
def maximum(node: Node) -> Call:
    """The layer with its padding, behind a border of what is never the largest where torch cannot pad so."""
    window, ceiling = _window(node), bool(node.given.get("ceil_mode", 0))
    inside = _pads_itself(window)
    layer = MAXIMA[len(window.kernel)](
        window.kernel, window.stride, window.before if inside else 0, window.dilation, ceil_mode=ceiling
    )
    return node.layer(layer, before=None if inside else _border(window, ceiling, LOWEST))


@makes("AveragePool")
def average(node: Node) -> Call:
    """The layer with its padding; behind a border of zeros, or over what is there, where torch cannot pad so."""
    window, ceiling = _window(node), bool(node.given.get("ceil_mode", 0))
    if set(window.dilation) != {1}:
        raise NoLayer("dilation")
    counted = bool(node.given.get("count_include_pad", 0))
    if _pads_itself(window):
        layer = AVERAGES[len(window.kernel)](window.kernel, window.stride, window.before, ceiling, counted)
        return node.layer(layer)
    border = _border(window, ceiling, 0.0)
    if counted:
        return node.layer(AVERAGES[len(window.kernel)](window.kernel, window.stride), before=border)
    return node.function(average_of_pixels, kernel=window.kernel, stride=window.stride, pads=amounts(window))


@makes(*WHOLE)
def whole(node: Node) -> Call:
    """The layer that leaves one pixel."""
    kinds = WHOLE[node.kind]
    if node.rank() not in kinds:
        raise NoLayer(f"a value of {node.rank()} dimensions")
    return node.layer(kinds[node.rank()](1))


def average_of_pixels(x: Tensor, kernel: Sides, stride: Sides, pads: list[int]) -> Tensor:
    """Averages over those pixels of each window that are in the image."""
    pool: Any = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[len(kernel)]
    there = F.pad(torch.ones_like(x[:1, :1]), pads)
    return pool(F.pad(x, pads), kernel, stride) / pool(there, kernel, stride)


def _window(node: Node) -> Window:
    return window_of(node, node.given["kernel_shape"])


def _pads_itself(window: Window) -> bool:
    """Whether torch's pools pad so: evenly, and by half of the kernel at most."""
    return window.even and all(2 * pad <= side for pad, side in zip(window.before, window.kernel, strict=True))


def _border(window: Window, ceiling: bool, value: float) -> nn.Module:
    if ceiling:
        raise NoLayer("ceil_mode beside padding that is uneven or wide")
    return Border(amounts(window), value)
