"""ConvTranspose: TRANSPOSE_CONV."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, emits
from converters.tflite.layout import NHWC
from converters.tflite.operators.slice import part
from converters.tflite.padding import image


@emits("ConvTranspose")
def transposed_convolution(context: Context, node: NodeProto) -> None:
    """Weights (M, N / groups, kh, kw) become (N, kh, kw, M).

    TFLite has no groups (their weights get zeros for the other groups) and no dilation (the kernel gets zeros). Padding
    that is not its SAME is cut from the whole result.
    """
    weight, given = context.weight(node), attributes(node)
    if weight.ndim != 4:
        raise context.no_form(node, f"{weight.ndim - 2} spatial dimensions")
    if weight.shape[0] != context.shape(node.input[0])[1]:
        raise context.no_form(node, f"weights of shape {weight.shape} for {context.shape(node.input[0])[1]} channels")
    kernel = _dilated(_dense(weight, given.get("group", 1)), given.get("dilations", (1, 1)))
    outputs, (height, width) = kernel.shape[1], kernel.shape[2:]
    stride = tuple(given.get("strides", (1, 1)))
    batch, _, *sizes = context.shape(node.input[0])
    result = context.shape(node.output[0])[2:]
    before = _padding(node, stride, (height, width), tuple(sizes), result)
    whole = [(size - 1) * step + side for size, step, side in zip(sizes, stride, (height, width), strict=True)]
    cut = [side - size for side, size in zip(whole, result, strict=True)]
    padding = schema.Padding.VALID
    if any(before) or any(cut):
        same = all(extra >= 0 and begin == extra // 2 for begin, extra in zip(before, cut, strict=True)) and all(
            -(-goal // step) == size for goal, step, size in zip(result, stride, sizes, strict=True)
        )
        padding = schema.Padding.SAME if same else schema.Padding.VALID
        if same:
            whole = list(result)
        else:
            whole = [max(side, begin + size) for side, begin, size in zip(whole, before, result, strict=True)]
    bias = context.optional(node, 2)
    inputs = [
        context.raw(f"{node.output[0]}.size", np.array([batch, *whole, outputs], np.int32)),
        context.raw(node.input[1], np.ascontiguousarray(kernel.transpose(1, 2, 3, 0), np.float32)),
        image(context, node.input[0]),
    ]
    if bias is not None:
        inputs.append(context.raw(f"{node.output[0]}.bias", bias.astype(np.float32)))
    options = schema.TransposeConvOptionsT()
    options.padding = padding
    options.strideH, options.strideW = stride
    version = 1 if bias is None else 3
    if list(result) == whole:
        target = context.output(node)
        context.operator(schema.BuiltinOperator.TRANSPOSE_CONV, inputs, [target], options, version)
        return
    target = context.step(node, "whole", (batch, *whole, outputs))
    context.operator(schema.BuiltinOperator.TRANSPOSE_CONV, inputs, [target], options, version)
    ranges = [(0, batch, 1), (0, outputs, 1)]
    ranges += [(begin, begin + size, 1) for begin, size in zip(before, result, strict=True)]
    part(context, node, target, NHWC, ranges, context.output(node))


def _padding(
    node: NodeProto, stride: tuple[int, ...], kernel: tuple[int, ...], sizes: tuple[int, ...], result: tuple[int, ...]
) -> tuple[int, ...]:
    """How much is cut in front of H and W (ConvTranspose of the ONNX specification)."""
    given = attributes(node)
    auto = given.get("auto_pad", b"NOTSET")
    if auto == b"NOTSET" and "output_shape" not in given:
        return tuple(given.get("pads", (0, 0, 0, 0))[:2])
    extra = given.get("output_padding", (0, 0))
    totals = [
        step * (size - 1) + more + side - goal
        for step, size, more, side, goal in zip(stride, sizes, extra, kernel, result, strict=True)
    ]
    upper = auto == b"SAME_UPPER"
    return tuple(max(total, 0) // 2 if upper else max(total, 0) - max(total, 0) // 2 for total in totals)


def _dense(weight: np.ndarray, groups: int) -> np.ndarray:
    """Weights (M, N / groups, kh, kw) as (M, N, kh, kw), zero between groups."""
    if groups == 1:
        return weight
    inputs, outputs = weight.shape[0] // groups, weight.shape[1]
    dense = np.zeros((weight.shape[0], outputs * groups, *weight.shape[2:]), weight.dtype)
    for group in range(groups):
        rows = slice(group * inputs, (group + 1) * inputs)
        dense[rows, group * outputs : (group + 1) * outputs] = weight[rows]
    return dense


def _dilated(weight: np.ndarray, dilation: tuple[int, ...]) -> np.ndarray:
    """Weights with zeros between the elements of the kernel."""
    if tuple(dilation) == (1, 1):
        return weight
    sides = [(side - 1) * step + 1 for side, step in zip(weight.shape[2:], dilation, strict=True)]
    dilated = np.zeros((*weight.shape[:2], *sides), weight.dtype)
    dilated[:, :, :: dilation[0], :: dilation[1]] = weight
    return dilated
