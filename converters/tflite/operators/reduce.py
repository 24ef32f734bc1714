"""Global averages: GlobalAveragePool, and ReduceMean over height and width."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, emits, nhwc


@emits("GlobalAveragePool", "ReduceMean")
def mean(context: Context, node: NodeProto) -> None:
    """MEAN over axes 1 and 2 of NHWC; a Flatten that alone follows is taken in."""
    shape = context.shapes[node.input[0]]
    given = attributes(node)
    keep = node.op_type == "GlobalAveragePool" or bool(given.get("keepdims", 1))
    if node.op_type == "ReduceMean":
        axes = given.get("axes") or (context.weight(node).tolist() if len(node.input) > 1 else [])
        if len(shape) != 4 or sorted(axis % 4 for axis in axes) != [2, 3]:
            raise context.unsupported(node, "axes other than height and width")
    name = node.output[0]
    follower = context.graph.only_consumer(name)
    flattens = follower is not None and follower.op_type in ("Flatten", "Reshape", "Squeeze")
    if keep and follower is not None and flattens and context.shapes[follower.output[0]] == shape[:2]:
        context.absorb(follower)
        name, keep = follower.output[0], False
    target = context.output_as(name, nhwc((*shape[:2], 1, 1)) if keep else shape[:2])
    axes_tensor = context.raw(f"{name}.axes", np.array([1, 2], np.int32))
    options = schema.ReducerOptionsT()
    options.keepDims = keep
    context.operator(schema.BuiltinOperator.MEAN, [context.tensor(node.input[0]), axes_tensor], [target], options)
