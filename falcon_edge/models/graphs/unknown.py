"""Operators that no layer is known for, all of a graph in one line."""

from onnx import NodeProto

from falcon_edge.models.graphs.graph import ONNX, Graph
from falcon_edge.models.graphs.node import MAKERS

OURS = "falcon_edge"
FUNCTIONS = frozenset(("Gelu", "TanhGelu"))  # that the converters make of the chains which compute them
FEW = 3  # nodes that are named, of each operator


def refuse_unknown(graph: Graph) -> None:
    """Raise BadInput that names every operator for which there is no layer, and where it is."""
    unknown: dict[str, list[str]] = {}
    for node in graph.nodes:
        if not _known(node):
            kind = node.op_type if node.domain in ONNX else f"{node.domain}.{node.op_type}"
            unknown.setdefault(kind, []).append(node.name or node.output[0])
    if unknown:
        words = "; ".join(f"{kind} (at {_few(names)})" for kind, names in unknown.items())
        raise graph.refused(f"no torch layer for {words}. {_advice(unknown)}")


def _known(node: NodeProto) -> bool:
    if node.domain == OURS:
        return node.op_type in FUNCTIONS
    return node.domain in ONNX and node.op_type in MAKERS and node.op_type != "TanhGelu"


def _advice(unknown: dict[str, list[str]]) -> str:
    if {"If", "Loop", "Scan", "SequenceMap"} & unknown.keys():
        return "Write loops and branches as layers, and export the network anew"
    if any("QuantizeLinear" in kind for kind in unknown):
        return "Import the float file that this int8 one was made from"
    return "Replace these layers, and export the network anew"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return f"{', '.join(names[:FEW])}{more}"
