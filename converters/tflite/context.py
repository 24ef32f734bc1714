"""What an operator's emitter sees of the graph around it: tensors in NHWC, constants, fused activations."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.errors import ConversionError, UnsupportedOperator
from converters.onnx_graph import OnnxGraph, attributes
from converters.tflite.builder import Builder

Emitter = Callable[["Context", NodeProto], None]
EMITTERS: dict[str, Emitter] = {}


def emits(*operators: str) -> Callable[[Emitter], Emitter]:
    """Register a function as the emitter of ONNX operators."""

    def register(function: Emitter) -> Emitter:
        EMITTERS.update(dict.fromkeys(operators, function))
        return function

    return register


def nhwc(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A 4-D NCHW shape as NHWC; any other as it is."""
    return (shape[0], shape[2], shape[3], shape[1]) if len(shape) == 4 else tuple(shape)


class Context:
    """The state of one emission. ONNX values of four dimensions live in NHWC, all others as they are."""

    def __init__(self, graph: OnnxGraph, builder: Builder):
        self.graph, self.builder = graph, builder
        self.shapes = graph.shapes()
        self.tensors: dict[str, int] = {}
        self.non_negative: set[str] = set()
        # Values that were flattened from NHWC memory: their (H, W, C), for the weights of what follows.
        self.flattened: dict[str, tuple[int, int, int]] = {}
        self._done: set[str] = set()

    def emit(self, node: NodeProto) -> None:
        """Emit one node, unless an earlier one has taken it in."""
        if node.op_type == "Constant" or node.output[0] in self._done:
            return
        emitter = EMITTERS.get(node.op_type)
        if emitter is None:
            raise self.unsupported(node)
        emitter(self, node)
        if node.op_type in ("Relu", "MaxPool", "AveragePool") and (
            node.op_type == "Relu" or node.input[0] in self.non_negative
        ):
            self.non_negative.add(node.output[0])

    def unsupported(self, node: NodeProto, detail: str = "") -> UnsupportedOperator:
        """The error that names a node, what of it is not known, and the operators that are."""
        return UnsupportedOperator(node.op_type, node.name or node.output[0], EMITTERS, detail)

    def tensor(self, name: str) -> int:
        """The tensor of an ONNX value; a constant is stored, in NHWC where it has four dimensions."""
        if name not in self.tensors:
            if name not in self.graph.constants:
                raise ConversionError(f"the value {name} is used before it is computed")
            self.tensors[name] = self.constant(name, self.graph.constants[name])
        return self.tensors[name]

    def constant(self, name: str, value: np.ndarray) -> int:
        """Store a constant; float values as float32, four dimensions as NHWC."""
        if value.ndim == 4:
            value = value.transpose(0, 2, 3, 1)
        return self.raw(name, value.astype(np.float32))

    def raw(self, name: str, value: np.ndarray) -> int:
        """Store a constant exactly as it is."""
        return self.builder.constant(name, value)

    def weight(self, node: NodeProto, index: int = 1) -> np.ndarray:
        """An input of a node that must be constant."""
        name = node.input[index]
        if name not in self.graph.constants:
            raise self.unsupported(node, f"an input {index} that is computed")
        return self.graph.constants[name]

    def bias(self, node: NodeProto, channels: int) -> np.ndarray:
        """A node's third input as float32 (channels,), or zeros."""
        if len(node.input) > 2 and node.input[2]:
            return self.weight(node, 2).astype(np.float32)
        return np.zeros(channels, np.float32)

    def alias(self, node: NodeProto) -> None:
        """A node that changes nothing: its output is its input."""
        source, target = node.input[0], node.output[0]
        self.tensors[target] = self.tensor(source)
        if source in self.flattened:
            self.flattened[target] = self.flattened[source]
        if source in self.non_negative:
            self.non_negative.add(target)

    def output(self, node: NodeProto) -> int:
        """A new tensor for a node's output."""
        return self._new(node.output[0], nhwc(self.shapes[node.output[0]]))

    def output_as(self, name: str, shape: tuple[int, ...]) -> int:
        """A new tensor for a value under a shape of its own."""
        return self._new(name, shape)

    def fused_output(self, node: NodeProto) -> tuple[int, int]:
        """(tensor, activation): the node's output, or that of the Relu or Clip(0, 6) that alone follows it."""
        name = node.output[0]
        follower = self.graph.only_consumer(name)
        if follower is not None:
            activation = activation_of(self.graph, follower)
            if activation is not None:
                self.absorb(follower)
                self.non_negative.add(follower.output[0])
                return self._new(follower.output[0], nhwc(self.shapes[name])), activation
        return self.output(node), schema.ActivationFunctionType.NONE

    def absorb(self, node: NodeProto) -> None:
        """Mark a node as emitted together with an earlier one."""
        self._done.add(node.output[0])

    def operator(self, code: int, inputs: list[int], outputs: list[int], options: Any = None, version: int = 1) -> None:
        """Append a TFLite operator."""
        self.builder.operator(code, inputs, outputs, options, version)

    def _new(self, name: str, shape: tuple[int, ...]) -> int:
        self.tensors[name] = self.builder.activation(name, shape)
        return self.tensors[name]


def activation_of(graph: OnnxGraph, node: NodeProto) -> int | None:
    """The activation function that a node is, if TFLite can fuse it."""
    if node.op_type == "Relu":
        return schema.ActivationFunctionType.RELU
    if node.op_type == "Clip" and clip_bounds(graph, node) == (0.0, 6.0):
        return schema.ActivationFunctionType.RELU6
    return None


def clip_bounds(graph: OnnxGraph, node: NodeProto) -> tuple[float, float] | None:
    """Lower and upper bound of a Clip with constant ones."""
    given = attributes(node)
    if "min" in given and "max" in given:  # opset 6
        return float(given["min"]), float(given["max"])
    if len(node.input) == 3 and all(name in graph.constants for name in node.input[1:]):
        return float(graph.constants[node.input[1]]), float(graph.constants[node.input[2]])
    return None
