"""int8 without a runtime's rules: every value of a graph rounded by a scale of its own, computed in float between.

What is only cut out or turned is rounded already: a narrower range would only cut off how far rounding took it.
"""

import numpy as np
import onnxruntime
from onnx import ModelProto, helper, numpy_helper

from converters.onnx_graph import OnnxGraph, drop_unused
from converters.quantization.qdq import UNSIGNED_SHIFT
from converters.quantization.quantize import prepare
from converters.quantization.rules import CUTS, LINEAR, VIEWS, fused_away, weight_axis
from converters.quantization.spec import from_range, of_constant, quantize_weight, weight_scales


def run_alone(model, calibration, inputs, *, exact_channels=None):
    """First output for inputs (N, ...), with min-max ranges over the calibration inputs.

    exact_channels: output channels whose weights stay as they are, by the name of their node's first output.
    """
    observed = prepare(model, calibration)
    graph = OnnxGraph(observed.model)
    written, constants = ModelProto(), {name: graph.constants[name] for name in graph.constants}
    written.CopyFrom(observed.model)
    del written.graph.node[:], written.graph.initializer[:], written.graph.value_info[:]
    nodes = []

    def rounded(name, given, made):
        seen = observed.values[name]
        quantization = from_range(seen.low, seen.high)
        constants[f"{name}.scale"] = np.float32(quantization.scale)
        constants[f"{name}.zero"] = np.uint8(quantization.zero_point + UNSIGNED_SHIFT)
        settings = [f"{name}.scale", f"{name}.zero"]
        nodes.append(helper.make_node("QuantizeLinear", [given, *settings], [f"{name}.stored"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}.stored", *settings], [made]))

    source = graph.inputs[0].name
    rounded(source, source, f"{source}.rounded")
    for node in graph.nodes:
        if node.op_type == "Constant":
            continue
        made = type(node)()
        made.CopyFrom(node)
        for index, name in enumerate(node.input):
            if name == source:
                made.input[index] = f"{source}.rounded"
            elif name in graph.constants and graph.constants[name].dtype == np.float32:
                value = graph.constants[name]
                if node.op_type in LINEAR and index == 1:
                    exact = (exact_channels or {}).get(node.output[0], [])
                    value = _rounded_weight(value, weight_axis(node), exact)
                elif node.op_type in ("Add", "Mul"):
                    quantization = of_constant(value)
                    value = quantization.dequantize(quantization.quantize(value))
                made.input[index] = f"{node.output[0]}.{index}"
                constants[made.input[index]] = value
        nodes.append(made)
        for index, name in enumerate(node.output):
            moved = node.op_type in CUTS | VIEWS | {"Transpose"}
            if name and name in observed.values and not moved and not fused_away(graph, name):
                made.output[index] = f"{name}.exact"
                rounded(name, f"{name}.exact", name)
    written.graph.node.extend(nodes)
    written.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    )
    drop_unused(written)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(written.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {source: image[None]})[0] for image in inputs])


def _rounded_weight(weight, axis, exact):
    scales = weight_scales(weight, axis)
    shape = [-1 if each == axis else 1 for each in range(weight.ndim)]
    rounded = quantize_weight(weight, scales, axis).astype(np.float32) * scales.reshape(shape)
    np.moveaxis(rounded, axis, 0)[exact] = np.moveaxis(weight, axis, 0)[exact]
    return rounded
