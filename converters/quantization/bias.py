"""Bias correction: what rounding the weights shifts in a convolution's mean output is taken off its bias.

E[y - y_q] = (W - W_q) * E[x] (Nagel et al., arXiv 1906.04721, section 4.2). A convolution is linear, so the mean over
inputs of its output is that of the mean input, borders included: no input has to be run again.
"""

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from converters.onnx_graph import OnnxGraph, attributes
from converters.quantization.rules import LINEAR, weight_axis
from converters.quantization.spec import QuantizationSpec, parts, quantize_weight
from converters.same_padding import same_padding


def correct_biases(model: ModelProto, spec: QuantizationSpec, means: Mapping[str, np.ndarray]) -> ModelProto:
    """Correct every quantized Conv and Gemm that has a bias of its own; the model is changed in place.

    means: the mean over inputs of every value, without the batch axis.
    """
    graph = OnnxGraph(model)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in graph.nodes:
        if node.op_type not in LINEAR or node.output[0] in spec.kept or len(node.input) < 3 or not node.input[2]:
            continue
        name = node.input[2]
        if len(graph.consumers[name]) != 1 or name not in stored:
            continue
        bias = graph.constants[name] + _lost(graph, node, spec.weights[node.input[1]], means[node.input[0]])
        stored[name].CopyFrom(numpy_helper.from_array(bias.astype(np.float32), name))
    return model


def _lost(graph: OnnxGraph, node: NodeProto, scales: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """What the mean output (C,) of a Conv or Gemm loses, by some of its output channels at a time."""
    weight, axis = graph.constants[node.input[1]], weight_axis(node)
    grouped = attributes(node).get("group", 1) > 1
    whole = [((slice(None),) * (axis + 1), scales.reshape(-1, *(1,) * (weight.ndim - 1)))]  # groups belong together
    lost = [
        _mean_output(node, weight[part] - quantize_weight(weight[part], factor.reshape(-1), axis) * factor, mean)
        for part, factor in (whole if grouped else parts(weight, scales, axis))
    ]
    return np.concatenate(lost)


def _mean_output(node: NodeProto, weight: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Mean per output channel of a Conv or Gemm without bias, for the mean input (C, ...) or (C,)."""
    given = attributes(node)
    if node.op_type == "Gemm":
        matrix = weight if given.get("transB", 0) else weight.T
        return given.get("alpha", 1.0) * (matrix.astype(np.float64) @ mean.astype(np.float64))
    import torch  # here alone: models without a bias are made where there is no torch
    from torch.nn import functional

    rank = weight.ndim - 2
    pads = _pads(node, mean.shape[1:], weight.shape[2:])
    around = [side for axis in reversed(range(rank)) for side in (pads[axis], pads[axis + rank])]  # torch's order
    x = functional.pad(torch.from_numpy(mean.astype(np.float64))[None], around)
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]
    y = convolve(
        x,
        torch.from_numpy(weight.astype(np.float64)),
        stride=tuple(given.get("strides", (1,) * rank)),
        dilation=tuple(given.get("dilations", (1,) * rank)),
        groups=given.get("group", 1),
    )
    return y.mean((0, *range(2, rank + 2))).numpy()


def _pads(node: NodeProto, sizes: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[int, ...]:
    """(before, ..., after, ...) of the axes of a Conv of inputs of these sizes, which auto_pad may leave open."""
    given, rank = attributes(node), len(kernel)
    auto = given.get("auto_pad", b"NOTSET")
    if auto not in (b"SAME_UPPER", b"SAME_LOWER"):
        return tuple(given.get("pads", (0,) * 2 * rank))
    strides, dilations = given.get("strides", (1,) * rank), given.get("dilations", (1,) * rank)
    before, behind = same_padding(auto == b"SAME_UPPER", sizes, kernel, strides, dilations)
    return (*before, *behind)
