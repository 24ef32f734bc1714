"""Arithmetic on two values, of which either may broadcast."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.tflite.context import Context, Stored, emits
from converters.tflite.layout import Layout, Shape, usual_order

CODES = {
    "Add": schema.BuiltinOperator.ADD,
    "Sub": schema.BuiltinOperator.SUB,
    "Mul": schema.BuiltinOperator.MUL,
    "Div": schema.BuiltinOperator.DIV,
    "Max": schema.BuiltinOperator.MAXIMUM,
    "Min": schema.BuiltinOperator.MINIMUM,
    "Pow": schema.BuiltinOperator.POW,
}
OPTIONS = {
    schema.BuiltinOperator.ADD: schema.AddOptionsT,
    schema.BuiltinOperator.SUB: schema.SubOptionsT,
    schema.BuiltinOperator.MUL: schema.MulOptionsT,
    schema.BuiltinOperator.DIV: schema.DivOptionsT,
    schema.BuiltinOperator.MAXIMUM: schema.MaximumMinimumOptionsT,
    schema.BuiltinOperator.MINIMUM: schema.MaximumMinimumOptionsT,
    schema.BuiltinOperator.POW: schema.PowOptionsT,
}
# Their options have a fused activation.
FUSES = frozenset(CODES[name] for name in ("Add", "Sub", "Mul", "Div"))
# More than four axes, of which some broadcast, came with these versions.
WIDE_VERSIONS = {
    schema.BuiltinOperator.SUB: 3,
    schema.BuiltinOperator.DIV: 2,
    schema.BuiltinOperator.MAXIMUM: 3,
    schema.BuiltinOperator.MINIMUM: 3,
}
# (operator, second operand) that change nothing.
NEUTRAL = {("Add", 0.0), ("Sub", 0.0), ("Mul", 1.0), ("Div", 1.0), ("Pow", 1.0)}
POWERS = {2.0: schema.BuiltinOperator.SQUARE, 0.5: schema.BuiltinOperator.SQRT}


def binary_options(code: int, activation: int = schema.ActivationFunctionType.NONE) -> Any:
    """The options object of an operator of two values."""
    options = OPTIONS[code]()
    if code in FUSES:
        options.fusedActivationFunction = activation
    return options


@emits(*CODES)
def binary(context: Context, node: NodeProto) -> None:
    """ADD, SUB, MUL or DIV with a fused activation; MAXIMUM, MINIMUM; SQUARE, SQRT or POW."""
    number = _number(context, node.input[1])
    same_shape = context.shape(node.output[0]) == context.shape(node.input[0])
    if number is not None and same_shape and (node.op_type, number) in NEUTRAL:
        context.alias(node)
        return
    if node.op_type == "Pow" and number in POWERS and same_shape:
        stored = context.stored(node.input[0])
        target = context.store(node.output[0], stored.layout, context.builder.shape(stored.tensor))
        context.operator(POWERS[number], [stored.tensor], [target])
        return
    code = CODES[node.op_type]
    inputs, layout, shown = operands(context, node)
    name, activation = context.fused(node) if code in FUSES else (node.output[0], schema.ActivationFunctionType.NONE)
    target = context.store(name, layout, shown)
    shapes = [context.builder.shape(tensor) for tensor in inputs]
    wide = max(len(shape) for shape in shapes) > 4 and shapes[0] != shapes[1]
    version = WIDE_VERSIONS.get(code, 1) if wide else 1
    context.operator(code, inputs, [target], binary_options(code, activation), version)


def operands(context: Context, node: NodeProto) -> tuple[list[int], Layout, Shape]:
    """All inputs so that TFLite broadcasts them as ONNX does; layout and tensor shape of the result.

    The largest computed input stays as it is, and the others are brought to its layout.
    """
    shape = context.shape(node.output[0])
    computed = [name for name in node.input if not context.is_constant(name)]

    def size_and_usualness(name: str) -> tuple[int, bool]:
        return int(np.prod(context.shape(name))), context.order(name) == usual_order(len(context.shape(name)))

    lead = context.stored(max(computed, key=size_and_usualness))
    layout = lead.layout.expand_rank(len(shape))
    shown = context.builder.shape(lead.tensor)
    others = [context.stored(name) for name in computed]
    if layout.shape == shape and all(
        other.layout.expand_rank(len(shape)) == layout and context.builder.shape(other.tensor) == shown
        for other in others
    ):
        tensors = [
            context.beside(f"{node.output[0]}.{name}", context.graph.constants[name], Stored(lead.tensor, layout))
            if context.is_constant(name)
            else context.stored(name).tensor
            for name in node.input
        ]
        return tensors, layout, shown
    order = layout.axes()
    order = usual_order(len(shape)) if order is None else order
    tensors = [context.arranged(name, order) for name in node.input]
    return tensors, Layout.of(shape, order), tuple(shape[axis] for axis in order)


def _number(context: Context, name: str) -> float | None:
    """The value of a constant that is everywhere the same."""
    if not context.is_constant(name):
        return None
    value = context.graph.constants[name].reshape(-1)
    return float(value[0]) if value.size and (value == value[0]).all() else None
