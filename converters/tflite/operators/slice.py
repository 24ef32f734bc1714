"""Parts of a value."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, Stored, emits
from converters.tflite.layout import Layout, Order

Range = tuple[int, int, int]  # start, stop, step, as Python's: a stop of -1 is before the first element


@emits("Slice")
def slice_(context: Context, node: NodeProto) -> None:
    """SLICE, or STRIDED_SLICE where it skips elements."""
    name = node.input[0]
    shape = context.shape(name)
    starts, ends = context.weight(node, 1).tolist(), context.weight(node, 2).tolist()
    axes, steps = context.optional(node, 3), context.optional(node, 4)
    ranges = [(0, size, 1) for size in shape]
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis = index if axes is None else int(axes[index])
        step = 1 if steps is None else int(steps[index])
        ranges[axis] = slice(start, end, step).indices(shape[axis])
    order = context.order(name)
    if all(part == (0, size, 1) for part, size in zip(ranges, shape, strict=True)):
        context.alias(node)
    else:
        part(context, node, context.arranged(name, order), order, ranges, context.output(node, order))


@emits("Gather")
def gather(context: Context, node: NodeProto) -> None:
    """One element of an axis, or some that follow one another: SLICE; any others: GATHER."""
    name, index = node.input[0], context.weight(node)
    shape, order = context.shape(name), context.order(name)
    axis = attributes(node).get("axis", 0) % len(shape)
    chosen = index.reshape(-1) % shape[axis]
    source = context.arranged(name, order)
    if index.ndim > 1:
        raise context.no_form(node, "an index of several dimensions")
    taken = (*shape[:axis], chosen.size, *shape[axis + 1 :])
    shown = tuple(taken[axis] for axis in order)
    tensor = context.step(node, "taken", shown)
    if np.array_equal(chosen, np.arange(chosen[0], chosen[0] + chosen.size)):
        ranges = [(0, size, 1) for size in shape]
        ranges[axis] = int(chosen[0]), int(chosen[-1]) + 1, 1
        part(context, node, source, order, ranges, tensor)
    else:
        options = schema.GatherOptionsT()
        options.axis = order.index(axis)
        places = context.raw(f"{node.output[0]}.index", chosen.astype(np.int32))
        context.operator(schema.BuiltinOperator.GATHER, [source, places], [tensor], options)
    layout = Layout.of(taken, order).reshape(context.shape(node.output[0]))
    assert layout is not None  # at most, an axis of size 1 is dropped
    context.put(node.output[0], Stored(tensor, layout))


def part(context: Context, node: NodeProto, source: int, order: Order, ranges: list[Range], target: int) -> None:
    """Emit the part of a tensor that `ranges`, one per ONNX axis, choose."""
    lying = [ranges[axis] for axis in order]
    name = node.output[0]
    begin = context.raw(f"{name}.begin", np.array([start for start, _, _ in lying], np.int32))
    wide = len(order) > 4
    if all(step == 1 for _, _, step in lying):
        sizes = context.raw(f"{name}.size", np.array([max(stop - start, 0) for start, stop, _ in lying], np.int32))
        options = schema.SliceOptionsT()
        context.operator(schema.BuiltinOperator.SLICE, [source, begin, sizes], [target], options, 5 if wide else 1)
        return
    end = context.raw(f"{name}.end", np.array([max(stop, 0) for _, stop, _ in lying], np.int32))
    strides = context.raw(f"{name}.strides", np.array([step for _, _, step in lying], np.int32))
    options = schema.StridedSliceOptionsT()
    options.endMask = sum(1 << index for index, (_, stop, _) in enumerate(lying) if stop < 0)  # through the first one
    inputs = [source, begin, end, strides]
    context.operator(schema.BuiltinOperator.STRIDED_SLICE, inputs, [target], options, 4 if wide else 1)
