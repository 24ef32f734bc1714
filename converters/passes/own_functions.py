"""GELU as one node in graphs of an opset that has none: a function that the model brings along, spelled out where it is
written. Between the two it is quantized as one node, not as the five of its chain."""

from onnx import ModelProto, NodeProto, helper, inliner, parser

from converters.onnx_graph import ONNX_DOMAINS, OnnxGraph, attributes
from converters.passes.name_functions import name_functions

DOMAIN = "falcon_edge"
FIRST_OPSET = 20  # in which ONNX has Gelu itself
ERF, TANH = "Gelu", "TanhGelu"
BODIES = {
    ERF: """
        half = Constant <value_float = 0.5> ()
        one = Constant <value_float = 1.0> ()
        root = Constant <value_float = 1.4142135623730951> ()
        scaled = Div (x, root)
        error = Erf (scaled)
        above = Add (error, one)
        product = Mul (x, above)
        y = Mul (product, half)
    """,
    TANH: """
        half = Constant <value_float = 0.5> ()
        one = Constant <value_float = 1.0> ()
        cubic = Constant <value_float = 0.044715> ()
        root = Constant <value_float = 0.7978845608028654> ()
        square = Mul (x, x)
        cube = Mul (square, x)
        more = Mul (cube, cubic)
        sum = Add (x, more)
        scaled = Mul (sum, root)
        tangent = Tanh (scaled)
        above = Add (tangent, one)
        product = Mul (x, above)
        y = Mul (product, half)
    """,
}


def own_functions(model: ModelProto) -> ModelProto:
    """Make the chains that passes.name_functions knows single nodes, which every runtime can run; changed in place."""
    opset = OnnxGraph(model).opset
    name_functions(model)
    found = set()
    for node in model.graph.node:
        if node.op_type == "Gelu" and node.domain in ONNX_DOMAINS and opset < FIRST_OPSET:
            name = TANH if attributes(node).get("approximate", b"none") == b"tanh" else ERF
            node.CopyFrom(helper.make_node(name, list(node.input), list(node.output), node.name, domain=DOMAIN))
            found.add(name)
    for name in sorted(found):
        header = f'<opset_import: ["" : {opset}], domain: "{DOMAIN}">\n{name} (x) => (y)'
        model.functions.append(parser.parse_function(f"{header} {{{BODIES[name]}}}"))
    if found:
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return model


def spelled_out(model: ModelProto) -> ModelProto:
    """The model without functions of its own."""
    if not any(function.domain == DOMAIN for function in model.functions):
        return model
    written: ModelProto = inliner.inline_local_functions(model)
    for entry in [entry for entry in written.opset_import if entry.domain == DOMAIN]:
        written.opset_import.remove(entry)
    return written


def named(node: NodeProto) -> NodeProto:
    """A node of a function of ours as the one of ONNX; any other node as it is."""
    if node.domain != DOMAIN:
        return node
    form = "tanh" if node.op_type == TANH else "none"
    return helper.make_node("Gelu", list(node.input), list(node.output), node.name, approximate=form)
