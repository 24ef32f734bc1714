"""Zeros around an image, written by a Pad, that a convolution can put there itself."""

import numpy as np
from onnx import ModelProto, NodeProto, helper

from converters.onnx_graph import OnnxGraph, attributes, drop_unused


def fold_pad(model: ModelProto) -> ModelProto:
    """Take every Pad with zeros around height and width into the Conv behind it; the model is changed in place."""
    graph = OnnxGraph(model)
    for node in graph.nodes:
        pad = graph.producer.get(node.input[0]) if node.op_type == "Conv" else None
        if pad is None or pad.op_type != "Pad" or attributes(node).get("auto_pad", b"NOTSET") != b"NOTSET":
            continue
        amounts = _zeros_around(graph, pad)
        if amounts is None:
            continue
        pads = np.array(attributes(node).get("pads", [0] * len(amounts))) + amounts
        for index, attribute in enumerate(node.attribute):
            if attribute.name == "pads":
                del node.attribute[index]
                break
        node.attribute.append(helper.make_attribute("pads", pads.tolist()))
        node.input[0] = pad.input[0]
    drop_unused(model)
    return model


def _zeros_around(graph: OnnxGraph, pad: NodeProto) -> np.ndarray | None:
    """(begins, ends) of the spatial axes, if a Pad writes zeros there and nothing elsewhere."""
    given = attributes(pad)
    constants = [name for name in pad.input[1:] if name]
    if given.get("mode", b"constant") != b"constant" or not all(name in graph.constants for name in constants):
        return None
    if len(pad.input) > 3:  # axes, since opset 18
        return None
    fill = graph.constants[pad.input[2]] if len(pad.input) > 2 and pad.input[2] else np.zeros(1)
    amounts = graph.constants[pad.input[1]].reshape(2, -1)
    if fill.any() or amounts[:, :2].any() or (amounts < 0).any():
        return None
    return amounts[:, 2:].reshape(-1)
