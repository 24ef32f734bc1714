"""An ONNX model as passes, emitter and inspection read it: constants, shapes, who produces and who consumes."""

import os
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from converters.errors import ConversionError

MAXIMUM_BYTES = 2**31 - 1
CARD_KEY = "falcon_edge.card"


class OnnxGraph:
    """Look-ups over a model. They are computed once: make a new one after changing nodes."""

    def __init__(self, model: ModelProto):
        self.model = model
        graph = model.graph
        self.nodes: list[NodeProto] = list(graph.node)
        self.constants: dict[str, np.ndarray] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer
        }
        for node in self.nodes:
            if node.op_type == "Constant":
                value = attributes(node).get("value")
                if isinstance(value, TensorProto):
                    self.constants[node.output[0]] = numpy_helper.to_array(value)
        self.inputs = [value for value in graph.input if value.name not in self.constants]
        self.outputs = list(graph.output)
        self.consumers: dict[str, list[NodeProto]] = defaultdict(list)
        self.producer: dict[str, NodeProto] = {}
        for node in self.nodes:
            for name in node.input:
                self.consumers[name].append(node)
            for name in node.output:
                self.producer[name] = node
        self.output_names = {value.name for value in graph.output}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Static shape of every value that shape inference finds; an unknown dimension (the batch) is 1."""
        try:
            inferred = shape_inference.infer_shapes(self.model, strict_mode=True, data_prop=True)
        except Exception as error:  # onnx raises RuntimeError and its own kinds
            raise ConversionError(f"the graph's shapes cannot be inferred: {first_line(error)}") from error
        values = [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]
        shapes = {name: tuple(array.shape) for name, array in self.constants.items()}
        for value in values:
            shapes[value.name] = tuple(
                dimension.dim_value if dimension.HasField("dim_value") else 1
                for dimension in value.type.tensor_type.shape.dim
            )
        return shapes

    def only_consumer(self, name: str) -> NodeProto | None:
        """The node that alone uses a value that is no output of the graph."""
        users = self.consumers[name]
        return users[0] if len(users) == 1 and name not in self.output_names else None


def attributes(node: NodeProto) -> dict[str, Any]:
    """A node's attributes as Python values."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def load(path: Path) -> ModelProto:
    """Read and check a model. Raises ConversionError for a file that is not there, not ONNX, or not self-contained."""
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise ConversionError(f"{path}: larger than 2 GiB, which ONNX's own format does not hold")
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise ConversionError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # protobuf's DecodeError lives in changing places
        raise ConversionError(f"{path}: not an ONNX model ({first_line(error)})") from error
    if not model.graph.node or not model.opset_import:
        raise ConversionError(f"{path}: not an ONNX model (it has no nodes)")
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise ConversionError(f"{path}: keeps its weights in other files; save it as one file")
    check(model, str(path))
    return model


def check(model: ModelProto, name: str) -> None:
    """Run the ONNX checker. Raises ConversionError with its first line."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker raises its own kind and those of shape inference
        raise ConversionError(f"{name}: refused by the ONNX checker: {first_line(error)}") from error


def save(model: ModelProto, path: Path) -> None:
    """Check and write a model as one file, atomically."""
    if model.ByteSize() > MAXIMUM_BYTES:
        raise ConversionError(f"{path}: larger than 2 GiB, which ONNX's own format does not hold")
    check(model, str(path))
    write_atomically(path, model.SerializeToString(deterministic=True))


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that is there as a whole or not at all."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(data)
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
