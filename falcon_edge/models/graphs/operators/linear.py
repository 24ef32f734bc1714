"""Matrix products: nn.Linear with stored weights, a product of two computed values."""

from math import prod

import torch
from onnx import NodeProto
from torch import Tensor, nn

from falcon_edge.models.graphs.node import Call, Node, makes


@makes("Gemm")
def gemm(node: Node) -> Call:
    """alpha x W + beta b as nn.Linear, whose weights are (outputs, inputs)."""
    given = node.given
    alpha, beta = given.get("alpha", 1.0), given.get("beta", 1.0)
    outputs = node.sizes(1)[0 if given.get("transB", 0) else 1]
    added = node.sizes(2) if node.has(2) else ()
    row = len(added) < 2 or added[0] == 1
    if not node.is_stored(1) or given.get("transA", 0) or not row or (node.has(2) and not node.is_stored(2)):
        settings = {name: bool(given.get(name, 0)) for name in ("transA", "transB")}
        return node.function_of_all(product, alpha=alpha, beta=beta, **settings)
    weight = node.constant(1) if given.get("transB", 0) else node.constant(1).T
    bias = node.optional(2)
    if bias is not None:
        bias = (bias * beta).reshape(-1).expand(outputs)
    return _linear(node, weight if alpha == 1 else weight * alpha, bias)


@makes("MatMul")
def matmul(node: Node) -> Call:
    """x W, and the Add of a bias that alone follows, as nn.Linear; torch.matmul of two computed values."""
    if not node.is_stored(1) or node.rank(1) != 2:
        return node.function_of_all(torch.matmul)
    weight = node.constant(1).T
    follower, bias = _bias(node, weight.shape[0])
    call = _linear(node, weight, bias)
    if follower is None:
        return call
    return Call(call.layer, call.reads, (follower.output[0],), call.weights, absorbed=(follower,))


def product(one: Tensor, other: Tensor, added: Tensor | None = None, **given: float) -> Tensor:
    """alpha A B + beta C, of which A and B may be transposed (Gemm of the ONNX specification)."""
    made = (one.T if given["transA"] else one) @ (other.T if given["transB"] else other) * given["alpha"]
    return made if added is None else made + given["beta"] * added


def _linear(node: Node, weight: Tensor, bias: Tensor | None) -> Call:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    return node.layer(layer, weight=weight.contiguous(), bias=None if bias is None else bias.contiguous())


def _bias(node: Node, outputs: int) -> tuple[NodeProto | None, Tensor | None]:
    """The Add that alone follows a product, and what it adds to each output."""
    graph, result = node.graph, node.outputs[0]
    follower = graph.only_reader(result, "Add")
    other = "" if follower is None else next((name for name in follower.input if name != result), "")
    if not graph.is_stored(other):
        return None, None
    bias = graph.constant(other)
    if prod(bias.shape[:-1]) != 1 or bias.numel() not in (1, outputs) or bias.ndim > node.rank():
        return None, None
    return follower, bias.reshape(-1).expand(outputs)
