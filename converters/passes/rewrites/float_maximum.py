"""A maximum behind a stem that stays in float, in float too: the steps of a maximum are the maximum of steps.

ONNX Runtime moves a QuantizeLinear over the MaxPool before it, and computes that maximum of integers by a kernel that
can take longer than all else of a network. It does not move it over a Max, which of one operand is that operand. (A
convolution in float between integers it makes int8 by itself, and the maximum behind it then is quick.)
"""

from onnx import NodeProto, helper

from converters.passes.rewrites.editing import IMAGE_AXES, Editing, place_of

NAME = "float-maximum"
REASON = "a maximum of what is in float"


def float_maximum(editing: Editing) -> None:
    """Leave a MaxPool of what is computed in float from the graph's input on in float, where the rules want it."""
    graph = editing.graph
    stem: set[str] = set()  # what is computed so
    given = {value.name for value in graph.inputs}.union(graph.constants, ("",))
    for node in graph.nodes:
        if node.output[0] in editing.spec.kept and given.union(stem).issuperset(node.input):
            stem.update(node.output)
        elif _fits(editing, node, stem) and editing.wants(place_of(editing, NAME, node)):
            name = node.output[0]
            maximum = NodeProto()
            maximum.CopyFrom(node)
            maximum.output[0] = f"{name}.maximum"
            editing.replace(node, maximum, helper.make_node("Max", [f"{name}.maximum"], [name], f"{name}.stop"))
            for each in (f"{name}.maximum", name):
                editing.keep(each, REASON)


def _fits(editing: Editing, node: NodeProto, stem: set[str]) -> bool:
    image = len(editing.shapes.get(node.input[0] if node.input else "", ())) == IMAGE_AXES
    pools = node.op_type == "MaxPool" and len(node.output) == 1 and node.output[0] not in editing.spec.kept
    return pools and image and node.input[0] in stem and node.output[0] not in editing.graph.output_names
