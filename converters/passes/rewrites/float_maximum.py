"""A maximum behind what stays in float, in float too: the steps of a maximum are the maximum of steps.

ONNX Runtime moves a QuantizeLinear over the MaxPool before it, and computes that maximum of integers by a kernel that
takes longer than all else of a network. It does not move it over a Max, which of one operand is that operand.
"""

from onnx import NodeProto, helper

from converters.passes.rewrites.editing import IMAGE_AXES, Editing, place_of

NAME = "float-maximum"
REASON = "a maximum of what is in float"


def float_maximum(editing: Editing) -> None:
    """Leave a MaxPool of an image that is computed in float in float, where the rules want it."""
    for node in editing.graph.nodes:
        if _fits(editing, node) and editing.wants(place_of(editing, NAME, node)):
            name = node.output[0]
            maximum = NodeProto()
            maximum.CopyFrom(node)
            maximum.output[0] = f"{name}.maximum"
            editing.replace(node, maximum, helper.make_node("Max", [f"{name}.maximum"], [name], f"{name}.stop"))
            for each in (f"{name}.maximum", name):
                editing.keep(each, REASON)


def _fits(editing: Editing, node: NodeProto) -> bool:
    graph, kept = editing.graph, editing.spec.kept
    if node.op_type != "MaxPool" or len(node.output) > 1 or node.output[0] in kept:
        return False
    maker = graph.producer.get(node.input[0])
    from_float = maker is not None and maker.output[0] in kept
    image = len(editing.shapes.get(node.input[0], ())) == IMAGE_AXES
    return from_float and image and node.output[0] not in graph.output_names
