"""Conv: CONV_2D, or DEPTHWISE_CONV_2D where every group has one input channel."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, emits
from converters.tflite.padding import gathered_image, image_output, padded_input, window


@emits("Conv")
def convolution(context: Context, node: NodeProto) -> None:
    """Weights (N, M / groups, kh, kw) become (N, kh, kw, M / groups), or (1, kh, kw, N) of a depthwise one.

    Without groups, they follow input channels that lie in another order.
    """
    weight = context.weight(node)
    sliding = window(context, node, weight.shape[2:])
    if weight.ndim == 3:
        weight = weight[:, :, None]
    groups = attributes(node).get("group", 1)
    if weight.shape[1] * groups != context.shape(node.input[0])[1] or weight.shape[0] % groups:
        raise context.no_form(node, f"weights of shape {weight.shape} for {context.shape(node.input[0])[1]} channels")
    depthwise = groups > 1 and weight.shape[1] == 1
    source, index = gathered_image(context, node.input[0], exact=groups > 1)
    if index is not None:
        weight = weight[:, index]
    source, padding = padded_input(context, node, source, sliding)
    given = context.optional(node, 2)
    bias = np.zeros(weight.shape[0], np.float32) if given is None else given.astype(np.float32)
    order = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
    inputs = [
        source,
        context.raw(node.input[1], weight.transpose(order).astype(np.float32, copy=False)),
        context.raw(f"{node.output[0]}.bias", bias),
    ]
    name, activation = context.fused(node)
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    if depthwise:
        options.depthMultiplier = weight.shape[0] // groups
    options.padding = padding
    options.strideH, options.strideW = sliding.stride
    options.dilationHFactor, options.dilationWFactor = sliding.dilation
    options.fusedActivationFunction = activation
    target = image_output(context, name)
    if depthwise:
        version = 2 if sliding.dilation != (1, 1) else 1  # version 2 brought dilation
        context.operator(schema.BuiltinOperator.DEPTHWISE_CONV_2D, inputs, [target], options, version)
    else:
        version = 6 if groups > 1 else 1  # version 6 brought groups
        context.operator(schema.BuiltinOperator.CONV_2D, inputs, [target], options, version)
