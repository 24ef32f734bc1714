"""What is inside an .onnx or .tflite file: operators, shapes, precision, cost, card. No runtime is loaded.

This is for files that we have made; inspect_apart is for those of others.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from converters import onnx_graph
from converters.errors import ConversionError
from converters.onnx_graph import CARD_KEY, OnnxGraph, attributes
from converters.tflite.reader import read_tflite

Shape = tuple[int, ...]
SUFFIXES = (".onnx", ".tflite")
MAXIMUM_CARD, MAXIMUM_CARD_DEPTH = 16 * 1024**2, 32
# Output channels that kernels compute at a time on ARM: XNNPACK's tiles for NEON are 8 floats or 16 int8 wide.
LANES = {"float": 8, "float16": 8, "float32": 8, "int8": 16}
IMAGE_CHANNELS = 4  # so few come from an image, and cannot be chosen


@dataclass(frozen=True)
class Value:
    """An input or output of the whole graph."""

    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True)
class Operator:
    """One operator. MACs are of convolutions and matrix products, without bias additions.

    reads, writes: names of its tensors that are no constants, as many as `inputs`, and its outputs. form: what computes
    its MACs (pointwise, depthwise, grouped, standard, transposed, dense). channels: into and out of a convolution.
    """

    name: str
    kind: str
    inputs: tuple[Shape, ...]
    output: Shape
    dtype: str
    parameters: int
    macs: int
    activation: str | None = None
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    form: str | None = None
    channels: tuple[int, int] | None = None

    @property
    def bytes(self) -> int:
        """What it reads and writes at least: inputs, output and weights, once."""
        return self.bytes_each * (sum(map(prod, self.inputs)) + prod(self.output) + self.parameters)

    @property
    def idle_lanes(self) -> float:
        """The share of a convolution's work that kernels do for channels that do not exist."""
        lanes, used = LANES.get(self.dtype, 1), 1.0
        for count in self.channels or ():
            if count > IMAGE_CHANNELS:
                used *= count / (-(-count // lanes) * lanes)
        return 1 - used

    @property
    def bytes_each(self) -> int:
        """Of one number."""
        return np.dtype("float32" if self.dtype == "float" else self.dtype).itemsize


@dataclass(frozen=True)
class Transpose:
    """A transpose, and the bytes that it reads and writes."""

    name: str
    input: Shape
    output: Shape
    bytes: int


@dataclass(frozen=True)
class Description:
    """A model file. Shapes are the file's own: NCHW in ONNX, NHWC in TFLite."""

    format: str
    bytes: int
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    operators: tuple[Operator, ...]
    card: dict[str, Any] | None

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(operator.macs for operator in self.operators)

    @property
    def parameters(self) -> int:
        """Numbers that weights and biases hold."""
        return sum(operator.parameters for operator in self.operators)

    @property
    def counts(self) -> dict[str, int]:
        """Operators by kind, the most frequent first."""
        return dict(Counter(operator.kind for operator in self.operators).most_common())

    def flags(self, operator: Operator) -> tuple[str, ...]:
        """What is known to make one of the operators slow: transpose, odd-channels, float-island."""
        found = []
        if operator.kind.upper() == "TRANSPOSE":
            found.append("transpose")
        if operator.idle_lanes > 0:
            found.append("odd-channels")
        computes_in_float = operator.macs > 0 and operator.dtype.startswith("float")
        if computes_in_float and any(other.dtype == "int8" and other.macs for other in self.operators):
            found.append("float-island")
        return tuple(found)

    @property
    def transposes(self) -> tuple[Transpose, ...]:
        """The operators that do nothing but move data from one layout to another."""
        return tuple(
            Transpose(
                operator.name, operator.inputs[0], operator.output, 2 * prod(operator.output) * operator.bytes_each
            )
            for operator in self.operators
            if operator.kind.upper() == "TRANSPOSE" and operator.inputs
        )


def describe(path: Path) -> Description:
    """Describe a file by its suffix. Raises ConversionError for one that is missing, truncated or something else."""
    if not path.is_file():
        what = "a folder, but no bundle" if path.is_dir() else "no such model file"
        raise ConversionError(f"{path}: {what}")
    if path.suffix not in SUFFIXES:
        raise ConversionError(f"{path}: neither .onnx nor .tflite")
    try:
        found = _describe_onnx(path) if path.suffix == ".onnx" else _describe_tflite(path)
        parts: list[Value | Operator] = [*found.inputs, *found.outputs, *found.operators]
        names = [*(part.name for part in parts), *(operator.kind for operator in found.operators)]
        if not all(isinstance(name, str) for name in names):
            raise ValueError("a name is no text")  # protobuf hands such a name on as bytes
        return found
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        # What passes the checks may still not fit together: a damaged file can make any of these.
        reason = onnx_graph.first_line(error)
        raise ConversionError(f"{path}: a damaged model; export it again ({reason})") from error


def _card(path: Path, text: str | bytes | None) -> dict[str, Any] | None:
    """The embedded card: an object of JSON as others can read it, too, not deeper than any card is."""
    if text is None:
        return None
    try:
        if len(text) > MAXIMUM_CARD:
            raise ValueError("too large")
        card = json.loads(text)
        json.dumps(card, allow_nan=False, ensure_ascii=False).encode()
        level = [card]
        for _ in range(MAXIMUM_CARD_DEPTH):
            level = [part for parts in level if isinstance(parts, dict | list) for part in _parts(parts)]
        if level:
            raise ValueError("too deep")
    except (ValueError, RecursionError) as error:
        raise ConversionError(f"{path}: its embedded card is damaged") from error
    return card if isinstance(card, dict) else None


def _parts(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _describe_onnx(path: Path) -> Description:
    model = onnx_graph.load(path)
    graph = OnnxGraph(model)
    shapes = graph.shapes()
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    operators = []
    for node in graph.nodes:
        if node.op_type == "Constant":
            continue
        if node.op_type == "DequantizeLinear" and node.input[0] in kinds:
            kinds[node.output[0]] = kinds[node.input[0]]  # a stored weight, as its user sees it
            continue
        weights = [name for name in node.input if name in kinds]
        reads = tuple(name for name in node.input if name and name not in kinds)
        weight = shapes.get(weights[0]) if weights else None
        output = shapes.get(node.output[0], ())
        kind = kinds[weights[0]] if weights else onnx.TensorProto.FLOAT
        macs = _onnx_macs(node, weight, shapes, output)
        inputs = tuple(shapes.get(name, ()) for name in reads)
        convolves = macs > 0 and node.op_type.startswith("Conv") and inputs != ()
        operators.append(
            Operator(
                node.name or node.output[0],
                node.op_type,
                inputs,
                output,
                onnx.TensorProto.DataType.Name(kind).lower(),
                sum(prod(shapes[name]) for name in weights if kinds[name] != onnx.TensorProto.INT64)
                if node.op_type != "QuantizeLinear"
                else 0,
                macs,
                reads=reads,
                writes=tuple(name for name in node.output if name),
                form=_onnx_form(node, weight) if macs else None,
                channels=(inputs[0][1], output[1]) if convolves else None,
            )
        )
    card = next((entry.value for entry in model.metadata_props if entry.key == CARD_KEY), None)
    return Description(
        "onnx",
        path.stat().st_size,
        tuple(_onnx_value(value, shapes) for value in graph.inputs),
        tuple(_onnx_value(value, shapes) for value in graph.outputs),
        tuple(operators),
        _card(path, card),
    )


def _onnx_value(value: onnx.ValueInfoProto, shapes: dict[str, Shape]) -> Value:
    kind = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
    return Value(value.name, shapes[value.name], "float32" if kind == "float" else kind)


def _onnx_macs(node: onnx.NodeProto, weight: Shape | None, shapes: dict[str, Shape], output: Shape) -> int:
    """Conv: outputs times weights per output channel; Gemm and MatMul: outputs times the inner dimension.

    ConvTranspose: inputs times weights per input channel, padding counted.
    """
    if node.op_type == "Conv" and weight is not None:
        return prod(output) * prod(weight[1:])
    if node.op_type == "ConvTranspose" and weight is not None:
        return prod(shapes.get(node.input[0], (0,))) * prod(weight[1:])
    if node.op_type in ("Gemm", "MatMul"):
        inner = shapes.get(node.input[0], (0,))
        return prod(output) * (inner[-2] if attributes(node).get("transA", 0) else inner[-1])
    return 0


def _onnx_form(node: onnx.NodeProto, weight: Shape | None) -> str:
    if node.op_type != "Conv" or weight is None:
        return "transposed" if node.op_type == "ConvTranspose" else "dense"
    if attributes(node).get("group", 1) > 1:
        return "depthwise" if weight[1] == 1 else "grouped"
    return "pointwise" if prod(weight[2:]) == 1 else "standard"


def _describe_tflite(path: Path) -> Description:
    model = read_tflite(path)
    operators = []
    expanded: dict[str, str] = {}  # weights that are stored in another type: that type
    for index, operator in enumerate(model.operators):
        if operator.expands_constant:
            expanded[operator.outputs[0].name] = operator.inputs[0].dtype
            continue
        weights = [tensor for tensor in operator.inputs if tensor.constant or tensor.name in expanded]
        if operator.kind == "TRANSPOSE_CONV":
            del weights[:1]  # the size of its result
        computed = [tensor for tensor in operator.inputs if not tensor.constant and tensor.name not in expanded]
        values = [tensor.shape for tensor in computed]
        output = operator.outputs[0]
        macs = 0
        if operator.kind == "CONV_2D" and weights:
            macs = prod(output.shape) * prod(weights[0].shape[1:])
        elif operator.kind == "DEPTHWISE_CONV_2D" and weights:
            macs = prod(output.shape) * prod(weights[0].shape[1:3])
        elif operator.kind == "FULLY_CONNECTED" and weights:
            macs = prod(output.shape) * weights[0].shape[-1]
        elif operator.kind == "TRANSPOSE_CONV" and weights and values:
            macs = prod(values[0]) * prod(weights[0].shape[:3])
        elif operator.kind == "BATCH_MATMUL" and values:
            macs = output.shape[-1] * prod(operator.inputs[0].shape)
        operators.append(
            Operator(
                f"{index}:{output.name}",
                operator.kind,
                tuple(values),
                output.shape,
                expanded.get(weights[0].name, output.dtype) if weights else output.dtype,
                sum(prod(weight.shape) for weight in weights) if macs else 0,
                macs,
                operator.activation,
                tuple(tensor.name for tensor in computed),
                tuple(tensor.name for tensor in operator.outputs),
                _tflite_form(operator.kind, weights[0].shape, values[0]) if macs and weights and values else None,
                (values[0][-1], output.shape[-1]) if macs and "CONV" in operator.kind else None,
            )
        )
    return Description(
        "tflite",
        path.stat().st_size,
        tuple(Value(tensor.name, tensor.shape, tensor.dtype) for tensor in model.inputs),
        tuple(Value(tensor.name, tensor.shape, tensor.dtype) for tensor in model.outputs),
        tuple(operators),
        _card(path, model.metadata.get(CARD_KEY)),
    )


def _tflite_form(kind: str, weight: Shape, value: Shape) -> str:
    if kind == "CONV_2D" and weight[-1] == value[-1]:
        return "pointwise" if prod(weight[1:3]) == 1 else "standard"
    return {"CONV_2D": "grouped", "DEPTHWISE_CONV_2D": "depthwise", "TRANSPOSE_CONV": "transposed"}.get(kind, "dense")
