"""Add, of two computed values or of one and a constant."""

from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.tflite.context import Context, emits


@emits("Add")
def add(context: Context, node: NodeProto) -> None:
    """ADD with a fused activation. A constant that broadcasts gets the rank of the result first, then its layout."""
    rank = len(context.shapes[node.output[0]])
    inputs = []
    for name in node.input:
        if name in context.graph.constants:
            value = context.graph.constants[name]
            value = value.reshape((1,) * (rank - value.ndim) + value.shape)
            inputs.append(context.constant(f"{node.output[0]}.{name}", value))
        elif len(context.shapes[name]) != rank:
            raise context.unsupported(node, "computed inputs of different rank")
        elif name in context.flattened:
            raise context.unsupported(node, "a flattened image as input")
        else:
            inputs.append(context.tensor(name))
    target, activation = context.fused_output(node)
    options = schema.AddOptionsT()
    options.fusedActivationFunction = activation
    context.operator(schema.BuiltinOperator.ADD, inputs, [target], options)
