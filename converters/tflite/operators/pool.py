"""MaxPool and AveragePool."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, emits
from converters.tflite.layout import NHWC
from converters.tflite.operators.broadcast import binary_options
from converters.tflite.operators.slice import part
from converters.tflite.padding import (
    LOWEST,
    Pair,
    Window,
    image,
    image_output,
    is_same,
    pad,
    padded_input,
    spatial,
    window,
)


@emits("MaxPool", "AveragePool", any_type=True)
def pool(context: Context, node: NodeProto) -> None:
    """MAX_POOL_2D or AVERAGE_POOL_2D; a 1x1 window of stride 1 is nothing at all."""
    kernel = tuple(attributes(node)["kernel_shape"])
    sliding = window(context, node, kernel)
    if sliding.dilation != (1, 1) and node.op_type == "AveragePool":
        raise context.no_form(node, "dilation")
    if len(node.output) > 1 and node.output[1]:
        raise context.no_form(node, "indices")
    if sliding.kernel == (1, 1) and sliding.stride == (1, 1) and not sliding.padded:
        context.alias(node)
    elif node.op_type == "MaxPool":
        _maximum(context, node, sliding)
    else:
        _average(context, node, sliding)


def _maximum(context: Context, node: NodeProto, sliding: Window) -> None:
    """Behind SAME, TFLite ignores the padding, as ONNX does; a PAD needs a value that is never the largest."""
    fill = 0.0 if node.input[0] in context.non_negative else LOWEST
    if sliding.dilation != (1, 1):
        _dilated(context, node, sliding, fill)
        return
    source, padding = padded_input(context, node, image(context, node.input[0]), sliding, fill)
    _emit(context, schema.BuiltinOperator.MAX_POOL_2D, source, padding, sliding, image_output(context, node.output[0]))


def _dilated(context: Context, node: NodeProto, sliding: Window, fill: float) -> None:
    """A maximum over every d-th pixel: SPACE_TO_BATCH_ND makes these neighbours, BATCH_TO_SPACE_ND puts all back.

    What the former appends is read by windows alone that the latter cuts off.
    """
    source = image(context, node.input[0])
    if sliding.padded:
        (top, bottom), (left, right) = sliding.pads
        source = pad(context, node, source, ((0, 0), (top, bottom), (left, right), (0, 0)), fill)
    batch, height, width, channels = context.builder.shape(source)
    block = sliding.dilation
    more = [-size % step for size, step in zip((height, width), block, strict=True)]
    split = [(size + extra) // step for size, extra, step in zip((height, width), more, block, strict=True)]
    found = [size - side + 1 for size, side in zip(split, sliding.kernel, strict=True)]
    whole = [size * step - extra for size, step, extra in zip(found, block, more, strict=True)]
    count = batch * block[0] * block[1]
    sizes = context.raw(f"{node.output[0]}.block", np.array(block, np.int32))
    borders = context.raw(f"{node.output[0]}.borders", np.array([(0, extra) for extra in more], np.int32))
    parts = context.step(node, "parts", (count, *split, channels))
    maxima = context.step(node, "maxima", (count, *found, channels))
    options: Any = schema.SpaceToBatchNDOptionsT()
    context.operator(schema.BuiltinOperator.SPACE_TO_BATCH_ND, [source, sizes, borders], [parts], options)
    dense = Window(sliding.kernel, (1, 1), (1, 1), ((0, 0), (0, 0)))
    _emit(context, schema.BuiltinOperator.MAX_POOL_2D, parts, schema.Padding.VALID, dense, maxima)
    results = spatial(context.shape(node.output[0]))
    strided = (*whole, *sliding.stride) != (*results, 1, 1)
    joined = (
        context.step(node, "joined", (batch, *whole, channels)) if strided else image_output(context, node.output[0])
    )
    options = schema.BatchToSpaceNDOptionsT()
    context.operator(schema.BuiltinOperator.BATCH_TO_SPACE_ND, [maxima, sizes, borders], [joined], options)
    if strided:
        ranges = [(0, (size - 1) * step + 1, step) for size, step in zip(results, sliding.stride, strict=True)]
        chosen = [(0, batch, 1), (0, channels, 1), *ranges]
        part(context, node, joined, NHWC, chosen, image_output(context, node.output[0]))


def _average(context: Context, node: NodeProto, sliding: Window) -> None:
    """TFLite's SAME divides by the pixels that are there, PAD and VALID by the whole window.

    Elsewhere a MUL comes behind PAD and VALID, with a map of the ratios between the two.
    """
    code, name = schema.BuiltinOperator.AVERAGE_POOL_2D, node.output[0]
    source = image(context, node.input[0])
    sizes = spatial(context.shape(node.input[0]))
    counted = bool(attributes(node).get("count_include_pad", 0))
    if not sliding.padded or (not counted and is_same(sizes, sliding)):
        padding = schema.Padding.SAME if sliding.padded else schema.Padding.VALID
        _emit(context, code, source, padding, sliding, image_output(context, name))
        return
    (top, bottom), (left, right) = sliding.pads
    padded = pad(context, node, source, ((0, 0), (top, bottom), (left, right), (0, 0)))
    if counted:
        _emit(context, code, padded, schema.Padding.VALID, sliding, image_output(context, name))
        return
    batch, channels = context.shape(name)[:2]
    ratios = sliding.kernel[0] * sliding.kernel[1] / _pixels(sliding, sizes, spatial(context.shape(name)))
    averages = context.step(node, "averages", (batch, *ratios.shape, channels))
    _emit(context, code, padded, schema.Padding.VALID, sliding, averages)
    ratio = context.raw(f"{name}.ratios", ratios[None, :, :, None].astype(np.float32))
    options = binary_options(schema.BuiltinOperator.MUL)
    context.operator(schema.BuiltinOperator.MUL, [averages, ratio], [image_output(context, name)], options)


def _pixels(sliding: Window, sizes: Pair, outputs: Pair) -> np.ndarray:
    """How many pixels of the image each window has, (H, W)."""
    sides = []
    for axis in range(2):
        starts = np.arange(outputs[axis]) * sliding.stride[axis] - sliding.pads[axis][0]
        sides.append(np.minimum(starts + sliding.kernel[axis], sizes[axis]) - np.maximum(starts, 0))
    return np.outer(*sides)


def _emit(context: Context, code: int, source: int, padding: int, sliding: Window, target: int) -> None:
    options = schema.Pool2DOptionsT()
    options.padding = padding
    options.filterHeight, options.filterWidth = sliding.kernel
    options.strideH, options.strideW = sliding.stride
    context.operator(code, [source], [target], options)
