"""What is inside an .onnx or .tflite file: operators, shapes, precision, cost, card. No runtime is loaded."""

import json
from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import onnx

from converters import onnx_graph
from converters.errors import ConversionError
from converters.onnx_graph import CARD_KEY, OnnxGraph, attributes
from converters.tflite.reader import read_tflite

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """An input or output of the whole graph."""

    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True)
class Operator:
    """One operator. MACs are of convolutions and matrix products, without bias additions."""

    name: str
    kind: str
    inputs: tuple[Shape, ...]
    output: Shape
    dtype: str
    parameters: int
    macs: int
    activation: str | None = None


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


def describe(path: Path) -> Description:
    """Describe a file by its suffix. Raises ConversionError for one that is missing, truncated or something else."""
    if not path.is_file():
        raise ConversionError(f"{path}: no such model file")
    if path.suffix == ".onnx":
        return _describe_onnx(path)
    if path.suffix == ".tflite":
        return _describe_tflite(path)
    raise ConversionError(f"{path}: neither .onnx nor .tflite")


def _card(path: Path, text: str | bytes | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        card = json.loads(text)
    except ValueError as error:
        raise ConversionError(f"{path}: its embedded card is damaged") from error
    return card if isinstance(card, dict) else None


def _describe_onnx(path: Path) -> Description:
    model = onnx_graph.load(path)
    graph = OnnxGraph(model)
    shapes = graph.shapes()
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    operators = []
    for node in graph.nodes:
        if node.op_type == "Constant":
            continue
        weights = [graph.constants[name] for name in node.input if name in graph.constants]
        output = shapes.get(node.output[0], ())
        kind = next((kinds[name] for name in node.input if name in kinds), onnx.TensorProto.FLOAT)
        operators.append(
            Operator(
                node.name or node.output[0],
                node.op_type,
                tuple(shapes.get(name, ()) for name in node.input if name and name not in graph.constants),
                output,
                onnx.TensorProto.DataType.Name(kind).lower(),
                sum(weight.size for weight in weights if weight.dtype.kind == "f"),
                _onnx_macs(node, weights[0].shape if weights else None, shapes, output),
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
    """Conv: outputs times weights per output channel; Gemm and MatMul: outputs times the inner dimension."""
    if node.op_type == "Conv" and weight is not None:
        return prod(output) * prod(weight[1:])
    if node.op_type in ("Gemm", "MatMul"):
        inner = shapes.get(node.input[0], (0,))
        return prod(output) * (inner[-2] if attributes(node).get("transA", 0) else inner[-1])
    return 0


def _describe_tflite(path: Path) -> Description:
    model = read_tflite(path)
    operators = []
    for index, operator in enumerate(model.operators):
        weights = [tensor for tensor in operator.inputs if tensor.constant]
        output = operator.outputs[0]
        macs = 0
        if operator.kind == "CONV_2D" and weights:
            macs = prod(output.shape) * prod(weights[0].shape[1:])
        elif operator.kind == "DEPTHWISE_CONV_2D" and weights:
            macs = prod(output.shape) * prod(weights[0].shape[1:3])
        elif operator.kind == "FULLY_CONNECTED" and weights:
            macs = prod(output.shape) * weights[0].shape[-1]
        operators.append(
            Operator(
                f"{index}:{output.name}",
                operator.kind,
                tuple(tensor.shape for tensor in operator.inputs if not tensor.constant),
                output.shape,
                output.dtype,
                sum(prod(weight.shape) for weight in weights) if macs else 0,
                macs,
                operator.activation,
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
