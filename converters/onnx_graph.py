"""An ONNX model as passes, emitter and inspection read it: constants, shapes, who produces and who consumes."""

import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper, shape_inference

from converters import onnx_verify
from converters.errors import ConversionError
from converters.files import read_model
from converters.lending import owner

MAXIMUM_BYTES = 2**31 - 1
OPSET = 17
IR_VERSION = 8  # what runtimes of 2022 read
CARD_KEY = "falcon_edge.card"
# Shape inference looks into constants (the target of a Reshape), but never into weights, which are larger.
SHAPE_NUMBERS = 1024
ONNX_DOMAINS = frozenset(("", "ai.onnx"))

Dimensions = tuple[int | None, ...]


class Constants(Mapping[str, np.ndarray]):
    """Stored tensors by name. Each is decoded when it is asked for: a walk over a graph copies no weights."""

    def __init__(self, tensors: Iterable[TensorProto]):
        self._values: dict[str, TensorProto | np.ndarray] = {tensor.name: owner(tensor) for tensor in tensors}

    def __getitem__(self, name: str) -> np.ndarray:
        value = self._values[name]
        return value if isinstance(value, np.ndarray) else numpy_helper.to_array(value)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of one, without its values."""
        value = self._values[name]
        return tuple(value.shape if isinstance(value, np.ndarray) else value.dims)

    def is_float(self, name: str) -> bool:
        """Whether one is float32."""
        value = self._values[name]
        return value.dtype == np.float32 if isinstance(value, np.ndarray) else value.data_type == TensorProto.FLOAT

    def add(self, name: str, value: TensorProto | np.ndarray) -> None:
        """One more, or another value for one that is there."""
        self._values[name] = value


class OnnxGraph:
    """Look-ups over a model. They are computed once: make a new one after changing nodes."""

    def __init__(self, model: ModelProto):
        self.model = model
        graph = model.graph
        self.nodes: list[NodeProto] = list(graph.node)
        self.constants = Constants(graph.initializer)
        for node in self.nodes:
            if node.op_type == "Constant":
                value = attributes(node).get("value")
                if isinstance(value, TensorProto):
                    self.constants.add(node.output[0], value)
        self.inputs = [value for value in graph.input if value.name not in self.constants]
        self.outputs = list(graph.output)
        self.consumers: dict[str, list[NodeProto]] = defaultdict(list)
        self.producer: dict[str, NodeProto] = {}
        for node in self.nodes:
            for name in (*node.input, *(_names_read(node) - {*node.input})):
                self.consumers[name].append(node)
            for name in node.output:
                self.producer[name] = node
        self.output_names = {value.name for value in graph.output}
        self.opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Static shape of every value that shape inference finds; an unknown dimension (the batch) is 1."""
        shapes = {name: self.constants.shape(name) for name in self.constants}
        for name, sizes in dimensions(self.model).items():
            shapes[name] = tuple(1 if size is None else size for size in sizes)
        return shapes

    def fixed_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every value of which all dimensions are known."""
        found = {name: self.constants.shape(name) for name in self.constants}
        for name, sizes in dimensions(self.model).items():
            known = tuple(size for size in sizes if size is not None)
            if len(known) == len(sizes):
                found[name] = known
        return found

    def only_consumer(self, name: str) -> NodeProto | None:
        """The node that alone uses a value that is no output of the graph."""
        users = self.consumers[name]
        return users[0] if len(users) == 1 and name not in self.output_names else None


def attributes(node: NodeProto) -> dict[str, Any]:
    """A node's attributes as Python values."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def clip_bounds(graph: OnnxGraph, node: NodeProto) -> tuple[float, float] | None:
    """Lower and upper bound of a Clip, infinite where it has none; None if they are no numbers that are stored."""
    bounds = []
    for index, missing in enumerate((-np.inf, np.inf), start=1):
        if len(node.input) > index and node.input[index]:
            if node.input[index] not in graph.constants or graph.constants[node.input[index]].size != 1:
                return None
            bounds.append(float(graph.constants[node.input[index]].reshape(())))
        else:
            bounds.append(missing)
    low, high = bounds
    largest = float(np.finfo(np.float32).max)  # how some exporters write "no bound"
    return (-np.inf if low <= -largest else low), (np.inf if high >= largest else high)


