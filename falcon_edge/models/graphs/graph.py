"""A graph as it is read: what it stores, who reads what, and everything for which it is refused as a whole."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from math import prod

from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto
from torch import Tensor

from falcon_edge.errors import BadInput
from falcon_edge.models.graphs.stored import MOST, constant_of, kind_name, outline_of, tensor_of

OPSET = 17  # what ONNX changed before it is not known here
ONNX = frozenset(("", "ai.onnx"))


class Graph:
    """A model whose nodes have one form, that of opset 17 or later, of one float32 input.

    Raises BadInput, when it is made, for any other, and for one whose names or constants are wrong.
    """

    def __init__(self, model: ModelProto, source: str):
        self.source = source
        self.nodes: list[NodeProto] = []
        self._stored: dict[str, TensorProto | NodeProto] = {each.name: each for each in model.graph.initializer}
        self._refuse_forms(model)
        for node in model.graph.node:
            if not node.output or not node.output[0]:
                raise self.refused(f"{title(node)} gives nothing")
            if node.op_type == "Constant" and node.domain in ONNX:
                self._stored[node.output[0]] = node
            else:
                self.nodes.append(node)
        self.input = self._only_input(model)
        self.outputs = tuple(value.name for value in model.graph.output)
        self._refuse_names()

    def refused(self, what: str) -> BadInput:
        """The error that says, in one line, what of this file cannot be read."""
        return BadInput(f"{self.source}: {' '.join(what.split())}")  # names in it may be anything

    def is_stored(self, name: str) -> bool:
        """Whether a value is a constant."""
        return name in self._stored

    def constant(self, name: str) -> Tensor:
        """A stored value, at every call a tensor of its own: exporters store equal weights of several layers once."""
        stored = self._stored[name]
        with self._told(name):
            return tensor_of(stored) if isinstance(stored, TensorProto) else constant_of(stored)

    def outline(self, name: str) -> Tensor:
        """The type and shape of a stored value, on the meta device."""
        stored = self._stored[name]
        with self._told(name):
            return outline_of(stored) if isinstance(stored, TensorProto) else constant_of(stored).to("meta")

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            raise self.refused(f"its constant {name} {error}") from error

    @cached_property
    def readers(self) -> dict[str, list[NodeProto]]:
        """The nodes that read each value."""
        found: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                found[name].append(node)
        return found

    def only_reader(self, name: str, kind: str) -> NodeProto | None:
        """The node of this kind that alone reads a value, which is no output of the graph."""
        readers = self.readers[name]
        if len(readers) != 1 or name in self.outputs or readers[0].op_type != kind or readers[0].domain not in ONNX:
            return None
        return readers[0]

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The shape of the input; a free batch is 1. Raises BadInput where another axis is free or empty."""
        shape = self.input.type.tensor_type.shape
        sizes = []
        for axis, dimension in enumerate(shape.dim):
            size = dimension.dim_value if dimension.HasField("dim_value") else 0 if axis else 1
            if size < 1:
                raise self.refused(f"its input {self.input.name} has no size in dimension {axis}; fix it")
            sizes.append(size)
        if not sizes:
            raise self.refused(f"its input {self.input.name} has no axes; an image is expected")
        if prod(sizes) > MOST:
            raise self.refused(f"its input {self.input.name} has the shape {tuple(sizes)}; an image is expected")
        return tuple(sizes)

    def _refuse_forms(self, model: ModelProto) -> None:
        opset = max((entry.version for entry in model.opset_import if entry.domain in ONNX), default=0)
        if opset < OPSET:
            raise self.refused(f"is of opset {opset}; bring it to opset {OPSET} first, whose operators are known here")
        if model.graph.sparse_initializer:
            raise self.refused("stores sparse tensors; save them as dense ones")
        for stored in model.graph.initializer:  # before anything is decoded
            if stored.data_location == TensorProto.EXTERNAL or stored.external_data:
                raise self.refused(f"keeps its constant {stored.name} in another file; save the model as one file")

    def _only_input(self, model: ModelProto) -> ValueInfoProto:
        inputs = [value for value in model.graph.input if value.name not in self._stored]
        if len(inputs) != 1:
            names = f" ({', '.join(value.name for value in inputs)})" if inputs else ""
            raise self.refused(f"has {len(inputs)} inputs{names}; one image is expected")
        kind = inputs[0].type.tensor_type.elem_type
        if not inputs[0].type.HasField("tensor_type") or kind != TensorProto.FLOAT:
            given = kind_name(kind) if inputs[0].type.HasField("tensor_type") else "no tensor"
            raise self.refused(f"its input {inputs[0].name} is {given}; float32 is expected")
        return inputs[0]

    def _refuse_names(self) -> None:
        """Raise BadInput for a value that is read before anything gives it, or given twice."""
        known = {self.input.name, *self._stored}
        for node in self.nodes:
            for name in node.input:
                if name and name not in known:
                    raise self.refused(
                        f"{title(node)} reads {name}, which is neither stored nor given by a node before it"
                    )
            for name in filter(None, node.output):
                if name in known:
                    raise self.refused(f"{title(node)} gives {name}, which there is already")
                known.add(name)
        if not self.outputs:
            raise self.refused("has no outputs")
        for place, name in enumerate(self.outputs):
            if name in self.outputs[:place]:
                raise self.refused(f"gives its output {name} twice")
            if name not in known:
                raise self.refused(f"its output {name} is given by no node")


def title(node: NodeProto) -> str:
    """A node in words: its name, or that of what it gives, and its operator."""
    return f"{node.name or next(iter(node.output), '')} ({node.op_type})"
