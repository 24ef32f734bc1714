"""A network without its end: an ONNX graph that gives what its head gives, and leaves decoding to the application."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

from converters import onnx_graph
from converters.errors import ConversionError
from converters.onnx_graph import OnnxGraph, drop_unused

NAMED = 3


def cut_to(source: Path, nodes: Sequence[str], path: Path, *, card: dict[str, Any] | None = None) -> list[str]:
    """Write the graph of a file so that it ends with `nodes`, each by its name or that of its first result.

    The outputs have the names of these results, in this order; returns the names that they have in the source. Raises
    ConversionError for a node that is not there.
    """
    model = onnx_graph.load(source)
    graph = OnnxGraph(model)
    shapes, kinds = graph.shapes(), onnx_graph.kinds(model)
    ends = [_end(graph, node, source) for node in nodes]
    twice = next((end for end in ends if ends.count(end) > 1), None)
    if twice is not None:
        raise ConversionError(f"{source.name}: {twice} is named twice as a head")
    names = output_names(ends)
    del model.graph.output[:]
    for end, name in zip(ends, names, strict=True):
        if end not in shapes:
            raise ConversionError(f"{source.name}: the shape of {end} is not known, so that it can be no output")
        model.graph.output.append(helper.make_tensor_value_info(name, kinds.get(end, TensorProto.FLOAT), shapes[end]))
    for node in model.graph.node:
        for values in (node.input, node.output):
            for place, value in enumerate(values):
                if value in ends:
                    values[place] = names[ends.index(value)]
    del model.graph.value_info[:]
    drop_unused(model)
    onnx_graph.embed_card(model, card)
    onnx_graph.save(model, path)
    return ends


def refuse_choosing(path: Path) -> None:
    """Raise ConversionError for a graph that chooses among boxes: of these there are other numbers in every image."""
    for node in onnx_graph.load(path).graph.node:
        if node.op_type == "NonMaxSuppression":
            raise ConversionError(
                f"{path.name}: {node.name or node.output[0]} chooses among boxes (NonMaxSuppression), which the "
                "runtimes do not do alike; `head_only` ends the file before it, and the application chooses"
            )


def output_names(ends: Sequence[str]) -> list[str]:
    """Names for outputs that are results of nodes: '/scores/scores.2/Conv_output_0' is 'scores.scores.2.Conv'."""
    return [end.strip("/").replace("/", ".").removesuffix("_output_0").replace(":", ".") or "head" for end in ends]


def _end(graph: OnnxGraph, name: str, source: Path) -> str:
    """The value that a node gives."""
    for node in graph.nodes:
        if node.op_type != "Constant" and name in (node.name, node.output[0]):
            return node.output[0]
    known = [node.name or node.output[0] for node in graph.nodes if node.op_type != "Constant"]
    near = difflib.get_close_matches(name, known, NAMED, 0.0)
    raise ConversionError(f"{source.name}: has no node {name}; there are {', '.join(near)} (inspect lists all)")
