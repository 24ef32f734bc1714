"""Data moved from one layout to another: RESHAPE, TRANSPOSE, and the blocks of SPACE_TO_DEPTH."""

from math import prod

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.tflite.builder import Builder
from converters.tflite.layout import Order, Shape

# Version 1 of TRANSPOSE takes 4 axes, 4 takes 5, 6 takes 6.
TRANSPOSE_VERSIONS = {5: 4, 6: 6}
DIRECT_AXES = 4


def reshaped(builder: Builder, name: str, tensor: int, shape: Shape) -> int:
    """The tensor under another shape; itself where it has it."""
    if builder.shape(tensor) == shape:
        return tensor
    target = builder.activation(_named(name, shape), shape, builder.kind(tensor))
    options = schema.ReshapeOptionsT()
    options.newShape = list(shape)
    sizes = builder.constant(f"{name}.shape", np.array(shape, np.int32))
    builder.operator(schema.BuiltinOperator.RESHAPE, [tensor, sizes], [target], options)
    return target


def rearrange(builder: Builder, name: str, tensor: int, sizes: Shape, order: Order, shape: Shape) -> int:
    """The tensor read as `sizes`, transposed by `order`, under another shape. An empty order moves nothing."""
    if not order:
        return reshaped(builder, name, tensor, shape)
    if order == (0, 2, 1, 3):
        block = _block(builder.shape(tensor), sizes, shape)
        if block is not None:
            return reshaped(builder, name, _blocks(builder, name, tensor, *block), shape)
    blocks = _axes_of(builder.shape(tensor), sizes)
    if blocks is not None:
        leading, *blocks = blocks
        axes = (*leading, *(axis for place in order for axis in blocks[place]))
        moved = _transposed(builder, name, tensor, axes)
    else:
        moved = _transposed(builder, name, reshaped(builder, name, tensor, sizes), order)
    return reshaped(builder, name, moved, shape)


def _transposed(builder: Builder, name: str, tensor: int, axes: Order) -> int:
    before = builder.shape(tensor)
    after = tuple(before[axis] for axis in axes)
    target = builder.activation(_named(name, after), after, builder.kind(tensor))
    order = builder.constant(f"{name}.order", np.array(axes, np.int32))
    version = TRANSPOSE_VERSIONS.get(len(axes), 1)
    builder.operator(schema.BuiltinOperator.TRANSPOSE, [tensor, order], [target], schema.TransposeOptionsT(), version)
    return target


def _axes_of(shape: Shape, sizes: Shape) -> list[tuple[int, ...]] | None:
    """The axes of a shape that make up each size, behind its leading ones; None if it has other axes, or too many."""
    if len(shape) > DIRECT_AXES:
        return None
    start = next((axis for axis, size in enumerate(shape) if size != 1), len(shape))
    blocks = [tuple(range(start))]
    for size in sizes:
        end = start + 1
        while end < len(shape) and (prod(shape[start:end]) < size or shape[end] == 1):
            end += 1
        if prod(shape[start:end]) != size:
            return None
        blocks.append(tuple(range(start, end)))
        start = end
    return blocks


def _block(before: Shape, sizes: Shape, after: Shape) -> tuple[int, int, Shape, Shape] | None:
    """(operator, block, its input shape, its output shape) of rows of blocks: sizes (H, a, W, b) to (H, W, a, b).

    Read one way, an image gives every block of a x a pixels to the channels; the other way, channels become blocks.
    """
    height, first, second, rest = sizes
    forms = []
    if rest % first == 0:
        depth = rest // first
        shapes = (1, height * first, second * first, depth), (1, height, second, first * rest)
        forms.append((schema.BuiltinOperator.SPACE_TO_DEPTH, first, *shapes))
    if rest % second == 0:
        depth = rest // second
        shapes = (1, height, first, second * rest), (1, height * second, first * second, depth)
        forms.append((schema.BuiltinOperator.DEPTH_TO_SPACE, second, *shapes))
    fitting = [form for form in forms if before == form[2] and after == form[3]]
    return fitting[0] if fitting else None


def _blocks(builder: Builder, name: str, tensor: int, code: int, block: int, before: Shape, after: Shape) -> int:
    to_depth = code == schema.BuiltinOperator.SPACE_TO_DEPTH
    options = schema.SpaceToDepthOptionsT() if to_depth else schema.DepthToSpaceOptionsT()
    options.blockSize = block
    target = builder.activation(_named(name, after), after, builder.kind(tensor))
    builder.operator(code, [reshaped(builder, name, tensor, before)], [target], options)
    return target


def _named(name: str, shape: Shape) -> str:
    return f"{name}.{'x'.join(str(size) for size in shape)}"
