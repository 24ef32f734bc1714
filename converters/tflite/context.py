"""What an operator's emitter sees of the graph around it: tensors, their layouts, constants, fused activations."""

from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto, TensorProto

from converters.errors import ConversionError, Unsupported
from converters.onnx_graph import ONNX_DOMAINS, OnnxGraph, clip_bounds
from converters.passes.own_functions import named
from converters.quantization.rules import fused_activation
from converters.tflite.builder import Builder
from converters.tflite.layout import Layout, Order, Shape, usual_order
from converters.tflite.ranges import non_negative
from converters.tflite.rearrange import rearrange, reshaped

Emitter = Callable[["Context", NodeProto], None]
EMITTERS: dict[str, Emitter] = {}
# Operators of which the emitters know values that are no real numbers; those of all others are computed in float32.
OF_ANY_TYPE: set[str] = set()
REAL = frozenset((TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16))
OTHER_TYPES = {
    TensorProto.INT64: schema.TensorType.INT64,
    TensorProto.INT32: schema.TensorType.INT32,
    TensorProto.BOOL: schema.TensorType.BOOL,
}
ANY = REAL | OTHER_TYPES.keys()
UNFIT = "operands or attributes that do not fit it"


def stored_type(kind: int) -> int:
    """The type of TFLite in which values of an ONNX type are had."""
    return OTHER_TYPES.get(kind, schema.TensorType.FLOAT32)


def emits(*operators: str, any_type: bool = False) -> Callable[[Emitter], Emitter]:
    """Register a function as the emitter of ONNX operators; any_type: of values of OTHER_TYPES too."""

    def register(function: Emitter) -> Emitter:
        EMITTERS.update(dict.fromkeys(operators, function))
        OF_ANY_TYPE.update(operators if any_type else ())
        return function

    return register


class NoForm(Exception):
    """Raised by an emitter for a node that it cannot emit; the emission goes on, to find all such nodes."""

    def __init__(self, unsupported: Unsupported):
        super().__init__(unsupported)
        self.unsupported = unsupported


@dataclass(frozen=True)
class Stored:
    """A value as it is: a tensor, and how the ONNX value lies in its memory (its shape may be any that fits)."""

    tensor: int
    layout: Layout


