"""Sliding windows: ONNX's padding, which may be uneven or a rule, in torch's terms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from falcon_edge.models.graphs.node import Node, NoLayer

Sides = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """Per spatial axis: kernel, stride, dilation, padding before and behind."""

    kernel: Sides
    stride: Sides
    dilation: Sides
    before: Sides
    behind: Sides

    @property
    def even(self) -> bool:
        """Whether as much is before as behind, as torch's layers pad."""
        return self.before == self.behind

    @property
    def padded(self) -> bool:
        """Whether there is any padding."""
        return any((*self.before, *self.behind))


def window_of(node: Node, kernel: Sequence[int]) -> Window:
    """The window of a Conv or pool over its first operand. Raises NoLayer for one of more than three dimensions."""
    rank, given = len(kernel), node.given
    if rank not in (1, 2, 3) or node.rank() != rank + 2:
        raise NoLayer(f"{rank} spatial dimensions")
    if tuple(given.get("kernel_shape", kernel)) != tuple(kernel):
        raise NoLayer(f"weights of {tuple(kernel)} for windows of {tuple(given['kernel_shape'])}")
    stride, dilation = (tuple(given.get(name, (1,) * rank)) for name in ("strides", "dilations"))
    pads, rule = tuple(given.get("pads", (0,) * 2 * rank)), given.get("auto_pad", "NOTSET")
    if len(stride) != rank or len(dilation) != rank or len(pads) != 2 * rank:
        raise NoLayer("strides, dilations or pads of another number of dimensions")
    before, behind = pads[:rank], pads[rank:]
    if rule == "VALID":
        before = behind = (0,) * rank
    elif rule.startswith("SAME"):
        totals = [
            max((-(-size // step) - 1) * step + (side - 1) * wide + 1 - size, 0)
            for size, side, step, wide in zip(node.sizes()[2:], kernel, stride, dilation, strict=True)
        ]
        less, more = tuple(total // 2 for total in totals), tuple(total - total // 2 for total in totals)
        before, behind = (less, more) if rule == "SAME_UPPER" else (more, less)
    spans = [(side - 1) * wide + 1 for side, wide in zip(kernel, dilation, strict=True)]
    whole = [sum(each) for each in zip(node.sizes()[2:], before, behind, strict=True)]
    if any(size < span for size, span in zip(whole, spans, strict=True)):
        raise NoLayer("a value that is empty")
    return Window(tuple(kernel), stride, dilation, before, behind)


def amounts(window: Window) -> list[int]:
    """The padding as torch lists it, the last axis first."""
    pairs = zip(reversed(window.before), reversed(window.behind), strict=True)
    return [amount for pair in pairs for amount in pair]


class Border(nn.Module):
    """A border of one number around the last axes; where an amount is negative, it is cut.

    amounts: before and behind of each, the last axis first.
    """

    def __init__(self, amounts: Sequence[int], value: float = 0.0):
        super().__init__()
        self.amounts, self.value = tuple(amounts), value

    def forward(self, x: Tensor) -> Tensor:
        """(..., H, W) to (..., H + top + bottom, W + left + right), and alike for other numbers of axes."""
        value = self.value
        if x.is_floating_point() and math.isfinite(value):  # float16 has no number as low as float32's lowest
            value = min(max(value, torch.finfo(x.dtype).min), torch.finfo(x.dtype).max)
        return F.pad(x, self.amounts, value=value)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"{self.amounts}, value={self.value}"
