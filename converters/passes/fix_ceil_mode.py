"""ceil_mode of pools written out as the padding that it means.

ONNX's shape inference counts a last window that lies in the padding alone; torch and ONNX Runtime leave it out. With
explicit padding all agree.
"""

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from converters.onnx_graph import Dimensions, OnnxGraph, attributes, dimensions, forget_shapes

POOLS = frozenset(("MaxPool", "AveragePool"))


def fix_ceil_mode(model: ModelProto) -> ModelProto:
    """Give pools with ceil_mode the trailing padding that they need instead; the model is changed in place.

    An average that counts its padding does not count what ceil_mode reaches beyond it: a Pad writes the zeros that it
    counts.
    """
    for node in OnnxGraph(model).nodes:
        if node.op_type in POOLS and attributes(node).get("ceil_mode", 0):
            pads = _pads(node, dimensions(model).get(node.input[0], ()))
            if pads is None:
                continue
            given = attributes(node)
            counted = [min(pair) for pair in zip(pads, given.get("pads", [0] * len(pads)), strict=True)]
            if given.get("count_include_pad", 0) and pads != counted:
                _write_zeros(model, node, counted)
                pads = [wide - zeros for wide, zeros in zip(pads, counted, strict=True)]
                _set(node, count_include_pad=0)
            _set(node, pads=pads, ceil_mode=0)
            forget_shapes(model)
    return model


def _pads(node: NodeProto, shape: Dimensions) -> list[int] | None:
    """Padding with which the result is the same without ceil_mode, or None if sizes are not known."""
    given = attributes(node)
    kernel = given["kernel_shape"]
    rank = len(kernel)
    if len(shape) != rank + 2 or given.get("auto_pad", b"NOTSET") != b"NOTSET":
        return None
    strides, dilations = given.get("strides", [1] * rank), given.get("dilations", [1] * rank)
    pads = list(given.get("pads", [0] * 2 * rank))
    for axis, size in enumerate(shape[2:]):
        if size is None:
            return None
        before, after = pads[axis], pads[axis + rank]
        span = (kernel[axis] - 1) * dilations[axis] + 1
        last = -(-(size + before + after - span) // strides[axis])  # the start of the last window, in strides
        if last * strides[axis] >= size + before:
            last -= 1
        pads[axis + rank] = max(last * strides[axis] + span - size - before, 0)
    return pads


def _write_zeros(model: ModelProto, node: NodeProto, pads: list[int]) -> None:
    name, rank = f"{node.input[0]}.zeros", len(pads) // 2
    amounts = np.array([0, 0, *pads[:rank], 0, 0, *pads[rank:]], np.int64)
    model.graph.initializer.append(numpy_helper.from_array(amounts, f"{name}.pads"))
    place = next(index for index, other in enumerate(model.graph.node) if other.output[0] == node.output[0])
    model.graph.node.insert(place, helper.make_node("Pad", [node.input[0], f"{name}.pads"], [name], name))
    node.input[0] = name


def _set(node: NodeProto, **values: object) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name not in values]
    del node.attribute[:]
    node.attribute.extend([*kept, *(helper.make_attribute(name, value) for name, value in values.items())])
