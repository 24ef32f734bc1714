"""GroupNorm, found again: torch exports it as an InstanceNormalization of groups between two Reshapes, with a Mul and
an Add behind them. As one layer its weights can be trained."""

from onnx import NodeProto
from torch import Tensor, nn

from falcon_edge.models.graphs.batch import Sizes, resolved
from falcon_edge.models.graphs.node import Call, Node


def group_normalization(node: Node) -> Call | None:
    """nn.GroupNorm for the Reshape that it begins with, None for any other Reshape."""
    graph, sizes = node.graph, node.sizes()
    norm = graph.only_reader(node.outputs[0], "InstanceNormalization")
    back = None if norm is None else graph.only_reader(norm.output[0], "Reshape")
    if norm is None or back is None or len(sizes) < 3 or node.batch_axis() not in (None, 0):
        return None
    if not all(graph.is_stored(name) for name in (*norm.input[1:], *back.input[1:])):
        return None
    inner = resolved(node.integers(1), sizes)
    scale, shift = (graph.constant(name) for name in norm.input[1:])
    plain = bool((scale == 1).all()) and bool((shift == 0).all())
    target = resolved(graph.constant(back.input[1]).tolist(), inner)
    if not plain or len(inner) != 3 or inner[:2] != (sizes[0], len(scale)) or inner[2] < 2 or target != sizes:
        return None
    groups, channels = inner[1], sizes[1]
    epsilon = next((each.f for each in norm.attribute if each.name == "epsilon"), 1e-5)
    scaled = _beside(node, back, "Mul", channels)
    shifted = None if scaled is None else _beside(node, scaled[0], "Add", channels)
    absorbed: tuple[NodeProto, ...] = (norm, back)
    weights: dict[str, Tensor] = {}
    if scaled is not None and shifted is not None:
        absorbed = (norm, back, scaled[0], shifted[0])
        if not (scaled[2] and bool((scaled[1] == 1).all()) and bool((shifted[1] == 0).all())):
            weights = {"weight": scaled[1], "bias": shifted[1]}
    layer = nn.GroupNorm(groups, channels, epsilon, affine=bool(weights))
    return Call(layer, node.inputs[:1], (absorbed[-1].output[0],), weights, absorbed=absorbed)


def _beside(node: Node, before: NodeProto, kind: str, channels: int) -> tuple[NodeProto, Tensor, bool] | None:
    """The node of this kind that alone follows, the number that it has for each channel, whether it is one for all."""
    graph, rank = node.graph, node.rank()
    found = graph.only_reader(before.output[0], kind)
    other = "" if found is None else next((name for name in found.input if name != before.output[0]), "")
    if found is None or not graph.is_stored(other):
        return None
    value = graph.constant(other)
    shape: Sizes = (1,) * (rank - value.ndim) + tuple(value.shape)
    if len(shape) != rank or value.numel() not in (1, channels) or shape[1] != value.numel():
        return None
    return found, value.reshape(-1).expand(channels).contiguous(), value.numel() == 1
