"""What an operator's function sees of a node, what it answers, and the table of all of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from onnx import NodeProto, helper
from torch import Tensor, nn

from falcon_edge.models.graphs.batch import Sizes, grown_axis
from falcon_edge.models.graphs.function import Function
from falcon_edge.models.graphs.graph import Graph, title

META = torch.device("meta")
HALVES = frozenset((torch.float16, torch.bfloat16))


class NoLayer(Exception):
    """A node that no layer is known for; its text says what of it is not known."""


@dataclass(frozen=True)
class Call:
    """What a node becomes: a layer, on the meta device, and what has to be done before and after it.

    weights: of the layer, by the keys of its state dict. absorbed: nodes that follow and are done by it too.
    """

    layer: nn.Module
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    weights: dict[str, Tensor] = field(default_factory=dict)
    before: nn.Module | None = None
    after: nn.Module | None = None
    absorbed: tuple[NodeProto, ...] = ()

    @property
    def chain(self) -> list[nn.Module]:
        """All of it in the order in which it is called."""
        return [module for module in (self.before, self.layer, self.after) if module is not None]


@dataclass(frozen=True)
class Value:
    """A value on the meta device: for the file's batch, and for twice as many images where that is known."""

    one: Tensor
    two: Tensor | None

    @property
    def batch_axis(self) -> int | None:
        """Along which axis its images lie, None where it is the same for every batch."""
        return None if self.two is None else grown_axis(self.one.shape, self.two.shape)


class Node:
    """A node with its attributes, stored operands and what is known of the others.

    `bound` gets the reasons for which the graph is one of the file's batch alone.
    """

    def __init__(self, graph: Graph, proto: NodeProto, values: dict[str, Value], images: int):
        self.graph, self.proto, self.images = graph, proto, images
        self.kind = proto.op_type
        self.inputs = tuple(proto.input)
        self.outputs = tuple(proto.output)
        self.bound: list[str] = []
        self._values = values
        self.given: dict[str, Any] = {}
        for attribute in proto.attribute:
            value = helper.get_attribute_value(attribute)
            self.given[attribute.name] = value.decode(errors="replace") if isinstance(value, bytes) else value

    def __str__(self) -> str:
        return title(self.proto)

    # Operands.

    def has(self, index: int) -> bool:
        """Whether it has an operand at a place."""
        return len(self.inputs) > index and bool(self.inputs[index])

    def value(self, index: int = 0) -> Value:
        """What is known of an operand."""
        return self._values[self.inputs[index]]

    def sizes(self, index: int = 0) -> Sizes:
        """The shape of an operand, for the file's batch."""
        return tuple(self.value(index).one.shape)

    def rank(self, index: int = 0) -> int:
        """How many axes an operand has."""
        return self.value(index).one.ndim

    def is_stored(self, index: int) -> bool:
        """Whether an operand is a constant."""
        return self.graph.is_stored(self.inputs[index])

    def constant(self, index: int) -> Tensor:
        """An operand that has to be a constant."""
        if not self.is_stored(index):
            raise NoLayer(f"an input {index} that is computed")
        return self.graph.constant(self.inputs[index])

    def optional(self, index: int) -> Tensor | None:
        """An operand that has to be a constant where it is given."""
        return self.constant(index) if self.has(index) else None

    def integers(self, index: int) -> list[int]:
        """The numbers of a constant that is a shape, or one of axes and the like."""
        return [int(value) for value in self.constant(index).reshape(-1).tolist()]

    def axis(self, default: int, index: int = 0) -> int:
        """The attribute `axis`, counted from the front of an operand's axes."""
        return self.within(self.given.get("axis", default), self.rank(index))

    def within(self, axis: int, rank: int) -> int:
        """An axis counted from the front."""
        if not -rank <= axis < rank:
            raise NoLayer(f"axis {axis} of {rank}")
        return int(axis % rank)

    # Batches.

    def batch_axis(self, index: int = 0) -> int | None:
        """Along which axis of an operand the images of a batch lie, None where they do not."""
        return self.value(index).batch_axis

    def across(self, axes: Iterable[int], index: int = 0) -> None:
        """Say that it goes across axes of an operand, so that no image is by itself where the batch is one of them."""
        if self.batch_axis(index) in list(axes):
            self.bound.append(f"{self} goes across the images of a batch")

    # Answers.

    def layer(
        self,
        layer: nn.Module,
        *,
        before: nn.Module | None = None,
        after: nn.Module | None = None,
        **weights: Tensor | None,
    ) -> Call:
        """A layer of the first operand, with these weights, and what is done before or after it."""
        given = {name: value for name, value in weights.items() if value is not None}
        return Call(layer, self.inputs[:1], self.outputs[:1], given, before, after)

    def function(self, function: Callable[..., Any], **settings: Any) -> Call:
        """A function of the first operand; the others are settings of it."""
        return self.layer(Function(function, **settings))

    def function_of_all(self, function: Callable[..., Any], **settings: Any) -> Call:
        """A function of all operands that are given."""
        reads = tuple(name for name in self.inputs if name)
        return Call(Function(function, **settings), reads, self.outputs[:1])


Maker = Callable[[Node], Call]
MAKERS: dict[str, Maker] = {}
# Of whole numbers and of what is true or false, too; all others are of real numbers.
OF_ANY_TYPE: set[str] = set()


def makes(*operators: str, any_type: bool = False) -> Callable[[Maker], Maker]:
    """Register a function as the one that makes the layers of ONNX operators; any_type: see OF_ANY_TYPE.

    The function may raise NoLayer. It trusts that operands and attributes fit the operator: where it stumbles, or its
    layers do on the meta device, they do not.
    """

    def register(function: Maker) -> Maker:
        MAKERS.update(dict.fromkeys(operators, function))
        OF_ANY_TYPE.update(operators if any_type else ())
        return function

    return register


def demand_real(node: Node) -> None:
    """Raise NoLayer for a node of an operator of real numbers that has an operand of others, or in half precision."""
    if node.kind in OF_ANY_TYPE:
        return
    for index, name in enumerate(node.inputs):
        if name and not node.is_stored(index):
            value = node.value(index).one
            if value.dtype in HALVES:  # some runtimes compute in float32 then
                raise NoLayer(f"a value of type {type_of(value)}; export it in float32")
            if not value.is_floating_point():
                raise NoLayer(f"a value of type {type_of(value)}")


def type_of(value: Tensor) -> str:
    """The type of a value, as ONNX and torch both call it."""
    return str(value.dtype).removeprefix("torch.")
