"""A TFLite file read defensively: Python's flatbuffers has no verifier, and a damaged file crashes native loaders."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from converters.errors import ConversionError
from converters.tflite.builder import IDENTIFIER

MAXIMUM_BYTES = 2**31 - 1


def _names(kind: type) -> dict[int, str]:
    return {value: name for name, value in vars(kind).items() if isinstance(value, int)}


OPERATORS = _names(schema.BuiltinOperator)
TYPES = _names(schema.TensorType)
ACTIVATIONS = _names(schema.ActivationFunctionType)


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file; `constant` if its values are stored."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    constant: bool


@dataclass(frozen=True)
class Operator:
    """An operator, its tensors, and the activation fused into it."""

    kind: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    activation: str | None


@dataclass(frozen=True)
class TfliteModel:
    """The main subgraph of a file and its metadata."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    metadata: dict[str, bytes]


def read_tflite(path: Path) -> TfliteModel:
    """Read a file. Raises ConversionError if anything in it points outside of it or makes no sense."""
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise ConversionError(f"{path}: larger than 2 GiB")
        data = path.read_bytes()
    except OSError as error:
        raise ConversionError(f"{path}: cannot be read ({error.strerror})") from error
    if data[4:8] != IDENTIFIER:
        raise ConversionError(f"{path}: not a TFLite model")
    try:
        return _model(schema.Model.GetRootAs(data, 0), len(data))
    except Exception as error:  # a damaged buffer makes struct, numpy and the schema raise nearly anything
        raise ConversionError(f"{path}: a damaged TFLite model; export it again") from error


def _model(model: Any, size: int) -> TfliteModel:
    if model.SubgraphsLength() < 1 or model.SubgraphsLength() > size:
        raise ValueError("no subgraph")
    graph = model.Subgraphs(0)
    if max(graph.TensorsLength(), graph.OperatorsLength(), model.BuffersLength()) > size:
        raise ValueError("more parts than bytes")
    tensors = [_tensor(model, graph.Tensors(index)) for index in range(graph.TensorsLength())]
    operators = []
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind = OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        operators.append(
            Operator(
                kind,
                tuple(tensors[operator.Inputs(i)] for i in range(operator.InputsLength()) if operator.Inputs(i) >= 0),
                tuple(tensors[operator.Outputs(i)] for i in range(operator.OutputsLength())),
                _activation(operator),
            )
        )
        if not operators[-1].outputs:
            raise ValueError("an operator without outputs")
    metadata = {}
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        blob = model.Buffers(entry.Buffer())
        metadata[entry.Name().decode()] = blob.DataAsNumpy().tobytes() if blob.DataLength() else b""
    return TfliteModel(
        tuple(tensors[graph.Inputs(index)] for index in range(graph.InputsLength())),
        tuple(tensors[graph.Outputs(index)] for index in range(graph.OutputsLength())),
        tuple(operators),
        metadata,
    )


def _tensor(model: Any, tensor: Any) -> Tensor:
    buffer = model.Buffers(tensor.Buffer())
    stored = buffer.DataLength()
    if stored:
        buffer.Data(stored - 1)  # raises if the values end outside of the file
    shape = tuple(int(tensor.Shape(index)) for index in range(tensor.ShapeLength()))
    return Tensor(tensor.Name().decode(), shape, TYPES[tensor.Type()].lower(), stored > 0)


def _activation(operator: Any) -> str | None:
    """The fused activation, for the operators whose options have one."""
    kind = operator.BuiltinOptionsType()
    name = next((name for name, value in vars(schema.BuiltinOptions).items() if value == kind), "NONE")
    options_class: Any = getattr(schema, name, None)
    union = operator.BuiltinOptions()
    if union is None or not hasattr(options_class, "FusedActivationFunction"):
        return None
    options = options_class()
    options.Init(union.Bytes, union.Pos)
    activation = ACTIVATIONS[options.FusedActivationFunction()]
    return None if activation == "NONE" else activation
