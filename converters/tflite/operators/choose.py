"""What is true, which element is the largest, and values that are chosen by it."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import REAL, Context, emits
from converters.tflite.layout import Layout
from converters.tflite.operators.broadcast import operands

COMPARISONS = {
    "Greater": (schema.BuiltinOperator.GREATER, schema.GreaterOptionsT),
    "GreaterOrEqual": (schema.BuiltinOperator.GREATER_EQUAL, schema.GreaterEqualOptionsT),
    "Less": (schema.BuiltinOperator.LESS, schema.LessOptionsT),
    "LessOrEqual": (schema.BuiltinOperator.LESS_EQUAL, schema.LessEqualOptionsT),
    "Equal": (schema.BuiltinOperator.EQUAL, schema.EqualOptionsT),
    "And": (schema.BuiltinOperator.LOGICAL_AND, schema.LogicalAndOptionsT),
    "Or": (schema.BuiltinOperator.LOGICAL_OR, schema.LogicalOrOptionsT),
    "Where": (schema.BuiltinOperator.SELECT_V2, schema.SelectV2OptionsT),
}
EXTREMES = {
    "ArgMax": (schema.BuiltinOperator.ARG_MAX, schema.ArgMaxOptionsT),
    "ArgMin": (schema.BuiltinOperator.ARG_MIN, schema.ArgMinOptionsT),
}


@emits(*COMPARISONS, any_type=True)
def compare(context: Context, node: NodeProto) -> None:
    """The operator of the same name, or SELECT_V2 for Where; whatever is compared or chosen is real."""
    code, options = COMPARISONS[node.op_type]
    logical = {"And": 2, "Or": 2, "Where": 1}.get(node.op_type, 0)  # how many of the operands are true or false
    context.demand(node, REAL, *node.input[logical:])
    inputs, layout, shown = operands(context, node)
    context.operator(code, inputs, [context.store(node.output[0], layout, shown)], options())


@emits("Not", any_type=True)
def negate(context: Context, node: NodeProto) -> None:
    """LOGICAL_NOT."""
    stored = context.stored(node.input[0])
    target = context.store(node.output[0], stored.layout, context.builder.shape(stored.tensor))
    context.operator(schema.BuiltinOperator.LOGICAL_NOT, [stored.tensor], [target], schema.LogicalNotOptionsT())


@emits(*EXTREMES, any_type=True)
def extreme(context: Context, node: NodeProto) -> None:
    """ARG_MAX or ARG_MIN: of equal elements the first."""
    name, given = node.input[0], attributes(node)
    context.demand(node, REAL, name)
    if given.get("select_last_index", 0):
        raise context.no_form(node, "the last of equal elements")
    shape, order = context.shape(name), context.order(name)
    axis = given.get("axis", 0) % len(shape)
    code, kind = EXTREMES[node.op_type]
    options = kind()
    options.outputType = schema.TensorType.INT64
    place = context.raw(f"{node.output[0]}.axis", np.array(order.index(axis), np.int32))
    kept = tuple(1 if other == axis else size for other, size in enumerate(shape))
    layout = Layout.of(kept, order).reshape(context.shape(node.output[0]))
    assert layout is not None  # at most, an axis of size 1 is dropped
    shown = tuple(shape[other] for other in order if other != axis)
    target = context.store(node.output[0], layout, shown)
    context.operator(code, [context.arranged(name, order), place], [target], options)
