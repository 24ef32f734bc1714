"""Softmax and its logarithm."""

from math import prod

from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, emits
from converters.tflite.layout import Layout
from converters.tflite.operators.broadcast import binary_options
from converters.tflite.operators.reduce import reduce_over


@emits("Softmax", "LogSoftmax")
def softmax(context: Context, node: NodeProto) -> None:
    """SOFTMAX or LOG_SOFTMAX, which TFLite has over the last axis in memory only.

    Over another one a softmax is written as arithmetic, where nothing has to move; a logarithm is moved.
    """
    name = node.input[0]
    shape = context.shape(name)
    axis = attributes(node).get("axis", -1) % len(shape)
    order = (*(place for place in context.order(name) if place != axis), axis)
    move = context.stored(name).layout.moves_to(Layout.of(shape, order))
    if node.op_type == "Softmax" and (move is None or move[1]):
        _over_inner_axis(context, node, axis)
        return
    shown = tuple(shape[place] for place in order)
    if len(shape) > 4:
        shown = prod(shape) // shape[axis], shape[axis]
    source = context.arranged(name, order, shown)
    target = context.store(node.output[0], Layout.of(shape, order), shown)
    if node.op_type == "Softmax":
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        context.operator(schema.BuiltinOperator.SOFTMAX, [source], [target], options)
    else:
        context.operator(schema.BuiltinOperator.LOG_SOFTMAX, [source], [target], schema.LogSoftmaxOptionsT())


def _over_inner_axis(context: Context, node: NodeProto, axis: int) -> None:
    """e / sum(e) with e = exp(x - max(x)), maximum and sum taken over the middle of three axes."""
    shape, order = context.shape(node.input[0]), context.order(node.input[0])
    place = order.index(axis)
    sizes = [shape[other] for other in order]
    shown = prod(sizes[:place]), shape[axis], prod(sizes[place + 1 :])
    one = shown[0], 1, shown[2]
    source = context.arranged(node.input[0], order, shown)
    largest, total = context.step(node, "max", one), context.step(node, "sum", one)
    below, powers = context.step(node, "below", shown), context.step(node, "exp", shown)
    reduce_over(context, node, schema.BuiltinOperator.REDUCE_MAX, source, [1], largest, True)
    subtract, divide = schema.BuiltinOperator.SUB, schema.BuiltinOperator.DIV
    context.operator(subtract, [source, largest], [below], binary_options(subtract))
    context.operator(schema.BuiltinOperator.EXP, [below], [powers])
    reduce_over(context, node, schema.BuiltinOperator.SUM, powers, [1], total, True)
    target = context.store(node.output[0], Layout.of(shape, order), shown)
    context.operator(divide, [powers, total], [target], binary_options(divide))
