"""ONNX's explicit padding in TFLite's terms: SAME or VALID where that is exact, a PAD in front where it is not.

Windows over one dimension (Conv1d) are windows over two, of height 1.
"""

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context
from converters.tflite.layout import NHWC, Layout, Shape

LOWEST = float(np.finfo(np.float32).min)
PADDING_VERSIONS = {5: 4}  # by rank; up to four axes it is 1

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A sliding window over H and W: kernel, stride, dilation, (before, after) padding of each."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    pads: tuple[Pair, Pair]

    @property
    def padded(self) -> bool:
        """Whether there is any padding."""
        return any(amount for pads in self.pads for amount in pads)


def spatial(shape: Shape) -> Pair:
    """(H, W) of the ONNX shape of an image, or of a row of pixels."""
    return (1, shape[2]) if len(shape) == 3 else (shape[2], shape[3])


def window(context: Context, node: NodeProto, kernel: Shape) -> Window:
    """The window of a Conv or pool, its trailing padding cut or grown to what its output size needs."""
    given = attributes(node)
    shape, rank = context.shape(node.input[0]), len(kernel)
    if tuple(given.get("kernel_shape", kernel)) != kernel:
        raise context.no_form(node, f"weights of {kernel} for windows of {tuple(given['kernel_shape'])}")
    if rank not in (1, 2) or len(shape) != rank + 2:
        raise context.no_form(node, f"{rank} spatial dimensions")
    stride, dilation = pair(given.get("strides", (1,) * rank)), pair(given.get("dilations", (1,) * rank))
    explicit = tuple(given.get("pads", (0,) * 2 * rank))
    begins, kernel = pair(explicit[:rank], 0), pair(kernel)
    sizes, outputs = spatial(shape), spatial(context.shape(node.output[0]))
    auto = given.get("auto_pad", b"NOTSET")
    pads = []
    for axis in range(2):
        span = (kernel[axis] - 1) * dilation[axis] + 1
        total = (outputs[axis] - 1) * stride[axis] + span - sizes[axis]  # what the output size needs; may be negative
        if auto == b"SAME_UPPER":
            before = max(total, 0) // 2
        elif auto == b"SAME_LOWER":
            before = max(total, 0) - max(total, 0) // 2
        else:
            before = begins[axis]
        pads.append((before, max(total - before, 0)))
    return Window((kernel[0], kernel[1]), stride, dilation, (pads[0], pads[1]))


def pair(values: tuple[int, ...], missing: int = 1) -> Pair:
    """A value per spatial dimension as one for H and one for W."""
    return (missing, values[0]) if len(values) == 1 else (values[0], values[1])


def is_same(sizes: Pair, window: Window) -> bool:
    """Whether TFLite's SAME pads (H, W) = `sizes` exactly so: ceil(size / stride) outputs, the odd pixel behind."""
    for size, kernel, stride, dilation, pads in zip(
        sizes, window.kernel, window.stride, window.dilation, window.pads, strict=True
    ):
        total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
        if pads != (total // 2, total - total // 2):
            return False
    return True


def image(context: Context, name: str) -> int:
    """An image as NHWC; a row of pixels (N, C, W) as an image of height 1."""
    return gathered_image(context, name, exact=True)[0]


def gathered_image(context: Context, name: str, *, exact: bool = False) -> tuple[int, np.ndarray | None]:
    """(NHWC tensor, index of its channels where they lie in another order): see Context.gathered."""
    shape = context.shape(name)
    if len(shape) == 3:
        return context.arranged(name, (0, 2, 1), (shape[0], 1, shape[2], shape[1])), None
    return (context.arranged(name, NHWC), None) if exact else context.gathered(name, NHWC)


def image_output(context: Context, name: str) -> int:
    """A new NHWC tensor for a value that is an image or a row of pixels."""
    shape = context.shape(name)
    height, width = spatial(shape)
    order = (0, 2, 1) if len(shape) == 3 else NHWC
    return context.store(name, Layout.of(shape, order), (shape[0], height, width, shape[1]))


def padded_input(context: Context, node: NodeProto, source: int, window: Window, fill: float = 0.0) -> tuple[int, int]:
    """(input tensor, SAME or VALID) for a window over an NHWC tensor, after a PAD with `fill` if needed."""
    if not window.padded:
        return source, schema.Padding.VALID
    _, height, width, _ = context.builder.shape(source)
    if is_same((height, width), window):
        return source, schema.Padding.SAME
    (top, bottom), (left, right) = window.pads
    return pad(context, node, source, ((0, 0), (top, bottom), (left, right), (0, 0)), fill), schema.Padding.VALID


def pad(
    context: Context,
    node: NodeProto,
    source: int,
    amounts: tuple[Pair, ...],
    fill: float = 0.0,
    target: int | None = None,
) -> int:
    """Emit a PAD, or a PADV2 where the fill is not zero, of a tensor; returns the padded tensor."""
    shape = context.builder.shape(source)
    padded = tuple(size + before + after for size, (before, after) in zip(shape, amounts, strict=True))
    if target is None:
        target = context.step(node, "padded", padded)
    borders = context.raw(f"{node.output[0]}.pads", np.array(amounts, np.int32))
    version = PADDING_VERSIONS.get(len(shape), 1)
    if fill == 0:
        context.operator(schema.BuiltinOperator.PAD, [source, borders], [target], schema.PadOptionsT(), version)
    else:
        value = context.raw(f"{node.output[0]}.fill", np.array([fill], np.float32))
        inputs = [source, borders, value]
        context.operator(schema.BuiltinOperator.PADV2, inputs, [target], schema.PadV2OptionsT(), version)
    return target
