"""A quantized graph for ONNX Runtime: QuantizeLinear and DequantizeLinear around every value (QDQ)."""

from typing import Any, Literal

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from converters.onnx_graph import OnnxGraph, drop_unused
from converters.onnx_verify import copy_fields
from converters.passes.own_functions import spelled_out
from converters.quantization.rules import LINEAR, check, fused_activation, is_joint, pads_with_zeros, weight_axis
from converters.quantization.spec import (
    QuantizationSpec,
    TensorQuantization,
    of_constant,
    quantize_bias,
    quantize_weight,
)

ActivationType = Literal["uint8", "int8"]
UNSIGNED_SHIFT = 128  # uint8 counts from 0, int8 from -128; the scales are the same


def write_qdq(
    model: ModelProto,
    spec: QuantizationSpec,
    *,
    activations: ActivationType = "uint8",
    quantized_io: bool = False,
) -> ModelProto:
    """The graph with the quantization of `spec`, as a new model; its values keep their names.

    activations: ONNX Runtime's x86 kernels multiply uint8 by int8; "int8" is the twin with the same scales.
    quantized_io: input and `integer_outputs` are integers instead of float32. Raises QuantizationError for a broken
    rule.
    """
    graph = OnnxGraph(model)
    check(graph, spec)
    return _Writer(graph, spec, activations, quantized_io).write()


def integer_outputs(graph: OnnxGraph, spec: QuantizationSpec) -> list[str]:
    """The outputs that integers stand for: all but those of nodes that stay in float."""
    producers = {value.name: graph.producer.get(value.name) for value in graph.outputs}
    return [
        name
        for name, node in producers.items()
        if name in spec.activations and node is not None and node.output[0] not in spec.kept
    ]


