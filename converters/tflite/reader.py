"""A TFLite file read defensively: all of it is checked (verify.py) before anything is made of it."""

from dataclasses import dataclass
from pathlib import Path

from converters.errors import ConversionError
from converters.files import read_model
from converters.tflite.flatbuffer import Damaged, Table
from converters.tflite.schema import schema
from converters.tflite.verify import IDENTIFIER, MAXIMUM_BYTES, TYPES, operator_name, stored_bytes, verified

MAXIMUM_METADATA = 64 * 1024**2
ACTIVATIONS = {value: name for name, value in vars(schema.ActivationFunctionType).items() if isinstance(value, int)}


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file; `constant` if its values are stored. free: dimensions that are set at run time."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    constant: bool
    free: tuple[int, ...] = ()


@dataclass(frozen=True)
class Operator:
    """An operator, its tensors, and the activation fused into it."""

    kind: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    activation: str | None

    @property
    def expands_constant(self) -> bool:
        """Whether it only brings a stored constant into another type."""
        return self.kind == "DEQUANTIZE" and self.inputs[0].constant


@dataclass(frozen=True)
class TfliteModel:
    """The main subgraph of a file and its metadata."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    metadata: dict[str, bytes]


def read_tflite(path: Path) -> TfliteModel:
    """Read a file. Raises ConversionError if it is not one that converters.tflite.verify accepts."""
    data = read_model(path, MAXIMUM_BYTES)
    if data[4:8] != IDENTIFIER:
        raise ConversionError(f"{path}: not a TFLite model")
    try:
        return _model(verified(data), data)
    except (Damaged, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, Damaged) else "a name is no text"
        raise ConversionError(f"{path}: a damaged TFLite model: {reason}; export it again") from error


def _model(model: Table, data: bytes) -> TfliteModel:
    graph = model["Subgraphs"][0]
    tensors = [_tensor(tensor, model["Buffers"][tensor["Buffer"]]) for tensor in graph["Tensors"] or ()]
    kinds = [operator_name(code) for code in model["OperatorCodes"] or ()]
    return TfliteModel(
        _chosen(tensors, graph["Inputs"]),
        _chosen(tensors, graph["Outputs"]),
        tuple(_operator(operator, kinds, tensors) for operator in graph["Operators"] or ()),
        _metadata(model, data),
    )


def _metadata(model: Table, data: bytes) -> dict[str, bytes]:
    found, room = {}, MAXIMUM_METADATA
    for entry in model["Metadata"] or ():
        buffer = model["Buffers"][entry["Buffer"]]
        room -= stored_bytes(buffer)
        if room < 0:
            raise Damaged(f"it has more than {MAXIMUM_METADATA} bytes of metadata")
        behind = data[buffer["Offset"] : buffer["Offset"] + buffer["Size"]] if buffer["Offset"] > 1 else b""
        found[entry["Name"] or ""] = behind if buffer["Data"] is None else buffer["Data"].tobytes()
    return found


def _tensor(tensor: Table, buffer: Table) -> Tensor:
    shape = () if tensor["Shape"] is None else tuple(tensor["Shape"].tolist())
    signature = () if tensor["ShapeSignature"] is None else tensor["ShapeSignature"].tolist()
    free = tuple(place for place, size in enumerate(signature) if size < 0)
    return Tensor(tensor["Name"] or "", shape, TYPES[tensor["Type"]].lower(), stored_bytes(buffer) > 0, free)


def _operator(operator: Table, kinds: list[str], tensors: list[Tensor]) -> Operator:
    options = operator["BuiltinOptions"] or {}
    activation = ACTIVATIONS.get(options.get("FusedActivationFunction", schema.ActivationFunctionType.NONE))
    return Operator(
        kinds[operator["OpcodeIndex"]],
        _chosen(tensors, operator["Inputs"]),
        _chosen(tensors, operator["Outputs"]),
        None if activation == "NONE" else activation,
    )


def _chosen(tensors: list[Tensor], indices: list[int] | None) -> tuple[Tensor, ...]:
    """The tensors of some indices; -1 stands for one that is left out."""
    return () if indices is None else tuple(tensors[index] for index in indices if index >= 0)
