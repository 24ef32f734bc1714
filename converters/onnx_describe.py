"""What is inside an .onnx file."""

from math import prod
from pathlib import Path

import onnx

from converters import onnx_graph
from converters.description import Description, Operator, Shape, Value, card_of
from converters.onnx_graph import CARD_KEY, OnnxGraph, attributes

# Their constants are scales, and what is padded with.
NO_WEIGHTS = frozenset(("QuantizeLinear", "DequantizeLinear", "Pad"))


def describe_onnx(path: Path) -> Description:
    """Raises ConversionError for a file that is no ONNX model."""
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
                if node.op_type not in NO_WEIGHTS
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
        card_of(path, card),
    )


def _onnx_value(value: onnx.ValueInfoProto, shapes: dict[str, Shape]) -> Value:
    kind = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
    dimensions = enumerate(value.type.tensor_type.shape.dim)
    free = ((place, size.dim_param) for place, size in dimensions if place and not size.HasField("dim_value"))
    words = tuple(f"{place} ({name})" if name else str(place) for place, name in free)
    return Value(value.name, shapes[value.name], "float32" if kind == "float" else kind, words)


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
