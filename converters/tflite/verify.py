"""What a TFLite file must keep to before a native runtime sees it. Nothing native is used to find out.

The runtimes trust a file: an index past a list's end, a buffer that is shorter than its tensor, or a tensor that nobody
computes is read all the same. The rules are those that tflite/core/interpreter_builder.cc, subgraph.cc and the kernels
take for granted. A file that keeps them may still be refused by a runtime, or be too much for it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from converters.tflite.archive import archived
from converters.tflite.flatbuffer import KIND, Damaged, Table, read
from converters.tflite.metadata import METADATA_KEY, named_files, read_metadata
from converters.tflite.schema import schema

IDENTIFIER = b"TFL3"
MAXIMUM_BYTES = 2**31 - 1
VERSION = 3
MAXIMUM_RANK = 16
MAXIMUM_ELEMENTS = 2**40
MAXIMUM_SUBGRAPH_DEPTH = 16
GIVEN, FREE, COMPUTED = "given", "free", "computed"
DENSE, SPARSE = schema.DimensionType.DENSE, schema.DimensionType.SPARSE_CSR


def _names(kind: type) -> dict[int, str]:
    return {value: name for name, value in vars(kind).items() if isinstance(value, int)}


OPERATORS = _names(schema.BuiltinOperator)
TYPES = _names(schema.TensorType)
BITS = {
    "FLOAT32": 32, "FLOAT16": 16, "INT32": 32, "UINT8": 8, "INT64": 64, "BOOL": 8, "INT16": 16, "COMPLEX64": 64,
    "INT8": 8, "FLOAT64": 64, "COMPLEX128": 128, "UINT64": 64, "UINT32": 32, "UINT16": 16, "INT4": 4, "BFLOAT16": 16,
    "INT2": 2, "UINT4": 4, "FLOAT8_E4M3FN": 8, "FLOAT8_E5M2": 8,
}  # fmt: skip
ZERO_POINTS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-(2**15), 2**15 - 1), "UINT16": (0, 2**16 - 1)}
# The highest version that LiteRT 2.3 has kernels of, and of which operators; of all others there is version 1 alone.
VERSIONS = {
    2: (
        "COS DEPTH_TO_SPACE DIV EXP FAKE_QUANT FLOOR_MOD GREATER L2_NORMALIZATION LEAKY_RELU LESS_EQUAL LOG "
        "LOG_SOFTMAX RANGE REDUCE_PROD SELECT_V2 SIGN SIN SPACE_TO_DEPTH SQRT SQUARED_DIFFERENCE SQUEEZE SUM WHERE"
    ),
    3: (
        "ARG_MAX ARG_MIN AVERAGE_POOL_2D BIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_RNN FLOOR_DIV GELU "
        "GREATER_EQUAL LESS LOGISTIC MAX_POOL_2D MEAN MIRROR_PAD REDUCE_MAX REDUCE_MIN RELU RELU6 RNN RSQRT "
        "SPARSE_TO_DENSE SPLIT_V TANH TILE TOPK_V2 UNIDIRECTIONAL_SEQUENCE_RNN"
    ),
    4: (
        "BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_TO LSTM MAXIMUM MINIMUM NOT_EQUAL RESIZE_BILINEAR "
        "RESIZE_NEAREST_NEIGHBOR REVERSE_V2 SELECT SOFTMAX SPACE_TO_BATCH_ND SVDF UNIDIRECTIONAL_SEQUENCE_LSTM"
    ),
    5: "ABS EMBEDDING_LOOKUP EQUAL FILL PACK SPLIT SUB TRANSPOSE_CONV",
    6: "ADD DYNAMIC_UPDATE_SLICE GATHER_ND PAD PADV2 QUANTIZE UNPACK",
    7: "CONCATENATION DEPTHWISE_CONV_2D",
    8: "CONV_2D GATHER MUL SLICE STRIDED_SLICE",
    9: "CAST DEQUANTIZE TRANSPOSE",
    14: "FULLY_CONNECTED",
}
MAXIMUM_VERSIONS = {name: version for version, names in VERSIONS.items() for name in names.split()}
# Operators that do without some of their inputs (-1 in their places), and from which place on.
OPTIONAL_FROM = {
    "FULLY_CONNECTED": 2, "CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "CONV_3D": 2, "TRANSPOSE_CONV": 3,
    "CONV_3D_TRANSPOSE": 3, "SVDF": 3, "LSTM": 1, "UNIDIRECTIONAL_SEQUENCE_LSTM": 1, "BIDIRECTIONAL_SEQUENCE_LSTM": 1,
    "BIDIRECTIONAL_SEQUENCE_RNN": 1, "STABLEHLO_COMPOSITE": 0, "CUSTOM": 0,
}  # fmt: skip
# Operators that run another subgraph, whose number their options tell, and what these options are called.
CALLS = {"IF": "IfOptions", "WHILE": "WhileOptions", "CALL_ONCE": "CallOnceOptions", "CALL": "CallOptions"}
CALLED = ("SubgraphIndex", "SubgraphIndices", "Subgraph", "CalledComputations")


def verified(data: bytes) -> Table:
    """The model of a TFLite file as converters.tflite.flatbuffer reads it, after all was checked.

    Raises Damaged, whose text says what is wrong: an offset or a list that ends outside of the file, an index of a
    buffer, tensor, operator code or subgraph that does not exist, a stored tensor whose buffer has another size than
    its shape and type, quantization that does not fit its tensor, an operator or version that no runtime knows, a value
    that is used before it is computed, subgraphs that call themselves, data that lies in other files, or metadata for
    the TFLite tools, or the archive of the files that these name, that cannot be read.
    """
    if data[4:8] != IDENTIFIER:
        raise Damaged("it is not a TFLite model")
    model = read(data, "Model")
    if model["Version"] != VERSION:
        raise Damaged(f"it is of version {model['Version']}, not {VERSION}")
    if _list(model, "ExternalBuffers") or _list(model, "ExternalBufferGroups"):
        raise Damaged("it keeps data in other files")
    _Verifier(data, model).run()
    return model


def stored_bytes(buffer: Table) -> int:
    """Size of a buffer's data, which lies in the flatbuffer or (in large files) behind it."""
    return int(buffer["Size"]) if buffer["Offset"] > 1 else len(_list(buffer, "Data"))


