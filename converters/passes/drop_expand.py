"""Expand removed where what follows broadcasts by itself."""

import numpy as np
from onnx import ModelProto, NodeProto

from converters.onnx_graph import Dimensions, OnnxGraph, dimensions, drop_unused

BROADCASTS = frozenset(("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"))


def drop_expand(model: ModelProto) -> ModelProto:
    """Let the consumers of an Expand read its input, if all get the same shape so; the model is changed in place."""
    graph, sizes = OnnxGraph(model), dimensions(model)
    for node in graph.nodes:
        if node.op_type != "Expand" or node.output[0] in graph.output_names:
            continue
        source, expanded = node.input[0], node.output[0]
        if all(_broadcasts(user, expanded, source, sizes) for user in graph.consumers[expanded]):
            for user in graph.consumers[expanded]:
                for index, name in enumerate(user.input):
                    user.input[index] = source if name == expanded else name
    drop_unused(model)
    return model


def _broadcasts(node: NodeProto, expanded: str, source: str, sizes: dict[str, Dimensions]) -> bool:
    """Whether a node gives the same shape with the source in the place of the expanded value."""
    names = [source if name == expanded else name for name in node.input]
    shapes = [sizes.get(name, (None,)) for name in (*names, node.output[0])]
    if node.op_type not in BROADCASTS or any(size is None for shape in shapes for size in shape):
        return False
    return np.broadcast_shapes(*shapes[:-1]) == shapes[-1]  # type: ignore[arg-type]
