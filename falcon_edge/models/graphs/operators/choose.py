"""What is true, which element is the largest, and values that are chosen by it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from falcon_edge.models.graphs.node import Call, Node, NoLayer, makes

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "Equal": torch.eq,
    "And": torch.logical_and,
    "Or": torch.logical_or,
    "Xor": torch.logical_xor,
    "Not": torch.logical_not,
    "Where": torch.where,
}
EXTREMES: dict[str, Callable[..., Tensor]] = {"ArgMax": torch.argmax, "ArgMin": torch.argmin}


@makes(*FUNCTIONS, any_type=True)
def choice(node: Node) -> Call:
    """The function of the same name."""
    return node.function_of_all(FUNCTIONS[node.kind])


@makes(*EXTREMES)
def extreme(node: Node) -> Call:
    """The place of the largest or smallest element: of equal ones the first."""
    if node.given.get("select_last_index", 0):
        raise NoLayer("the last of equal elements")
    axis = node.axis(0)
    node.across([axis])
    return node.function(place_of, kind=node.kind, axis=axis, keep=bool(node.given.get("keepdims", 1)))


def place_of(x: Tensor, kind: str, axis: int, keep: bool) -> Tensor:
    """Where along an axis the largest (ArgMax) or smallest (ArgMin) element is."""
    return EXTREMES[kind](x, axis, keep)
