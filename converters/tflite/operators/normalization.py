"""Normalisation by stored statistics (what no convolution took in) and by those of the image itself."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, Stored, emits
from converters.tflite.operators.broadcast import binary_options
from converters.tflite.operators.reduce import reduce_over
from converters.tflite.padding import image, image_output

ADD, SUB, MUL = schema.BuiltinOperator.ADD, schema.BuiltinOperator.SUB, schema.BuiltinOperator.MUL


@emits("BatchNormalization")
def batch_normalization(context: Context, node: NodeProto) -> None:
    """scale x + shift as MUL and ADD, with a fused activation."""
    if attributes(node).get("training_mode", 0) or any(node.output[1:]):
        raise context.no_form(node, "statistics of the batch")
    gamma, beta, mean, variance = (context.weight(node, index).astype(np.float64) for index in range(1, 5))
    scale = gamma / np.sqrt(variance + attributes(node).get("epsilon", 1e-5))
    shift = beta - scale * mean
    per_channel = (-1, *(1 for _ in context.shape(node.input[0])[2:]))
    _scale_and_shift(
        context, node, context.stored(node.input[0]), scale.reshape(per_channel), shift.reshape(per_channel)
    )


@emits("LayerNormalization")
def layer_normalization(context: Context, node: NodeProto) -> None:
    """Over the last ONNX axes, wherever they lie."""
    rank, given = len(context.shape(node.input[0])), attributes(node)
    if any(node.output[1:]):
        raise context.no_form(node, "mean or deviation as results")
    axes = list(range(given.get("axis", -1) % rank, rank))
    _normalized(context, node, axes, context.weight(node, 1), context.optional(node, 2))


@emits("InstanceNormalization")
def instance_normalization(context: Context, node: NodeProto) -> None:
    """Over the pixels of every channel; GroupNorm is exported as this, between two Reshapes."""
    rank = len(context.shape(node.input[0]))
    scale, shift = (context.weight(node, index).reshape(-1, *(1,) * (rank - 2)) for index in (1, 2))
    _normalized(context, node, list(range(2, rank)), scale, shift)


@emits("LRN")
def local_response_normalization(context: Context, node: NodeProto) -> None:
    """LOCAL_RESPONSE_NORMALIZATION over channels, the last axis in memory, as many on either side."""
    given = attributes(node)
    if given["size"] % 2 == 0:
        raise context.no_form(node, "an even size")
    if len(context.shape(node.input[0])) not in (3, 4):
        raise context.no_form(node, f"{len(context.shape(node.input[0]))} dimensions")
    options = schema.LocalResponseNormalizationOptionsT()
    options.radius, options.bias = given["size"] // 2, given.get("bias", 1.0)
    options.alpha, options.beta = given.get("alpha", 1e-4) / given["size"], given.get("beta", 0.75)
    source = image(context, node.input[0])
    target = image_output(context, node.output[0])
    context.operator(schema.BuiltinOperator.LOCAL_RESPONSE_NORMALIZATION, [source], [target], options)


def _normalized(
    context: Context, node: NodeProto, axes: list[int], scale: np.ndarray, shift: np.ndarray | None
) -> None:
    """(x - mean) / sqrt(variance + epsilon) scale + shift, with the statistics over these ONNX axes."""
    name = node.input[0]
    source, spread = context.opened(name)
    shape = context.builder.shape(source)
    over = sorted(place for axis in axes for place in spread[axis])
    small = tuple(1 if place in over else size for place, size in enumerate(shape))

    def step(suffix: str, code: int, inputs: list[int], shown: tuple[int, ...]) -> int:
        target = context.step(node, suffix, shown)
        context.operator(code, inputs, [target], binary_options(code) if code in (ADD, SUB, MUL) else None)
        return target

    mean, variance = context.step(node, "mean", small), context.step(node, "variance", small)
    reduce_over(context, node, schema.BuiltinOperator.MEAN, source, over, mean, True)
    centred = step("centred", SUB, [source, mean], shape)
    squares = step("squares", schema.BuiltinOperator.SQUARE, [centred], shape)
    reduce_over(context, node, schema.BuiltinOperator.MEAN, squares, over, variance, True)
    epsilon = context.raw(f"{node.output[0]}.epsilon", np.array([attributes(node).get("epsilon", 1e-5)], np.float32))
    deviation = step("inverse", schema.BuiltinOperator.RSQRT, [step("more", ADD, [variance, epsilon], small)], small)
    normal = step("normal", MUL, [centred, deviation], shape)
    _scale_and_shift(context, node, Stored(normal, context.stored(name).layout), scale, shift)


def _scale_and_shift(
    context: Context, node: NodeProto, stored: Stored, scale: np.ndarray, shift: np.ndarray | None
) -> None:
    """The last step of a node: MUL and ADD with constants of its ONNX shape; what changes nothing is left out."""
    shown = context.builder.shape(stored.tensor)
    constants = [(code, value) for code, value in ((MUL, scale), (ADD, shift)) if value is not None]
    needed = [(code, value) for code, value in constants if not (value == (1 if code == MUL else 0)).all()]
    tensor = stored.tensor
    for index, (code, value) in enumerate(needed or [(MUL, np.ones(1))]):
        constant = context.beside(f"{node.output[0]}.{'scale' if code == MUL else 'shift'}", value, stored)
        if index < len(needed) - 1:
            target, activation = context.step(node, "scaled", shown), schema.ActivationFunctionType.NONE
        else:
            name, activation = context.fused(node)
            target = context.store(name, stored.layout, shown)
        context.operator(code, [tensor, constant], [target], binary_options(code, activation))
        tensor = target
