"""What both runtimes demand of a quantization: obeyed when a spec is made, checked before either writer runs.

TFLite's rules are those of its 8-bit quantization specification and of its kernels (some accept other scales and
silently answer wrongly); ONNX Runtime's QDQ accepts more, so TFLite's are the common ones.
"""

from collections.abc import Mapping

import numpy as np
from onnx import NodeProto

from converters.errors import ConversionError
from converters.onnx_graph import OnnxGraph, attributes, clip_bounds
from converters.quantization.spec import (
    QuantizationSpec,
    TensorQuantization,
    least_scales,
    of_constant,
    weight_scales,
)

# One scale and zero point for operand and result: values are moved or chosen, never computed.
POOLS = frozenset(("MaxPool", "AveragePool"))
CUTS = frozenset(("Slice", "Split", "Gather"))  # the result has a part of the operand
VIEWS = frozenset(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"))
MOVES = POOLS | CUTS | VIEWS | {"Transpose", "Resize", "DepthToSpace", "Tile", "Expand"}
# Values that meet in one: each operand is requantized to the result's scale on its way in, where it has another.
JOINTS = frozenset(("Concat", "Pad"))
# Results whose range is known, whatever goes in.
FIXED: Mapping[str, TensorQuantization] = {
    "Softmax": TensorQuantization(1 / 256, -128),
    "Sigmoid": TensorQuantization(1 / 256, -128),
    "Tanh": TensorQuantization(1 / 128, 0),
}
# Their second input is a weight, quantized per output channel.
LINEAR = frozenset(("Conv", "Gemm"))
# Computed anew in integers by both runtimes, with scales of their own for every operand and the result.
COMPUTED = (
    LINEAR
    | {"Add", "Mul", "GlobalAveragePool", "LeakyRelu", "Relu", "Clip"}
    | {"Elu", "Exp", "HardSwish", "Gelu", "TanhGelu"}
)
QUANTIZED = MOVES | JOINTS | COMPUTED | FIXED.keys()
BOUNDLESS = 1e38  # numbers beyond this stand for infinity: what maxima and masks are padded with


# What kernels multiply steps by to make them steps of the result has to lie between these (2^-32 in ONNX Runtime's
# mean alone, 256 in this and in XNNPACK, which LiteRT does not survive beyond it); in LiteRT's HardSwish below 128.
SMALLEST_FACTOR, LARGEST_FACTOR, LARGEST_OF_HARD_SWISH = 2.0**-32, 255.0, 127.0


class QuantizationError(ConversionError):
    """A spec that a runtime would not obey."""


def check(graph: OnnxGraph, spec: QuantizationSpec) -> None:
    """Raise QuantizationError, naming the node, if the spec breaks a rule of either runtime."""
    for node in graph.nodes:
        if node.op_type == "Constant" or node.output[0] in spec.kept:
            continue
        reason = why_float(graph, node)
        if reason is not None:
            raise QuantizationError(f"{_name(node)}: {reason}; keep it in float")
        operands = computed_inputs(graph, node)
        results = [name for name in node.output if name and not fused_away(graph, name)]
        for name in (*(name for name in operands if not fused_away(graph, name)), *results):
            if name not in spec.activations:
                raise QuantizationError(f"{_name(node)}: its value {name} has no scale")
        if is_move(graph, node) and len({spec.activations[name] for name in (*operands, *results)}) > 1:
            raise QuantizationError(
                f"{_name(node)}: {node.op_type} moves values and needs one scale for its operand and results"
            )
        if is_out_of_range(graph, node, spec.activations, spec.weights):
            raise QuantizationError(f"{_name(node)}: the scales of operand and result are too far apart for its kernel")
        if node.op_type in FIXED and spec.activations[results[0]] != FIXED[node.op_type]:
            wanted = FIXED[node.op_type]
            raise QuantizationError(
                f"{_name(node)}: the result of {node.op_type} has the scale {wanted.scale} at {wanted.zero_point}"
            )
        if node.op_type in LINEAR:
            scales = spec.weights.get(node.input[1])
            channels = graph.constants.shape(node.input[1])[weight_axis(node)]
            if scales is None or scales.shape != (channels,) or not (scales > 0).all():
                raise QuantizationError(f"{_name(node)}: its weights need one positive scale per output channel")


def why_float(graph: OnnxGraph, node: NodeProto) -> str | None:
    """Why a node has to stay in float, or None where both runtimes compute it in int8, and alike."""
    if node.op_type not in QUANTIZED:
        return f"{node.op_type} has no int8 form in both runtimes"
    if node.op_type in LINEAR and not all(name in graph.constants for name in node.input[1:] if name):
        return "its weights are computed"
    if node.op_type == "Gemm" and any(attributes(node).get(name, 1.0) != 1.0 for name in ("alpha", "beta")):
        return "its products have a factor that its weights do not hold"
    if node.op_type == "Pad" and abs(_fill(graph, node)) >= BOUNDLESS and not _feeds_maxima(graph, node):
        return "what it pads with has no int8 form"
    if node.op_type not in MOVES | JOINTS | {"Clip"}:
        for name in node.input:
            if name in graph.constants and not np.isfinite(graph.constants[name]).all():
                return f"its constant {name} is not finite"
    if node.op_type == "Elu" and attributes(node).get("alpha", 1.0) != 1.0:
        return "TFLite has no Elu with alpha"
    if node.op_type == "Resize" and attributes(node).get("mode", b"nearest") != b"nearest":
        return "the int8 kernels for interpolation round differently"
    return None


def is_out_of_range(
    graph: OnnxGraph,
    node: NodeProto,
    activations: Mapping[str, TensorQuantization],
    weights: Mapping[str, np.ndarray] | None = None,
) -> bool:
    """Whether a runtime's kernel refuses the scales that a node has: those of a result of next to nothing.

    weights: the scales of weights by their names, where they are known: nodes can share them.
    """
    if node.op_type not in LINEAR | {"Add", "GlobalAveragePool", "HardSwish"}:
        return False
    result = activations[result_of(graph, node)].scale
    if node.op_type in LINEAR:
        known = (weights or {}).get(node.input[1])
        scales = linear_scales(graph, node, activations) if known is None else known
        products = float(scales.max()) * _scale(graph, node.input[0], activations)
        return products / result >= LARGEST_FACTOR
    factor = max(_scale(graph, name, activations) for name in node.input) / result
    if node.op_type == "GlobalAveragePool":
        # What it is divided by, the size of the image, only makes it smaller: 2^20 pixels at most.
        return not SMALLEST_FACTOR * 2**20 <= factor < LARGEST_FACTOR
    return factor >= (LARGEST_OF_HARD_SWISH if node.op_type == "HardSwish" else LARGEST_FACTOR)


def _scale(graph: OnnxGraph, name: str, activations: Mapping[str, TensorQuantization]) -> float:
    return (of_constant(graph.constants[name]) if name in graph.constants else activations[name]).scale


def linear_scales(graph: OnnxGraph, node: NodeProto, activations: Mapping[str, TensorQuantization]) -> np.ndarray:
    """The scale of every output channel of a Conv's or Gemm's weight (float32), if no other node shares it."""
    bias = graph.constants[node.input[2]].reshape(-1) if len(node.input) > 2 and node.input[2] else 0.0
    least = least_scales(bias, activations[node.input[0]].scale, activations[result_of(graph, node)].scale)
    return np.maximum(weight_scales(graph.constants[node.input[1]], weight_axis(node)), least)


def result_of(graph: OnnxGraph, node: NodeProto) -> str:
    """What a node makes, or what the clamp makes that is one operator with it."""
    clamp = fused_activation(graph, node)
    return node.output[0] if clamp is None else clamp.output[0]


def weight_axis(node: NodeProto) -> int:
    """The axis of the output channels in the weight of a Conv or Gemm."""
    return 1 if node.op_type == "Gemm" and not attributes(node).get("transB", 0) else 0


def fused_activation(graph: OnnxGraph, node: NodeProto) -> NodeProto | None:
    """The Relu or Clip(0, 6) that alone follows a computed node, and is one operator with it in both runtimes."""
    if node.op_type not in ("Conv", "Gemm", "Add", "Mul"):
        return None
    follower = graph.only_consumer(node.output[0])
    return follower if follower is not None and is_clamp(graph, follower) else None


def is_clamp(graph: OnnxGraph, node: NodeProto) -> bool:
    """Whether a node is max(x, 0) or min(max(x, 0), 6)."""
    return node.op_type == "Relu" or (node.op_type == "Clip" and clip_bounds(graph, node) == (0.0, 6.0))


def is_joint(graph: OnnxGraph, node: NodeProto) -> bool:
    """Whether values of other quantizations may meet in a node's result.

    A Pad with zeros puts in what every scale has, one that maxima are taken of what saturates to the lowest step.
    """
    if node.op_type == "Pad":
        return _fill(graph, node) != 0 and not _feeds_maxima(graph, node)
    return node.op_type in JOINTS


def is_move(graph: OnnxGraph, node: NodeProto) -> bool:
    """Whether a node's results are its one computed operand, or parts of it, moved."""
    moves = node.op_type in MOVES or (node.op_type in JOINTS and not is_joint(graph, node))
    return moves and bool(computed_inputs(graph, node))


def pads_with_zeros(graph: OnnxGraph, node: NodeProto) -> bool:
    """Whether a Pad puts zeros around a value, by amounts that are stored."""
    constant = attributes(node).get("mode", b"constant") == b"constant"
    return constant and len(node.input) in (2, 3) and node.input[1] in graph.constants and _fill(graph, node) == 0


def _fill(graph: OnnxGraph, node: NodeProto) -> float:
    """What a Pad puts around a value: a number that is not in it, or zero."""
    given = attributes(node)
    if given.get("mode", b"constant") != b"constant":
        return 0.0
    if len(node.input) > 2 and node.input[2]:
        return float(graph.constants[node.input[2]].reshape(())) if node.input[2] in graph.constants else np.nan
    return float(given.get("value", 0.0))


def _feeds_maxima(graph: OnnxGraph, node: NodeProto) -> bool:
    """Whether a Pad puts what is below all numbers around a value of which only maxima are taken."""
    users = graph.consumers[node.output[0]]
    lowest = _fill(graph, node) <= -BOUNDLESS and node.output[0] not in graph.output_names
    return lowest and all(user.op_type == "MaxPool" for user in users)


def fused_away(graph: OnnxGraph, name: str) -> bool:
    """Whether a value exists in neither runtime, since its producer and the clamp behind it are one operator."""
    producer = graph.producer.get(name)
    return producer is not None and fused_activation(graph, producer) is not None


def computed_inputs(graph: OnnxGraph, node: NodeProto) -> list[str]:
    """The inputs of a node that are not stored in the model; of what moves a value not those that say where to."""
    operands = node.input[:1] if node.op_type in MOVES or node.op_type == "Pad" else node.input
    return [name for name in operands if name and name not in graph.constants]


def _name(node: NodeProto) -> str:
    return node.name or node.output[0]
