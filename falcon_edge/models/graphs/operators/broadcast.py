"""Arithmetic on two values or more, which broadcast."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from falcon_edge.models.graphs.node import Call, Node, makes


def power(x: Tensor, exponent: Tensor) -> Tensor:
    """x to an exponent of any type, of the type of x."""
    return torch.pow(x, exponent.to(x.dtype))


def total(*values: Tensor) -> Tensor:
    """The sum of any number of values."""
    return reduce(torch.add, values)


def mean(*values: Tensor) -> Tensor:
    """The mean of any number of values."""
    return total(*values) / len(values)


def largest(*values: Tensor) -> Tensor:
    """The largest of any number of values."""
    return reduce(torch.maximum, values)


def smallest(*values: Tensor) -> Tensor:
    """The smallest of any number of values."""
    return reduce(torch.minimum, values)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Div": torch.div,
    "Pow": power,
    "Sum": total,
    "Mean": mean,
    "Max": largest,
    "Min": smallest,
}


@makes(*FUNCTIONS)
def arithmetic(node: Node) -> Call:
    """The function of the same name; one operand alone is itself."""
    return node.function_of_all(FUNCTIONS[node.kind])
