"""TFLite files written with the bare schema, so that anything in them can be made wrong."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

CARD = b'{"name": "a"}'


def tensor(shape, kind=schema.TensorType.FLOAT32, buffer=0, name="t"):
    made = schema.TensorT()
    made.shape, made.type, made.buffer, made.name = list(shape), kind, buffer, name
    return made


def buffer(values=None):
    made = schema.BufferT()
    if values is not None:
        made.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    return made


def code(builtin, version=1):
    made = schema.OperatorCodeT()
    made.builtinCode, made.deprecatedBuiltinCode, made.version = builtin, min(builtin, 127), version
    return made


def operator(index, inputs, outputs, options=None):
    made = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs = index, list(inputs), list(outputs)
    if options is not None:
        made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        made.builtinOptions = options
    return made


def graph(tensors, inputs, outputs, operators, name="main"):
    made = schema.SubGraphT()
    made.tensors, made.inputs, made.outputs, made.operators, made.name = tensors, inputs, outputs, operators, name
    return made


def quantization(scales, zero_points, dimension=0):
    made = schema.QuantizationParametersT()
    made.scale, made.zeroPoint, made.quantizedDimension = list(scales), list(zero_points), dimension
    return made


def options(kind, **fields):
    """An options object of the schema, by its name without the T."""
    made = getattr(schema, f"{kind}T")()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def model():
    """A fully connected layer of 4 inputs and 2 outputs with a relu behind it: tensors 0 to 4, buffers 1 and 2.

    Metadata (a card, in buffer 3), a signature, and a second subgraph that nobody runs.
    """
    made = schema.ModelT()
    made.version, made.description = 3, "by hand"
    made.operatorCodes = [code(schema.BuiltinOperator.FULLY_CONNECTED), code(schema.BuiltinOperator.RELU)]
    made.buffers = [
        buffer(),
        buffer(np.ones((2, 4), "<f4")),
        buffer(np.zeros(2, "<f4")),
        buffer(np.frombuffer(CARD, "u1")),
    ]
    layer = operator(0, [0, 1, 2], [3], options("FullyConnectedOptions"))
    tensors = [tensor([1, 4]), tensor([2, 4], buffer=1), tensor([2], buffer=2), tensor([1, 2]), tensor([1, 2])]
    made.subgraphs = [
        graph(tensors, [0], [4], [layer, operator(1, [3], [4])]),
        graph([tensor([1, 2]), tensor([1, 2])], [0], [1], [operator(1, [0], [1])], "other"),
    ]
    entry = schema.MetadataT()
    entry.name, entry.buffer = "falcon_edge.card", 3
    made.metadata = [entry]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs, signature.outputs = [named("input", 0)], [named("logits", 4)]
    made.signatureDefs = [signature]
    return made


def named(name, index):
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name, index
    return made


def packed(made):
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), b"TFL3")
    return bytes(builder.Output())
