"""In which order an input has its axes, told by what is done with it first, and an output, by what made it."""

from collections.abc import Mapping

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
TO_CHANNELS_FIRST, TO_CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
# What often comes last, and leaves axes as they are too.
ENDS = KEEPS | {"Relu", "Sigmoid", "Softmax", "LogSoftmax", "Tanh", "LeakyRelu", "Elu", "HardSigmoid", "Concat"}


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


def channels_last(graph: Graph, shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    """The outputs that are maps (N, H, W, C), of a graph whose images are (N, H, W, C) too; shapes: of its values."""
    if layout_of(graph) != "NHWC":
        return ()
    makers = {name: node for node in graph.nodes for name in node.output}
    return tuple(name for name in graph.outputs if len(shapes[name]) == 4 and _ends_last(graph, name, makers, shapes))


def _ends_last(
    graph: Graph, output: str, makers: Mapping[str, NodeProto], shapes: Mapping[str, tuple[int, ...]]
) -> bool:
    """Whether what made an output, or else the input, tells that its channels are the last axis."""
    found: set[bool] = set()
    names, seen = [output], {output}
    while names:
        node = makers.get(name := names.pop())
        if node is None:
            found.add(name == graph.input.name)
        elif node.op_type in ENDS:
            given = {each for each in node.input if len(shapes.get(each, ())) == 4 and not graph.is_stored(each)}
            names += given - seen
            seen |= given
        else:
            found.add(_made_last(graph, node, shapes))
    return found == {True}


def _made_last(graph: Graph, node: NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    if node.op_type == "Reshape":  # of one channel, for which nothing has to move
        images, channels, *size = shapes.get(node.input[0], (0, 0))
        return channels == 1 and shapes[node.output[0]] == (images, *size, 1)
    if node.op_type == "MatMul":
        return len(shapes.get(node.input[1], ())) == 2
    order = next((list(each.ints) for each in node.attribute if each.name == "perm"), None)
    return node.op_type == "Transpose" and order == TO_CHANNELS_LAST


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
