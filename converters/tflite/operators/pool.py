"""MaxPool and AveragePool."""

from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, emits
from converters.tflite.padding import LOWEST, is_same, pad, padded_input, window


@emits("MaxPool", "AveragePool")
def pool(context: Context, node: NodeProto) -> None:
    """MAX_POOL_2D or AVERAGE_POOL_2D; a 1x1 window of stride 1 is nothing at all.

    A maximum is padded with zeros where its input cannot be negative, else with the lowest float. An average that does
    not count its padding is TFLite's SAME; one that counts it is a PAD and VALID.
    """
    given = attributes(node)
    maximum = node.op_type == "MaxPool"
    kernel = tuple(given["kernel_shape"])
    sliding = window(context, node, kernel)
    if sliding.dilation != (1, 1) or len(node.output) > 1:
        raise context.unsupported(node, "dilation or indices")
    if kernel == (1, 1) and sliding.stride == (1, 1):
        context.alias(node)
        return
    padded = any(amount for pads in sliding.pads for amount in pads)
    if maximum:
        # Behind SAME, TFLite ignores the padding, as ONNX does; only an explicit PAD needs a value.
        fill = 0.0 if node.input[0] in context.non_negative else LOWEST
        source, padding = padded_input(context, node, sliding, fill)
    elif padded and given.get("count_include_pad", 0):
        if given.get("ceil_mode", 0):
            raise context.unsupported(node, "ceil_mode and counted padding")
        (top, bottom), (left, right) = sliding.pads
        amounts = ((0, 0), (top, bottom), (left, right), (0, 0))
        source, padding = pad(context, node, context.tensor(node.input[0]), amounts), schema.Padding.VALID
    elif padded and not is_same(context.shapes[node.input[0]][2:], sliding):
        raise context.unsupported(node, "uneven padding that is not counted")
    else:
        source, padding = context.tensor(node.input[0]), schema.Padding.SAME if padded else schema.Padding.VALID
    options = schema.Pool2DOptionsT()
    options.padding = padding
    options.filterHeight, options.filterWidth = kernel
    options.strideH, options.strideW = sliding.stride
    code = schema.BuiltinOperator.MAX_POOL_2D if maximum else schema.BuiltinOperator.AVERAGE_POOL_2D
    context.operator(code, [source], [context.output(node)], options)