class _Writer:
    """One graph being rewritten."""

    def __init__(self, graph: OnnxGraph, spec: QuantizationSpec, activations: ActivationType, quantized_io: bool):
        self.graph, self.spec, self.quantized_io = graph, spec, quantized_io
        self.signed = activations == "int8"
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, Any] = {}
        self.dequantized: set[str] = set()  # values whose dequantized form stands in the graph
        self.floats: set[str] = set()  # values that exist as float under their own name
        self.integers: dict[str, str] = {}  # what a value is called as integers

    def write(self) -> ModelProto:
        source = self.graph.inputs[0].name
        if self.quantized_io:
            self._dequantize(source, source)
        else:
            self.floats.add(source)
            if source in self.spec.activations:
                self._quantize(source)
        skipped: set[str] = set()
        for node in self.graph.nodes:
            if node.op_type == "Constant" or node.output[0] in skipped:
                continue
            if node.output[0] in self.spec.kept:
                self._float_node(node)
            else:
                self._quantized_node(node, skipped)
        return self._model()

    def _float_node(self, node: NodeProto) -> None:
        made = NodeProto()
        made.CopyFrom(node)
        if node.op_type == "GlobalAveragePool":
            # Between integers ONNX Runtime makes it int8 again, by a kernel that does not take all scales.
            axes = list(range(2, len(self.graph.shapes()[node.input[0]])))
            made = helper.make_node("ReduceMean", node.input, node.output, node.name, axes=axes, keepdims=1)
        for index, name in enumerate(made.input):
            if name in self.graph.constants:
                self.constants[name] = self.graph.constants[name]
            elif name and name not in self.floats:
                made.input[index] = dequantized_name(name)
        self.nodes.append(made)
        for name in node.output:
            self.floats.add(name)
            if name in self.spec.activations and self._needed_quantized(name):
                self._quantize(name)

    def _quantized_node(self, node: NodeProto, skipped: set[str]) -> None:
        inner = node.output[0] not in self.graph.output_names
        if inner and node.op_type == "Pad" and pads_with_zeros(self.graph, node):
            self._pad(node)
            return
        made = NodeProto()
        made.CopyFrom(node)
        for index, name in enumerate(made.input):
            if name in self.graph.constants:
                made.input[index] = self._constant(node, index)
            elif name in self.spec.activations:
                made.input[index] = self._operand(node, name)
        self.nodes.append(made)
        clamp = fused_activation(self.graph, node)
        if clamp is not None:
            skipped.add(clamp.output[0])
            result = self.spec.activations[clamp.output[0]]
            if _clamps_itself(clamp, result):
                made.output[0] = _computed(clamp.output[0])
            else:
                follower = NodeProto()
                follower.CopyFrom(clamp)
                for name in clamp.input[1:]:
                    self.constants[name] = self.graph.constants[name]
                follower.output[0] = _computed(clamp.output[0])
                self.nodes.append(follower)
            self._requantize(clamp.output[0])
            return
        for index, name in enumerate(node.output):
            if name:
                made.output[index] = _computed(name)
                self._requantize(name)

    def _pad(self, node: NodeProto) -> None:
        """A Pad with zeros, of integers: ONNX Runtime would go through float."""
        source, amounts, target = node.input[0], node.input[1], node.output[0]
        self.constants[amounts] = self.graph.constants[amounts]
        inputs = [self.integers[source], amounts, f"{target}.zero_point"]
        self.nodes.append(helper.make_node("Pad", inputs, [quantized_name(target)], node.name))
        self._dequantize(target, quantized_name(target))

    def _operand(self, node: NodeProto, name: str) -> str:
        """A computed operand, dequantized; in the scale of the result where values meet.

        ONNX Runtime's own Concat takes operands of any scale.
        """
        if not is_joint(self.graph, node) or node.op_type == "Concat":
            return dequantized_name(name)
        result = self.spec.activations[node.output[0]]
        if result == self.spec.activations[name]:
            return dequantized_name(name)
        entering = f"{node.output[0]}.from.{name}"
        self._linear("QuantizeLinear", dequantized_name(name), quantized_name(entering), node.output[0], result)
        self._linear("DequantizeLinear", quantized_name(entering), dequantized_name(entering), node.output[0], result)
        return dequantized_name(entering)

    def _constant(self, node: NodeProto, index: int) -> str:
        """A constant operand: weights and biases in integers, shapes and axes as they are, others by their range."""
        name = node.input[index]
        value = self.graph.constants[name]
        if value.dtype != np.float32:
            self.constants[name] = value
            return name
        if node.op_type in LINEAR and index == 1:
            axis, scales = weight_axis(node), self.spec.weights[name]
            stored = f"{name}.int8"
            if stored not in self.constants:
                self._stored(stored, quantize_weight(value, scales, axis), scales, axis)
            return f"{stored}.dequantized"
        if node.op_type in LINEAR and index == 2:
            scale = self.spec.activations[node.input[0]].scale
            bias, products = quantize_bias(value, scale, self.spec.weights[node.input[1]])
            stored = f"{node.output[0]}.bias.int32"
            self._stored(stored, bias, products, 0)
            return f"{stored}.dequantized"
        if node.op_type in ("Add", "Mul"):
            stored, quantization = f"{name}.constant", of_constant(value)
            if stored not in self.constants:
                self.constants[stored] = self._integers(quantization.quantize(value))
                self._linear("DequantizeLinear", stored, f"{stored}.dequantized", stored, quantization)
            return f"{stored}.dequantized"
        self.constants[name] = value
        return name

    def _stored(self, name: str, value: np.ndarray, scales: np.ndarray, axis: int) -> None:
        self.constants[name] = value
        self.constants[f"{name}.scale"] = scales
        self.constants[f"{name}.zero_point"] = np.zeros(len(scales), value.dtype)
        inputs = [name, f"{name}.scale", f"{name}.zero_point"]
        self.nodes.append(
            helper.make_node("DequantizeLinear", inputs, [f"{name}.dequantized"], f"{name}.dequantize", axis=axis)
        )

    def _requantize(self, name: str) -> None:
        """Quantize a computed value, and dequantize it for whoever reads it as float."""
        self._linear("QuantizeLinear", _computed(name), quantized_name(name), name, self.spec.activations[name])
        if name in self.graph.output_names and self.quantized_io:
            self.nodes[-1].output[0] = name
            self._dequantize(name, name)
            return
        self._dequantize(name, quantized_name(name))
        if name in self.graph.output_names:
            self._linear("DequantizeLinear", quantized_name(name), name, name, self.spec.activations[name])
            self.floats.add(name)

    def _quantize(self, name: str) -> None:
        self._linear("QuantizeLinear", name, quantized_name(name), name, self.spec.activations[name])
        self._dequantize(name, quantized_name(name))

    def _dequantize(self, name: str, stored: str) -> None:
        self.integers[name] = stored
        self._linear("DequantizeLinear", stored, dequantized_name(name), name, self.spec.activations[name])

    def _linear(self, kind: str, source: str, target: str, name: str, quantization: TensorQuantization) -> None:
        scale, zero_point = f"{name}.scale", f"{name}.zero_point"
        self.constants[scale] = np.float32(quantization.scale)
        shift = 0 if self.signed else UNSIGNED_SHIFT
        self.constants[zero_point] = (np.int8 if self.signed else np.uint8)(quantization.zero_point + shift)
        self.nodes.append(helper.make_node(kind, [source, scale, zero_point], [target], f"{target}.{kind}"))

    def _integers(self, values: np.ndarray) -> np.ndarray:
        return values if self.signed else as_unsigned(values)

    def _needed_quantized(self, name: str) -> bool:
        return any(user.output[0] not in self.spec.kept for user in self.graph.consumers[name])

    def _model(self) -> ModelProto:
        source, model = self.graph.model, ModelProto()
        copy_fields(source, model, but=("graph",))
        copy_fields(source.graph, model.graph, but=("node", "initializer", "value_info"))
        model.graph.node.extend(self.nodes)
        model.graph.initializer.extend(
            numpy_helper.from_array(np.asarray(value), name) for name, value in self.constants.items()
        )
        if self.quantized_io:
            kind = TensorProto.INT8 if self.signed else TensorProto.UINT8
            integers = {self.graph.inputs[0].name, *integer_outputs(self.graph, self.spec)}
            for value in (*model.graph.input, *model.graph.output):
                if value.name in integers:
                    value.type.tensor_type.elem_type = kind
        drop_unused(model)
        return spelled_out(model)


def as_unsigned(values: np.ndarray) -> np.ndarray:
    """int8 as the uint8 of the same real values."""
    return (values.astype(np.int16) + UNSIGNED_SHIFT).astype(np.uint8)


def as_signed(values: np.ndarray) -> np.ndarray:
    """uint8 as the int8 of the same real values."""
    return (values.astype(np.int16) - UNSIGNED_SHIFT).astype(np.int8)


def _clamps_itself(clamp: NodeProto, result: TensorQuantization) -> bool:
    """Whether saturation does what the clamp does: nothing below 0 (or above 6) can be represented."""
    low = result.zero_point == -128
    return low and (clamp.op_type == "Relu" or result.high <= 6.0 * (1 + 1e-6))


def _computed(name: str) -> str:
    return f"{name}.computed"


def quantized_name(name: str) -> str:
    """What a value is called where it is stored as integers."""
    return f"{name}.quantized"


def dequantized_name(name: str) -> str:
    """What a value is called where it is float again."""
    return f"{name}.dequantized"
