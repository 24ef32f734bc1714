"""Flatten, Reshape and what changes nothing (Identity, Dropout)."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.tflite.context import Context, emits, nhwc


@emits("Identity", "Dropout")
def nothing(context: Context, node: NodeProto) -> None:
    """The input itself."""
    context.alias(node)


@emits("Flatten", "Reshape", "Squeeze", "Unsqueeze")
def reshape(context: Context, node: NodeProto) -> None:
    """RESHAPE. ONNX flattens an image channel by channel, TFLite pixel by pixel.

    Where only fully connected layers follow, their weights take the other order; elsewhere a TRANSPOSE goes before.
    """
    source, name = context.tensor(node.input[0]), node.output[0]
    before, after = context.shapes[node.input[0]], context.shapes[name]
    if before == after:
        context.alias(node)
        return
    image = len(before) == 4 and before[2] * before[3] > 1
    if len(after) == 4 and after[2] * after[3] > 1:
        raise context.unsupported(node, f"a result of shape {after}")
    if image and len(after) == 2 and after[0] == before[0] and _only_linear_follows(context, name):
        context.flattened[name] = (before[2], before[3], before[1])
    elif image:
        source = _to_nchw(context, node, source)
    if node.input[0] in context.non_negative:
        context.non_negative.add(name)
    shape = nhwc(after)
    options = schema.ReshapeOptionsT()
    options.newShape = list(shape)
    sizes = context.raw(f"{name}.shape", np.array(shape, np.int32))
    context.operator(schema.BuiltinOperator.RESHAPE, [source, sizes], [context.output_as(name, shape)], options)


def _only_linear_follows(context: Context, name: str) -> bool:
    users = context.graph.consumers[name]
    return (
        bool(users)
        and name not in context.graph.output_names
        and all(
            user.op_type in ("Gemm", "MatMul") and user.input[0] == name and user.input[1] in context.graph.constants
            for user in users
        )
    )


def _to_nchw(context: Context, node: NodeProto, source: int) -> int:
    shape = context.shapes[node.input[0]]
    order = context.raw(f"{node.output[0]}.order", np.array([0, 3, 1, 2], np.int32))
    target = context.output_as(f"{node.output[0]}.nchw", shape)
    context.operator(schema.BuiltinOperator.TRANSPOSE, [source, order], [target], schema.TransposeOptionsT())
    return target
