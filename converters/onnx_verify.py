"""What an ONNX file must keep to before anything native sees it, and what of it the ONNX checker has to see."""

from collections import Counter
from collections.abc import Iterator
from math import prod
from typing import Any

from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, helper

# Only what is larger is kept from the checker: shape inference looks into small constants.
SMALL_NUMBERS = 1024
PACKED_BITS = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6}
# Fields that hold one number each of a tensor's values, where these are not raw bytes.
NUMBERS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")


def problem(model: ModelProto) -> str | None:
    """Why a model must not be used.

    Data in other files, a tensor with more or fewer values than its shape says, or nodes of one name, which runtimes
    refuse.
    """
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            return "keeps its weights in other files; save it as one file"
        if not _fits(tensor):
            return f"a damaged ONNX model: the values of {tensor.name or 'a constant'} do not fit its shape"
    name, count = next(iter(Counter(node.name for node in model.graph.node if node.name).most_common(1)), ("", 1))
    return f"{count} of its nodes are called {name}; give each a name of its own, or none" if count > 1 else None


def without_weights(model: ModelProto) -> ModelProto:
    """The same model with large initializers as inputs, so that checking it copies no weights."""
    light = ModelProto()
    copy_fields(model, light, but=("graph",))
    copy_fields(model.graph, light.graph, but=("initializer",))
    inputs = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        if not is_large(tensor):
            light.graph.initializer.append(tensor)
        elif tensor.name not in inputs:
            light.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return light


def is_large(tensor: TensorProto) -> bool:
    """Whether a tensor is a weight that nothing has to look into but to compute with it."""
    return prod(tensor.dims) > SMALL_NUMBERS


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every tensor that a model stores, wherever it is."""
    training = [graph for info in model.training_info for graph in (info.initialization, info.algorithm)]
    waiting: list[Any] = [model.graph, *model.functions, *training]
    while waiting:
        part = waiting.pop()  # a graph or a function; protobuf itself bounds how deep they lie in one another
        sparse = list(getattr(part, "sparse_initializer", ()))
        attributes: list[AttributeProto] = [attribute for node in part.node for attribute in node.attribute]
        for attribute in (*attributes, *getattr(part, "attribute_proto", ())):
            waiting += [attribute.g] if attribute.HasField("g") else []
            waiting += attribute.graphs
            sparse += [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            sparse += attribute.sparse_tensors
            yield from [attribute.t] if attribute.HasField("t") else []
            yield from attribute.tensors
        yield from getattr(part, "initializer", ())
        for entry in sparse:
            yield from (entry.values, entry.indices)


def _fits(tensor: TensorProto) -> bool:
    """Whether a tensor holds as many values as its shape says."""
    if any(size < 0 for size in tensor.dims):
        return False
    count = prod(tensor.dims)
    try:
        kind = TensorProto.DataType.Name(tensor.data_type)
        bits = PACKED_BITS.get(kind) or 8 * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, ValueError, TypeError):
        return count == 0  # no type: the checker says what it thinks of that
    if tensor.HasField("raw_data"):
        return len(tensor.raw_data) == -(-count * bits // 8)
    if kind.startswith("COMPLEX"):
        count *= 2
    held = sum(len(getattr(tensor, field)) for field in NUMBERS)
    return held in (count, -(-count * bits // 8)) if kind in PACKED_BITS else held == count


def copy_fields(source: Any, target: Any, *, but: tuple[str, ...]) -> None:
    """Copy the fields of a message, but some: what is copied and then deleted stays in memory with the rest."""
    for field, value in source.ListFields():
        if field.name in but:
            continue
        if isinstance(value, str | bytes | int | float):
            setattr(target, field.name, value)
        elif hasattr(value, "extend"):
            getattr(target, field.name).extend(value)
        else:
            getattr(target, field.name).CopyFrom(value)


def pieces(model: ModelProto) -> Iterator[bytes]:
    """The model serialised, one stored tensor after the other: there is no second copy of all of them at once.

    Messages that are written one behind the other are read as one, merged (protobuf's encoding guide). The tensors come
    last, so that the bytes are not those of SerializeToString.
    """
    light = ModelProto()
    copy_fields(model, light, but=("graph",))
    copy_fields(model.graph, light.graph, but=("initializer",))
    yield light.SerializeToString()
    for tensor in model.graph.initializer:
        data = tensor.SerializeToString()
        head = _field(GraphProto.INITIALIZER_FIELD_NUMBER, len(data))
        yield _field(ModelProto.GRAPH_FIELD_NUMBER, len(head) + len(data)) + head
        yield data


def _field(number: int, size: int) -> bytes:
    """What stands before a field of bytes: its number and wire type 2, and its size (both base 128)."""
    made = bytearray()
    for value in (number << 3 | 2, size):
        while value > 0x7F:
            made.append(value & 0x7F | 0x80)
            value >>= 7
        made.append(value)
    return bytes(made)
