"""A value repeated along its axes."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.tflite.context import Context, emits
from converters.tflite.layout import usual_order


@emits("Tile", "Expand")
def repeat(context: Context, node: NodeProto) -> None:
    """TILE along the axes that grow; nothing, where none does. An Expand repeats axes of size 1."""
    name, shape = node.input[0], context.shape(node.output[0])
    before = (1,) * (len(shape) - len(context.shape(name))) + context.shape(name)
    layout = context.stored(name).layout.expand_rank(len(shape))
    if before == shape:
        context.view(node, layout)
        return
    axes = layout.axes()
    order = usual_order(len(shape)) if axes is None else axes
    times = context.raw(f"{node.output[0]}.times", np.array([shape[axis] // before[axis] for axis in order], np.int32))
    source = context.arranged(name, order)
    context.operator(schema.BuiltinOperator.TILE, [source, times], [context.output(node, order)], schema.TileOptionsT())
