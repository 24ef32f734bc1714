"""Averages, sums and maxima over axes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from falcon_edge.models.graphs.node import Call, Node, makes

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "ReduceL1": lambda x, axes, keep: x.abs().sum(axes, keep),
    "ReduceL2": lambda x, axes, keep: torch.linalg.vector_norm(x, 2, axes, keep),
    "ReduceLogSum": lambda x, axes, keep: x.sum(axes, keep).log(),
    "ReduceLogSumExp": lambda x, axes, keep: x.logsumexp(axes, keep),
    "ReduceMax": lambda x, axes, keep: x.amax(axes, keep),
    "ReduceMean": lambda x, axes, keep: x.mean(axes, keep),
    "ReduceMin": lambda x, axes, keep: x.amin(axes, keep),
    "ReduceSum": lambda x, axes, keep: x.sum(axes, keep),
    "ReduceSumSquare": lambda x, axes, keep: x.square().sum(axes, keep),
}


@makes(*FUNCTIONS)
def reduction(node: Node) -> Call:
    """The function of the same name over axes; over none it is that of every element."""
    axes = _axes(node)
    node.across(axes)
    return node.function(reduced, kind=node.kind, axes=axes, keep=bool(node.given.get("keepdims", 1)))


def reduced(x: Tensor, kind: str, axes: list[int], keep: bool) -> Tensor:
    """A reduction of ONNX over some axes, which stay with a size of 1 if `keep` says so."""
    if not axes:  # for torch, none are all
        return FUNCTIONS[kind](x[..., None], [-1], False)
    return FUNCTIONS[kind](x, axes, keep)


def _axes(node: Node) -> list[int]:
    listed = node.integers(1) if node.has(1) else node.given.get("axes", [])
    if not listed:
        return [] if node.given.get("noop_with_empty_axes", 0) else list(range(node.rank()))
    return sorted({node.within(axis, node.rank()) for axis in listed})
