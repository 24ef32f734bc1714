"""Softmax and its logarithm."""

from math import prod

from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, emits
from converters.tflite.layout import Layout


@emits("Softmax", "LogSoftmax")
def softmax(context: Context, node: NodeProto) -> None:
    """SOFTMAX or LOG_SOFTMAX, which TFLite has over the last axis in memory only: another is moved there."""
    name = node.input[0]
    shape, old = context.shape(name), context.graph.opset < 13  # until then: over this axis and all behind it
    axis = attributes(node).get("axis", 1 if old else -1) % len(shape)
    if old and prod(shape[axis + 1 :]) > 1:
        raise context.no_form(node, f"several axes, as in opset {context.graph.opset}")
    order = (*(place for place in context.order(name) if place != axis), axis)
    shown = tuple(shape[place] for place in order)
    if len(shape) > 4:
        shown = prod(shape) // shape[axis], shape[axis]
    source = context.arranged(name, order, shown)
    target = context.store(node.output[0], Layout.of(shape, order), shown)
    if node.op_type == "Softmax":
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        context.operator(schema.BuiltinOperator.SOFTMAX, [source], [target], options)
    else:
        context.operator(schema.BuiltinOperator.LOG_SOFTMAX, [source], [target], schema.LogSoftmaxOptionsT())
