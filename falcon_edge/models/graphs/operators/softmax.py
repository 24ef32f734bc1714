"""Softmax and its logarithm, over one axis since opset 13."""

from torch import nn

from falcon_edge.models.graphs.node import Call, Node, makes

LAYERS = {"Softmax": nn.Softmax, "LogSoftmax": nn.LogSoftmax}


@makes(*LAYERS)
def softmax(node: Node) -> Call:
    """nn.Softmax or nn.LogSoftmax."""
    axis = node.axis(-1)
    node.across([axis])
    return node.layer(LAYERS[node.kind](axis))
