"""What a network costs: parameters, multiply-accumulates (MACs) and bytes moved, per layer and in all.

MACs are those of convolutions and linear layers, without bias additions; parameters are all of them.
Bytes moved are what a layer reads and writes at least, once, in float32: weights, inputs and outputs (the traffic
between a pointwise and a depthwise part counts as both are layers of their own).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

FLOAT32_BYTES = 4
Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerCost:
    """One leaf module and its cost for one image. A module used twice counts its MACs and bytes twice."""

    name: str
    kind: str
    input_shape: Shape
    output_shape: Shape
    parameters: int
    macs: int
    bytes_moved: int


@dataclass(frozen=True)
class Cost:
    """Cost of a network for one image of `input_shape` (C, H, W), layer by layer in order of execution."""

    input_shape: Shape
    layers: tuple[LayerCost, ...]
    parameters: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def bytes_moved(self) -> int:
        """Bytes read and written by all layers."""
        return sum(layer.bytes_moved for layer in self.layers)


@dataclass(frozen=True)
class UnitCost:
    """Weights of a unit's convolutions (without BN) and its MACs for one image."""

    parameters: int
    macs: int

    def __add__(self, other: "UnitCost") -> "UnitCost":
        return UnitCost(self.parameters + other.parameters, self.macs + other.macs)

    def __mul__(self, count: int) -> "UnitCost":
        return UnitCost(count * self.parameters, count * self.macs)


@dataclass(frozen=True)
class Geometry:
    """One D x D convolution: M to N channels, `pixels_in` = H W, `pixels_out` = H' W'."""

    inputs: int
    outputs: int
    kernel: int
    pixels_in: int
    pixels_out: int

    @property
    def splits(self) -> bool:
        """Whether a branch unit lets half of the channels pass: same channels, same size."""
        return self.inputs == self.outputs and self.pixels_in == self.pixels_out

    def conv(self, inputs: int, outputs: int, *, kernel: int, after: bool, groups: int = 1) -> UnitCost:
        """A convolution whose output is at the resolution before or after the unit's stride."""
        weights = outputs * inputs // groups * kernel**2
        return UnitCost(weights, weights * (self.pixels_out if after else self.pixels_in))


# Table 2 of the FALCON paper and, by the same counting, the units that it compares with. g: groups, t: expansion.


def standard_cost(g: Geometry) -> UnitCost:
    """D^2 M N weights, H' W' D^2 M N MACs."""
    return g.conv(g.inputs, g.outputs, kernel=g.kernel, after=True)


def falcon_cost(g: Geometry, rank: int = 1) -> UnitCost:
    """k times: M N + D^2 N weights, H W M N + H' W' D^2 N MACs."""
    pointwise = g.conv(g.inputs, g.outputs, kernel=1, after=False)
    return (pointwise + g.conv(g.outputs, g.outputs, kernel=g.kernel, after=True, groups=g.outputs)) * rank


def dsconv_cost(g: Geometry) -> UnitCost:
    """D^2 M + M N weights, all of them at H' W'."""
    depthwise = g.conv(g.inputs, g.inputs, kernel=g.kernel, after=True, groups=g.inputs)
    return depthwise + g.conv(g.inputs, g.outputs, kernel=1, after=True)


def mobileconv_v2_cost(g: Geometry, expansion: int) -> UnitCost:
    """t M^2 + t D^2 M + t M N weights; the first part at H W, the others at H' W'."""
    hidden = expansion * g.inputs
    expand = g.conv(g.inputs, hidden, kernel=1, after=False)
    depthwise = g.conv(hidden, hidden, kernel=g.kernel, after=True, groups=hidden)
    return expand + depthwise + g.conv(hidden, g.outputs, kernel=1, after=True)


def shuffle_unit_cost(g: Geometry, groups: int) -> UnitCost:
    """With a bottleneck of h = N / 4: M h / g at H W, D^2 h + h N / g at H' W'."""
    hidden = g.outputs // 4
    reduce = g.conv(g.inputs, hidden, kernel=1, after=False, groups=groups)
    depthwise = g.conv(hidden, hidden, kernel=g.kernel, after=True, groups=hidden)
    return reduce + depthwise + g.conv(hidden, g.outputs, kernel=1, after=True, groups=groups)


