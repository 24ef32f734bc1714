"""Chains of arithmetic recognised as the function that they compute: exporters write a GELU as five nodes.

A chain is compared by its values, whatever the order and the form in which it was written.
"""

from collections.abc import Callable

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, helper
from onnx.reference import ReferenceEvaluator
from scipy.special import erf

from converters.onnx_graph import OnnxGraph, drop_unused

Function = Callable[[np.ndarray], np.ndarray]

ARITHMETIC = frozenset(("Add", "Sub", "Mul", "Div", "Pow", "Erf", "Tanh", "Clip", "Relu", "HardSigmoid", "Sqrt"))
# A chain is looked at only if it has one of these.
TELLING = frozenset(("Erf", "Tanh", "Clip", "HardSigmoid"))
LAST = frozenset(("Mul", "Div"))
LONGEST = 12  # nodes
POINTS = np.linspace(-6, 6, 241, dtype=np.float32)
CLOSE = 1e-5  # the two forms of GELU differ by 5e-4

FUNCTIONS: dict[tuple[str, str], Function] = {
    ("Gelu", "none"): lambda x: x / 2 * (1 + erf(x / np.sqrt(2))),
    ("Gelu", "tanh"): lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ("HardSwish", ""): lambda x: x * np.clip(x + 3, 0, 6) / 6,
}


def name_functions(model: ModelProto) -> ModelProto:
    """Replace chains by Gelu (an operator of opset 20, which is not raised) and HardSwish; changed in place."""
    graph = OnnxGraph(model)
    place = {id(node): index for index, node in enumerate(graph.nodes)}
    for end in graph.nodes:
        if end.op_type in LAST:
            found = _recognised(graph, end, place)
            if found is not None:
                (operator, form), source = found
                attributes = {"approximate": form} if form else {}
                end.CopyFrom(helper.make_node(operator, [source], [end.output[0]], end.name, **attributes))
    drop_unused(model)
    return model


def _recognised(graph: OnnxGraph, end: NodeProto, place: dict[int, int]) -> tuple[tuple[str, str], str] | None:
    """(function, its input) of the chain that ends in a node. The chain grows backwards, by its last open input."""
    chain = [end]
    while len(chain) <= LONGEST:
        inside = {name for node in chain for name in node.output}
        leaves = {
            name for node in chain for name in node.input if name and name not in inside and name not in graph.constants
        }
        if len(leaves) == 1 and any(node.op_type in TELLING for node in chain):
            (source,) = leaves
            function = _function(graph, chain, source)
            if function is not None:
                return function, source
        producers = [graph.producer[name] for name in leaves if name in graph.producer]
        if not producers:
            return None
        latest = max(producers, key=lambda node: place[id(node)])
        if not _joins(graph, latest, chain):
            return None
        chain.append(latest)
    return None


def _joins(graph: OnnxGraph, node: NodeProto, chain: list[NodeProto]) -> bool:
    """Whether a node is arithmetic with numbers whose result the chain alone uses."""
    numbers = [graph.constants.shape(name) for name in node.input if name in graph.constants]
    name = node.output[0]
    return (
        node.op_type in ARITHMETIC
        and all(np.prod(shape) == 1 for shape in numbers)
        and name not in graph.output_names
        and all(any(user is member for member in chain) for user in graph.consumers[name])
    )


def _function(graph: OnnxGraph, chain: list[NodeProto], source: str) -> tuple[str, str] | None:
    numbers = {name for node in chain for name in node.input if name in graph.constants}
    if any(np.prod(graph.constants.shape(name)) != 1 for name in numbers):
        return None
    body = GraphProto(name="chain", node=reversed(chain))
    for name in (source, *sorted(numbers)):
        body.input.add().name = name
    body.output.add().name = chain[0].output[0]
    feeds = {name: graph.constants[name] for name in numbers} | {source: POINTS}
    (values,) = ReferenceEvaluator(body, opsets={"": graph.opset}).run(None, feeds)
    exact = POINTS.astype(np.float64)
    for name, function in FUNCTIONS.items():
        if np.shape(values) == POINTS.shape and np.abs(values - function(exact)).max() <= CLOSE:
            return name
    return None
