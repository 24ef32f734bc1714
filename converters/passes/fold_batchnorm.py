"""Batch normalisation folded into what produces its input: one convolution, or a sum of several.

y = scale x + shift with scale = gamma / sqrt(var + epsilon), shift = beta - scale mean (Ioffe and Szegedy, 2015).
Over a sum of branches the scale goes into every branch and the shift into one: so a rank-k FALCON, whose branches are
added before the normalisation, folds as a single convolution does.
"""

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from converters.onnx_graph import OnnxGraph, attributes, drop_unused

LINEAR = ("Conv", "ConvTranspose", "Gemm")


def fold_batchnorm(model: ModelProto) -> ModelProto:
    """Fold every BatchNormalization whose producers are linear and feed nothing else; the model is changed in place."""
    graph = OnnxGraph(model)
    for norm in [node for node in graph.nodes if node.op_type == "BatchNormalization"]:
        if not all(name in graph.constants for name in norm.input[1:]) or len(norm.output) != 1:
            continue
        if graph.constants[norm.input[1]].dtype != np.float32:
            continue
        producers = _linear_producers(graph, norm.input[0])
        if not producers:
            continue
        scale, shift = scale_and_shift(graph, norm)
        for index, producer in enumerate(producers):
            _rescale(model, graph, producer, scale, shift if index == 0 else None)
        last = graph.producer[norm.input[0]]
        old, new = last.output[0], norm.output[0]
        last.output[0] = new
        del graph.consumers[old]
        graph.producer[new] = last
        model.graph.node.remove(norm)
        for value in [value for value in model.graph.value_info if value.name == old]:
            model.graph.value_info.remove(value)
    drop_unused(model)
    return model


def scale_and_shift(graph: OnnxGraph, norm: NodeProto) -> tuple[np.ndarray, np.ndarray]:
    """y = scale x + shift of a BatchNormalization with constants, (C,) each in float64."""
    gamma, beta, mean, variance = (graph.constants[name].astype(np.float64) for name in norm.input[1:])
    scale = gamma / np.sqrt(variance + attributes(norm).get("epsilon", 1e-5))
    return scale, beta - scale * mean


def _linear_producers(graph: OnnxGraph, name: str) -> list[NodeProto]:
    """The linear nodes whose sum is the value, or none where something else has a share in it."""
    node = graph.producer.get(name)
    if node is None or len(graph.consumers[name]) != 1 or name in graph.output_names:
        return []
    if node.op_type in LINEAR and all(name in graph.constants for name in node.input[1:]):
        return [node] if attributes(node).get("beta", 1.0) == 1.0 else []
    if node.op_type == "Add":
        branches = [_linear_producers(graph, branch) for branch in node.input]
        return [producer for branch in branches for producer in branch] if all(branches) else []
    return []


def _rescale(model: ModelProto, graph: OnnxGraph, node: NodeProto, scale: np.ndarray, shift: np.ndarray | None) -> None:
    """Multiply a node's output channels by `scale` and add `shift`, in its weights and bias."""
    given = attributes(node)
    weight = graph.constants[node.input[1]].astype(np.float64)
    if node.op_type == "Conv":
        weight = weight * scale.reshape(-1, *([1] * (weight.ndim - 1)))
    elif node.op_type == "ConvTranspose":  # (inputs, outputs / groups, ...), the groups one after the other
        grouped = weight.reshape(given.get("group", 1), -1, *weight.shape[1:])
        weight = (grouped * scale.reshape(grouped.shape[0], 1, -1, *([1] * (weight.ndim - 2)))).reshape(weight.shape)
    else:
        weight = weight * (scale[:, None] if given.get("transB", 0) else scale[None, :])
    _set_input(model, graph, node, 1, weight)
    bias = graph.constants[node.input[2]].astype(np.float64) * scale if len(node.input) > 2 else np.zeros_like(scale)
    if len(node.input) > 2 or shift is not None:
        _set_input(model, graph, node, 2, bias if shift is None else bias + shift)


def _set_input(model: ModelProto, graph: OnnxGraph, node: NodeProto, index: int, value: np.ndarray) -> None:
    """Give a node a constant of its own: exporters let nodes share equal ones."""
    name = f"{node.output[0]}.folded_{'weight' if index == 1 else 'bias'}"
    folded = value.astype(np.float32)
    graph.constants.add(name, folded)
    tensor = numpy_helper.from_array(folded, name)
    for existing in [existing for existing in model.graph.initializer if existing.name == name]:
        model.graph.initializer.remove(existing)
    model.graph.initializer.append(tensor)
    if index < len(node.input):
        node.input[index] = name
    else:
        node.input.append(name)
