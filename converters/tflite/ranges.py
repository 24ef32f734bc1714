"""Values that are never negative: a maximum over them may be padded with zeros instead of the lowest float."""

from converters.onnx_graph import OnnxGraph, clip_bounds

# Whatever goes in.
MAKES = frozenset(("Relu", "Sigmoid", "HardSigmoid", "Softmax", "Abs", "Exp", "Sqrt", "ReduceL2"))
# Where nothing negative goes in.
KEEPS = frozenset(
    [
        *("MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool", "ReduceMax", "ReduceMean", "ReduceSum"),
        *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split", "Concat", "Resize", "Expand"),
        *("Add", "Mul", "Div", "Max", "Identity", "Dropout", "DepthToSpace", "SpaceToDepth", "Gather"),
    ]
)
MOVED_BY_NUMBERS = frozenset(("Reshape", "Squeeze", "Unsqueeze", "Slice", "Split", "Resize", "Expand", "Gather"))


def non_negative(graph: OnnxGraph) -> set[str]:
    """The names of the values that cannot be negative."""
    found: set[str] = set()
    for node in graph.nodes:
        bounds = clip_bounds(graph, node) if node.op_type == "Clip" else None
        if node.op_type in MAKES or (bounds is not None and bounds[0] >= 0):
            found.update(node.output)
        elif node.op_type in KEEPS:
            operands = node.input[:1] if node.op_type in MOVED_BY_NUMBERS else node.input
            if all(name in found or _is_positive_constant(graph, name) for name in operands):
                found.update(node.output)
    return found


def _is_positive_constant(graph: OnnxGraph, name: str) -> bool:
    return name in graph.constants and bool((graph.constants[name] >= 0).all())