def operator_name(code: Table) -> str:
    """The operator of an operator code; Damaged if there is none. Codes up to 127 may stand in the older field."""
    number = max(code["BuiltinCode"], code["DeprecatedBuiltinCode"])
    if number not in OPERATORS:
        raise Damaged(f"there is no operator {number}")
    return OPERATORS[number]


def _list(table: Table, name: str) -> Any:
    """A list that a file may leave out."""
    found = table[name]
    return () if found is None else found


class _Verifier:
    def __init__(self, data: bytes, model: Table):
        self.data, self.model = data, model
        self.buffers, self.subgraphs = _list(model, "Buffers"), _list(model, "Subgraphs")
        self.codes: list[str] = []
        self.calls: list[set[int]] = []

    def run(self) -> None:
        if not self.subgraphs:
            raise Damaged("it has no subgraph")
        for buffer in self.buffers:
            if buffer["Offset"] > 1:
                self.behind(buffer["Offset"], buffer["Size"])
        self.codes = [_code(code) for code in _list(self.model, "OperatorCodes")]
        for graph in self.subgraphs:
            self.subgraph(graph)
        _no_recursion(self.calls)
        _indices(_list(self.model, "MetadataBuffer"), len(self.buffers), "metadata's buffer")
        for entry in _list(self.model, "Metadata"):
            _indices([entry["Buffer"]], len(self.buffers), "metadata's buffer")
        self.associated_files()
        for signature in _list(self.model, "SignatureDefs"):
            _indices([signature["SubgraphIndex"]], len(self.subgraphs), "signature's subgraph")
            tensors = len(_list(self.subgraphs[signature["SubgraphIndex"]], "Tensors"))
            for entry in (*_list(signature, "Inputs"), *_list(signature, "Outputs")):
                _indices([entry["TensorIndex"]], tensors, "signature's tensor")

    def associated_files(self) -> None:
        """Check the metadata of the TFLite tools, and that the files that they name are there."""
        held = archived(self.data)
        for entry in _list(self.model, "Metadata"):
            if entry["Name"] == METADATA_KEY:
                content = self.content(self.buffers[entry["Buffer"]])
                missing = named_files(read_metadata(np.asarray(content, "u1").tobytes())) - held.keys()
                if missing:
                    raise Damaged(f"its metadata name a file that it does not hold: {min(missing)}")

    def behind(self, offset: int, size: int) -> None:
        """Raise Damaged unless data that lies behind the flatbuffer ends inside of the file."""
        if offset + size > len(self.data):
            raise Damaged("a buffer lies outside of it")

    def subgraph(self, graph: Table) -> None:
        tensors = _list(graph, "Tensors")
        states = [self.tensor(tensor, f"tensor {index}", len(tensors)) for index, tensor in enumerate(tensors)]
        inputs, outputs = _list(graph, "Inputs"), _list(graph, "Outputs")
        _indices(inputs, len(tensors), "input")
        _indices(outputs, len(tensors), "output")
        given = {index for index, state in enumerate(states) if state == GIVEN}.union(map(int, inputs))
        free = {index for index, state in enumerate(states) if state == FREE}
        calls: set[int] = set()
        for number, operator in enumerate(_list(graph, "Operators")):
            name = f"operator {number}"
            _indices([operator["OpcodeIndex"]], len(self.codes), f"{name}: its code")
            calls.update(self.called(operator, name))
            taken, made = _list(operator, "Inputs"), _list(operator, "Outputs")
            needed = taken[: OPTIONAL_FROM.get(self.codes[operator["OpcodeIndex"]], len(taken))]
            _indices(needed, len(tensors), f"{name}: its input")
            _indices(taken, len(tensors), f"{name}: its input", lowest=-1)
            _indices(made, len(tensors), f"{name}: its output")
            _indices(_list(operator, "Intermediates"), len(tensors), f"{name}: its intermediate tensor")
            if len(_list(operator, "MutatingVariableInputs")) > len(taken):
                raise Damaged(f"{name}: it changes more inputs than it has")
            if operator["LargeCustomOptionsOffset"] > 1:
                self.behind(operator["LargeCustomOptionsOffset"], operator["LargeCustomOptionsSize"])
            late = set(map(int, taken)) - given - free - {-1}
            if late:
                raise Damaged(f"{name}: it uses tensor {min(late)}, which was neither stored nor computed before")
            twice = given.intersection(map(int, made))
            if twice:
                raise Damaged(f"{name}: it writes to tensor {min(twice)}, which has its values already")
            given.update(index for index in map(int, made) if index not in free)
        missing = set(map(int, outputs)) - given - free
        if missing:
            raise Damaged(f"its output, tensor {min(missing)}, is never computed")
        self.calls.append(calls)

    def tensor(self, tensor: Table, name: str, tensors: int) -> str:
        """Check one tensor. COMPUTED: an operator must write it. GIVEN: it is stored. FREE: a variable, or empty."""
        kind = TYPES.get(tensor["Type"])
        if kind is None:
            raise Damaged(f"{name}: there is no type {tensor['Type']}")
        shape = [int(size) for size in _list(tensor, "Shape")]
        elements = _elements(shape, name)
        signature = _list(tensor, "ShapeSignature")
        if len(signature) not in (0, len(shape)) or any(size < -1 for size in signature):
            raise Damaged(f"{name}: its shape signature does not fit its shape")
        _indices([tensor["Buffer"]], len(self.buffers), f"{name}: its buffer")
        if tensor["ExternalBuffer"]:
            raise Damaged(f"{name}: its data lies in another file")
        for part in _list(tensor, "VariantTensors"):
            if part["Type"] not in TYPES:
                raise Damaged(f"{name}: there is no type {part['Type']}")
            _elements([int(size) for size in _list(part, "Shape")], name, lowest=-1)
        buffer = self.buffers[tensor["Buffer"]]
        size = stored_bytes(buffer)
        if tensor["Quantization"] is not None:
            _quantization(tensor["Quantization"], shape, kind, name, tensors)
        if tensor["Sparsity"] is not None:
            if not size:
                raise Damaged(f"{name}: it is sparse, but has no values")
            _sparsity(tensor["Sparsity"], shape, size * 8 // BITS.get(kind, 8), name)
        elif size and kind == "STRING":
            _strings(self.content(buffer), elements, name)
        elif size and kind in BITS and size != (needed := -(-elements * BITS[kind] // 8)):
            raise Damaged(f"{name}: its buffer holds {size} bytes, but its shape and type need {needed}")
        if tensor["IsVariable"] or elements == 0:
            return FREE
        return GIVEN if size else COMPUTED

    def content(self, buffer: Table) -> Any:
        if buffer["Offset"] > 1:
            return np.frombuffer(self.data, "u1", buffer["Size"], buffer["Offset"])
        return _list(buffer, "Data")

    def called(self, operator: Table, name: str) -> Iterator[int]:
        """The subgraphs that an operator runs."""
        options = [found for found in (operator["BuiltinOptions"], operator["BuiltinOptions2"]) if found is not None]
        needed = CALLS.get(self.codes[operator["OpcodeIndex"]])
        if needed is not None and needed not in (found[KIND] for found in options):
            raise Damaged(f"{name}: it does not say which subgraph it runs")
        for found in options:
            for key, value in found.items():
                if key.endswith(CALLED) and value is not None:
                    indices = [int(index) for index in np.atleast_1d(value)]
                    _indices(indices, len(self.subgraphs), f"{name}: its subgraph")
                    yield from indices


def _code(code: Table) -> str:
    name = operator_name(code)
    if name == "CUSTOM":
        if not code["CustomCode"]:
            raise Damaged("a custom operator has no name")
    elif not 1 <= code["Version"] <= MAXIMUM_VERSIONS.get(name, 1):
        known = MAXIMUM_VERSIONS.get(name, 1)
        raise Damaged(f"{name} is of version {code['Version']}; the runtimes know those up to {known}")
    return name


def _indices(indices: Any, count: int, what: str, *, lowest: int = 0) -> None:
    """Raise Damaged if one of them is below `lowest` or not below `count`."""
    if len(indices) and not (lowest <= min(indices) and max(indices) < count):
        raise Damaged(f"{what} does not exist")


def _elements(shape: Sequence[int], name: str, *, lowest: int = 0) -> int:
    """How many values a shape has."""
    if len(shape) > MAXIMUM_RANK or any(size < lowest for size in shape):
        raise Damaged(f"{name}: its shape makes no sense")
    elements = 1
    for size in shape:
        elements *= size
        if elements > MAXIMUM_ELEMENTS:
            raise Damaged(f"{name}: its shape is too large")
    return elements


def _no_recursion(calls: Sequence[set[int]]) -> None:
    """Raise Damaged if a subgraph runs itself, or if they run one another too deeply. calls: for each, whom it runs."""
    left = list(range(len(calls)))
    for _ in range(MAXIMUM_SUBGRAPH_DEPTH):
        left = [graph for graph in left if calls[graph].intersection(left)]  # drop those that run none of these
    if left:
        raise Damaged("its subgraphs run themselves, or one another too deeply")


def _quantization(found: Table, shape: Sequence[int], kind: str, name: str, tensors: int) -> None:
    """Scales and zero points: one of each, or one a channel; or, in blocks, tensors that hold them."""
    details = found["Details"]
    if details is not None and details[KIND] != "CustomQuantization":
        _indices([details["Scales"]], tensors, f"{name}: its tensor of scales")
        _indices([details["ZeroPoints"]], tensors, f"{name}: its tensor of zero points", lowest=-1)
        dimensions = _list(details, "QuantizedDimensions") if details[KIND] == "MultiAxisQuantization" else ()
        _indices(dimensions, max(len(shape), 1), f"{name}: its quantized dimension")
    scales, zero_points = _list(found, "Scale"), _list(found, "ZeroPoint")
    if len(zero_points) not in (0, len(scales)):
        raise Damaged(f"{name}: it has {len(scales)} scales, but {len(zero_points)} zero points")
    if not len(scales):
        return
    _indices([found["QuantizedDimension"]], max(len(shape), 1), f"{name}: its quantized dimension")
    channels = shape[found["QuantizedDimension"]] if shape else 1
    if len(scales) not in (1, channels):
        raise Damaged(f"{name}: it has {len(scales)} scales for {channels} channels")
    if not (np.isfinite(scales).all() and (scales >= 0).all()):
        raise Damaged(f"{name}: a scale is not a finite number of at least 0")
    low, high = ZERO_POINTS.get(kind, (-(2**31), 2**31 - 1))
    if len(zero_points) and not (low <= zero_points.min() and zero_points.max() <= high):
        raise Damaged(f"{name}: a zero point is outside of its type")


def _sparsity(found: Table, shape: Sequence[int], values: int, name: str) -> None:
    """The order of the dimensions and blocks, and for each how many or which of its places are stored."""
    order, blocks = list(_list(found, "TraversalOrder")), _list(found, "BlockMap")
    levels = _list(found, "DimMetadata")
    if sorted(order) != list(range(len(shape) + len(blocks))) or len(levels) != len(order):
        raise Damaged(f"{name}: its sparse order does not fit its shape")
    _indices(blocks, max(len(shape), 1), f"{name}: its sparse block")
    places = 1
    for level in levels:
        if level["Format"] == DENSE:
            if not 0 < level["DenseSize"] <= MAXIMUM_ELEMENTS:
                raise Damaged(f"{name}: its sparse sizes make no sense")
            places *= level["DenseSize"]
            continue
        segments, indices = (_numbers(level[key]) for key in ("ArraySegments", "ArrayIndices"))
        if level["Format"] != SPARSE or len(segments) != places + 1:
            raise Damaged(f"{name}: its sparse segments do not fit")
        if segments[0] != 0 or (np.diff(segments) < 0).any() or segments[-1] != len(indices):
            raise Damaged(f"{name}: its sparse segments do not fit")
        if len(indices) and not (indices.min() >= 0 and indices.max() < max(shape, default=1)):
            raise Damaged(f"{name}: its sparse indices are outside of its shape")
        places = len(indices)
    if places != values:
        raise Damaged(f"{name}: it stores {values} sparse values, but names {places}")


def _numbers(vector: Table | None) -> Any:
    return np.empty(0, np.int64) if vector is None else np.asarray(_list(vector, "Values"), np.int64)


def _strings(content: Any, elements: int, name: str) -> None:
    """A list of texts: their number, where each begins and the last ends, the texts."""
    count = int.from_bytes(content[:4].tobytes(), "little", signed=True)
    if count != elements or len(content) < 4 * (count + 2):
        raise Damaged(f"{name}: its texts do not fit its shape")
    starts = content[4 : 4 * (count + 2)].view("<i4")
    if starts[0] < 4 * (count + 2) or (np.diff(starts) < 0).any() or starts[-1] > len(content):
        raise Damaged(f"{name}: a text lies outside of it")
