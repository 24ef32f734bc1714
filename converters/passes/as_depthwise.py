"""What is a depthwise convolution by another name, written as one: scaling channels by constants, a batch normalisation
that no convolution could take in, averaging windows, the line of a HardSigmoid.

The kernels for it round a half in different directions in the two runtimes or are missing, and a constant operand of a
Mul has one scale for all channels; as a convolution it has one per channel, and both runtimes round alike. For int8
only.
"""

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from converters.onnx_graph import OnnxGraph, attributes, drop_unused, kinds
from converters.passes.fold_batchnorm import scale_and_shift


def as_depthwise(model: ModelProto) -> ModelProto:
    """Replace Mul by constants per channel, BatchNormalization of images and AveragePool with one divisor by Conv; the
    model is changed in place."""
    _open_hard_sigmoids(model)
    graph = OnnxGraph(model)
    shapes, types = graph.shapes(), kinds(model)
    for node in graph.nodes:
        kernel, shift = None, None
        if types.get(node.output[0]) != TensorProto.FLOAT:
            continue
        if node.op_type == "Mul":
            kernel = _scaling(graph, node, shapes)
        elif node.op_type == "BatchNormalization":
            kernel, shift = _normalising(graph, node, shapes)
        elif node.op_type == "AveragePool":
            kernel = _averaging(node, shapes)
        if kernel is None:
            continue
        name, given = f"{node.output[0]}.kernel", attributes(node)
        model.graph.initializer.append(numpy_helper.from_array(kernel, name))
        inputs = [next(value for value in node.input if value not in graph.constants), name]
        if shift is not None:
            inputs.append(f"{node.output[0]}.bias")
            model.graph.initializer.append(numpy_helper.from_array(shift, inputs[-1]))
        made = helper.make_node(
            "Conv",
            inputs,
            list(node.output),
            node.name,
            group=len(kernel),
            kernel_shape=list(kernel.shape[2:]),
            strides=list(given.get("strides", (1, 1))),
            pads=list(given.get("pads", (0, 0, 0, 0))),
        )
        node.CopyFrom(made)
    drop_unused(model)
    return model


def _open_hard_sigmoids(model: ModelProto) -> None:
    """HardSigmoid of images, min(max(alpha x + beta, 0), 1), as relu6(6 alpha x + 6 beta) / 6: TFLite has RELU6."""
    if all(node.op_type != "HardSigmoid" for node in model.graph.node):
        return
    shapes, types = OnnxGraph(model).shapes(), kinds(model)
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        shape = shapes.get(node.output[0], ())
        if node.op_type != "HardSigmoid" or len(shape) != 4 or types.get(node.output[0]) != TensorProto.FLOAT:
            nodes.append(node)
            continue
        given, name, ones = attributes(node), node.output[0], np.ones(shape[1], np.float32)
        constants = {
            "slope": 6 * given.get("alpha", 0.2) * ones.reshape(-1, 1, 1, 1),
            "offset": 6 * given.get("beta", 0.5) * ones,
            "share": ones.reshape(-1, 1, 1, 1) / 6,
            "low": np.float32(0),
            "high": np.float32(6),
        }
        for key, value in constants.items():
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.float32), f"{name}.{key}"))
        line, clipped, settings = f"{name}.line", f"{name}.clipped", {"group": len(ones), "kernel_shape": [1, 1]}
        nodes += [
            helper.make_node("Conv", [node.input[0], f"{name}.slope", f"{name}.offset"], [line], line, **settings),
            helper.make_node("Clip", [line, f"{name}.low", f"{name}.high"], [clipped], clipped),
            helper.make_node("Conv", [clipped, f"{name}.share"], [name], node.name, **settings),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _scaling(graph: OnnxGraph, node: NodeProto, shapes: dict[str, tuple[int, ...]]) -> np.ndarray | None:
    """Kernel (C, 1, 1, 1) of a Mul of an image by one number or one per channel."""
    constants = [name for name in node.input if name in graph.constants]
    shape = shapes[node.output[0]]
    if len(constants) != 1 or len(shape) != 4:
        return None
    value = graph.constants[constants[0]]
    source = next(name for name in node.input if name not in graph.constants)
    per_channel = value.ndim in (3, 4) and value.shape[-2:] == (1, 1) and (value.ndim == 3 or value.shape[0] == 1)
    if shapes[source] != shape or not (value.size == 1 or per_channel):
        return None
    return np.broadcast_to(value.reshape(-1), (shape[1],)).reshape(-1, 1, 1, 1).astype(np.float32)


def _normalising(
    graph: OnnxGraph, node: NodeProto, shapes: dict[str, tuple[int, ...]]
) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """Kernel (C, 1, 1, 1) and bias (C,) of a BatchNormalization of an image."""
    if not all(name in graph.constants for name in node.input[1:]) or len(node.output) != 1:
        return None, None
    if len(shapes[node.output[0]]) != 4:
        return None, None
    scale, shift = scale_and_shift(graph, node)
    return scale.reshape(-1, 1, 1, 1).astype(np.float32), shift.astype(np.float32)


def _averaging(node: NodeProto, shapes: dict[str, tuple[int, ...]]) -> np.ndarray | None:
    """Kernel (C, 1, kh, kw) of an AveragePool that divides by the size of its window everywhere.

    None for a window that is larger than the padded image, too: as a Conv ONNX Runtime refuses it.
    """
    given = attributes(node)
    window, pads = tuple(given["kernel_shape"]), given.get("pads", (0, 0, 0, 0))
    counted = not any(given.get("pads", ())) or given.get("count_include_pad", 0)
    explicit = given.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
    if len(window) != 2 or not counted or not explicit or given.get("ceil_mode", 0) or given.get("dilations"):
        return None
    image = np.add(shapes[node.input[0]][2:], np.add(pads[:2], pads[2:]))
    if np.any(np.greater(window, image)):
        return None
    return np.full((shapes[node.output[0]][1], 1, *window), 1 / (window[0] * window[1]), np.float32)
