"""A Gemm's factors alpha and beta multiplied into its constant weights and bias, which int8 takes its scales from."""

import numpy as np
from onnx import ModelProto, numpy_helper

from converters.onnx_graph import OnnxGraph, attributes, drop_unused


def fold_gemm(model: ModelProto) -> ModelProto:
    """Replace alpha A B + beta C by A (alpha B) + (beta C) where B and C are stored; the model is changed in place."""
    graph = OnnxGraph(model)
    for node in graph.nodes:
        if node.op_type != "Gemm" or not all(name in graph.constants for name in node.input[1:] if name):
            continue
        given = attributes(node)
        for factor, index in (("alpha", 1), ("beta", 2)):
            value = given.get(factor, 1.0)
            if value == 1.0 or len(node.input) <= index or not node.input[index]:
                continue
            scaled = graph.constants[node.input[index]] * np.float32(value)
            name = f"{node.output[0]}.{factor}"  # the constant itself may serve other nodes
            model.graph.initializer.append(numpy_helper.from_array(scaled, name))
            node.input[index] = name
        for attribute in [each for each in node.attribute if each.name in ("alpha", "beta")]:
            node.attribute.remove(attribute)
    drop_unused(model)
    return model
