"""Conv: CONV_2D, or DEPTHWISE_CONV_2D where every group has one input channel."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, emits
from converters.tflite.padding import padded_input, window


@emits("Conv")
def convolution(context: Context, node: NodeProto) -> None:
    """Weights (N, M / groups, kh, kw) become (N, kh, kw, M / groups), or (1, kh, kw, N) of a depthwise one."""
    weight = context.weight(node)
    if weight.ndim != 4:
        raise context.unsupported(node, f"{weight.ndim - 2} spatial dimensions")
    groups = attributes(node).get("group", 1)
    depthwise = groups > 1 and weight.shape[1] == 1
    sliding = window(context, node, weight.shape[2:])
    source, padding = padded_input(context, node, sliding)
    bias = context.raw(f"{node.output[0]}.bias", context.bias(node, weight.shape[0]))
    target, activation = context.fused_output(node)
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    if depthwise:
        options.depthMultiplier = weight.shape[0] // groups
    options.padding = padding
    options.strideH, options.strideW = sliding.stride
    options.dilationHFactor, options.dilationWFactor = sliding.dilation
    options.fusedActivationFunction = activation
    order = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
    kernel = context.raw(node.input[1], np.ascontiguousarray(weight.transpose(order), np.float32))
    if depthwise:
        version = 2 if sliding.dilation != (1, 1) else 1  # version 2 brought dilation
        context.operator(schema.BuiltinOperator.DEPTHWISE_CONV_2D, [source, kernel, bias], [target], options, version)
    else:
        version = 6 if groups > 1 else 1  # version 6 brought groups
        context.operator(schema.BuiltinOperator.CONV_2D, [source, kernel, bias], [target], options, version)
