"""Chains of arithmetic recognised as the function that they compute: exporters write a GELU as five nodes.

A chain is compared by its values, whatever the order and the form in which it was written. A chain may be a multiple
of a function (a simplifier moves the half of a GELU into the weights behind it): then a Mul by the factor follows.
"""

from collections.abc import Callable

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from scipy.special import erf

from converters.onnx_graph import OnnxGraph, drop_unused

Function = Callable[[np.ndarray], np.ndarray]
Found = tuple[str, str, float]  # operator, form, factor

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
    for multiples in (False, True):  # whole functions first, and the longest multiples: parts of them may be multiples
        graph = OnnxGraph(model)
        place = {id(node): index for index, node in enumerate(graph.nodes)}
        for end in reversed(graph.nodes):
            found = _recognised(graph, end, place, multiples) if end.op_type in LAST else None
            if found is not None:
                _rename(model, end, *found)
        drop_unused(model)
    return model


def _rename(model: ModelProto, end: NodeProto, found: Found, source: str) -> None:
    """Make the end of a chain the function that it is, with a Mul behind it where it is a multiple."""
    operator, form, factor = found
    attributes = {"approximate": form} if form else {}
    name, target = end.name, end.output[0]
    made = target if factor == 1 else f"{target}.function"
    function = helper.make_node(operator, [source], [made], name, **attributes)
    if factor != 1:
        model.graph.initializer.append(numpy_helper.from_array(np.array(factor, np.float32), f"{target}.factor"))
        place = next(index for index, node in enumerate(model.graph.node) if node.output[0] == target)
        end.CopyFrom(helper.make_node("Mul", [made, f"{target}.factor"], [target], f"{name}.factor"))
        model.graph.node.insert(place, function)
    else:
        end.CopyFrom(function)


def _recognised(graph: OnnxGraph, end: NodeProto, place: dict[int, int], multiples: bool) -> tuple[Found, str] | None:
    """(function, its input) of the chain that ends in a node. The chain grows backwards, by its last open input."""
    chain = [end]
    while len(chain) <= LONGEST:
        inside = {name for node in chain for name in node.output}
        leaves = {
            name for node in chain for name in node.input if name and name not in inside and name not in graph.constants
        }
        if len(leaves) == 1 and any(node.op_type in TELLING for node in chain):
            (source,) = leaves
            function = _function(graph, chain, source, multiples)
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


def _function(graph: OnnxGraph, chain: list[NodeProto], source: str, multiples: bool) -> Found | None:
    numbers = {name for node in chain for name in node.input if name in graph.constants}
    if any(np.prod(graph.constants.shape(name)) != 1 for name in numbers):
        return None
    body = GraphProto(name="chain", node=reversed(chain))
    for name in (source, *sorted(numbers)):
        body.input.add().name = name
    body.output.add().name = chain[0].output[0]
    feeds = {name: graph.constants[name] for name in numbers} | {source: POINTS}
    (values,) = ReferenceEvaluator(body, opsets={"": graph.opset}).run(None, feeds)
    if np.shape(values) != POINTS.shape:
        return None
    exact = POINTS.astype(np.float64)
    for (name, form), function in FUNCTIONS.items():
        wanted = function(exact)
        factor = float(values[-1] / wanted[-1]) if multiples else 1.0
        if factor != 0 and np.abs(values - factor * wanted).max() <= CLOSE * abs(factor):
            return name, form, factor
    return None
