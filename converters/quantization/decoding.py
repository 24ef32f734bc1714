"""The decoding of a detector: what follows its last convolutions, and makes boxes and scores of what they give.

Boxes of hundreds of pixels, in 255 steps, are off by a pixel and more; one scale for boxes and scores leaves the scores
nothing. It is little work, so that it stays in float.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np
from onnx import NodeProto

from converters.onnx_graph import OnnxGraph
from converters.quantization.ranges import Range
from converters.quantization.rules import LINEAR, computed_inputs, is_clamp, is_joint, is_move

WORK = LINEAR | {"ConvTranspose", "MatMul"}  # what an output's last work is, before it is decoded
ARITHMETIC = frozenset(("Add", "Sub", "Mul", "Div"))
UNLIKE = 2.0  # parts of which one's range is so many times another's are different things
REASON = "decodes boxes or scores: no int8 scale is fine enough for them"


def decoding(graph: OnnxGraph, ranges: Mapping[str, Range]) -> dict[str, str]:
    """The nodes that decode outputs, by the name of their first output, and why they are to stay in float.

    Such are those behind the last convolution or matrix product on every way, where exponents are taken, a constant
    with other values at other places (a grid, anchors) takes part, or parts of unlike ranges are joined to an output;
    but for what only moves what the convolution gives. A graph without any such work decodes nothing.
    """
    if not any(_works(graph, node) for node in graph.nodes):
        return {}
    found: dict[str, str] = {}
    for tail in _tails(graph):
        if any(_decodes(graph, node, ranges) for node in tail):
            given: set[str] = set()  # what is still as the convolution gave it, but moved
            inside = {name for node in tail for name in node.output}
            for node in tail:
                untouched = all(name in given or name not in inside for name in computed_inputs(graph, node))
                if untouched and (is_move(graph, node) or is_clamp(graph, node)):
                    given.update(node.output)
                else:
                    found[node.output[0]] = REASON
    return found


def _tails(graph: OnnxGraph) -> Iterator[list[NodeProto]]:
    """The nodes from which no work leads on, those that share a value together, in the order of the graph."""
    leads: set[str] = set()  # values that work is still done with
    behind: list[NodeProto] = []
    for node in reversed(graph.nodes):
        if node.op_type == "Constant":
            continue
        if _works(graph, node) or any(name in leads for name in node.output):
            leads.update(node.input)
        else:
            behind.append(node)
    groups: list[tuple[set[str], list[NodeProto]]] = []
    for node in reversed(behind):
        values, nodes = set(node.output), [node]
        kept = []
        for others, members in groups:
            if others.isdisjoint(node.input):
                kept.append((others, members))
            else:
                values |= others
                nodes = [*members, *nodes]
        groups = [*kept, (values, nodes)]
    order = {id(node): place for place, node in enumerate(graph.nodes)}
    for _, nodes in groups:
        yield sorted(nodes, key=lambda node: order[id(node)])


def _works(graph: OnnxGraph, node: NodeProto) -> bool:
    """Whether a node multiplies with weights; a factor for each channel, which may be a convolution, does not count."""
    if node.op_type not in WORK:
        return False
    if node.op_type != "Conv" or node.input[1] not in graph.constants:
        return True
    shape = graph.constants.shape(node.input[1])
    return math.prod(shape) != shape[0]


def _decodes(graph: OnnxGraph, node: NodeProto, ranges: Mapping[str, Range]) -> bool:
    if node.op_type == "Exp":
        return True
    if node.op_type in ARITHMETIC:
        return any(_varies(graph.constants[name]) for name in node.input if name in graph.constants)
    if not (is_joint(graph, node) and _ends_as_output(graph, node)):
        return False
    spans = [max(ranges[name][1], 0.0) - min(ranges[name][0], 0.0) for name in node.input if name in ranges]
    return len(spans) > 1 and max(spans) > UNLIKE * min(spans)


def _ends_as_output(graph: OnnxGraph, node: NodeProto) -> bool:
    """Whether a node's result is an output, or is only moved and joined on the way to one."""
    users = graph.consumers[node.output[0]]
    moved = all((is_move(graph, user) or is_joint(graph, user)) and _ends_as_output(graph, user) for user in users)
    return moved and (bool(users) or node.output[0] in graph.output_names)


def _varies(constant: np.ndarray) -> bool:
    """Whether a constant has other values at other places, and not only in other channels."""
    return constant.ndim >= 3 and sum(size > 1 for size in constant.shape) > 1 and np.ptp(constant) > 0
