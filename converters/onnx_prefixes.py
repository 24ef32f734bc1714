"""ONNX models that end earlier (Format.prefixes)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from onnx import NodeProto, helper

from converters import onnx_graph
from converters.onnx_graph import OnnxGraph


def write_onnx_prefixes(path: Path, folder: Path, ends: Sequence[str]) -> Iterator[Path]:
    """See Format.prefixes. What the rest would dequantize first is given out as it is stored."""
    model = onnx_graph.load(path)
    graph = OnnxGraph(model)
    nodes, shapes, types = list(graph.nodes), graph.shapes(), onnx_graph.kinds(model)
    writers = {name: index for index, node in enumerate(nodes) for name in node.output}
    results = {value.name for value in graph.outputs}
    stored = {node.output[0]: node.input[0] for node in nodes if _dequantizes(node, graph)}
    for number, end in enumerate(ends):
        before, after = nodes[: writers[end] + 1], nodes[writers[end] + 1 :]
        read_here = {name for node in before for name in node.input}
        read_later = results | {name for node in after for name in node.input}
        kept = [node for node in before if node.output[0] not in stored or node.output[0] in read_here | results]
        live = [name for node in before for name in node.output if name in read_later and not _expands(node, graph)]
        written = dict.fromkeys(name if name in results else stored.get(name, name) for name in live)
        outputs = [helper.make_tensor_value_info(name, types[name], shapes.get(name)) for name in written]
        used = {name for node in kept for name in node.input}
        constants = [tensor for tensor in model.graph.initializer if tensor.name in used]
        prefix = helper.make_graph(kept, model.graph.name, list(graph.inputs), outputs, constants)
        target = folder / f"{number}{path.suffix}"
        onnx_graph.save(
            helper.make_model(prefix, opset_imports=model.opset_import, ir_version=model.ir_version), target
        )
        yield target


def _dequantizes(node: NodeProto, graph: OnnxGraph) -> bool:
    """Whether a node dequantizes what was computed."""
    return node.op_type == "DequantizeLinear" and node.input[0] not in graph.constants


def _expands(node: NodeProto, graph: OnnxGraph) -> bool:
    """Whether a node dequantizes a constant."""
    return node.op_type == "DequantizeLinear" and node.input[0] in graph.constants
