"""What both runtimes demand of a quantization: obeyed when a spec is made, checked before either writer runs.

TFLite's rules are those of its 8-bit quantization specification and of its kernels (some accept other scales and
silently answer wrongly); ONNX Runtime's QDQ accepts more, so TFLite's are the common ones.
"""

from collections.abc import Mapping

from onnx import NodeProto

from converters.errors import ConversionError
from converters.onnx_graph import OnnxGraph, attributes, clip_bounds
from converters.quantization.spec import QuantizationSpec, TensorQuantization, from_range, weight_scales

# One scale and zero point for the image operands and the result: values are moved or chosen, never computed.
POOLS = frozenset(("MaxPool", "AveragePool"))
MOVES = frozenset(("Pad", "Concat", "Transpose", "Slice", "Split", "Resize", "DepthToSpace"))
VIEWS = frozenset(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"))
SHARED = POOLS | MOVES | VIEWS
# Results whose range is known, whatever goes in.
FIXED: Mapping[str, TensorQuantization] = {
    "Softmax": TensorQuantization(1 / 256, -128),
    "Sigmoid": TensorQuantization(1 / 256, -128),
    "Tanh": TensorQuantization(1 / 128, 0),
}
# Their second input is a weight, quantized per output channel.
LINEAR = frozenset(("Conv", "Gemm"))
# Computed anew in integers by both runtimes, with scales of their own for every operand and the result.
COMPUTED = LINEAR | {"Add", "Mul", "GlobalAveragePool", "LeakyRelu", "Relu", "Clip"}
QUANTIZED = SHARED | COMPUTED | FIXED.keys()


class QuantizationError(ConversionError):
    """A spec that a runtime would not obey."""


def make_spec(
    graph: OnnxGraph,
    ranges: Mapping[str, tuple[float, float]],
    *,
    calibration: str,
    samples: int,
    kept: Mapping[str, str] | None = None,
) -> QuantizationSpec:
    """The spec of a graph from the range of every value, so that every rule holds.

    kept: nodes (by the name of their first output) that shall stay in float, and why; those that have no int8 form in
    both runtimes are added.
    """
    floats = dict(kept or {})
    for node in graph.nodes:
        reason = None if node.op_type == "Constant" else why_float(node)
        if reason is not None:
            floats.setdefault(node.output[0], reason)
        elif node.output[0] in floats and (clamp := fused_activation(graph, node)) is not None:
            floats.setdefault(clamp.output[0], floats[node.output[0]])
    groups = _groups(graph, floats)
    fixed = _fixed(graph, floats, groups)
    activations: dict[str, TensorQuantization] = {}
    bounds: dict[str, tuple[float, float]] = {}
    names = [name for name in ranges if name not in graph.constants]
    for name in names:
        low, high = ranges[name]
        first = groups.find(name)
        known = bounds.get(first, (low, high))
        bounds[first] = (min(low, known[0]), max(high, known[1]))
    for name in names:
        if _fused_away(graph, name):
            continue
        first = groups.find(name)
        activations[name] = fixed.get(first) or from_range(*bounds[first])
    weights = {}
    for node in graph.nodes:
        if node.op_type in LINEAR and node.output[0] not in floats:
            name, axis = node.input[1], weight_axis(node)
            weights[name] = weight_scales(graph.constants[name], axis)
    spec = QuantizationSpec(activations, weights, calibration, samples, floats)
    check(graph, spec)
    return spec


def check(graph: OnnxGraph, spec: QuantizationSpec) -> None:
    """Raise QuantizationError, naming the node, if the spec breaks a rule of either runtime."""
    for node in graph.nodes:
        if node.op_type == "Constant" or node.output[0] in spec.kept:
            continue
        reason = why_float(node)
        if reason is not None:
            raise QuantizationError(f"{_name(node)}: {reason}; keep it in float")
        operands = _computed_inputs(graph, node)
        results = [name for name in node.output if name and not _fused_away(graph, name)]
        for name in (*(name for name in operands if not _fused_away(graph, name)), *results):
            if name not in spec.activations:
                raise QuantizationError(f"{_name(node)}: its value {name} has no scale")
        if node.op_type in SHARED:
            used = {spec.activations[name] for name in (*operands, *results)}
            if len(used) > 1:
                raise QuantizationError(
                    f"{_name(node)}: {node.op_type} moves values and needs one scale for its operands and results"
                )
        if node.op_type in FIXED and spec.activations[results[0]] != FIXED[node.op_type]:
            wanted = FIXED[node.op_type]
            raise QuantizationError(
                f"{_name(node)}: the result of {node.op_type} has the scale {wanted.scale} at {wanted.zero_point}"
            )
        if node.op_type in LINEAR:
            scales = spec.weights.get(node.input[1])
            weight = graph.constants[node.input[1]]
            if scales is None or scales.shape != (weight.shape[weight_axis(node)],) or not (scales > 0).all():
                raise QuantizationError(f"{_name(node)}: its weights need one positive scale per output channel")


def why_float(node: NodeProto) -> str | None:
    """Why a node has to stay in float, or None where both runtimes compute it in int8, and alike."""
    if node.op_type not in QUANTIZED:
        return f"{node.op_type} has no int8 form in both runtimes"
    if node.op_type == "Resize" and attributes(node).get("mode", b"nearest") != b"nearest":
        return "the int8 kernels for interpolation round differently"
    return None


def weight_axis(node: NodeProto) -> int:
    """The axis of the output channels in the weight of a Conv or Gemm."""
    return 1 if node.op_type == "Gemm" and not attributes(node).get("transB", 0) else 0


def fused_activation(graph: OnnxGraph, node: NodeProto) -> NodeProto | None:
    """The Relu or Clip(0, 6) that alone follows a computed node, and is one operator with it in both runtimes."""
    if node.op_type not in ("Conv", "Gemm", "Add"):
        return None
    follower = graph.only_consumer(node.output[0])
    return follower if follower is not None and is_clamp(graph, follower) else None


def is_clamp(graph: OnnxGraph, node: NodeProto) -> bool:
    """Whether a node is max(x, 0) or min(max(x, 0), 6)."""
    return node.op_type == "Relu" or (node.op_type == "Clip" and clip_bounds(graph, node) == (0.0, 6.0))


def _fused_away(graph: OnnxGraph, name: str) -> bool:
    """Whether a value exists in neither runtime, since its producer and the clamp behind it are one operator."""
    producer = graph.producer.get(name)
    return producer is not None and fused_activation(graph, producer) is not None


def _computed_inputs(graph: OnnxGraph, node: NodeProto) -> list[str]:
    return [name for name in node.input if name and name not in graph.constants]


class _Groups:
    """Values that must share one quantization (union-find)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, name: str) -> str:
        while self._parent.get(name, name) != name:
            name = self._parent[name]
        return name

    def join(self, one: str, other: str) -> None:
        first, second = sorted((self.find(one), self.find(other)))
        self._parent[second] = first


def _groups(graph: OnnxGraph, kept: Mapping[str, str]) -> _Groups:
    groups = _Groups()
    for node in graph.nodes:
        if node.op_type in SHARED and node.output[0] not in kept:
            for name in (*_computed_inputs(graph, node), *node.output):
                if name:
                    groups.join(node.output[0], name)
    return groups


def _fixed(graph: OnnxGraph, kept: dict[str, str], groups: _Groups) -> dict[str, TensorQuantization]:
    """Quantization of the groups that hold a result of fixed range. Raises QuantizationError for contradictions."""
    fixed: dict[str, TensorQuantization] = {}
    for node in graph.nodes:
        if node.op_type in FIXED and node.output[0] not in kept:
            first = groups.find(node.output[0])
            if fixed.setdefault(first, FIXED[node.op_type]) != FIXED[node.op_type]:
                raise QuantizationError(f"{_name(node)}: joined with a value of another fixed scale; keep it in float")
    return fixed


def _name(node: NodeProto) -> str:
    return node.name or node.output[0]
