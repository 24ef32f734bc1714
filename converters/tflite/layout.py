"""Where the elements of an ONNX value lie in TFLite's memory.

ONNX numbers the axes of an image N, C, H, W; TFLite stores N, H, W, C. A layout says for one value how its ONNX axes
lie in memory, so that Transpose, Reshape and Flatten move nothing: they only change what the same memory is called.
Each axis is a product of factors (the 116 channels of a shuffle are 2 x 58), and memory is an order of all factors.
Data moves where an operator wants a layout that its input does not have, and only there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import numpy as np

Shape = tuple[int, ...]
Order = tuple[int, ...]

NHWC: Order = (0, 2, 3, 1)


def usual_order(rank: int) -> Order:
    """The order of axes that a value of this rank has where nothing else speaks: NHWC for images."""
    return NHWC if rank == 4 else tuple(range(rank))


@dataclass(frozen=True)
class Layout:
    """The layout of one value.

    `factors` has the sizes into which every ONNX axis is split, the outermost first; an axis of size 1 has none.
    `order` numbers the factors of all axes, in the order of memory, the slowest first.
    Two layouts of the same shape are equal exactly if the memory is.
    """

    factors: tuple[Shape, ...]
    order: Order

    @staticmethod
    def of(shape: Shape, order: Order | None = None) -> "Layout":
        """The layout of a value whose axes lie in memory in this order, by default as they are numbered."""
        order = tuple(range(len(shape))) if order is None else order
        wide = [axis for axis, size in enumerate(shape) if size != 1]
        place = {axis: index for index, axis in enumerate(wide)}
        return Layout(
            tuple((size,) if size != 1 else () for size in shape), tuple(place[axis] for axis in order if axis in place)
        )

    @property
    def shape(self) -> Shape:
        """The ONNX shape."""
        return tuple(prod(sizes) for sizes in self.factors)

    def axes(self) -> Order | None:
        """The order of the ONNX axes in memory, or None where an axis is not in one piece.

        Axes of size 1 lie anywhere: the usual order is preferred where it is right, then the axes as they are numbered.
        """
        if any(len(sizes) > 1 for sizes in self.factors):
            return None
        rank = len(self.factors)
        for order in (usual_order(rank), tuple(range(rank))):
            if Layout.of(self.shape, order) == self:
                return order
        wide = [axis for axis, sizes in enumerate(self.factors) if sizes]
        narrow = [axis for axis, sizes in enumerate(self.factors) if not sizes]
        return (*narrow, *(wide[factor] for factor in self.order))

    def transpose(self, permutation: Iterable[int]) -> "Layout":
        """The same memory, its axes numbered anew: axis i of the result is axis permutation[i] of this one."""
        starts = self._starts()
        permutation = tuple(permutation)
        old = [starts[axis] + index for axis in permutation for index in range(len(self.factors[axis]))]
        place = {factor: index for index, factor in enumerate(old)}
        return Layout(tuple(self.factors[axis] for axis in permutation), tuple(place[factor] for factor in self.order))

    def reshape(self, shape: Shape) -> "Layout | None":
        """The same memory under another ONNX shape, or None where the new axes cut through factors.

        ONNX reshapes in the order of its own axes, whatever the memory is.
        """
        flat = Layout((tuple(size for sizes in self.factors for size in sizes),), self.order)._merged()
        pieces = _common_pieces(flat.factors[0], [size for size in shape if size != 1])
        if pieces is None:
            return None
        split = flat._split(pieces)
        sizes = [size for part in pieces for size in part]
        factors, start = [], 0
        for size in shape:
            end = start
            while prod(sizes[start:end]) < size:
                end += 1
            factors.append(tuple(sizes[start:end]))
            start = end
        return Layout(tuple(factors), split)._merged()

    def expand_rank(self, rank: int) -> "Layout":
        """The same memory with axes of size 1 put in front, as broadcasting does."""
        return Layout(((),) * (rank - len(self.factors)) + self.factors, self.order)

    def moves_to(self, target: "Layout") -> tuple[Shape, Order] | None:
        """How memory becomes that of another layout of the same value: read as these sizes, transposed by this order.

        Of as few axes as possible; an order that leaves everything in place is empty. None if the two cut an axis
        into factors that do not divide one another.
        """
        pieces: list[Shape] = []
        goals: list[Shape] = []
        for mine, other in zip(self.factors, target.factors, strict=True):
            common = _common_pieces(mine, other)
            back = _common_pieces(other, mine)
            if common is None or back is None:
                return None
            pieces += common
            goals += back
        sizes = [size for part in pieces for size in part]
        before, after = self._split(pieces), target._split(goals)
        runs: list[list[int]] = []  # factors that follow one another in both
        position = {factor: index for index, factor in enumerate(before)}
        for factor in after:
            if runs and position[runs[-1][-1]] + 1 == position[factor]:
                runs[-1].append(factor)
            else:
                runs.append([factor])
        in_memory = sorted(range(len(runs)), key=lambda run: position[runs[run][0]])
        if len(runs) <= 1:
            return tuple(prod(sizes[factor] for factor in run) for run in runs), ()
        return (
            tuple(prod(sizes[factor] for factor in runs[run]) for run in in_memory),
            tuple(in_memory.index(run) for run in range(len(runs))),
        )

    def last_axis_index(self, order: Order) -> np.ndarray | None:
        """Where memory is value.transpose(order) but for the order within its last axis: the index of that axis.

        Memory then is value.transpose(order)[..., index]; weights that are indexed likewise make up for it.
        """
        *leading, last = order
        starts = self._starts()
        wanted = [starts[axis] + index for axis in leading for index in range(len(self.factors[axis]))]
        inner = [factor - starts[last] for factor in self.order[len(wanted) :]]
        if list(self.order[: len(wanted)]) != wanted:
            return None
        sizes = self.factors[last]
        return np.arange(prod(sizes)).reshape(sizes).transpose(inner).reshape(-1)

    def arrange(self, value: np.ndarray) -> np.ndarray:
        """An array of the ONNX shape as it lies in memory, flat."""
        return value.reshape([size for sizes in self.factors for size in sizes]).transpose(self.order).reshape(-1)

    def _starts(self) -> list[int]:
        """The number of every axis's first factor."""
        return [sum(len(sizes) for sizes in self.factors[:axis]) for axis in range(len(self.factors))]

    def _split(self, pieces: list[Shape]) -> Order:
        """The order of memory once every factor is split into pieces."""
        starts = [sum(len(part) for part in pieces[:factor]) for factor in range(len(pieces))]
        return tuple(starts[factor] + index for factor in self.order for index in range(len(pieces[factor])))

    def _merged(self) -> "Layout":
        """Factors joined that are neighbours both in an axis and in memory."""
        position = {factor: index for index, factor in enumerate(self.order)}
        factors, kept, number = [], [], 0
        for sizes in self.factors:
            joined: list[int] = []
            for index, size in enumerate(sizes):
                if index and position[number] == position[number - 1] + 1:
                    joined[-1] *= size
                else:
                    joined.append(size)
                    kept.append(number)
                number += 1
            factors.append(tuple(joined))
        return Layout(tuple(factors), tuple(kept.index(factor) for factor in self.order if factor in kept))


def _common_pieces(sizes: Iterable[int], others: Iterable[int]) -> list[Shape] | None:
    """For each of `sizes` the pieces into which `others`, a second split of the same number, cuts it."""
    pieces: list[Shape] = []
    rest = list(others)
    for size in sizes:
        part: list[int] = []
        while size > 1:
            if not rest:
                return None
            if size % rest[0] == 0:
                part.append(rest.pop(0))
            elif rest[0] % size == 0:
                part.append(size)
                rest[0] //= size
            else:
                return None
            size //= part[-1]
        pieces.append(tuple(part))
    return None if rest else pieces
