"""A graph of any opset and IR version in the one form that passes, int8 and emitter read: that of opset 17 or later.

What ONNX changed between opsets is decided here, and nowhere else. The changes are those of ONNX's own converter but
for one: it takes the Resize of opset 10, whose pixels are read at x / scale, for that of opset 11, whose default is
another (Resize of the ONNX specification, versions 10 and 11).
"""

from collections.abc import Callable

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper, version_converter

from converters.errors import ConversionError
from converters.onnx_graph import (
    IR_VERSION,
    ONNX_DOMAINS,
    OPSET,
    OnnxGraph,
    attributes,
    drop_unused,
    first_line,
    kinds,
    put_weights_back,
)
from converters.onnx_verify import without_weights
from converters.same_padding import same_padding

FIRST_OPSET = 7  # broadcasting was another until then, and ONNX Runtime begins here too
RESIZE_OPSET = 11
FLOAT8 = {value for name, value in TensorProto.DataType.items() if "FLOAT8" in name}
# Of more than two operands, written with the operator of two; the kernels of both runtimes have two.
PAIRS = {"Sum": "Add", "Mean": "Add", "Max": "Max", "Min": "Min"}


def current_form(model: ModelProto) -> ModelProto:
    """Bring a graph to opset 17 where it is older, its weights to initializers alone; the model is changed in place.

    Raises ConversionError for an opset before 7, a node that ONNX's converter does not know, and one that contradicts
    itself or that ONNX Runtime reads otherwise than ONNX.
    """
    _refuse_two_pads(model)
    _refuse_dilated_pools_of_one_size(model)
    _drop_stored_inputs(model)
    drop_unused(model)
    opset = OnnxGraph(model).opset
    if opset < FIRST_OPSET:
        raise ConversionError(
            f"the graph is of opset {opset}, and {FIRST_OPSET} is the first that is read: export it anew"
        )
    if opset < OPSET:
        _raise_opset(model, opset)
    _write_pads(model)
    _drop_dilations_of_one(model)
    _drop_saturation(model)
    _write_pairs(model)
    return model


def _refuse_two_pads(model: ModelProto) -> None:
    """ONNX allows auto_pad or pads. Of both ONNX Runtime's kernels take the one or the other, by type and operator."""
    for node in model.graph.node:
        given = attributes(node)
        rule = given.get("auto_pad", b"NOTSET")
        if any(given.get("pads", ())) and rule not in (b"NOTSET", b""):
            both = f"auto_pad {rule.decode(errors='replace')} and pads {given['pads']}"
            raise ConversionError(f"{node.name or node.output[0]}: has {both}, which contradict each other: keep one")


def _refuse_dilated_pools_of_one_size(model: ModelProto) -> None:
    """SAME keeps the size, over the stride; ONNX Runtime's pools leave dilations out of it, and make it smaller."""
    for node in model.graph.node:
        given = attributes(node)
        rule = given.get("auto_pad", b"NOTSET")
        dilated = any(each != 1 for each in given.get("dilations", ()))
        if "Pool" in node.op_type and rule.startswith(b"SAME") and dilated:
            both = f"auto_pad {rule.decode(errors='replace')} and dilations {given['dilations']}"
            raise ConversionError(
                f"{node.name or node.output[0]}: has {both}: ONNX Runtime makes another size of these than ONNX; "
                "write pads"
            )


def _write_pads(model: ModelProto) -> None:
    """SAME of a convolution without strides is the same at any size; of dilated ones ONNX Runtime knows pads alone."""
    shapes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    for node in model.graph.node:
        given = attributes(node)
        rule = given.get("auto_pad", b"NOTSET")
        if node.op_type != "Conv" or not rule.startswith(b"SAME") or set(given.get("strides", (1,))) != {1}:
            continue
        kernel = given.get("kernel_shape", shapes.get(node.input[1], ())[2:])
        if kernel:
            ones = (1,) * len(kernel)
            before, behind = same_padding(rule == b"SAME_UPPER", ones, kernel, ones, given.get("dilations", ones))
            _keep(node, lambda each: each.name not in ("auto_pad", "pads"))
            node.attribute.append(helper.make_attribute("pads", [*before, *behind]))