def subgraphs(node: NodeProto) -> list[GraphProto]:
    """The graphs that a node holds (If, Loop, Scan)."""
    single = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return [*single, *(graph for attribute in node.attribute for graph in attribute.graphs)]


def rename_values(graph: GraphProto, names: Mapping[str, str]) -> None:
    """Give values other names, also where the graphs within the graph read them."""
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for inner in subgraphs(node):
            rename_values(inner, names)


def dimensions(model: ModelProto) -> dict[str, Dimensions]:
    """Shape of every value that shape inference finds, None where a dimension is free. Weights are not copied.

    What the file itself says of shapes is believed only for operators of other domains: exporters err. Raises
    ConversionError if the graph contradicts itself.
    """
    found: dict[str, Dimensions] = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for value in _inferred(model):
        if value.type.tensor_type.HasField("shape"):
            found[value.name] = tuple(
                dimension.dim_value if dimension.HasField("dim_value") else None
                for dimension in value.type.tensor_type.shape.dim
            )
    return found


def kinds(model: ModelProto) -> dict[str, int]:
    """The element type (a TensorProto.DataType) of every value of which inference finds it. Errors as `dimensions`."""
    found = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    return found | {value.name: value.type.tensor_type.elem_type for value in _inferred(model)}


def _inferred(model: ModelProto) -> Iterator[ValueInfoProto]:
    graph = model.graph
    outline = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    outline.graph.name = graph.name
    outline.graph.node.extend(graph.node)
    outline.graph.output.extend(graph.output)
    foreign = {name for node in graph.node if node.domain not in ONNX_DOMAINS for name in node.output}
    outline.graph.value_info.extend(value for value in graph.value_info if value.name in foreign)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    outline.graph.input.extend(value for value in graph.input if value.name not in weights)
    for name, tensor in weights.items():
        if prod(tensor.dims) <= SHAPE_NUMBERS:
            outline.graph.initializer.append(tensor)
        else:
            outline.graph.input.append(helper.make_tensor_value_info(name, tensor.data_type, tensor.dims))
    try:
        inferred = shape_inference.infer_shapes(outline, strict_mode=True, data_prop=True).graph
    except Exception as error:  # onnx raises RuntimeError and its own kinds
        raise ConversionError(f"the graph's shapes cannot be inferred: {first_line(error)}") from error
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        if any(size.HasField("dim_value") and size.dim_value < 0 for size in value.type.tensor_type.shape.dim):
            raise ConversionError(f"the graph contradicts itself: {value.name} would have a negative size")
        yield value


def forget_shapes(model: ModelProto) -> None:
    """Let the shapes of intermediate values and results be inferred anew; a free first dimension stays free."""
    del model.graph.value_info[:]
    for value in model.graph.output:
        for dimension in list(value.type.tensor_type.shape.dim):
            if dimension.HasField("dim_value"):
                dimension.Clear()
    found = dimensions(model)
    for value in model.graph.output:
        for dimension, size in zip(value.type.tensor_type.shape.dim, found.get(value.name, ()), strict=False):
            if size is not None:
                dimension.dim_value = size


def drop_unused(model: ModelProto) -> None:
    """Remove the nodes and initializers whose values nobody reads."""
    graph = model.graph
    read = {value.name for value in graph.output}
    for index in reversed(range(len(graph.node))):
        if read.intersection(graph.node[index].output):
            read.update(_names_read(graph.node[index]))
        else:
            del graph.node[index]
    for index in reversed(range(len(graph.initializer))):  # by index: remove() would compare weights
        if graph.initializer[index].name not in read:
            del graph.initializer[index]


