"""Relu and Clip(0, 6), where no operator before them could take them in."""

from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.tflite.context import Context, activation_of, emits


@emits("Relu", "Clip")
def activation(context: Context, node: NodeProto) -> None:
    """RELU or RELU6; other bounds of Clip are not known."""
    kind = activation_of(context.graph, node)
    if kind is None:
        raise context.unsupported(node, "bounds other than 0 and 6")
    relu = kind == schema.ActivationFunctionType.RELU
    code = schema.BuiltinOperator.RELU if relu else schema.BuiltinOperator.RELU6
    source = context.tensor(node.input[0])
    if node.input[0] in context.flattened:
        context.flattened[node.output[0]] = context.flattened[node.input[0]]
    context.operator(code, [source], [context.output(node)])
    context.non_negative.add(node.output[0])