class Context:
    """The state of one emission.

    Every computed value has one tensor, in the layout that its operator gave it. An operator asks for its inputs in
    the layout that it needs: what lies otherwise is rearranged there, once.
    """

    def __init__(
        self,
        graph: OnnxGraph,
        shapes: dict[str, Shape],
        kinds: dict[str, int],
        builder: Builder,
        *,
        integer: bool = False,
    ):
        """integer: what is emitted becomes int8, so that only those activations are fused that int8's rules know of."""
        self.graph, self.shapes, self.kinds, self.builder = graph, shapes, kinds, builder
        self.non_negative = non_negative(graph)
        self.unsupported: list[Unsupported] = []
        self._stored: dict[str, Stored] = {}
        self._arranged: dict[tuple[str, Layout, Shape], int] = {}
        self._integer = integer
        self._done: set[str] = set()
        self._unknown: set[str] = set()  # values behind one that has no form, of which not even the shape is known

    def emit(self, node: NodeProto) -> None:
        """Emit one node, unless an earlier one has taken it in; one that has no form is noted in `unsupported`."""
        if node.output[0] in self._done:
            return
        if not self._unknown.isdisjoint(node.input):
            self._unknown.update(node.output)
            return
        node = named(node)
        self.builder.origin = node.output[0]
        emitter = EMITTERS.get(node.op_type) if node.domain in ONNX_DOMAINS else None
        try:
            if emitter is None:
                raise self.no_form(node)
            self._look_over(node)
            self._emitted(emitter, node)
        except NoForm as problem:
            self.unsupported.append(problem.unsupported)
            for name in node.output:  # so that the forms of those that follow are looked at too
                if name in self.shapes:
                    self.output_as(name, usual_order(len(self.shapes[name])))
                else:
                    self._unknown.add(name)

    def no_form(self, node: NodeProto, detail: str = "") -> NoForm:
        """The error that names a node and what of it is not known."""
        return NoForm(Unsupported(node.op_type, node.name or node.output[0], detail))

    def _look_over(self, node: NodeProto) -> None:
        """Raise NoForm for what no emitter has to know: values without elements, or of other types, no operand that
        is computed."""
        self.demand(node, ANY if node.op_type in OF_ANY_TYPE else REAL, *node.input, *node.output)
        if all(self.is_constant(name) for name in node.input if name):
            raise self.no_form(node, "no operand that is computed")
        if any(0 in self.shapes.get(name, ()) for name in (*node.input, *node.output) if not self.is_constant(name)):
            raise self.no_form(node, "a value that is empty")

    def _emitted(self, emitter: Emitter, node: NodeProto) -> None:
        """Let an emitter have a node. It trusts that the operands fit the operator, which no checker has made sure of:
        where it stumbles they do not."""
        try:
            emitter(self, node)
        except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
            raise self.no_form(node, UNFIT) from error
        for index, name in enumerate(node.output[1:], start=1):
            read = self.graph.consumers[name] or name in self.graph.output_names
            if name and read and name not in self._stored:
                raise self.no_form(node, f"a result {index} that is read")

    # What there is.

    def kind(self, name: str) -> int:
        """The element type of a value in the ONNX graph; what a pass for TFLite has made is real."""
        return self.kinds.get(name, TensorProto.FLOAT)

    def demand(self, node: NodeProto, kinds: Set[int], *names: str) -> None:
        """Raise NoForm for a node with a computed value of another type."""
        for name in names:
            if name and not self.is_constant(name) and self.kind(name) not in kinds:
                raise self.no_form(node, f"a value of type {TensorProto.DataType.Name(self.kind(name)).lower()}")

    def shape(self, name: str) -> Shape:
        """The ONNX shape of a value."""
        if name not in self.shapes:
            made_by = self.graph.producer[name]
            raise self.no_form(made_by, "a result whose shape is not known beforehand")
        return self.shapes[name]

    def is_constant(self, name: str) -> bool:
        """Whether a value is stored in the file."""
        return name in self.graph.constants

    def weight(self, node: NodeProto, index: int = 1) -> np.ndarray:
        """An input of a node that must be constant."""
        if not self.is_constant(node.input[index]):
            raise self.no_form(node, f"an input {index} that is computed")
        return self.graph.constants[node.input[index]]

    def optional(self, node: NodeProto, index: int) -> np.ndarray | None:
        """An input of a node that must be constant where it is given."""
        return self.weight(node, index) if len(node.input) > index and node.input[index] else None

    def stored(self, name: str) -> Stored:
        """The tensor of a value, as it is; a constant is stored in the usual order of its rank."""
        if name not in self._stored:
            if not self.is_constant(name):
                raise ConversionError(f"the value {name} is used before it is computed")
            order = usual_order(len(self.shape(name)))
            self._stored[name] = Stored(self.arranged(name, order), Layout.of(self.shape(name), order))
        return self._stored[name]

    def order(self, name: str) -> Order:
        """The order of axes in which a value is had most cheaply."""
        axes = None if self.is_constant(name) else self.stored(name).layout.axes()
        return usual_order(len(self.shape(name))) if axes is None else axes

    def arranged(self, name: str, order: Order, shown: Shape | None = None) -> int:
        """A value as the tensor value.transpose(order), or the same under the shape `shown`.

        One of lower rank gets axes of size 1 in front first.
        """
        shape = (1,) * (len(order) - len(self.shape(name))) + self.shape(name)
        layout = Layout.of(shape, order)
        shown = tuple(shape[axis] for axis in order) if shown is None else shown
        key = (name, layout, shown)
        if key not in self._arranged:
            if self.is_constant(name):
                value = _as_stored(self.graph.constants[name]).reshape(shape)
                self._arranged[key] = self.raw(name, value.transpose(order).reshape(shown))
            else:
                stored = self.stored(name)
                given = Stored(stored.tensor, stored.layout.expand_rank(len(order)))
                self._arranged[key] = self._rearranged(name, given, layout, shown)
        return self._arranged[key]

    def gathered(self, name: str, order: Order) -> tuple[int, np.ndarray | None]:
        """(tensor, index): `arranged`, but its last axis may be in another order, which weights make up for.

        The tensor then is value.transpose(order)[..., index]; without an index it is as arranged.
        """
        if not self.is_constant(name):
            stored = self.stored(name)
            index = stored.layout.last_axis_index(order)
            if index is not None and not np.array_equal(index, np.arange(index.size)):
                return self._under(name, tuple(self.shape(name)[axis] for axis in order)), index
        return self.arranged(name, order), None

    def opened(self, name: str) -> tuple[int, tuple[tuple[int, ...], ...]]:
        """A value, nothing moved, with the axes of the tensor over which every ONNX axis is spread."""
        stored = self.stored(name)
        order = stored.layout.axes()
        if order is not None:
            return self.arranged(name, order), tuple((order.index(axis),) for axis in range(len(order)))
        sizes = [size for axis in stored.layout.factors for size in axis]
        tensor = self._under(name, tuple(sizes[factor] for factor in stored.layout.order))
        place = {factor: index for index, factor in enumerate(stored.layout.order)}
        numbers = iter(range(len(sizes)))
        return tensor, tuple(tuple(place[next(numbers)] for _ in axis) for axis in stored.layout.factors)

    def beside(self, name: str, value: np.ndarray, stored: Stored) -> int:
        """Store a constant so that it broadcasts over a tensor as it does over the ONNX value in it.

        What is equal along an axis of the tensor is stored once.
        """
        full = np.broadcast_to(_as_stored(value), stored.layout.shape)
        lying = stored.layout.arrange(full).reshape(self.builder.shape(stored.tensor))
        for axis in range(lying.ndim):
            first = lying.take([0], axis)
            if (lying == first).all():
                lying = first
        return self.raw(name, lying.reshape((1,) * min(lying.ndim, 1)) if lying.size == 1 else lying)

    def number(self, name: str, value: float, tensor: int) -> int:
        """Store a number so that it leaves the shape of a tensor that it is taken together with as it is."""
        return self.raw(name, np.full((1,) * min(len(self.builder.shape(tensor)), 1), value, np.float32))

    def raw(self, name: str, value: np.ndarray, columns: np.ndarray | None = None) -> int:
        """Store a constant exactly as it is, or value[..., columns]."""
        return self.builder.constant(name, value, columns)

    # What a node makes.

    def view(self, node: NodeProto, layout: Layout) -> None:
        """A node that moves nothing: its output is its input under another layout."""
        self.put(node.output[0], Stored(self.stored(node.input[0]).tensor, layout))

    def put(self, name: str, stored: Stored) -> None:
        """A value that is in a tensor that there is already."""
        self.builder.aliases.setdefault(stored.tensor, []).append(name)
        self._stored[name] = stored

    def alias(self, node: NodeProto) -> None:
        """A node that changes nothing: its output is its input."""
        self.view(node, self.stored(node.input[0]).layout)

    def output(self, node: NodeProto, order: Order | None = None) -> int:
        """A new tensor for a node's first output, its axes in this order (by default the usual one)."""
        return self.output_as(node.output[0], usual_order(len(self.shape(node.output[0]))) if order is None else order)

    def output_as(self, name: str, order: Order) -> int:
        """A new tensor for a value, its axes in this order."""
        shape = self.shape(name)
        return self.store(name, Layout.of(shape, order), tuple(shape[axis] for axis in order))

    def store(self, name: str, layout: Layout, shown: Shape) -> int:
        """A new tensor for a value, of any shape that fits its layout."""
        tensor = self.builder.activation(name, shown, stored_type(self.kind(name)))
        self._stored[name] = Stored(tensor, layout)
        self.shapes.setdefault(name, layout.shape)  # a pass for TFLite may have made values that ONNX does not know
        return tensor

    def step(self, node: NodeProto, suffix: str, shown: Shape) -> int:
        """A new tensor for what is computed on the way to a node's output."""
        return self.builder.activation(f"{node.output[0]}.{suffix}", shown)

    def fused(self, node: NodeProto) -> tuple[str, int]:
        """(name, activation): the node's output, or that of the activation that alone follows and is taken in."""
        name = node.output[0]
        follower = self.graph.only_consumer(name)
        if follower is not None:
            activation = activation_of(self.graph, follower)
            known = not self._integer or fused_activation(self.graph, node) is not None
            if activation is not None and known:
                self.absorb(follower)
                return follower.output[0], activation
        return name, schema.ActivationFunctionType.NONE

    def fused_output(self, node: NodeProto, order: Order | None = None) -> tuple[int, int]:
        """(tensor, activation) of `fused`, its axes in this order (by default the usual one)."""
        name, activation = self.fused(node)
        return self.output_as(name, usual_order(len(self.shape(name))) if order is None else order), activation

    def absorb(self, node: NodeProto) -> None:
        """Mark a node as emitted together with an earlier one."""
        self._done.add(node.output[0])

    def operator(self, code: int, inputs: list[int], outputs: list[int], options: Any = None, version: int = 1) -> None:
        """Append a TFLite operator."""
        self.builder.operator(code, inputs, outputs, options, version)

    def _under(self, name: str, shown: Shape) -> int:
        """A computed value, nothing moved, under another shape of its tensor."""
        stored = self.stored(name)
        key = (name, stored.layout, shown)
        if key not in self._arranged:
            self._arranged[key] = reshaped(self.builder, name, stored.tensor, shown)
        return self._arranged[key]

    def _rearranged(self, name: str, stored: Stored, layout: Layout, shown: Shape) -> int:
        move = stored.layout.moves_to(layout)
        tensor = stored.tensor
        if move is None:  # two splits of one axis that have nothing in common: through the plain order
            plain = Layout.of(layout.shape)
            tensor = self._rearranged(name, stored, plain, layout.shape)
            move = plain.moves_to(layout)
            assert move is not None
        return rearrange(self.builder, name, tensor, *move, shown)


def _as_stored(value: np.ndarray) -> np.ndarray:
    """A constant operand in the type in which it is stored: what is no truth value is float32."""
    return value if value.dtype == np.bool_ else value.astype(np.float32)


def activation_of(graph: OnnxGraph, node: NodeProto) -> int | None:
    """The activation function that a node is, if TFLite can fuse it."""
    if node.op_type == "Relu":
        return schema.ActivationFunctionType.RELU
    if node.op_type == "Clip":
        bounds = clip_bounds(graph, node)
        return None if bounds is None else FUSED_BOUNDS.get(bounds)
    return None


FUSED_BOUNDS = {
    (0.0, np.inf): schema.ActivationFunctionType.RELU,
    (0.0, 6.0): schema.ActivationFunctionType.RELU6,
    (-1.0, 1.0): schema.ActivationFunctionType.RELU_N1_TO_1,
}
