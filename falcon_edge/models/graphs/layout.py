"""In which order an input has its axes, told by what is done with it first."""

from onnx import NodeProto

from falcon_edge.models.graphs.graph import Graph
from falcon_edge.models.graphs.network import Layout

# They leave axes as they are: a normalisation often comes first.
KEEPS = frozenset(("Add", "Sub", "Mul", "Div", "Cast", "Identity", "Clip", "Pad", "Max", "Min"))
CHANNELS_FIRST = frozenset(
    (
        *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"),
        *("BatchNormalization", "InstanceNormalization", "LRN", "DepthToSpace", "SpaceToDepth"),
    )
)
TO_CHANNELS_FIRST = [0, 3, 1, 2]


def layout_of(graph: Graph) -> Layout | None:
    """The layout of the input, an image; None where it is none, or nothing tells, or several things that differ."""
    if len(graph.sizes) != 4:
        return None
    found: set[Layout] = set()
    names, seen = [graph.input.name], {graph.input.name}
    while names:
        for node in graph.readers[names.pop()]:
            told = _told(graph, node)
            if told is not None:
                found.add(told)
            elif node.op_type in KEEPS and node.output[0] not in seen:
                names.append(node.output[0])
                seen.add(node.output[0])
    return found.pop() if len(found) == 1 else None


def _told(graph: Graph, node: NodeProto) -> Layout | None:
    """What a node tells of an image that it reads."""
    if node.op_type in CHANNELS_FIRST:
        return "NCHW"
    order = next((list(each.ints) for each in node.attribute if each.name == "perm"), None)
    if node.op_type == "Transpose" and order == TO_CHANNELS_FIRST:
        return "NHWC"
    if node.op_type == "Reshape" and graph.is_stored(node.input[1]):  # of one channel, for which nothing has to move
        _, height, width, channels = graph.sizes
        target = graph.constant(node.input[1]).tolist()
        if channels == 1 and target[1:] == [1, height, width] != [height, width, 1]:
            return "NHWC"
    return None