def put_weights_back(model: ModelProto, light: ModelProto) -> None:
    """Give a model the nodes and the small constants of what a tool made of its form without weights."""
    graph = model.graph
    for index in reversed(range(len(graph.initializer))):
        if not onnx_verify.is_large(graph.initializer[index]):
            del graph.initializer[index]
    del graph.node[:], graph.value_info[:], model.opset_import[:]
    graph.node.extend(light.graph.node)
    graph.initializer.extend(light.graph.initializer)
    graph.value_info.extend(light.graph.value_info)
    model.opset_import.extend(light.opset_import)
    drop_unused(model)


def _names_read(node: NodeProto) -> set[str]:
    return set(node.input).union(
        *(_names_read(inner) for graph in subgraphs(node) for inner in graph.node),
        *({value.name for value in graph.output} for graph in subgraphs(node)),
    )


def load(path: Path) -> ModelProto:
    """Read and check a model. Raises ConversionError for a file that is not there, not ONNX, or not self-contained."""
    return parse(read_model(path, MAXIMUM_BYTES), str(path))


def parse(data: bytes, name: str) -> ModelProto:
    """Check the model that a file's bytes hold. Raises ConversionError, naming the file, as `load` does."""
    try:
        model = ModelProto.FromString(data)
    except Exception as error:  # protobuf's DecodeError lives in changing places
        raise ConversionError(f"{name}: not an ONNX model ({first_line(error)})") from error
    del data
    if not model.graph.node or not model.opset_import:
        raise ConversionError(f"{name}: not an ONNX model (it has no nodes)")
    problem = onnx_verify.problem(model)
    if problem is not None:
        raise ConversionError(f"{name}: {problem}")
    check(model, name)
    return model


def check(model: ModelProto, name: str) -> None:
    """Run the ONNX checker on all but the weights. Raises ConversionError with what it says."""
    try:
        onnx.checker.check_model(onnx_verify.without_weights(model), full_check=True)
    except Exception as error:  # the checker raises its own kind and those of shape inference
        said = " ".join(str(error).partition("==> Context")[0].split()) or first_line(error)
        raise ConversionError(f"{name}: refused by the ONNX checker: {said}") from error


def save(model: ModelProto, path: Path) -> None:
    """Check and write a model as one file, atomically."""
    check(model, str(path))
    refuse_large(sum(map(_bytes, model.graph.initializer)), str(path))
    data = model.SerializeToString(deterministic=True)
    refuse_large(len(data), str(path))
    write_atomically(path, data)


def refuse_large(size: int, name: str) -> None:
    """Raise ConversionError for more bytes than a self-contained ONNX file holds (protobuf's limit)."""
    if size > MAXIMUM_BYTES:
        raise ConversionError(
            f"{name}: takes {size / 1e9:.2f} GB, and an ONNX file holds 2 GiB at most: compress the network first"
        )


def _bytes(tensor: TensorProto) -> int:
    return prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize


def embed_card(model: ModelProto, card: dict[str, Any] | None) -> None:
    """Make a card (or nothing) the only metadata of a model, as JSON under CARD_KEY; changed in place."""
    del model.metadata_props[:]
    if card is not None:
        entry = model.metadata_props.add()
        entry.key, entry.value = CARD_KEY, json.dumps(card, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def write_atomically(path: Path, data: bytes | Iterable[bytes | memoryview]) -> None:
    """Write a file, given as a whole or in pieces, that is there as a whole or not at all."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.writelines([data] if isinstance(data, bytes) else data)
                file.flush()
                os.fsync(file.fileno())
                os.fchmod(file.fileno(), 0o644)
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise ConversionError(f"{path}: cannot be written ({error.strerror})") from error


def first_line(error: Exception) -> str:
    """The first line of an error's text that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
