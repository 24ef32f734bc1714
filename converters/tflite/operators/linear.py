"""Gemm, and MatMul with constant weights: FULLY_CONNECTED."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, emits


@emits("Gemm", "MatMul")
def fully_connected(context: Context, node: NodeProto) -> None:
    """alpha x W + beta b, with W as (outputs, inputs); behind a flattened image its inputs take NHWC's order."""
    given = attributes(node)
    weight = context.weight(node).astype(np.float32)
    if weight.ndim != 2 or len(context.shapes[node.input[0]]) != 2 or given.get("transA", 0):
        raise context.unsupported(node, "inputs that are no matrices, or a transposed first one")
    if not given.get("transB", 0):
        weight = weight.T
    weight = weight * np.float32(given.get("alpha", 1.0))
    outputs = weight.shape[0]
    bias = np.broadcast_to(context.bias(node, outputs).reshape(-1), (outputs,)) * np.float32(given.get("beta", 1.0))
    image = context.flattened.get(node.input[0])
    if image is not None:
        height, width, channels = image
        weight = weight.reshape(outputs, channels, height, width).transpose(0, 2, 3, 1).reshape(outputs, -1)
    inputs = [
        context.tensor(node.input[0]),
        context.raw(node.input[1], np.ascontiguousarray(weight)),
        context.raw(f"{node.output[0]}.bias", np.ascontiguousarray(bias, np.float32)),
    ]
    target, activation = context.fused_output(node)
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = activation
    context.operator(schema.BuiltinOperator.FULLY_CONNECTED, inputs, [target], options)
