"""What of a quantized graph ONNX Runtime still computes in float, found in the graph that its session runs."""

import tempfile
from pathlib import Path

import onnx
from onnx import ModelProto, TensorProto

from converters.runtimes import onnx_session

# Operators whose results are integers whatever their operands are.
INTEGER_RESULTS = frozenset(("QuantizeLinear", "QGemm", "QAttention", "QLinearMatMul"))


def float_islands(model: ModelProto) -> tuple[str, ...]:
    """The nodes, as "name (operator)", that compute in float32 in ONNX Runtime's optimised graph of a quantized model.

    Types are followed from input to output: a node that is not known to make integers makes what it is fed.
    """
    with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
        path = Path(folder, "optimised.onnx")
        onnx_session(model, optimised=path)
        graph = onnx.load(path).graph
    floats = {value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    constants = {tensor.name for tensor in graph.initializer}
    islands = []
    for node in graph.node:
        computed = [name for name in node.input if name and name not in constants]
        if node.op_type == "DequantizeLinear":
            floats.update(node.output)
        elif node.op_type in INTEGER_RESULTS or node.op_type.startswith("QLinear"):
            continue
        elif any(name in floats for name in computed):
            floats.update(node.output)
            islands.append(f"{node.name or node.output[0]} ({node.op_type})")
    return tuple(islands)
