"""Where the images of a batch lie in a value, and what a file of one image means for several.

Exporters write the shapes of one batch into a file: [1, 512] behind a pooling means (batch, 512). So every value's
shape is computed for the file's batch and for twice as many images: the axis that grows is the batch's.
"""

from collections.abc import Sequence
from math import prod

Sizes = tuple[int, ...]


def grown_axis(one: Sequence[int], two: Sequence[int]) -> int | None:
    """The axis along which a value of twice as many images is twice as long; None where it is not longer.

    Raises ValueError where it differs in any other way.
    """
    if len(one) != len(two):
        raise ValueError(f"{tuple(one)} becomes {tuple(two)}")
    grown = [axis for axis, (size, other) in enumerate(zip(one, two, strict=True)) if size != other]
    if len(grown) > 1 or any(two[axis] != 2 * one[axis] for axis in grown):
        raise ValueError(f"{tuple(one)} becomes {tuple(two)}")
    return grown[0] if grown else None


def resolved(listed: Sequence[int], before: Sizes, *, zeros: bool = True) -> Sizes:
    """The shape that a Reshape gives a value of shape `before`, by the target that a file lists.

    -1 is what is left; with `zeros`, 0 is the size at that place before. Raises IndexError where there is none.
    """
    sizes = [before[place] if zeros and size == 0 else size for place, size in enumerate(listed)]
    left = prod(before) // max(prod(size for size in sizes if size != -1), 1)
    return tuple(left if size == -1 else size for size in sizes)


def target_for_any(before: Sizes, axis: int, target: Sizes, inferred: int | None, images: int = 1) -> Sizes:
    """The target of a Reshape with -1 where the batch goes, for a value whose batch is along `axis` of `before`.

    target: what the file makes of `before`, all sizes known. inferred: the place of the -1 that it has itself. images:
    the file's batch. The batch stays where it lies in memory: as many parts of it lie one behind the other before and
    after. Where there is no such place, the target is that of the file.
    """
    outside = prod(before[:axis])
    places = [place for place, size in enumerate(target) if prod(target[:place]) == outside and size % images == 0]
    if outside > 1 and inferred is not None:  # the batch may be within an axis, of which the file says which one
        places = [inferred]
    if not places:
        return target
    place = axis if axis in places else places[0]
    return (*target[:place], -1, *target[place + 1 :])
