"""ONNX's explicit padding in TFLite's terms: SAME or VALID where that is exact, a PAD in front where it is not."""

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context

LOWEST = float(np.finfo(np.float32).min)


@dataclass(frozen=True)
class Window:
    """A sliding window over H and W: kernel, stride, dilation, (before, after) padding of each."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]


def window(context: Context, node: NodeProto, kernel: tuple[int, ...]) -> Window:
    """The window of a Conv or pool, its trailing padding cut or grown to what its output size needs."""
    given = attributes(node)
    if len(kernel) != 2:
        raise context.unsupported(node, f"{len(kernel)} spatial dimensions")
    stride = tuple(given.get("strides", (1, 1)))
    dilation = tuple(given.get("dilations", (1, 1)))
    sizes = context.shapes[node.input[0]][2:]
    outputs = context.shapes[node.output[0]][2:]
    auto = given.get("auto_pad", b"NOTSET")
    explicit = given.get("pads", (0, 0, 0, 0))
    pads = []
    for axis in range(2):
        span = (kernel[axis] - 1) * dilation[axis] + 1
        total = (outputs[axis] - 1) * stride[axis] + span - sizes[axis]  # what the output size needs; may be negative
        if auto == b"SAME_UPPER":
            before = max(total, 0) // 2
        elif auto == b"SAME_LOWER":
            before = max(total, 0) - max(total, 0) // 2
        else:
            before = explicit[axis]
        pads.append((before, max(total - before, 0)))
    return Window((kernel[0], kernel[1]), (stride[0], stride[1]), (dilation[0], dilation[1]), (pads[0], pads[1]))


def is_same(sizes: tuple[int, ...], window: Window) -> bool:
    """Whether TFLite's SAME pads (H, W) = `sizes` exactly so: ceil(size / stride) outputs, the odd pixel behind."""
    for size, kernel, stride, dilation, pads in zip(
        sizes, window.kernel, window.stride, window.dilation, window.pads, strict=True
    ):
        total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
        if pads != (total // 2, total - total // 2):
            return False
    return True


def padded_input(context: Context, node: NodeProto, window: Window, fill: float = 0.0) -> tuple[int, int]:
    """(input tensor, SAME or VALID) for a window over a node's first input, after a PAD with `fill` if needed."""
    source = context.tensor(node.input[0])
    if not any(pad for pads in window.pads for pad in pads):
        return source, schema.Padding.VALID
    if is_same(context.shapes[node.input[0]][2:], window):
        return source, schema.Padding.SAME
    (top, bottom), (left, right) = window.pads
    return pad(context, node, source, ((0, 0), (top, bottom), (left, right), (0, 0)), fill), schema.Padding.VALID


def pad(
    context: Context,
    node: NodeProto,
    source: int,
    amounts: tuple[tuple[int, int], ...],
    fill: float = 0.0,
    target: int | None = None,
) -> int:
    """Emit a PAD, or a PADV2 where the fill is not zero, of a tensor; returns the padded tensor."""
    shape = context.builder.shape(source)
    padded = tuple(size + before + after for size, (before, after) in zip(shape, amounts, strict=True))
    if target is None:
        target = context.output_as(f"{node.output[0]}.padded", padded)
    borders = context.raw(f"{node.output[0]}.pads", np.array(amounts, np.int32))
    if fill == 0:
        context.operator(schema.BuiltinOperator.PAD, [source, borders], [target], schema.PadOptionsT())
    else:
        value = context.raw(f"{node.output[0]}.fill", np.array([fill], np.float32))
        context.operator(schema.BuiltinOperator.PADV2, [source, borders, value], [target], schema.PadV2OptionsT())
    return target
