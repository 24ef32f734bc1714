"""Identity and inference-time Dropout removed; exporters put an Identity where nodes share equal constants."""

from onnx import ModelProto

from converters.onnx_graph import OnnxGraph


def drop_identity(model: ModelProto) -> ModelProto:
    """Let the consumers of every Identity and Dropout read its input; the model is changed in place.

    One that makes an output of the graph stays: an output must keep its name.
    """
    graph = OnnxGraph(model)
    source: dict[str, str] = {}
    for node in graph.nodes:
        for index, name in enumerate(node.input):
            node.input[index] = source.get(name, name)
        removable = node.op_type in ("Identity", "Dropout") and len(node.output) == 1
        if removable and node.output[0] not in graph.output_names:
            source[node.output[0]] = node.input[0]
            model.graph.node.remove(node)
    return model
