"""A TFLite model under construction: tensors, buffers, operators, in the terms of the schema."""

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.half import LEAST_NUMBERS
from converters.tflite.packing import Constant, Packed, pack

TENSOR_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.float16): schema.TensorType.FLOAT16,
    np.dtype(np.int64): schema.TensorType.INT64,
    np.dtype(np.bool_): schema.TensorType.BOOL,
}
TYPE_NAMES = {kind: str(dtype) for dtype, kind in TENSOR_TYPES.items()}
SIGNATURE = "serving_default"
# An operator's older field holds codes up to this one; newer codes stand in builtinCode alone.
PLACEHOLDER_CODE = 127
ABSENT = -1  # an optional input that is not given


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
        self._origins: list[str] = []
        self.aliases: dict[int, list[str]] = {}  # the values that lie in a tensor beside the one that it is named after
        self.origin = ""  # the ONNX node that operators are now emitted for, by the name of its first output

    def activation(self, name: str, shape: tuple[int, ...], kind: int = schema.TensorType.FLOAT32) -> int:
        """A tensor that is computed, of a type of the schema."""
        return self._tensor(name, shape, kind, 0)

    def constant(self, name: str, value: np.ndarray, columns: np.ndarray | None = None) -> int:
        """A tensor that is stored in the file (a type of TENSOR_TYPES): `value`, or value[..., columns].

        The array is not copied, whatever its strides: it must not be changed any more.
        """
        return self._stored(name, Constant(value, columns))

    def halved(self, name: str, tensor: int) -> int:
        """Another tensor, that stores what a stored one holds in float16."""
        return self._stored(name, replace(self._constant(tensor), half=True))

    def fits_half(self, tensor: int) -> bool:
        """Whether a stored tensor is float32, large enough for float16 to save anything, and the same there."""
        constant = self._constant(tensor)
        return self.is_float(tensor) and prod(constant.shape) >= LEAST_NUMBERS and constant.fits_half

    def operator(self, code: int, inputs: list[int], outputs: list[int], options: Any = None, version: int = 1) -> None:
        """Append an operator; `options` is its options object of the schema, whose class names the union member."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self.code(code, version)
        operator.inputs, operator.outputs = inputs, outputs
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = options
        self.append(operator, self.origin)

    def append(self, operator: Any, origin: str) -> None:
        """Append an operator that there is already."""
        self._graph.operators.append(operator)
        self._origins.append(origin)

    def take_operators(self) -> list[tuple[Any, str]]:
        """All operators and their origins, which are taken out of the graph: to be changed and appended again."""
        taken = list(zip(self._graph.operators, self._origins, strict=True))
        self._graph.operators, self._origins = [], []
        return taken

    def code(self, code: int, version: int) -> int:
        """The index of an operator's code and version in the model's table."""
        key = (code, version)
        if key not in self._codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.version = code, version
            entry.deprecatedBuiltinCode = min(code, PLACEHOLDER_CODE)
            self._codes[key] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(entry)
        return self._codes[key]

    def code_of(self, operator: Any) -> tuple[int, int]:
        """(code, version) of an operator."""
        entry = self._model.operatorCodes[operator.opcodeIndex]
        return entry.builtinCode, entry.version

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Shape of a tensor."""
        return tuple(self._graph.tensors[tensor].shape)

    def name(self, tensor: int) -> str:
        """Name of a tensor."""
        return self._graph.tensors[tensor].name

    def is_computed(self, tensor: int) -> bool:
        """Whether a tensor is computed, not stored."""
        return self._graph.tensors[tensor].buffer == 0

    def kind(self, tensor: int) -> int:
        """Type of a tensor, of the schema."""
        kind: int = self._graph.tensors[tensor].type
        return kind

    def is_float(self, tensor: int) -> bool:
        """Whether a tensor is float32."""
        return self.kind(tensor) == schema.TensorType.FLOAT32

    def alike(self, name: str, tensor: int) -> int:
        """A new computed tensor of the type and shape of another, its integers meant alike."""
        other = self._graph.tensors[tensor]
        made = self._tensor(name, self.shape(tensor), other.type, 0)
        self._graph.tensors[made].quantization = other.quantization
        return made

    def value(self, tensor: int) -> np.ndarray:
        """What a stored tensor holds."""
        return self._constant(tensor).value()

    def parts(self, tensor: int) -> Iterator[np.ndarray]:
        """The same, a bounded part at a time along the first axis."""
        return (part.value() for part in self._constant(tensor).parts())

    def quantize(self, tensor: int, scales: np.ndarray, zero_points: np.ndarray, axis: int = 0) -> None:
        """Say how the integers of a tensor are meant; a computed one becomes int8."""
        entry = self._graph.tensors[tensor]
        if self.is_computed(tensor):
            entry.type = schema.TensorType.INT8
        quantization = schema.QuantizationParametersT()
        quantization.scale = np.asarray(scales, np.float32).reshape(-1)
        quantization.zeroPoint = np.asarray(zero_points, np.int64).reshape(-1)
        quantization.quantizedDimension = axis
        entry.quantization = quantization

    def metadata(self, name: str, data: bytes) -> None:
        """Attach a named blob."""
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, self._buffer(Constant(np.frombuffer(data, np.uint8)))
        self._model.metadata.append(entry)

    def finish(self, inputs: dict[str, int], outputs: dict[str, int]) -> Packed:
        """The file: inputs and outputs by the names of its serving signature. Raises ConversionError past 2 GiB."""
        self._graph.inputs, self._graph.outputs = list(inputs.values()), list(outputs.values())
        self._call({**inputs, **outputs})
        place = self._drop_unused()
        inputs = {name: place[tensor] for name, tensor in inputs.items()}
        outputs = {name: place[tensor] for name, tensor in outputs.items()}
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
        signature.inputs = [self._named(name, tensor) for name, tensor in inputs.items()]
        signature.outputs = [self._named(name, tensor) for name, tensor in outputs.items()]
        self._model.signatureDefs = [signature]
        self._model.subgraphs = [self._graph]
        return pack(self._model)

    def _call(self, ends: dict[str, int]) -> None:
        """Let inputs and outputs have the signature's names; what has such a name within gets its type behind it."""
        for name, tensor in ends.items():
            if self._graph.tensors[tensor].name in ends:
                continue
            for other in self._graph.tensors:
                if other.name == name:
                    other.name = f"{name}.{TYPE_NAMES[other.type]}"
            self._graph.tensors[tensor].name = name

    def _drop_unused(self) -> dict[int, int]:
        """Leave out the tensors, buffers and codes that nothing uses any more; returns the tensors' new indices."""
        graph, model = self._graph, self._model
        used = {*graph.inputs, *graph.outputs}
        for operator in graph.operators:
            used.update(operator.inputs, operator.outputs)
        used.discard(ABSENT)
        place = {tensor: index for index, tensor in enumerate(sorted(used))}
        place[ABSENT] = ABSENT
        graph.tensors = [graph.tensors[tensor] for tensor in sorted(used)]
        graph.inputs, graph.outputs = ([place[tensor] for tensor in side] for side in (graph.inputs, graph.outputs))
        for operator in graph.operators:
            operator.inputs = [place[tensor] for tensor in operator.inputs]
            operator.outputs = [place[tensor] for tensor in operator.outputs]
        holders = [*graph.tensors, *model.metadata]
        buffers = {buffer: index for index, buffer in enumerate(sorted({0, *(holder.buffer for holder in holders)}))}
        model.buffers = [model.buffers[buffer] for buffer in buffers]
        for holder in holders:
            holder.buffer = buffers[holder.buffer]
        codes = {code: index for index, code in enumerate(sorted({o.opcodeIndex for o in graph.operators}))}
        model.operatorCodes = [model.operatorCodes[code] for code in codes]
        for operator in graph.operators:
            operator.opcodeIndex = codes[operator.opcodeIndex]
        return place

    def _tensor(self, name: str, shape: tuple[int, ...], kind: int, buffer: int) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, [int(size) for size in shape], kind, buffer
        tensor.hasRank = True
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _constant(self, tensor: int) -> Constant:
        constant: Constant = self._model.buffers[self._graph.tensors[tensor].buffer].data
        return constant

    def _stored(self, name: str, constant: Constant) -> int:
        return self._tensor(name, constant.shape, TENSOR_TYPES[constant.dtype], self._buffer(constant))

    def _buffer(self, data: Constant) -> int:
        buffer = schema.BufferT()
        buffer.data = data
        self._model.buffers.append(buffer)
        return len(self._model.buffers) - 1

    @staticmethod
    def _named(name: str, tensor: int) -> Any:
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, tensor
        return entry
