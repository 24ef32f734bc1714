"""Table 2 of the FALCON paper: weights and MACs of one convolution, and of the units that stand in its place."""

from dataclasses import dataclass


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
