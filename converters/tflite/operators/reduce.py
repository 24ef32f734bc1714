"""Averages, sums and maxima over axes, global pools among them."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, emits
from converters.tflite.layout import Layout, Shape

CODES = {
    "GlobalAveragePool": schema.BuiltinOperator.MEAN,
    "GlobalMaxPool": schema.BuiltinOperator.REDUCE_MAX,
    "ReduceMean": schema.BuiltinOperator.MEAN,
    "ReduceSum": schema.BuiltinOperator.SUM,
    "ReduceMax": schema.BuiltinOperator.REDUCE_MAX,
    "ReduceMin": schema.BuiltinOperator.REDUCE_MIN,
    "ReduceL2": schema.BuiltinOperator.SUM,
}


@emits(*CODES)
def reduction(context: Context, node: NodeProto) -> None:
    """MEAN, SUM, REDUCE_MAX or REDUCE_MIN over the axes wherever they lie; ReduceL2 is SQRT of SUM of SQUARE."""
    name = node.input[0]
    source, spread = context.opened(name)
    axes = _axes(context, node)
    over = sorted(place for axis in axes for place in spread[axis])
    shape = context.builder.shape(source)
    if not over:  # nothing is added up; ReduceL2 still is a length
        layout = context.stored(name).layout.reshape(context.shape(node.output[0]))
        assert layout is not None  # it only drops axes of size 1
        if node.op_type == "ReduceL2":
            context.operator(schema.BuiltinOperator.ABS, [source], [context.store(node.output[0], layout, shape)])
        else:
            context.view(node, layout)
        return
    if node.op_type == "ReduceL2":
        squares = context.step(node, "squares", shape)
        context.operator(schema.BuiltinOperator.SQUARE, [source], [squares])
        source = squares
    result = _result(context, node)
    keep = len(context.shape(result)) == len(context.shape(name))
    shown = tuple(1 if place in over else size for place, size in enumerate(shape) if keep or place not in over)
    layout = _layout(context, name, axes).reshape(context.shape(result))
    assert layout is not None  # it only drops axes of size 1
    last = node.op_type != "ReduceL2"
    target = context.store(result, layout, shown) if last else context.step(node, "sum", shown)
    reduce_over(context, node, CODES[node.op_type], source, over, target, keep)
    if not last:
        root = context.store(result, layout, shown)
        context.operator(schema.BuiltinOperator.SQRT, [target], [root])


def reduce_over(
    context: Context, node: NodeProto, code: int, source: int, axes: list[int], target: int, keep: bool
) -> None:
    """Emit a reduction of a tensor over axes of it."""
    options = schema.ReducerOptionsT()
    options.keepDims = keep
    places = context.raw(f"{node.output[0]}.axes", np.array(axes, np.int32))
    context.operator(code, [source, places], [target], options)


def _axes(context: Context, node: NodeProto) -> list[int]:
    """The ONNX axes over which a node reduces."""
    rank, given = len(context.shape(node.input[0])), attributes(node)
    if node.op_type.startswith("Global"):
        return list(range(2, rank))
    chosen = context.optional(node, 1)
    axes = given.get("axes") if chosen is None else chosen.tolist()
    if not axes:
        return [] if given.get("noop_with_empty_axes", 0) else list(range(rank))
    return [axis % rank for axis in axes]


def _result(context: Context, node: NodeProto) -> str:
    """The node's output; or that of a Flatten that alone follows a global pool, since a reduction drops axes itself."""
    name = node.output[0]
    follower = context.graph.only_consumer(name)
    if follower is not None and follower.op_type in ("Flatten", "Reshape", "Squeeze"):
        flat = tuple(size for size in context.shape(name)[1:] if size != 1)
        if context.shape(follower.output[0]) == (*context.shape(name)[:1], *flat) != context.shape(name):
            context.absorb(follower)
            return follower.output[0]
    return name


def _layout(context: Context, name: str, axes: list[int]) -> Layout:
    """The layout of a value once these axes have size 1."""
    before = context.stored(name).layout
    owner = [axis for axis, sizes in enumerate(before.factors) for _ in sizes]
    kept = [factor for factor in before.order if owner[factor] not in axes]
    factors: list[Shape] = [() if axis in axes else sizes for axis, sizes in enumerate(before.factors)]
    place = {factor: index for index, factor in enumerate(sorted(kept))}
    return Layout(tuple(factors), tuple(place[factor] for factor in kept))
