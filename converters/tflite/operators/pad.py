"""Pad: constant, or reflected."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, emits
from converters.tflite.padding import pad as emit_pad


@emits("Pad")
def pad(context: Context, node: NodeProto) -> None:
    """PAD, PADV2 for a constant that is not zero, MIRROR_PAD for mode reflect."""
    given = attributes(node)
    mode = given.get("mode", b"constant").decode()
    amounts = given["pads"] if "pads" in given else context.weight(node).tolist()
    rank = len(amounts) // 2
    if rank != 4 or mode not in ("constant", "reflect") or min(amounts) < 0 or len(node.input) > 3:
        raise context.unsupported(node, f"mode {mode} on {rank} dimensions")
    batch, channels, height, width = ((amounts[axis], amounts[axis + rank]) for axis in range(rank))
    borders = (batch, height, width, channels)
    source, target = context.tensor(node.input[0]), context.output(node)
    if mode == "reflect":
        options = schema.MirrorPadOptionsT()
        options.mode = schema.MirrorPadMode.REFLECT
        sizes = context.raw(f"{node.output[0]}.pads", np.array(borders, np.int32))
        context.operator(schema.BuiltinOperator.MIRROR_PAD, [source, sizes], [target], options)
        return
    constant = context.weight(node, 2) if len(node.input) > 2 and node.input[2] else np.zeros(1)
    fill = float(given.get("value", constant.reshape(-1)[0]))
    emit_pad(context, node, source, borders, fill, target)
