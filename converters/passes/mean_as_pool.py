"""The mean of an image over height and width, however it is written, as the global pool that it is."""

from onnx import ModelProto, NodeProto, helper

from converters.onnx_graph import OnnxGraph, attributes, dimensions


def mean_as_pool(model: ModelProto) -> ModelProto:
    """Replace ReduceMean over height and width by GlobalAveragePool, and Flatten where it drops the two axes; the model
    is changed in place. Runtimes have the pool in int8, and passes know it."""
    graph, sizes = OnnxGraph(model), dimensions(model)
    means = [node for node in graph.nodes if node.op_type == "ReduceMean" and _over_pixels(graph, node, sizes)]
    if not means:
        return model
    nodes: list[NodeProto] = []
    for node in graph.nodes:
        if not any(node is mean for mean in means):
            nodes.append(node)
            continue
        target = node.output[0]
        flat = not attributes(node).get("keepdims", 1)
        pooled = f"{target}.pooled" if flat else target
        nodes.append(helper.make_node("GlobalAveragePool", [node.input[0]], [pooled], node.name))
        if flat:
            nodes.append(helper.make_node("Flatten", [pooled], [target], f"{node.name}.flat", axis=1))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _over_pixels(graph: OnnxGraph, node: NodeProto, sizes: dict[str, tuple[int | None, ...]]) -> bool:
    rank = len(sizes.get(node.input[0], ()))
    axes = attributes(node).get("axes")
    if len(node.input) > 1 and node.input[1] in graph.constants:  # since opset 18
        axes = graph.constants[node.input[1]].tolist()
    return rank == 4 and axes is not None and sorted(axis % rank for axis in axes) == [2, 3]
