"""Activations that TFLite has in certain forms only, or not as one operator."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes, clip_bounds
from converters.tflite.context import Context, emits
from converters.tflite.operators.broadcast import binary_options

CLIPS = {
    (0.0, np.inf): schema.BuiltinOperator.RELU,
    (0.0, 6.0): schema.BuiltinOperator.RELU6,
    (-1.0, 1.0): schema.BuiltinOperator.RELU_N1_TO_1,
    (0.0, 1.0): schema.BuiltinOperator.RELU_0_TO_1,
}

SELU_ALPHA, SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875  # the defaults of ONNX


def leaky_options(slope: float) -> Any:
    """The options object of LEAKY_RELU."""
    options = schema.LeakyReluOptionsT()
    options.alpha = slope
    return options


@emits("Clip")
def clip(context: Context, node: NodeProto) -> None:
    """RELU, RELU6, RELU_N1_TO_1 or RELU_0_TO_1; MAXIMUM and MINIMUM for other bounds."""
    bounds = clip_bounds(context.graph, node)
    if bounds is None:
        raise context.no_form(node, "bounds that are no stored numbers")
    if bounds == (-np.inf, np.inf):
        context.alias(node)
        return
    stored = context.stored(node.input[0])
    shown = context.builder.shape(stored.tensor)
    target = context.store(node.output[0], stored.layout, shown)
    if bounds in CLIPS:
        context.operator(CLIPS[bounds], [stored.tensor], [target])
        return
    tensor = stored.tensor
    codes = (schema.BuiltinOperator.MAXIMUM, schema.BuiltinOperator.MINIMUM)
    sides = [(code, bound) for code, bound in zip(codes, bounds, strict=True) if np.isfinite(bound)]
    for index, (code, bound) in enumerate(sides):
        result = target if index == len(sides) - 1 else context.step(node, "above", shown)
        limit = context.number(f"{node.output[0]}.bound{index}", bound, tensor)
        context.operator(code, [tensor, limit], [result], schema.MaximumMinimumOptionsT())
        tensor = result


@emits("PRelu")
def prelu(context: Context, node: NodeProto) -> None:
    """PRELU with a slope per channel, the last axis in memory; LEAKY_RELU with one for all.

    Kernels take the number of slopes for the number of channels and read past the end of fewer.
    """
    slope, shape = context.weight(node), context.shape(node.input[0])
    if slope.ndim > len(shape) or np.broadcast_shapes(slope.shape, shape) != shape:
        raise context.no_form(node, "slopes that are not one for each channel")
    stored = context.stored(node.input[0])
    shown = context.builder.shape(stored.tensor)
    target = context.store(node.output[0], stored.layout, shown)
    if (slope == slope.reshape(-1)[0]).all():
        options = leaky_options(float(slope.reshape(-1)[0]))
        context.operator(schema.BuiltinOperator.LEAKY_RELU, [stored.tensor], [target], options)
        return
    slopes = context.beside(f"{node.output[0]}.slope", slope, stored)
    if context.builder.shape(slopes) != (*(1 for _ in shown[1:]), shown[-1]):
        raise context.no_form(node, "slopes that are not one for each channel")
    context.operator(schema.BuiltinOperator.PRELU, [stored.tensor, slopes], [target])


@emits("HardSigmoid")
def hard_sigmoid(context: Context, node: NodeProto) -> None:
    """min(max(alpha x + beta, 0), 1) as relu6(6 alpha x + 6 beta) / 6: TFLite fuses RELU6, and no clip to 1."""
    given = attributes(node)
    slope, offset = 6 * given.get("alpha", 0.2), 6 * given.get("beta", 0.5)
    stored = context.stored(node.input[0])
    shown, tensor = context.builder.shape(stored.tensor), stored.tensor
    if not np.isclose(slope, 1, rtol=1e-6):
        tensor = _with_number(
            context, node, schema.BuiltinOperator.MUL, tensor, slope, context.step(node, "scaled", shown)
        )
    clipped = context.step(node, "clipped", shown)
    _with_number(
        context, node, schema.BuiltinOperator.ADD, tensor, offset, clipped, schema.ActivationFunctionType.RELU6
    )
    target = context.store(node.output[0], stored.layout, shown)
    _with_number(context, node, schema.BuiltinOperator.MUL, clipped, 1 / 6, target)


@emits("Elu", "Selu", "Celu")
def elu(context: Context, node: NodeProto) -> None:
    """ELU, in which TFLite has no alpha: below zero LEAKY_RELU multiplies by it. Selu is a multiple of Elu, and Celu
    that of x / alpha."""
    given, builtin = attributes(node), schema.BuiltinOperator
    alpha, factor = given.get("alpha", SELU_ALPHA if node.op_type == "Selu" else 1.0), given.get("gamma", SELU_GAMMA)
    stored = context.stored(node.input[0])
    shown = context.builder.shape(stored.tensor)
    steps: list[tuple[int, float | None]] = [(builtin.ELU, None)]
    if node.op_type == "Celu":
        if alpha <= 0:
            raise context.no_form(node, f"alpha {alpha:g}")
        steps = [(builtin.MUL, 1 / alpha), *steps, (builtin.MUL, alpha)]
    elif alpha != 1:
        steps.append((builtin.LEAKY_RELU, alpha))
    if node.op_type == "Selu":
        steps.append((builtin.MUL, factor))
    steps = [step for step in steps if step != (builtin.MUL, 1)]
    tensor = stored.tensor
    for index, (code, number) in enumerate(steps):
        last = index == len(steps) - 1
        target = context.store(node.output[0], stored.layout, shown) if last else context.step(node, f"{index}", shown)
        if code == builtin.MUL and number is not None:
            _with_number(context, node, code, tensor, number, target)
        else:
            context.operator(code, [tensor], [target], None if number is None else leaky_options(number))
        tensor = target


@emits("Reciprocal")
def reciprocal(context: Context, node: NodeProto) -> None:
    """DIV of 1."""
    stored = context.stored(node.input[0])
    one = context.number(f"{node.output[0]}.one", 1, stored.tensor)
    target = context.store(node.output[0], stored.layout, context.builder.shape(stored.tensor))
    options = binary_options(schema.BuiltinOperator.DIV)
    context.operator(schema.BuiltinOperator.DIV, [one, stored.tensor], [target], options)


@emits("Softplus")
def softplus(context: Context, node: NodeProto) -> None:
    """log(1 + exp(x)) as max(x, 0) + log(1 + exp(-|x|)), which does not overflow."""
    stored = context.stored(node.input[0])
    shown = context.builder.shape(stored.tensor)
    tensor = stored.tensor
    for suffix, code in (
        ("abs", schema.BuiltinOperator.ABS),
        ("neg", schema.BuiltinOperator.NEG),
        ("exp", schema.BuiltinOperator.EXP),
    ):
        result = context.step(node, suffix, shown)
        context.operator(code, [tensor], [result])
        tensor = result
    more, log, positive = (context.step(node, suffix, shown) for suffix in ("more", "log", "positive"))
    _with_number(context, node, schema.BuiltinOperator.ADD, tensor, 1, more)
    context.operator(schema.BuiltinOperator.LOG, [more], [log])
    context.operator(schema.BuiltinOperator.RELU, [stored.tensor], [positive])
    target = context.store(node.output[0], stored.layout, shown)
    options = binary_options(schema.BuiltinOperator.ADD)
    context.operator(schema.BuiltinOperator.ADD, [positive, log], [target], options)


def _with_number(
    context: Context,
    node: NodeProto,
    code: int,
    tensor: int,
    number: float,
    target: int,
    activation: int = schema.ActivationFunctionType.NONE,
) -> int:
    constant = context.number(f"{node.output[0]}.{number:g}", number, tensor)
    context.operator(code, [tensor, constant], [target], binary_options(code, activation))
    return target
