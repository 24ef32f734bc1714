"""A TFLite model under construction: tensors, buffers, operators, in the terms of the schema."""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TENSOR_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
}
IDENTIFIER = b"TFL3"
SIGNATURE = "serving_default"
# An operator's older field holds codes up to this one; newer codes stand in builtinCode alone.
PLACEHOLDER_CODE = 127


class Builder:
    """One subgraph; indices are those of its tensors."""

    def __init__(self, description: str):
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.description = description
        self._model.buffers = [schema.BufferT()]  # buffer 0 is the empty one, by convention
        self._model.operatorCodes = []
        self._model.metadata = []
        self._graph = schema.SubGraphT()
        self._graph.name = "main"
        self._graph.tensors, self._graph.operators = [], []
        self._codes: dict[tuple[int, int], int] = {}

    def activation(self, name: str, shape: tuple[int, ...]) -> int:
        """A float32 tensor that is computed."""
        return self._tensor(name, shape, schema.TensorType.FLOAT32, 0)

    def constant(self, name: str, value: np.ndarray) -> int:
        """A tensor that is stored in the file (float32 or int32)."""
        buffer = self._buffer(np.ascontiguousarray(value).tobytes())
        return self._tensor(name, value.shape, TENSOR_TYPES[value.dtype], buffer)

    def operator(self, code: int, inputs: list[int], outputs: list[int], options: Any = None, version: int = 1) -> None:
        """Append an operator; `options` is its options object of the schema, whose class names the union member."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(code, version)
        operator.inputs, operator.outputs = inputs, outputs
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = options
        self._graph.operators.append(operator)

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Shape of a tensor."""
        return tuple(self._graph.tensors[tensor].shape)

    def metadata(self, name: str, data: bytes) -> None:
        """Attach a named blob."""
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, self._buffer(data)
        self._model.metadata.append(entry)

    def finish(self, inputs: dict[str, int], outputs: dict[str, int]) -> bytes:
        """The file: inputs and outputs by the names of its serving signature."""
        self._graph.inputs, self._graph.outputs = list(inputs.values()), list(outputs.values())
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
        signature.inputs = [self._named(name, tensor) for name, tensor in inputs.items()]
        signature.outputs = [self._named(name, tensor) for name, tensor in outputs.items()]
        self._model.signatureDefs = [signature]
        self._model.subgraphs = [self._graph]
        flat = flatbuffers.Builder(1 << 20)
        flat.Finish(self._model.Pack(flat), IDENTIFIER)
        return bytes(flat.Output())

    def _tensor(self, name: str, shape: tuple[int, ...], kind: int, buffer: int) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, [int(size) for size in shape], kind, buffer
        tensor.hasRank = True
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _buffer(self, data: bytes) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data, np.uint8)  # an array packs at once, bytes one by one
        self._model.buffers.append(buffer)
        return len(self._model.buffers) - 1

    def _code(self, code: int, version: int) -> int:
        key = (code, version)
        if key not in self._codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.version = code, version
            entry.deprecatedBuiltinCode = min(code, PLACEHOLDER_CODE)
            self._codes[key] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(entry)
        return self._codes[key]

    @staticmethod
    def _named(name: str, tensor: int) -> Any:
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, tensor
        return entry
