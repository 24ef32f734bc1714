"""Matrix products: FULLY_CONNECTED or CONV_2D with constant weights, BATCH_MATMUL of two computed values."""

from math import prod

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, emits
from converters.tflite.layout import Order


@emits("Gemm")
def gemm(context: Context, node: NodeProto) -> None:
    """alpha x W + beta b as FULLY_CONNECTED, with W as (outputs, inputs)."""
    given = attributes(node)
    weight = context.weight(node).astype(np.float32, copy=False)
    if given.get("transA", 0):
        raise context.no_form(node, "a transposed first matrix")
    weight = weight if given.get("transB", 0) else weight.T
    added = context.optional(node, 2)
    bias = None if added is None else added.astype(np.float32) * np.float32(given.get("beta", 1.0))
    alpha = np.float32(given.get("alpha", 1.0))
    _with_weights(context, node, weight if alpha == 1 else weight * alpha, bias)


@emits("MatMul")
def matmul(context: Context, node: NodeProto) -> None:
    """x W as FULLY_CONNECTED, over the pixels of an image as CONV_2D, with the Add that alone follows as bias."""
    first, second = node.input
    constant = context.is_constant(second) and len(context.shape(second)) == 2
    if constant and not context.is_constant(first) and len(context.shape(first)) > 1:
        _with_weights(context, node, context.weight(node).astype(np.float32, copy=False).T, None)
    else:
        _batched(context, node)


def _with_weights(context: Context, node: NodeProto, weight: np.ndarray, bias: np.ndarray | None) -> None:
    """x W^T + b for W (outputs, inputs); behind a flattened image the columns of W follow the order of its memory."""
    name = node.input[0]
    rank, outputs = len(context.shape(name)), weight.shape[0]
    order = (*(axis for axis in context.order(name) if axis != rank - 1), rank - 1)
    source, index = context.gathered(name, order)
    last = node
    if bias is None:
        last, bias = _added(context, node, outputs)
    if bias.size not in (1, outputs) or bias.shape[-1:] not in ((), (bias.size,)):
        raise context.no_form(node, f"a bias of shape {bias.shape}")
    target, activation = context.fused_output(last, order)
    pixels = rank == 4
    inputs = [
        source,
        context.raw(node.input[1], weight[:, None, None] if pixels else weight, index),
        context.raw(f"{node.output[0]}.bias", np.broadcast_to(bias.reshape(-1), (outputs,)).astype(np.float32)),
    ]
    if pixels:
        options = schema.Conv2DOptionsT()
        options.padding = schema.Padding.VALID
        options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = activation
        context.operator(schema.BuiltinOperator.CONV_2D, inputs, [target], options)
    else:
        options = schema.FullyConnectedOptionsT()
        options.keepNumDims = rank > 2
        options.fusedActivationFunction = activation
        version = 5 if options.keepNumDims else 1
        context.operator(schema.BuiltinOperator.FULLY_CONNECTED, inputs, [target], options, version)


def _added(context: Context, node: NodeProto, outputs: int) -> tuple[NodeProto, np.ndarray]:
    """(the Add that alone follows a product, the bias that it adds), else (the product, zeros)."""
    follower = context.graph.only_consumer(node.output[0])
    if follower is not None and follower.op_type == "Add":
        other = next(name for name in (*follower.input, "") if name != node.output[0])
        if context.is_constant(other) and context.shape(follower.output[0]) == context.shape(node.output[0]):
            bias = context.graph.constants[other]
            if prod(bias.shape[:-1]) == 1 and bias.size in (1, outputs):
                context.absorb(follower)
                return follower, bias.reshape(-1)
    return node, np.zeros(outputs, np.float32)


def _batched(context: Context, node: NodeProto) -> None:
    """BATCH_MATMUL; it reads a matrix whose axes lie the other way round as transposed."""
    rank = len(context.shape(node.output[0]))
    if min(len(context.shape(name)) for name in node.input) < 2 or rank > 5:
        raise context.no_form(node, f"{rank} dimensions")
    plain: Order = tuple(range(rank))
    turned: Order = (*range(rank - 2), rank - 1, rank - 2)
    tensors: list[int] = []
    reversed_: list[bool] = []
    for name in node.input:
        own = context.order(name)
        moved = (*range(rank - len(own)), *(axis + rank - len(own) for axis in own))
        # XNNPACK takes x x for x x^T where one TRANSPOSE is for both sides, so that each has one of its own.
        again = bool(tensors) and name == node.input[0] and moved not in (plain, turned)
        reversed_.append(moved == turned or again)
        tensors.append(context.arranged(name, turned if reversed_[-1] else plain))
    options = schema.BatchMatMulOptionsT()
    options.adjX, options.adjY = reversed_
    context.operator(schema.BuiltinOperator.BATCH_MATMUL, tensors, [context.output(node, plain)], options)