def _drop_dilations_of_one(model: ModelProto) -> None:
    """AveragePool has dilations from opset 19 on; ONNX Runtime's int8 kernel knows none, also where they are 1."""
    for node in model.graph.node:
        if node.op_type == "AveragePool":
            _keep(node, lambda each: each.name != "dilations" or set(each.ints) != {1})


def _drop_saturation(model: ModelProto) -> None:
    """Cast's `saturate` is of float8 alone; ONNX Runtime loads it on others where its optimiser takes the node out."""
    for node in model.graph.node:
        if node.op_type == "Cast" and attributes(node).get("to") not in FLOAT8:
            _keep(node, lambda each: each.name != "saturate")


def _keep(node: NodeProto, wanted: Callable[[AttributeProto], bool]) -> None:
    """Leave a node only some of its attributes."""
    kept = [each for each in node.attribute if wanted(each)]
    del node.attribute[:]
    node.attribute.extend(kept)


def _drop_stored_inputs(model: ModelProto) -> None:
    """Weights were listed as inputs too until IR version 4."""
    stored = {tensor.name for tensor in model.graph.initializer}
    for value in [value for value in model.graph.input if value.name in stored]:
        model.graph.input.remove(value)


def _raise_opset(model: ModelProto, opset: int) -> None:
    light = without_weights(model)
    light.ir_version = IR_VERSION
    try:
        raised = version_converter.convert_version(light, OPSET)
    except Exception as error:  # native code, which raises several kinds
        raise ConversionError(
            f"the graph cannot be brought from opset {opset} to {OPSET}: {first_line(error)}"
        ) from error
    if opset < RESIZE_OPSET:
        for node in raised.graph.node:
            if node.op_type == "Resize":
                _keep(node, lambda each: each.name == "mode")
                node.attribute.append(helper.make_attribute("coordinate_transformation_mode", "asymmetric"))
                node.attribute.append(helper.make_attribute("nearest_mode", "floor"))
    others = [entry for entry in model.opset_import if entry.domain not in ONNX_DOMAINS]
    put_weights_back(model, raised)
    del model.opset_import[:]
    model.opset_import.extend([helper.make_opsetid("", OPSET), *others])
    model.ir_version = IR_VERSION


def _write_pairs(model: ModelProto) -> None:
    """Sum, Mean, Max and Min of any number of values as chains of operators of two."""
    if not any(_is_joint(node) for node in model.graph.node):
        return
    types = kinds(model)
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        if not _is_joint(node):
            nodes.append(node)
            continue
        target, count = node.output[0], len(node.input)
        total = f"{target}.total" if node.op_type == "Mean" else target
        value = node.input[0]
        for index, name in enumerate(node.input[1:], start=1):
            step = total if index == count - 1 else f"{target}.{index}"
            nodes.append(helper.make_node(PAIRS[node.op_type], [value, name], [step], f"{node.name}.{index}"))
            value = step
        if node.op_type == "Mean" and count > 1:
            share = np.array(1 / count, helper.tensor_dtype_to_np_dtype(types[node.input[0]]))
            model.graph.initializer.append(numpy_helper.from_array(share, f"{target}.share"))
            nodes.append(helper.make_node("Mul", [value, f"{target}.share"], [target], node.name))
        elif count == 1:
            nodes.append(helper.make_node("Identity", [value], [target], node.name))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _is_joint(node: NodeProto) -> bool:
    pair = node.op_type in ("Max", "Min") and len(node.input) == 2
    return node.op_type in PAIRS and node.domain in ONNX_DOMAINS and not pair
