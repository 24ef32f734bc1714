"""Values joined along an axis, and taken apart."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, emits


@emits("Concat")
def concat(context: Context, node: NodeProto) -> None:
    """CONCATENATION, in the layout of the largest input."""
    rank = len(context.shape(node.output[0]))
    names = list(node.input)
    if len(names) == 1:
        context.alias(node)
        return
    lead = max(
        (name for name in names if not context.is_constant(name)), key=lambda name: int(np.prod(context.shape(name)))
    )
    order = context.order(lead)
    options = schema.ConcatenationOptionsT()
    options.axis = order.index(attributes(node)["axis"] % rank)
    tensors = [context.arranged(name, order) for name in names]
    context.operator(schema.BuiltinOperator.CONCATENATION, tensors, [context.output(node, order)], options)


@emits("Split")
def split(context: Context, node: NodeProto) -> None:
    """SPLIT into equal parts, SPLIT_V into others; one part is the input itself."""
    if len(node.output) == 1:
        context.alias(node)
        return
    name = node.input[0]
    rank, order = len(context.shape(name)), context.order(name)
    axis = attributes(node).get("axis", 0) % rank
    source = context.arranged(name, order)
    place = context.raw(f"{node.output[0]}.axis", np.array(order.index(axis), np.int32))
    sizes = [context.shape(output)[axis] for output in node.output]
    targets = [context.output_as(output, order) for output in node.output]
    if len(set(sizes)) == 1:
        options = schema.SplitOptionsT()
        options.numSplits = len(targets)
        context.operator(schema.BuiltinOperator.SPLIT, [place, source], targets, options)
    else:
        options = schema.SplitVOptionsT()
        options.numSplits = len(targets)
        parts = context.raw(f"{node.output[0]}.sizes", np.array(sizes, np.int32))
        context.operator(schema.BuiltinOperator.SPLIT_V, [source, parts, place], targets, options)
