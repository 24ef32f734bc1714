"""Values joined along an axis, and taken apart."""

import torch
from torch import Tensor

from falcon_edge.models.graphs.function import Function
from falcon_edge.models.graphs.node import Call, Node, NoLayer, makes


@makes("Concat", any_type=True)
def concat(node: Node) -> Call:
    """torch.cat. What is the same for every image, such as a class token, is repeated for each of them."""
    axis = node.axis(0)
    places = {node.batch_axis(index) for index in range(len(node.inputs))}
    for index in range(len(node.inputs)):
        node.across([axis], index)
    if len(places) == 2 and None in places and axis not in places and node.images == 1:
        (batch,) = places - {None}
        return node.function_of_all(joined_for_each, axis=axis, batch=batch)
    return node.function_of_all(joined, axis=axis)


@makes("Split", any_type=True)
def split(node: Node) -> Call:
    """Parts of the given sizes, else of equal ones, the last of which may be smaller."""
    axis = node.axis(0)
    node.across([axis])
    size, count = node.sizes()[axis], len(node.outputs)
    if node.has(1):
        parts = node.integers(1)
    else:
        if node.given.get("num_outputs", count) != count:
            raise NoLayer(f"{node.given['num_outputs']} parts under {count} names")
        part = -(-size // count)
        parts = [min(part, size - part * index) for index in range(count)]
    if sum(parts) != size or min(parts) < 0 or len(parts) != count:
        raise NoLayer(f"parts of {parts} of {size}")
    if not all(node.outputs):
        raise NoLayer("parts without a name")
    layer = Function(parted, parts=parts, axis=axis)
    return Call(layer, node.inputs[:1], node.outputs)


def joined(*values: Tensor, axis: int) -> Tensor:
    """Values one behind the other."""
    return torch.cat(values, axis)


def joined_for_each(*values: Tensor, axis: int, batch: int) -> Tensor:
    """Values one behind the other, those of one image repeated for all."""
    images = max(value.shape[batch] for value in values)
    sizes = [[-1] * batch + [images] + [-1] * (value.ndim - batch - 1) for value in values]
    return torch.cat([value.expand(size) for value, size in zip(values, sizes, strict=True)], axis)


def parted(x: Tensor, parts: list[int], axis: int) -> tuple[Tensor, ...]:
    """Parts of these sizes along an axis."""
    return tuple(torch.split(x, parts, axis))
