"""What decides where a rewrite is applied."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

Shape = tuple[int, ...]
Pair = tuple[int, int]
RUNTIMES = ("onnxruntime", "litert")
# What a file is to run on: any CPU, or one of x86-64 that multiplies int8 by VNNI.
Cpu = Literal["any", "x86-vnni"]
CPUS: tuple[Cpu, ...] = get_args(Cpu)


@dataclass(frozen=True)
class Place:
    """An operator that a rewrite could be applied to: what its time depends on.

    rewrite: its name. node: the operator's. input, output: shapes as in ONNX. branches: of a sum of pairs of a
    pointwise and a depthwise convolution that could be one.
    """

    rewrite: str
    node: str
    input: Shape
    output: Shape
    kernel: Pair
    stride: Pair
    groups: int = 1
    branches: int = 1


@dataclass(frozen=True)
class Applied:
    """Rewrites that were applied: to which nodes, by their names, and how many MACs and parameters they add.

    What they add is the file's, and not the network's.
    """

    nodes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    macs: int = 0
    parameters: int = 0

    def __add__(self, other: "Applied") -> "Applied":
        return Applied({**self.nodes, **other.nodes}, self.macs + other.macs, self.parameters + other.parameters)


NOTHING = Applied()


class Rules(Protocol):
    """Whether a rewrite makes a place faster on a runtime: by what was recorded, or measured."""

    def wants(self, runtime: str, place: Place) -> bool:
        """Apply it there. The same place has to get the same answer: same input, same bytes."""


# What a runtime has no gain from by its design, or cannot do, is not tried there.
FOR_ONNX_RUNTIME = frozenset(("column-blocks", "float-maximum", "padded-channels"))


class Never:
    """No rewrites at all."""

    def wants(self, runtime: str, place: Place) -> bool:
        """See Rules.wants."""
        return False


# A depthwise convolution takes so many times as long a multiplication as a dense one in int8 (9 to 12; docs/forms.md).
DEPTHWISE_COST = 9
MOST_CHANNELS = 128  # of what was measured


@dataclass(frozen=True)
class Recorded:
    """What was measured to be faster in int8 (docs/decisions.md): on every CPU, or on one of a kind."""

    cpu: Cpu = "any"

    def wants(self, runtime: str, place: Place) -> bool:
        """See Rules.wants."""
        channels, few = place.input[1], place.input[1] <= 3
        if place.rewrite in FOR_ONNX_RUNTIME and runtime != "onnxruntime":
            return False
        match place.rewrite:
            case "space-to-depth":
                return channels == 1 or (few and (runtime == "onnxruntime" or min(place.kernel) >= 5))
            case "column-blocks" | "float-maximum":
                return True
            case "padded-channels":
                return self.cpu == "x86-vnni"
            case "multiplied-back":
                return self.cpu == "x86-vnni" and channels <= MOST_CHANNELS and _is_cheaper_dense(place)
        return False


def _is_cheaper_dense(place: Place) -> bool:
    """Whether a convolution takes less time than branches of a pointwise and a depthwise one: for an output of it."""
    window, reads = place.kernel[0] * place.kernel[1], place.stride[0] * place.stride[1]
    return place.input[1] * window <= place.branches * (place.input[1] * reads + DEPTHWISE_COST * window)


RECORDED = Recorded()
