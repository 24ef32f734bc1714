"""Additions in int8 as ONNX Runtime's kernel for ARM rounds them, for hosts that round otherwise.

The kernel for x86 adds in float and rounds a half to the even neighbour; that for ARM multiplies by fixed-point numbers
of 22 bits and rounds a half away from zero (onnxruntime/core/mlas/lib/qladd.cpp). A step of difference in one number of
some thousands is right on both. With this, a host can tell to the bit what an ARM CPU has to answer.
"""

import math

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from converters.onnx_graph import OnnxGraph

BITS = 22
LEAST_RATIO, RATIO_LIMIT = 2.0**-14, 2.0**8  # beyond these the kernel adds in float
LEAST_SHIFT, MOST_SHIFT = 13, 31


def with_arm_rounding(model: ModelProto) -> ModelProto | None:
    """The same int8 graph, as a new model, with every addition exact and rounded as on ARM; None without additions.

    Real numbers are doubles in between, which hold the kernel's integers exactly. Stored integers are touched by
    QuantizeLinear and DequantizeLinear alone, as before: a twin can be made of the result, or the result of a twin.
    """
    graph = OnnxGraph(model)
    rewritten: dict[int, list[NodeProto]] = {}
    constants: list[TensorProto] = []
    for index, node in enumerate(graph.nodes):
        quantize = graph.only_consumer(node.output[0]) if node.op_type == "Add" else None
        operands = [graph.producer.get(name) for name in node.input]
        if quantize is None or quantize.op_type != "QuantizeLinear":
            continue
        if any(operand is None or operand.op_type != "DequantizeLinear" for operand in operands):
            continue
        nodes, made = _addition(graph, [operand for operand in operands if operand is not None], quantize)
        if nodes:
            rewritten[index] = nodes
            constants += made
    if not rewritten:
        return None
    gone = {graph.nodes[index].output[0] for index in rewritten}
    result = ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:], result.graph.value_info[:]
    for index, node in enumerate(graph.nodes):
        if index in rewritten:
            result.graph.node.extend(rewritten[index])
        elif node.op_type != "QuantizeLinear" or node.input[0] not in gone:
            result.graph.node.append(node)
    result.graph.initializer.extend(constants)
    return result


def multipliers(scales: tuple[np.float32, np.float32], result: np.float32) -> tuple[int, int, int] | None:
    """Both operands' fixed-point multipliers and the shift after them; None where the kernel adds in float."""
    ratios = [np.float32(scale / result) for scale in scales]
    if not all(LEAST_RATIO <= ratio < RATIO_LIMIT for ratio in ratios):
        return None
    shift = BITS - math.frexp(max(ratios))[1]
    if not LEAST_SHIFT <= shift <= MOST_SHIFT:
        return None
    first, second = (int(np.rint(ratio * np.float32(2.0**shift))) for ratio in ratios)
    limit = 1 << BITS
    return (first, second, shift) if limit // 2 <= max(first, second) < limit else None


def _addition(
    graph: OnnxGraph, operands: list[NodeProto], quantize: NodeProto
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes and constants for the sum of two dequantized values, quantized; none where the kernel adds in float."""
    scales = [np.float32(graph.constants[node.input[1]].item()) for node in (*operands, quantize)]
    found = multipliers((scales[0], scales[1]), scales[2])
    if found is None:
        return [], []
    *factors, shift = found
    target = quantize.output[0]
    values: dict[str, np.floating] = {"one": np.float32(1), "half": np.float64(0.5), "unit": np.float64(2.0**shift)}
    nodes = []
    for number, (operand, factor) in enumerate(zip(operands, factors, strict=True)):
        values[f"factor{number}"] = np.float64(factor)
        nodes += [
            _node("DequantizeLinear", [operand.input[0], f"{target}.one", operand.input[2]], target, f"steps{number}"),
            _node("Cast", [f"{target}.steps{number}"], target, f"real{number}", to=TensorProto.DOUBLE),
            _node("Mul", [f"{target}.real{number}", f"{target}.factor{number}"], target, f"product{number}"),
        ]
    for kind, inputs, name in (
        ("Add", ("product0", "product1"), "sum"),
        ("Div", ("sum", "unit"), "scaled"),
        ("Sign", ("scaled",), "sign"),
        ("Abs", ("scaled",), "size"),
        ("Add", ("size", "half"), "above"),
        ("Floor", ("above",), "whole"),
        ("Mul", ("sign", "whole"), "rounded"),
    ):
        nodes.append(_node(kind, [f"{target}.{each}" for each in inputs], target, name))
    nodes += [
        _node("Cast", [f"{target}.rounded"], target, "steps", to=TensorProto.FLOAT),
        helper.make_node("QuantizeLinear", [f"{target}.steps", f"{target}.one", quantize.input[2]], [target]),
    ]
    return nodes, [numpy_helper.from_array(np.asarray(value), f"{target}.{name}") for name, value in values.items()]


def _node(kind: str, inputs: list[str], target: str, name: str, **settings: int) -> NodeProto:
    return helper.make_node(kind, inputs, [f"{target}.{name}"], **settings)
