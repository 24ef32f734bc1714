"""Hosts that saturate uint8 x int8, and the int8-activation twin that they compute right.

x86 without VNNI multiplies with VPMADDUBSW, which adds two products in 16 bits with saturation: large sums are cut off
(Intel SDM, volume 2). ONNX Runtime's kernels for int8 x int8 are slow there, and exact.
"""

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from converters import onnx_graph
from converters.onnx_graph import OnnxGraph
from converters.quantization.qdq import as_signed, as_unsigned

CHANNELS = 16
LINEAR_NODES = ("QuantizeLinear", "DequantizeLinear")


def signed_twin(model: ModelProto) -> ModelProto | None:
    """The same quantization with int8 activations, as a new model; None for a graph without uint8 activations.

    Its input and output keep their types. It needs a session that allows int8 (`session.qdqisint8allowed`).
    """
    graph = OnnxGraph(model)
    zero_points = {node.input[2] for node in graph.nodes if node.op_type in LINEAR_NODES and len(node.input) > 2}
    unsigned = {name for name in zero_points if name in graph.constants and graph.constants[name].dtype == np.uint8}
    if not unsigned:
        return None
    stored = {
        node.input[0]
        for node in graph.nodes
        if node.op_type == "DequantizeLinear" and unsigned.intersection(node.input[2:])
    }
    twin = ModelProto()
    twin.CopyFrom(model)
    for tensor in twin.graph.initializer:
        if tensor.name in unsigned or tensor.name in stored:
            tensor.CopyFrom(numpy_helper.from_array(as_signed(numpy_helper.to_array(tensor)), tensor.name))
    del twin.graph.value_info[:]
    _keep_types(twin)
    return twin


def probe() -> tuple[ModelProto, np.ndarray, np.ndarray]:
    """A quantized 1x1 convolution whose sums do not survive saturation, its input and its exact output (float32).

    Every product is 255 x 127, so that each pair of them exceeds 16 bits.
    """
    scale = float(CHANNELS * 127)  # the exact output is 255 steps of it
    constants = {
        "one": np.float32(1),
        "scale": np.float32(scale),
        "zero": np.uint8(0),
        "weight": np.full((CHANNELS, CHANNELS, 1, 1), 127, np.int8),
        "weight.zero": np.int8(0),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "one", "zero"], ["image.quantized"]),
        helper.make_node("DequantizeLinear", ["image.quantized", "one", "zero"], ["image.dequantized"]),
        helper.make_node("DequantizeLinear", ["weight", "one", "weight.zero"], ["weight.dequantized"]),
        helper.make_node("Conv", ["image.dequantized", "weight.dequantized"], ["sum"]),
        helper.make_node("QuantizeLinear", ["sum", "scale", "zero"], ["sum.quantized"]),
        helper.make_node("DequantizeLinear", ["sum.quantized", "scale", "zero"], ["output"]),
    ]
    shape = [1, CHANNELS, 4, 4]
    image, output = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", "output"))
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "probe", [image], [output], tensors)
    opset = helper.make_opsetid("", onnx_graph.OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=onnx_graph.IR_VERSION)
    return model, np.full(shape, 255, np.float32), np.full(shape, 255 * scale, np.float32)


def _keep_types(twin: ModelProto) -> None:
    """Let input and output stay uint8: behind the one and before the other the value is quantized anew, exactly."""
    linear = [node for node in twin.graph.node if node.op_type in LINEAR_NODES]
    meaning = {name: tuple(node.input[1:3]) for node in linear for name in (node.input[0], node.output[0])}
    padded = [node for node in twin.graph.node if node.op_type == "Pad" and node.output[0] in meaning]
    meaning |= {node.input[0]: meaning[node.output[0]] for node in padded}  # of integers, with the same scale
    before, after = [], []
    for value in twin.graph.input:
        if value.type.tensor_type.elem_type == TensorProto.UINT8:
            inside = _inside(twin, value.name)
            before += _requantized(twin, value.name, inside, *meaning[value.name], unsigned_first=True)
    for value in twin.graph.output:
        if value.type.tensor_type.elem_type == TensorProto.UINT8:
            inside = _inside(twin, value.name)
            after += _requantized(twin, inside, value.name, *meaning[value.name], unsigned_first=False)
    nodes = [*before, *twin.graph.node, *after]
    del twin.graph.node[:]
    twin.graph.node.extend(nodes)


def _inside(twin: ModelProto, name: str) -> str:
    """Another name for a value in all nodes."""
    inside = f"{name}.signed"
    for node in twin.graph.node:
        for names in (node.input, node.output):
            for index, each in enumerate(names):
                if each == name:
                    names[index] = inside
    return inside


def _requantized(
    twin: ModelProto, source: str, target: str, scale: str, signed: str, *, unsigned_first: bool
) -> list[NodeProto]:
    """Nodes that turn uint8 into the int8 of the same real values, or back."""
    unsigned, real = f"{signed}.unsigned", f"{source}.real"
    zero_point = next(numpy_helper.to_array(tensor) for tensor in twin.graph.initializer if tensor.name == signed)
    if all(tensor.name != unsigned for tensor in twin.graph.initializer):
        twin.graph.initializer.append(numpy_helper.from_array(np.asarray(as_unsigned(zero_point)), unsigned))
    first, last = (unsigned, signed) if unsigned_first else (signed, unsigned)
    return [
        helper.make_node("DequantizeLinear", [source, scale, first], [real]),
        helper.make_node("QuantizeLinear", [real, scale, last], [target]),
    ]
