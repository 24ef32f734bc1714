"""A pointwise convolution and the depthwise one behind it, or a sum of such pairs, as one convolution.

It rounds less and has other weights to quantize, so that it comes before quantization, for the files of all runtimes.
"""

from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from converters.onnx_graph import OnnxGraph, attributes, drop_unused, kinds
from converters.passes.rewrites.editing import cost
from converters.passes.rewrites.rules import Applied, Place, Rules

NAME = "multiplied-back"


@dataclass(frozen=True)
class _Product:
    """What a value is a convolution of: the source, its weight (N, M, kh, kw) and bias (N,), or of so many branches."""

    source: str
    weight: np.ndarray
    bias: np.ndarray
    stride: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    branches: int = 1

    def beside(self, other: "_Product") -> "_Product | None":
        """The sum of two of the same source and geometry."""
        mine, its = ((each.source, each.stride, each.pads, each.dilations) for each in (self, other))
        if mine != its or self.weight.shape != other.weight.shape:
            return None
        weight, bias = self.weight + other.weight, self.bias + other.bias
        return _Product(*mine[:1], weight, bias, *mine[1:], self.branches + other.branches)


def multiplied_back(model: ModelProto, rules: Rules, runtimes: tuple[str, ...]) -> Applied:
    """Multiply factors wherever the rules want it for all of the runtimes; the model is changed in place.

    Returns what was done.
    """
    graph, types = OnnxGraph(model), kinds(model)
    shapes = graph.shapes()
    products: dict[str, _Product] = {}
    for node in graph.nodes:
        product = _pair(graph, node) if node.op_type == "Conv" else _sum(graph, node, products)
        if product is not None and types.get(node.output[0]) == TensorProto.FLOAT:
            products[node.output[0]] = product
    made: list[str] = []
    for node in graph.nodes:
        name = node.output[0]
        follower = graph.only_consumer(name)
        if name not in products or (follower is not None and follower.output[0] in products):
            continue
        product = products[name]
        place = Place(
            NAME,
            node.name or name,
            shapes[product.source],
            shapes[name],
            (product.weight.shape[2], product.weight.shape[3]),
            (product.stride[0], product.stride[1]),
            branches=product.branches,
        )
        if all(rules.wants(runtime, place) for runtime in runtimes):
            _replace(model, node, product)
            made.append(place.node)
    if not made:
        return Applied()
    before = cost(graph, shapes)
    del model.graph.value_info[:]
    drop_unused(model)
    changed = OnnxGraph(model)
    macs, parameters = np.subtract(cost(changed, changed.shapes()), before).tolist()
    return Applied({NAME: tuple(made)}, macs, parameters)


def _pair(graph: OnnxGraph, node: NodeProto) -> _Product | None:
    """A depthwise convolution of an image behind a pointwise one that nothing else reads."""
    first = graph.producer.get(node.input[0])
    if first is None or first.op_type != "Conv" or graph.only_consumer(node.input[0]) is None:
        return None
    if not all(name in graph.constants for each in (first, node) for name in each.input[1:] if name):
        return None
    point, window = (graph.constants[each.input[1]] for each in (first, node))
    one, other = attributes(first), attributes(node)
    pads = tuple(other.get("pads", (0,) * 4))
    groups = len(point) == len(window) == other.get("group", 1) > 1 and window.shape[1] == 1 == one.get("group", 1)
    plain = not any(one.get("pads", ())) and set(one.get("strides", (1,))) == {1} and window.ndim == 4
    explicit = {each.get("auto_pad", b"NOTSET") for each in (one, other)} <= {b"NOTSET", b"VALID"}
    if not (groups and plain and explicit) or set(point.shape[2:]) != {1}:
        return None
    bias = np.zeros(len(window))
    if len(first.input) > 2 and first.input[2]:
        if any(pads):  # what the first one adds is not there in the padding
            return None
        bias += graph.constants[first.input[2]].astype(np.float64) * window.sum((1, 2, 3), np.float64)
    if len(node.input) > 2 and node.input[2]:
        bias += graph.constants[node.input[2]]
    weight = window.astype(np.float64) * point.astype(np.float64)
    stride, dilations = tuple(other.get("strides", (1, 1))), tuple(other.get("dilations", (1, 1)))
    return _Product(first.input[0], weight, bias, stride, pads, dilations)


def _sum(graph: OnnxGraph, node: NodeProto, products: dict[str, _Product]) -> _Product | None:
    """A sum of two products that nothing else reads."""
    if node.op_type != "Add" or not all(name in products and graph.only_consumer(name) for name in node.input):
        return None
    return products[node.input[0]].beside(products[node.input[1]])


def _replace(model: ModelProto, node: NodeProto, product: _Product) -> None:
    name = node.output[0]
    weight, bias = f"{name}.product.weight", f"{name}.product.bias"
    model.graph.initializer.append(numpy_helper.from_array(product.weight.astype(np.float32), weight))
    model.graph.initializer.append(numpy_helper.from_array(product.bias.astype(np.float32), bias))
    made = helper.make_node(
        "Conv",
        [product.source, weight, bias],
        [name],
        node.name,
        kernel_shape=list(product.weight.shape[2:]),
        strides=list(product.stride),
        pads=list(product.pads),
        dilations=list(product.dilations),
    )
    node.CopyFrom(made)
