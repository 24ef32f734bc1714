"""Parts of a value."""

from typing import Any

import torch
from torch import Tensor

from falcon_edge.models.graphs.node import Call, Node, NoLayer, makes

Range = tuple[int, int, int, int]  # axis, start, stop, step, as Python's range


@makes("Slice", any_type=True)
def slice_(node: Node) -> Call:
    """Every step-th element of a range of some axes; an axis that is taken whole is left out."""
    shape = node.sizes()
    starts, ends = node.integers(1), node.integers(2)
    axes = node.integers(3) if node.has(3) else list(range(len(starts)))
    steps = node.integers(4) if node.has(4) else [1] * len(starts)
    ranges: list[Range] = []
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        place = node.within(axis, len(shape))
        chosen = slice(start, end, step).indices(shape[place])
        if chosen != (0, shape[place], 1):
            node.across([place])
            ranges.append((place, *chosen))
    return node.function(part, ranges=ranges)


@makes("Gather", any_type=True)
def gather(node: Node) -> Call:
    """Elements of an axis: one, which leaves no axis, or some."""
    axis = node.axis(0)
    node.across([axis])
    if not node.is_stored(1):
        return node.function_of_all(gathered, axis=axis)
    index, size = node.constant(1), node.sizes()[axis]
    if not ((-size <= index) & (index < size)).all():
        raise NoLayer(f"elements beyond the {size} of its axis {axis}")
    if index.ndim == 0:
        return node.function(element, axis=axis, index=int(index) % size)
    return node.function_of_all(gathered, axis=axis)


def part(x: Tensor, ranges: list[Range]) -> Tensor:
    """The elements of x whose places along some axes are in these ranges."""
    for axis, start, stop, step in ranges:
        if step > 0:
            x = x[_along(axis, slice(start, stop, step))]
        else:
            x = x.index_select(axis, torch.tensor(range(start, stop, step), device=x.device))
    return x


def element(x: Tensor, axis: int, index: int) -> Tensor:
    """One element along an axis."""
    return x.select(axis, index)


def gathered(x: Tensor, index: Tensor, axis: int) -> Tensor:
    """Elements along an axis, which becomes the axes of the index."""
    return x[_along(axis, index.long())]


def _along(axis: int, index: Any) -> Any:
    """An index of one axis, all others taken whole."""
    return (*(slice(None) for _ in range(axis)), index)
