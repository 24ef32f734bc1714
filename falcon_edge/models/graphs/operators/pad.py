"""Pad: a number, a mirror image or the edge around a value."""

import torch
from torch import Tensor

from falcon_edge.models.graphs.node import Call, Node, NoLayer, makes
from falcon_edge.models.graphs.windows import Border

Pair = tuple[int, int]
WIDEST = 2**16  # beyond are files that ask for the impossible


@makes("Pad")
def pad(node: Node) -> Call:
    """`Border` for a constant; else elements by their places. What is cut is cut first."""
    mode = node.given.get("mode", "constant")
    if mode not in ("constant", "reflect", "edge"):
        raise NoLayer(f"mode {mode}")
    amounts = _amounts(node)
    if any(abs(amount) > WIDEST for sides in amounts for amount in sides):
        raise NoLayer(f"a border of {amounts}")
    node.across([axis for axis, sides in enumerate(amounts) if any(sides)])
    if mode == "constant":
        fill = node.optional(2)
        turned = [amount for pair in reversed(amounts) for amount in pair]
        while len(turned) > 2 and turned[-2:] == [0, 0]:
            turned = turned[:-2]
        return node.layer(Border(turned, 0.0 if fill is None else float(fill.reshape(()))))
    return node.function(bordered, places=[_places(*each, mode) for each in zip(node.sizes(), amounts, strict=True)])


def bordered(x: Tensor, places: list[list[int] | None]) -> Tensor:
    """The elements of x at these places along each axis, all of them where there is None."""
    for axis, chosen in enumerate(places):
        if chosen is not None:
            x = x.index_select(axis, torch.tensor(chosen, device=x.device))
    return x


def _places(size: int, amounts: Pair, mode: str) -> list[int] | None:
    """Which elements of an axis stand where, its border among them."""
    if not any(amounts):
        return None
    inner = list(range(size))[max(-amounts[0], 0) : size - max(-amounts[1], 0)]
    before, behind = (max(amount, 0) for amount in amounts)
    if not inner:
        raise NoLayer("a value that is empty")
    if mode == "edge":
        return [inner[0]] * before + inner + [inner[-1]] * behind
    if max(before, behind) >= len(inner):
        raise NoLayer("a border that is wider than what it reflects")
    return inner[before:0:-1] + inner + inner[-2 : -2 - behind : -1]


def _amounts(node: Node) -> list[Pair]:
    """(before, behind) of every axis."""
    rank, listed = node.rank(), node.integers(1)
    axes = [node.within(axis, rank) for axis in node.integers(3)] if node.has(3) else list(range(rank))
    if len(listed) != 2 * len(axes):
        raise NoLayer(f"{len(listed)} amounts for {len(axes)} axes")
    amounts = [(0, 0)] * rank
    for index, axis in enumerate(axes):
        amounts[axis] = (listed[index], listed[index + len(axes)])
    return amounts
