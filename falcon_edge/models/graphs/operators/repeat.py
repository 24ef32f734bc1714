"""A value repeated along its axes."""

import torch
from torch import Tensor

from falcon_edge.models.graphs.node import Call, Node, makes


@makes("Tile", any_type=True)
def tile(node: Node) -> Call:
    """Every axis as often as the file says."""
    times = node.integers(1)
    node.across([axis for axis, count in enumerate(times) if count != 1])
    return node.function(tiled, times=times)


@makes("Expand", any_type=True)
def expand(node: Node) -> Call:
    """Axes of size 1 made larger; the batch stays as large as it is."""
    before = node.sizes()
    shape = list(torch.broadcast_shapes(before, node.integers(1)))
    batch = node.batch_axis()
    if batch is not None:
        place = batch + len(shape) - len(before)
        if shape[place] == before[batch]:
            shape[place] = -1
    return node.function(expanded, shape=shape)


def tiled(x: Tensor, times: list[int]) -> Tensor:
    """x as often along each axis."""
    return x.repeat(times)


def expanded(x: Tensor, shape: list[int]) -> Tensor:
    """x in this shape; -1 is the size that there is."""
    return x.expand(shape)
