"""The lowest version that a TFLite operator may be written with: a part of LiteRT's versioning/op_version.cc, by hand.

It covers float32, int8 per channel, and the float16 constants behind DEQUANTIZE; what it does not name is of version 1.
"""

from itertools import chain

from converters.tflite.flatbuffer import Table, read
from converters.tflite.verify import TYPES, operator_name

OF_VERSION_2 = (
    "ADD MUL SUB MAX_POOL_2D AVERAGE_POOL_2D TRANSPOSE TRANSPOSE_CONV RELU RELU6 LOGISTIC TANH SOFTMAX LOG_SOFTMAX PAD "
    "PADV2 CONCATENATION SPLIT SPLIT_V SLICE STRIDED_SLICE GATHER MEAN SUM REDUCE_MAX REDUCE_MIN MIRROR_PAD MAXIMUM "
    "MINIMUM RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR SPACE_TO_DEPTH DEPTH_TO_SPACE DEQUANTIZE BATCH_MATMUL ABS EXP LOG "
    "SQRT RSQRT GELU SQUARED_DIFFERENCE SPACE_TO_BATCH_ND BATCH_TO_SPACE_ND"
)
INT8_IS_2 = frozenset(OF_VERSION_2.split())
WIDE = {"PAD": 4, "PADV2": 4, "TRANSPOSE": 4, "SLICE": 5, "STRIDED_SLICE": 4}
WIDE_BROADCAST = {"SUB": 3, "MAXIMUM": 3, "MINIMUM": 3, "DIV": 2}


def versions(data):
    """[(operator, version written, lowest version that suffices)] for the operators of a file."""
    model = read(data, "Model")
    graph, codes = model["Subgraphs"][0], model["OperatorCodes"]
    found = []
    for operator in graph["Operators"]:
        code = codes[operator["OpcodeIndex"]]
        tensors = [
            [graph["Tensors"][index] for index in operator[side] if index >= 0] for side in ("Inputs", "Outputs")
        ]
        name = operator_name(code)
        found.append((name, code["Version"], lowest(name, operator["BuiltinOptions"] or {}, *tensors)))
    return found


def lowest(name: str, options: Table, inputs: list[Table], outputs: list[Table]) -> int:
    kinds = [TYPES[tensor["Type"]] for tensor in inputs]
    ranks = [0 if tensor["Shape"] is None else len(tensor["Shape"]) for tensor in inputs]
    image = 1 if name in ("SPLIT", "TRANSPOSE_CONV") else 0
    integer = kinds[image] == "INT8"
    if name == "CONV_2D":
        grouped = inputs[1]["Shape"][3] != inputs[0]["Shape"][3]
        return 6 if grouped else 3 if integer else 1
    if name == "DEPTHWISE_CONV_2D":
        return 3 if integer else 2 if (options["DilationHFactor"], options["DilationWFactor"]) != (1, 1) else 1
    if name == "FULLY_CONNECTED":
        return 6 if len(inputs) == 2 else 5 if options["KeepNumDims"] else 4 if integer else 1
    if name == "TRANSPOSE_CONV":
        return 4 if options.get("FusedActivationFunction") else 3 if len(inputs) == 4 else 2 if integer else 1
    if name == "MUL" and integer:
        one, other, product = (tensor["Quantization"]["Scale"][0] for tensor in chain(inputs, outputs))
        return 3 if one * other >= product else 2
    if name == "DEQUANTIZE" and kinds[0] == "FLOAT16":
        return 3
    if name.startswith("RESIZE_"):
        centers = options["HalfPixelCenters"] or (name != "RESIZE_BILINEAR" and options["AlignCorners"])
        return 3 if centers else 2 if integer else 1
    if name == "TRANSPOSE" and ranks[0] > 5:
        return 6
    if name.endswith("_ND") and ranks[0] != 4:
        return 3
    if ranks[0] > 4 and name in WIDE:
        return WIDE[name]
    if name in WIDE_BROADCAST and max(ranks) > 4 and list(inputs[0]["Shape"]) != list(inputs[1]["Shape"]):
        return WIDE_BROADCAST[name]
    return 2 if integer and name in INT8_IS_2 else 1
