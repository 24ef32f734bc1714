"""A float TFLite graph made integer by a QuantizationSpec, operator by operator, before it is packed.

Every operator remembers the ONNX node that it was emitted for. Operators of nodes that the spec keeps stay in float,
between a DEQUANTIZE and a QUANTIZE; all others become int8 with the scales of the spec. What is moved on the way
(pads, reshapes, transposes) keeps the scale of where it came from.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.errors import ConversionError
from converters.quantization.spec import (
    LOWEST,
    QuantizationSpec,
    TensorQuantization,
    of_constant,
    quantize_bias,
    quantize_weight,
)
from converters.tflite.builder import Builder

B = schema.BuiltinOperator
OPERATORS = {code: name for name, code in vars(B).items() if isinstance(code, int)}
# The operators with int8 kernels, and the lowest version that has them (LiteRT's versioning/op_version.cc). The version
# of FULLY_CONNECTED does not tell weights per channel apart: 12 is for float inputs.
VERSIONS = {
    B.ADD: 2, B.MUL: 2, B.CONV_2D: 3, B.DEPTHWISE_CONV_2D: 3, B.FULLY_CONNECTED: 4, B.MAX_POOL_2D: 2,
    B.AVERAGE_POOL_2D: 2, B.MEAN: 2, B.REDUCE_MAX: 2, B.CONCATENATION: 2, B.PAD: 2, B.PADV2: 2, B.RESHAPE: 1,
    B.TRANSPOSE: 2, B.SLICE: 2, B.STRIDED_SLICE: 2, B.SPLIT: 2, B.SPLIT_V: 2, B.SOFTMAX: 2, B.LOGISTIC: 2,
    B.TANH: 2, B.RELU: 2, B.RELU6: 2, B.RELU_N1_TO_1: 1, B.PRELU: 1, B.RESIZE_BILINEAR: 2,
    B.RESIZE_NEAREST_NEIGHBOR: 2, B.SPACE_TO_DEPTH: 2, B.DEPTH_TO_SPACE: 2, B.MIRROR_PAD: 2, B.GATHER: 2, B.TILE: 1,
    B.SPACE_TO_BATCH_ND: 2, B.BATCH_TO_SPACE_ND: 2, B.ELU: 1, B.EXP: 2, B.HARD_SWISH: 1, B.GELU: 2,
}  # fmt: skip
# Operators that only move values: a result that the spec does not name has the scale of the first operand.
MOVING = frozenset(
    (B.PAD, B.PADV2, B.RESHAPE, B.TRANSPOSE, B.SLICE, B.STRIDED_SLICE, B.SPLIT, B.SPLIT_V, B.SPACE_TO_DEPTH,
     B.DEPTH_TO_SPACE, B.MIRROR_PAD, B.GATHER, B.CONCATENATION, B.MAX_POOL_2D, B.REDUCE_MAX, B.TILE,
     B.SPACE_TO_BATCH_ND, B.BATCH_TO_SPACE_ND)
)  # fmt: skip
CLAMPS = {B.RELU: float("inf"), B.RELU6: 6.0}  # from zero to there
# The axis of the output channels in the weights.
WEIGHT_AXIS = {B.CONV_2D: 0, B.DEPTHWISE_CONV_2D: 3, B.FULLY_CONNECTED: 0}


class NoInt8Form(ConversionError):
    """Nodes whose operators have no int8 kernel or no scale, by the name of their first output, and why."""

    def __init__(self, nodes: dict[str, str]):
        name, reason = next(iter(nodes.items()))
        super().__init__(f"{name}: {reason}; keep it in float")
        self.nodes = nodes


def quantize_operators(
    builder: Builder,
    spec: QuantizationSpec,
    inputs: dict[str, int],
    outputs: dict[str, int],
    integers: Collection[str],
    *,
    integer_io: bool = False,
) -> dict[str, int]:
    """Make the builder's graph int8 where the spec says so; returns the output tensors.

    inputs, outputs: tensors by the names of the signature; integers: the outputs that integers stand for. With
    `integer_io` input and these become int8, otherwise they stay float32 behind a QUANTIZE and before a DEQUANTIZE.
    Raises NoInt8Form for nodes that are to be int8 and cannot.
    """
    return _Quantizer(builder, spec).run(integer_io, inputs, outputs, integers)


class _Quantizer:
    def __init__(self, builder: Builder, spec: QuantizationSpec):
        self.builder, self.spec = builder, spec
        self.quantization: dict[int, TensorQuantization] = {}  # of the tensors that are int8
        self.converted: dict[tuple[int, bool], int] = {}  # (tensor, wanted as int8) -> its other form
        self.requantized: dict[tuple[int, TensorQuantization], int] = {}
        self.problems: dict[str, str] = {}

    def run(
        self, integer_io: bool, inputs: dict[str, int], outputs: dict[str, int], integers: Collection[str]
    ) -> dict[str, int]:
        if integer_io:
            for name, tensor in inputs.items():
                self._mark(tensor, self.spec.activations[name])
        for operator, origin in self.builder.take_operators():
            if origin in self.spec.kept:
                operator.inputs = [self._as_float(tensor) for tensor in operator.inputs]
                self.builder.append(operator, origin)
            else:
                self._quantize(operator, origin)
        if self.problems:
            raise NoInt8Form(self.problems)
        # Integers, though a node may have emitted nothing that would have made it so (a view).
        stored = {name: self._as_int8(tensor, name) if name in integers else tensor for name, tensor in outputs.items()}
        return {
            name: tensor if integer_io and name in integers else self._as_float(tensor)
            for name, tensor in stored.items()
        }

    def _quantize(self, operator: Any, origin: str) -> None:
        code, version = self.builder.code_of(operator)
        if code == B.LEAKY_RELU:
            code, version = self._as_prelu(operator)
        if code not in VERSIONS:
            self.problems[origin] = f"{OPERATORS[code]} has no int8 kernel in TFLite"
            return
        values = [tensor for tensor in operator.inputs if tensor >= 0 and self.builder.is_computed(tensor)]
        made = {tensor: self._as_int8(tensor, self.builder.name(tensor)) for tensor in values}
        first = self.quantization.get(made[values[0]]) if values else None
        if first is None:
            self.problems[origin] = "its input has no scale"
            return
        for tensor in operator.outputs:
            found = self.spec.activations.get(self.builder.name(tensor))
            if found is None and code not in MOVING:
                self.problems[origin] = f"{OPERATORS[code]} computes a value that was not calibrated"
                return
            self._mark(tensor, found or first)
        if code in CLAMPS and self._saturates_alike(code, operator.outputs[0], first):
            self.builder.operator(
                B.QUANTIZE, [self._as_float(made[values[0]])], operator.outputs, schema.QuantizeOptionsT()
            )
            return
        if code in MOVING:  # operands and result have one scale: the result's, where the spec gives it one
            first = self.quantization[operator.outputs[0]]
            made = {tensor: self._requantized(other, first) for tensor, other in made.items()}
        operator.inputs = [made.get(tensor, tensor) for tensor in operator.inputs]
        if code in WEIGHT_AXIS:
            self._quantize_weights(operator, WEIGHT_AXIS[code], first)
        else:
            operator.inputs = [self._constant(tensor, code, first) for tensor in operator.inputs]
        operator.opcodeIndex = self.builder.code(code, max(version, self._version(code, operator)))
        self.builder.append(operator, origin)

    def _saturates_alike(self, code: int, result: int, source: TensorQuantization) -> bool:
        """Whether a clamp changes the scale, and its bounds are the ends of the new one: a change of scale does it."""
        found = self.quantization[result]
        return found != source and found.zero_point == LOWEST and found.high <= CLAMPS[code] * (1 + 1e-6)

    def _version(self, code: int, operator: Any) -> int:
        """The lowest version that has an operator in int8. A MUL that makes its products larger came with version 3."""
        if code == B.MUL:
            one, other, product = (self.quantization[tensor].scale for tensor in (*operator.inputs, *operator.outputs))
            if one * other >= product:
                return 3
        return VERSIONS[code]

    def _as_prelu(self, operator: Any) -> tuple[int, int]:
        """LEAKY_RELU as a PRELU, whose kernel multiplies by more than the eight bits of XNNPACK's for the former."""
        rank = max(len(self.builder.shape(operator.inputs[0])) - 1, 0)
        slope = self.builder.constant("slope", np.full((1,) * rank, operator.builtinOptions.alpha, np.float32))
        operator.inputs = [*operator.inputs, slope]
        operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.NONE, None
        return B.PRELU, 1

    def _quantize_weights(self, operator: Any, axis: int, source: TensorQuantization) -> None:
        weight, bias = operator.inputs[1:3]
        scales = self.spec.weights[self.builder.name(weight)]
        stored = self.builder.constant(self.builder.name(weight), self._weights(weight, scales, axis))
        self.builder.quantize(stored, scales, np.zeros(len(scales)), axis)
        steps, products = quantize_bias(self.builder.value(bias), source.scale, scales)
        shift = self.builder.constant(self.builder.name(bias), steps)
        self.builder.quantize(shift, products, np.zeros(len(products)))
        operator.inputs = [operator.inputs[0], stored, shift]

    def _weights(self, tensor: int, scales: np.ndarray, axis: int) -> np.ndarray:
        """Weights in int8; some at a time where the output channels are their first axis."""
        if axis != 0:
            return quantize_weight(self.builder.value(tensor), scales, axis)
        made, start = [], 0
        for part in self.builder.parts(tensor):
            made.append(quantize_weight(part, scales[start : start + len(part)]))
            start += len(part)
        return np.concatenate(made)

    def _constant(self, tensor: int, code: int, source: TensorQuantization) -> int:
        """A float32 constant operand in int8: by its own range, or as the tensor's that it is put into."""
        if tensor < 0 or self.builder.is_computed(tensor) or not self.builder.is_float(tensor):
            return tensor
        value = self.builder.value(tensor)
        quantization = source if code in MOVING else of_constant(value)
        stored = self.builder.constant(self.builder.name(tensor), quantization.quantize(value))
        self._mark(stored, quantization)
        return stored

    def _as_int8(self, tensor: int, name: str) -> int:
        if tensor in self.quantization:
            return tensor
        if (tensor, True) not in self.converted:
            names = (each for each in (name, *self.builder.aliases.get(tensor, ())) if each in self.spec.activations)
            quantization = self.spec.activations.get(next(names, name))
            if quantization is None:
                return tensor
            made = self.builder.activation(f"{name}.int8", self.builder.shape(tensor))
            self._mark(made, quantization)
            self.builder.operator(B.QUANTIZE, [tensor], [made], schema.QuantizeOptionsT())
            self.converted[tensor, True] = made
        return self.converted[tensor, True]

    def _requantized(self, tensor: int, wanted: TensorQuantization) -> int:
        """An int8 tensor in another scale: through float, for XNNPACK's own requantization multiplies by eight bits."""
        if self.quantization[tensor] == wanted:
            return tensor
        if (tensor, wanted) not in self.requantized:
            made = self.builder.activation(f"{self.builder.name(tensor)}.requantized", self.builder.shape(tensor))
            self._mark(made, wanted)
            self.builder.operator(B.QUANTIZE, [self._as_float(tensor)], [made], schema.QuantizeOptionsT())
            self.requantized[tensor, wanted] = made
        return self.requantized[tensor, wanted]

    def _as_float(self, tensor: int) -> int:
        if tensor not in self.quantization:
            return tensor
        if (tensor, False) not in self.converted:
            made = self.builder.activation(f"{self.builder.name(tensor)}.float", self.builder.shape(tensor))
            self.builder.operator(B.DEQUANTIZE, [tensor], [made], schema.DequantizeOptionsT(), 2)
            self.converted[tensor, False] = made
        return self.converted[tensor, False]

    def _mark(self, tensor: int, quantization: TensorQuantization) -> None:
        self.quantization[tensor] = quantization
        self.builder.quantize(tensor, np.array([quantization.scale]), np.array([quantization.zero_point]))