def shuffle_unit_v2_cost(g: Geometry) -> UnitCost:
    """With h = N / 2, right: (h or M) h at H W, D^2 h + h^2 at H' W'; left, unless it passes: D^2 M + M h at H' W'."""
    half = g.outputs // 2
    right = (
        g.conv(half if g.splits else g.inputs, half, kernel=1, after=False)
        + g.conv(half, half, kernel=g.kernel, after=True, groups=half)
        + g.conv(half, half, kernel=1, after=True)
    )
    if g.splits:
        return right
    left = g.conv(g.inputs, g.inputs, kernel=g.kernel, after=True, groups=g.inputs)
    return right + left + g.conv(g.inputs, half, kernel=1, after=True)


def stconv_branch_cost(g: Geometry) -> UnitCost:
    """One standard convolution N / 2 -> N / 2 where half passes, else two of M -> N / 2."""
    return standard_cost(_half(g)) * (1 if g.splits else 2)


def falcon_branch_cost(g: Geometry, rank: int = 1) -> UnitCost:
    """StConv-branch with FALCON of rank k in the place of every convolution."""
    return falcon_cost(_half(g), rank) * (1 if g.splits else 2)


def _half(g: Geometry) -> Geometry:
    half = g.outputs // 2
    return Geometry(half if g.splits else g.inputs, half, g.kernel, g.pixels_in, g.pixels_out)


def conv_macs(conv: nn.Conv2d, output_shape: Shape) -> int:
    """H' W' N (M / groups) kh kw of an output (N, H', W')."""
    channels, height, width = output_shape
    return height * width * channels * conv.weight[0].numel()


def cost(model: nn.Module, input_shape: Shape) -> Cost:
    """Cost of `model` for one image (C, H, W), by one forward pass of zeros that records every layer's shapes.

    The model's mode, statistics and gradients stay as they are.
    """
    rows: list[LayerCost] = []
    names = {module: name for name, module in model.named_modules()}
    counted: set[nn.Module] = set()

    def record(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        own = list(module.parameters(recurse=False))
        if not args or not isinstance(args[0], Tensor) or not isinstance(output, Tensor):
            return
        inputs, outputs = tuple(args[0].shape[1:]), tuple(output.shape[1:])
        if isinstance(module, nn.Conv2d):
            macs = conv_macs(module, outputs)
        elif isinstance(module, nn.Linear):
            macs = output[0].numel() * module.in_features
        else:
            macs = 0
        weights = sum(parameter.numel() for parameter in own)
        moved = weights + args[0][0].numel() + output[0].numel()
        rows.append(
            LayerCost(
                names[module],
                type(module).__name__,
                inputs,
                outputs,
                0 if module in counted else weights,
                macs,
                FLOAT32_BYTES * moved,
            )
        )
        counted.add(module)

    leaves = [module for module in model.modules() if next(module.children(), None) is None]
    hooks = [leaf.register_forward_hook(record) for leaf in leaves]
    try:
        forward_zeros(model, input_shape)
    finally:
        for hook in hooks:
            hook.remove()
    return Cost(input_shape, tuple(rows), sum(parameter.numel() for parameter in model.parameters()))


def conv_shapes(model: nn.Module, input_shape: Shape) -> dict[str, tuple[Shape, Shape]]:
    """Input and output shape (C, H, W) of every Conv2d that an image of `input_shape` reaches, by module path.

    A convolution used several times is recorded at its largest input.
    """
    shapes: dict[str, tuple[Shape, Shape]] = {}
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):

            def record(_: nn.Module, args: tuple[Tensor, ...], output: Tensor, name: str = name) -> None:
                new = (tuple(args[0].shape[1:]), tuple(output.shape[1:]))
                if name not in shapes or new[0][-2:] > shapes[name][0][-2:]:
                    shapes[name] = new

            hooks.append(module.register_forward_hook(record))
    try:
        forward_zeros(model, input_shape)
    finally:
        for hook in hooks:
            hook.remove()
    return shapes


def forward_zeros(model: nn.Module, input_shape: Shape) -> Tensor:
    """The output for one image (C, H, W) of zeros, in eval mode; every module's mode is put back afterwards."""
    known = (one for one in model.parameters() if not isinstance(one, nn.UninitializedParameter))
    first = next(known, None)
    zeros = torch.zeros(1, *input_shape) if first is None else first.new_zeros(1, *input_shape)
    with evaluating(model), torch.no_grad():
        return model(zeros)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside the block; afterwards every module is in the mode that it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
