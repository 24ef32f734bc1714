"""Nodes whose results do not depend on the image, computed once and stored: chains of shapes, transformed weights,
values without elements."""

from collections.abc import Mapping
from math import prod

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from converters.onnx_graph import (
    MAXIMUM_BYTES,
    ONNX_DOMAINS,
    Dimensions,
    OnnxGraph,
    attributes,
    dimensions,
    drop_unused,
    kinds,
    subgraphs,
)
from converters.passes.take_branches import take_branches

# A result of more numbers than this, and more than it is computed from, stays a node unless it is a layer's weights.
LIMIT = 2**20
LARGEST = MAXIMUM_BYTES // 4  # of which no file holds more
LAYERS = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))
# Two runs differ, or the node says how its constant is to be stored.
KEPT = frozenset(
    ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli", "Dropout")
) | {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}
# What only moves numbers about can be computed on a shape of which some dimensions are known.
MOVES = frozenset(("Gather", "Slice", "Concat", "Squeeze", "Unsqueeze", "Cast"))
FREE = np.iinfo(np.int64).min  # stands for a free dimension in such a shape

Values = dict[str, np.ndarray]


def fold_constants(model: ModelProto) -> ModelProto:
    """Turn every node that can be computed now into initializers; the model is changed in place.

    That is: all its inputs are constant, it takes fixed dimensions from the Shape of a value, or its result has no
    elements. A free dimension, as that of a dynamic batch, is never taken for a number. In the place of an If whose
    condition is constant stands its branch.
    """
    while _fold_once(model) or take_branches(model):
        pass
    _fix_targets(model)
    _leave_out_empty(model)
    drop_unused(model)
    return model


def _fix_targets(model: ModelProto) -> None:
    """Give a Reshape of which one dimension is free a constant target, with -1 in that place."""
    graph, sizes = OnnxGraph(model), dimensions(model)
    for node in graph.nodes:
        shape = sizes.get(node.output[0], ())
        if node.op_type == "Reshape" and node.input[1] not in graph.constants and shape.count(None) == 1:
            name = f"{node.output[0]}.target"
            target = np.array([-1 if size is None else size for size in shape], np.int64)
            model.graph.initializer.append(numpy_helper.from_array(target, name))
            node.input[1] = name


def _leave_out_empty(model: ModelProto) -> None:
    """Join only what has elements."""
    graph, sizes = OnnxGraph(model), dimensions(model)
    for node in graph.nodes:
        parts = [name for name in node.input if 0 not in sizes.get(name, ())]
        if node.op_type == "Concat" and 0 < len(parts) < len(node.input):
            node.input[:] = parts


def _fold_once(model: ModelProto) -> bool:
    """One walk over the graph; what it folds lets the next one know more shapes. Whether it folded anything."""
    graph, sizes = OnnxGraph(model), dimensions(model)
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    folded: Values = {}
    shapes: Values = {}  # computed from Shape, with FREE in them
    left = []
    for node in graph.nodes:
        results = None
        if _may_fold(graph, node):
            inputs = [name for name in node.input if name]
            if all(_is_empty(sizes.get(name)) for name in node.output if name):
                results = {name: _nothing(model, name, sizes[name]) for name in node.output if name}
            elif all(name in graph.constants for name in inputs):
                results = None if _grows(graph, node, sizes) else _evaluate(node, graph.constants, opsets)
            else:
                if node.op_type == "Shape" and node.input[0] in sizes:
                    results = {node.output[0]: _shape(node, sizes[node.input[0]])}
                elif node.op_type in MOVES and all(name in graph.constants or name in shapes for name in inputs):
                    known = {name: shapes[name] if name in shapes else graph.constants[name] for name in inputs}
                    results = _evaluate(node, known, opsets)
                if results is not None and any((array == FREE).any() for array in results.values()):
                    shapes.update(results)
                    results = None
        if results is None:
            left.append(node)
        else:
            folded.update(results)
            for name, array in results.items():
                graph.constants.add(name, array)
    if folded:
        del model.graph.node[:]
        model.graph.node.extend(left)
        model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in folded.items())
        for value in [value for value in model.graph.value_info if value.name in folded]:
            model.graph.value_info.remove(value)
    return bool(folded)


def _may_fold(graph: OnnxGraph, node: NodeProto) -> bool:
    """Not what is random or quantizes, of another domain, with graphs inside, or an output of the graph."""
    return (
        node.op_type not in KEPT
        and node.domain in ONNX_DOMAINS
        and not subgraphs(node)
        and not any(name in graph.output_names for name in node.output)
    )


def _is_empty(shape: Dimensions | None) -> bool:
    return shape is not None and 0 in shape and None not in shape


def _nothing(model: ModelProto, name: str, shape: Dimensions) -> np.ndarray:
    """A value without elements."""
    return np.zeros([size or 0 for size in shape], helper.tensor_dtype_to_np_dtype(kinds(model)[name]))


def _shape(node: NodeProto, sizes: Dimensions) -> np.ndarray:
    given = attributes(node)
    part = sizes[given.get("start", 0) : given.get("end")]
    return np.array([FREE if size is None else size for size in part], np.int64)


def _grows(graph: OnnxGraph, node: NodeProto, sizes: dict[str, Dimensions]) -> bool:
    """Whether a result would only make the file larger, or nobody knows how large it is."""
    if node.op_type == "Constant":
        return False
    limit = max(LIMIT, *(graph.constants[name].size for name in node.input if name), 0)
    for name in node.output:
        shape = sizes.get(name, (None,))
        if any(size is None for size in shape):
            return True
        numbers = prod(size or 0 for size in shape)
        if numbers > LARGEST:
            return True
        if numbers > limit:
            users = graph.consumers[name]
            if not users or any(user.op_type not in LAYERS or user.input[0] == name for user in users):
                return True
    return False


def _evaluate(node: NodeProto, known: Mapping[str, np.ndarray], opsets: dict[str, int]) -> Values | None:
    """The node's outputs, or None where ONNX's reference implementation cannot tell them."""
    graph = GraphProto(name="node", node=[node])
    inputs = dict.fromkeys(name for name in node.input if name)
    outputs = [name for name in node.output if name]
    for name in inputs:
        graph.input.add().name = name
    for name in outputs:
        graph.output.add().name = name
    try:
        results = ReferenceEvaluator(graph, opsets=opsets).run(outputs, {name: known[name] for name in inputs})
        arrays = {name: np.asarray(result) for name, result in zip(outputs, results, strict=True)}
    except Exception:  # whatever it is, a runtime will say it of the node that stays
        return None
    return arrays if all(array.dtype.kind in "fiub" for array in arrays.values()) else None
