"""Pad: constant, reflected, or with the edge repeated."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, emits
from converters.tflite.operators.slice import part
from converters.tflite.padding import Pair
from converters.tflite.padding import pad as emit_pad


@emits("Pad")
def pad(context: Context, node: NodeProto) -> None:
    """PAD, PADV2 for a constant that is not zero, MIRROR_PAD for the modes reflect and edge; SLICE for what is cut."""
    given, name = attributes(node), node.input[0]
    shape, order = context.shape(name), context.order(name)
    mode = given.get("mode", b"constant").decode()
    if mode not in ("constant", "reflect", "edge"):
        raise context.no_form(node, f"mode {mode}")
    amounts = _amounts(context, node)
    if not any(any(sides) for sides in amounts):
        context.alias(node)
        return
    source = context.arranged(name, order)
    borders = tuple((max(before, 0), max(after, 0)) for before, after in (amounts[axis] for axis in order))
    grows = any(any(sides) for sides in borders)
    if any(min(sides) < 0 for sides in amounts):
        ranges = [
            (max(-before, 0), size - max(-after, 0), 1) for size, (before, after) in zip(shape, amounts, strict=True)
        ]
        shown = tuple(ranges[axis][1] - ranges[axis][0] for axis in order)
        target = context.step(node, "cut", shown) if grows else context.output(node, order)
        part(context, node, source, order, ranges, target)
        source = target
    if not grows:
        return
    if mode == "constant":
        constant = context.optional(node, 2)
        fill = 0.0 if constant is None else float(constant.reshape(-1)[0])
        emit_pad(context, node, source, borders, fill, context.output(node, order))
    elif mode == "reflect":
        if any(max(sides) >= size for sides, size in zip(borders, context.builder.shape(source), strict=True)):
            raise context.no_form(node, "a border that is wider than what it reflects")
        _mirror(context, node, schema.MirrorPadMode.REFLECT, source, borders, context.output(node, order))
    else:
        _edge(context, node, source, borders, context.output(node, order))


def _amounts(context: Context, node: NodeProto) -> list[Pair]:
    """(before, after) of every ONNX axis."""
    rank, listed = len(context.shape(node.input[0])), context.weight(node).tolist()
    chosen = context.optional(node, 3)
    axes = list(range(rank)) if chosen is None else [axis % rank for axis in chosen.tolist()]
    amounts = [(0, 0)] * rank
    for index, axis in enumerate(axes):
        amounts[axis] = (int(listed[index]), int(listed[index + len(axes)]))
    return amounts


def _edge(context: Context, node: NodeProto, source: int, borders: tuple[Pair, ...], target: int) -> None:
    """The edge repeated: a symmetric mirror of one pixel, as often as the widest border is wide."""
    widest = max(max(sides) for sides in borders)
    for done in range(widest):
        one = tuple((int(before > done), int(after > done)) for before, after in borders)
        shape = tuple(
            size + before + after for size, (before, after) in zip(context.builder.shape(source), one, strict=True)
        )
        result = target if done == widest - 1 else context.step(node, f"edge{done}", shape)
        _mirror(context, node, schema.MirrorPadMode.SYMMETRIC, source, one, result)
        source = result


def _mirror(context: Context, node: NodeProto, mode: int, source: int, borders: tuple[Pair, ...], target: int) -> None:
    options = schema.MirrorPadOptionsT()
    options.mode = mode
    sizes = context.raw(f"{node.output[0]}.pads", np.array(borders, np.int32))
    context.operator(schema.BuiltinOperator.MIRROR_PAD, [source, sizes], [target], options)
