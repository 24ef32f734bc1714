"""Activations that torch has in certain forms only."""

import math

import torch
from torch import Tensor, nn

from falcon_edge.models.graphs.node import Call, Node, NoLayer, makes

SELU_ALPHA, SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875  # the defaults of ONNX
CLOSE = 1e-6  # attributes are float32


@makes("Clip")
def clip(node: Node) -> Call:
    """nn.ReLU, nn.ReLU6 or nn.Hardtanh; a function where a bound is missing or computed."""
    bounds = []
    for index, missing in enumerate((-math.inf, math.inf), start=1):
        if node.has(index) and not node.is_stored(index):
            return _clip_by_values(node)
        bounds.append(float(node.constant(index).reshape(())) if node.has(index) else missing)
    largest = torch.finfo(torch.float32).max  # how some exporters write "no bound"
    low = -math.inf if bounds[0] <= -largest else bounds[0]
    high = math.inf if bounds[1] >= largest else bounds[1]
    if (low, high) == (-math.inf, math.inf):
        return node.layer(nn.Identity())
    if (low, high) in ((0, math.inf), (0, 6)):
        return node.layer(nn.ReLU6() if high == 6 else nn.ReLU())
    if -math.inf < low < high < math.inf:
        return node.layer(nn.Hardtanh(low, high))
    return node.function(clipped, low=None if low == -math.inf else low, high=None if high == math.inf else high)


@makes("PRelu")
def prelu(node: Node) -> Call:
    """nn.PReLU with one slope, or one a channel; a function of other slopes."""
    if not node.is_stored(1):
        return node.function_of_all(sloped)
    slope, rank = node.constant(1), node.rank()
    if slope.numel() == 1 and slope.ndim <= rank:
        return node.layer(nn.PReLU(1), weight=slope.reshape(1))
    aligned = (1,) * (rank - slope.ndim) + tuple(slope.shape)
    if rank > 1 and len(aligned) == rank and aligned == (1, node.sizes()[1], *(1 for _ in aligned[2:])):
        return node.layer(nn.PReLU(aligned[1]), weight=slope.reshape(-1))
    return node.function_of_all(sloped)


@makes("LeakyRelu")
def leaky_relu(node: Node) -> Call:
    """nn.LeakyReLU."""
    return node.layer(nn.LeakyReLU(node.given.get("alpha", 0.01)))


@makes("HardSigmoid")
def hard_sigmoid(node: Node) -> Call:
    """nn.Hardsigmoid where its slope is 1/6, as torch's and that of HardSwish is."""
    slope, offset = node.given.get("alpha", 0.2), node.given.get("beta", 0.5)
    if abs(slope - 1 / 6) < CLOSE and offset == 0.5:
        return node.layer(nn.Hardsigmoid())
    return node.function(between_0_and_1, slope=slope, offset=offset)


@makes("Elu")
def elu(node: Node) -> Call:
    """nn.ELU."""
    return node.layer(nn.ELU(node.given.get("alpha", 1.0)))


@makes("Selu")
def selu(node: Node) -> Call:
    """nn.SELU where it has its own numbers."""
    alpha, gamma = node.given.get("alpha", SELU_ALPHA), node.given.get("gamma", SELU_GAMMA)
    if abs(alpha - SELU_ALPHA) < CLOSE and abs(gamma - SELU_GAMMA) < CLOSE:
        return node.layer(nn.SELU())
    return node.function(multiple_of_elu, alpha=alpha, gamma=gamma)


@makes("Celu")
def celu(node: Node) -> Call:
    """nn.CELU."""
    alpha = node.given.get("alpha", 1.0)
    if alpha == 0:
        raise NoLayer("alpha 0")
    return node.layer(nn.CELU(alpha))


@makes("Gelu", "TanhGelu")
def gelu(node: Node) -> Call:
    """nn.GELU: of opset 20, or what the converters make of the chain that it is written as before."""
    tanh = node.kind == "TanhGelu" or node.given.get("approximate", "none") == "tanh"
    return node.layer(nn.GELU("tanh" if tanh else "none"))


def clipped(x: Tensor, low: float | None, high: float | None) -> Tensor:
    """Not below one number, then not above the other."""
    return x.clamp(low, high)


def not_below(x: Tensor, low: Tensor) -> Tensor:
    """A bound that is computed."""
    return torch.maximum(x, low)


def not_above(x: Tensor, high: Tensor) -> Tensor:
    """A bound that is computed."""
    return torch.minimum(x, high)


def between(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Two bounds of which one is computed."""
    return torch.minimum(torch.maximum(x, low), high)


def sloped(x: Tensor, slope: Tensor) -> Tensor:
    """x where it is positive, else as many times x as the slope says."""
    return torch.where(x < 0, x * slope, x)


def between_0_and_1(x: Tensor, slope: float, offset: float) -> Tensor:
    """slope x + offset, clipped."""
    return (slope * x + offset).clamp(0, 1)


def multiple_of_elu(x: Tensor, alpha: float, gamma: float) -> Tensor:
    """gamma x where it is positive, else gamma alpha (exp(x) - 1)."""
    return gamma * torch.where(x > 0, x, alpha * torch.expm1(x))


def _clip_by_values(node: Node) -> Call:
    if node.has(1) and node.has(2):
        return node.function_of_all(between)
    return node.function_of_all(not_below if node.has(1) else not_above)
