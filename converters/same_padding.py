"""The padding that auto_pad SAME stands for (ONNX specification, Conv version 11)."""

from collections.abc import Sequence


def same_padding(
    upper: bool, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Before and behind every axis, so that ceil(size / stride) come out: the odd one behind if `upper`, else before.

    Where strides are 1 the sizes do not matter.
    """
    totals = [
        max((-(-size // stride) - 1) * stride + (length - 1) * dilation + 1 - size, 0)
        for size, length, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True)
    ]
    less, more = tuple(total // 2 for total in totals), tuple(total - total // 2 for total in totals)
    return (less, more) if upper else (more, less)
