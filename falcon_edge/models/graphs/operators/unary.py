"""Functions of one value: layers of torch where it has them."""

import torch
from torch import nn

from falcon_edge.models.graphs.node import Call, Node, makes

LAYERS = {
    "HardSwish": nn.Hardswish,
    "Mish": nn.Mish,
    "Relu": nn.ReLU,
    "Sigmoid": nn.Sigmoid,
    "Softplus": nn.Softplus,
    "Softsign": nn.Softsign,
    "Tanh": nn.Tanh,
}
FUNCTIONS = {
    "Abs": torch.abs,
    "Acos": torch.acos,
    "Acosh": torch.acosh,
    "Asin": torch.asin,
    "Asinh": torch.asinh,
    "Atan": torch.atan,
    "Atanh": torch.atanh,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "Log": torch.log,
    "Neg": torch.neg,
    "Reciprocal": torch.reciprocal,
    "Round": torch.round,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Sqrt": torch.sqrt,
    "Tan": torch.tan,
}


@makes(*LAYERS)
def layer(node: Node) -> Call:
    """The layer of the same name."""
    return node.layer(LAYERS[node.kind]())


@makes(*FUNCTIONS)
def function(node: Node) -> Call:
    """The function of the same name."""
    return node.function(FUNCTIONS[node.kind])
