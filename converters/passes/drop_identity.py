"""Identity and inference-time Dropout removed; exporters put an Identity where nodes share equal constants."""

from onnx import ModelProto, NodeProto

from converters.onnx_graph import OnnxGraph, rename_values, subgraphs


def drop_identity(model: ModelProto) -> ModelProto:
    """Let the consumers of every Identity and Dropout read its input; the model is changed in place.

    One that makes an output of the graph stays, as an Identity: an output must keep its name.
    """
    graph = OnnxGraph(model)
    source: dict[str, str] = {}
    for node in graph.nodes:
        for index, name in enumerate(node.input):
            node.input[index] = source.get(name, name)
        for inner in subgraphs(node):
            rename_values(inner, source)
        if not _changes_nothing(graph, node):
            continue
        if node.output[0] in graph.output_names:
            node.op_type = "Identity"
            del node.input[1:], node.attribute[:]
        else:
            source[node.output[0]] = node.input[0]
            model.graph.node.remove(node)
    return model


def _changes_nothing(graph: OnnxGraph, node: NodeProto) -> bool:
    if node.op_type not in ("Identity", "Dropout") or len(node.output) != 1:
        return False
    trains = node.input[2] if len(node.input) > 2 else ""
    return not trains or (trains in graph.constants and not graph.constants[trains].any())
