"""Channels equalised between a convolution and the depthwise one behind it, which changes nothing but their ranges.

Between the two stands nothing, or a ReLU: for every channel c > 0 the pair (c P[n], Q[n] / c) is the same function
(ReLU is positively homogeneous; Nagel et al., arXiv 1906.04721, section 4.1). With one range for all channels, one
scale for the whole tensor loses nothing on the small ones.
"""

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from converters.onnx_graph import OnnxGraph, attributes


def pairs(graph: OnnxGraph) -> list[tuple[NodeProto, NodeProto]]:
    """(convolution, depthwise convolution) where the one's result goes to the other alone, through a Relu at most."""
    found = []
    for node in graph.nodes:
        if node.op_type != "Conv" or not all(name in graph.constants for name in node.input[1:]):
            continue
        follower = graph.only_consumer(node.output[0])
        if follower is not None and follower.op_type == "Relu":
            follower = graph.only_consumer(follower.output[0])
        if follower is not None and _is_depthwise(graph, follower):
            found.append((node, follower))
    return found


def equalise(model: ModelProto, peaks: Mapping[str, np.ndarray]) -> ModelProto:
    """Give every channel between a pair the same peak; the model is changed in place.

    peaks: the largest magnitude per channel of the first one's result, by value name.
    """
    graph = OnnxGraph(model)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for first, second in pairs(graph):
        if first.output[0] not in peaks:
            continue  # it is not of float32
        if any(len(graph.consumers[name]) != 1 for name in (*first.input[1:], second.input[1])):
            continue  # a weight that is shared belongs to another convolution too
        peak = peaks[first.output[0]].astype(np.float64)
        silent = peak <= 1e-6 * peak.max()
        factor = np.where(silent, 1.0, peak.max() / np.where(silent, 1.0, peak))
        for name, scale in ((first.input[1], factor), (second.input[1], 1 / factor)):
            weight = graph.constants[name]
            scaled = weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))
            stored[name].CopyFrom(numpy_helper.from_array(scaled.astype(weight.dtype), name))
        if len(first.input) > 2:
            name = first.input[2]
            scaled = graph.constants[name] * factor
            stored[name].CopyFrom(numpy_helper.from_array(scaled.astype(np.float32), name))
    return model


def _is_depthwise(graph: OnnxGraph, node: NodeProto) -> bool:
    if node.op_type != "Conv" or node.input[1] not in graph.constants:
        return False
    shape = graph.constants.shape(node.input[1])
    return shape[1] == 1 and shape[0] == attributes(node).get("group", 1) > 1
