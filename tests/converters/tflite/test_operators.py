"""Every operator of the emitter: the same answers on ONNX Runtime, XNNPACK and LiteRT's own kernels."""

import numpy as np
import pytest
from emission import emitted, graph, node, random

from converters.tflite.context import EMITTERS

IMAGE = (1, 6, 8, 7)
ONE = np.ones(1, np.float32)


def case(operator, operators, *, shape=IMAGE, outputs=("logits",), positive=False, **given):
    """(node, input shape, constants, operators of the .tflite); arrays among `given` are its further inputs."""
    constants = {name: value for name, value in given.items() if isinstance(value, np.ndarray)}
    attributes = {name: value for name, value in given.items() if name not in constants}
    source = "positive" if positive else "input"
    nodes = [node("Abs", ["input"], ["positive"])] if positive else []
    nodes.append(node(operator, [source, *constants], list(outputs), **attributes))
    expected = {*operators.split()} | ({"ABS"} if positive else set())
    return pytest.param(nodes, shape, constants, expected, id=f"{operator}-{operators or 'nothing'}")


def per_channel(seed=0, count=6):
    return random(count, seed=seed)


CASES = [
    case("Abs", "ABS"),
    case("Add", "ADD", b=random(6, 1, 1)),
    case("AveragePool", "AVERAGE_POOL_2D", kernel_shape=[3, 3], strides=[2, 2]),
    case(
        "BatchNormalization",
        "MUL ADD",
        gamma=per_channel(1),
        beta=per_channel(2),
        mean=per_channel(3),
        variance=np.abs(per_channel(4)) + 0.1,
    ),
    case("Cast", "", to=1),
    case("Ceil", "CEIL"),
    case("Clip", "RELU", low=np.array(0, np.float32)),
    case("Clip", "RELU6", low=np.array(0, np.float32), high=np.array(6, np.float32)),
    case("Clip", "RELU_N1_TO_1", low=np.array(-1, np.float32), high=np.array(1, np.float32)),
    case("Clip", "RELU_0_TO_1", low=np.array(0, np.float32), high=np.array(1, np.float32)),
    case("Clip", "MAXIMUM MINIMUM", low=np.array(-0.3, np.float32), high=np.array(0.7, np.float32)),
    case("Clip", "MAXIMUM", low=np.array(-0.3, np.float32)),
    case("Clip", ""),
    case("Concat", "CONCATENATION", b=random(1, 3, 8, 7), axis=1),
    case("Conv", "CONV_2D", w=random(4, 6, 3, 3), b=random(4)),
    case("ConvTranspose", "TRANSPOSE_CONV", w=random(6, 4, 3, 3), b=random(4), strides=[2, 2]),
    case("Cos", "COS"),
    case("DepthToSpace", "DEPTH_TO_SPACE", shape=(1, 12, 4, 5), blocksize=2),
    case("DepthToSpace", "RESHAPE TRANSPOSE", shape=(1, 12, 4, 5), blocksize=2, mode="CRD"),
    case("Div", "DIV", b=random(6, 1, 1) + 3),
    case("Dropout", ""),
    case("Elu", "ELU"),
    case("Exp", "EXP"),
    case("Expand", "", size=np.array(IMAGE)),
    case("Flatten", "TRANSPOSE RESHAPE"),
    case("Floor", "FLOOR"),
    case("Gather", "SLICE", index=np.array([2, 3]), axis=1),
    case("Gather", "SLICE RESHAPE TRANSPOSE", index=np.array(2), axis=2),
    case("Gather", "GATHER", index=np.array([5, 0, 2]), axis=1),
    case("Gemm", "FULLY_CONNECTED", shape=(1, 6), w=random(6, 4), b=random(4)),
    case("GlobalAveragePool", "MEAN"),
    case("GlobalMaxPool", "REDUCE_MAX"),
    case("HardSigmoid", "ADD MUL", alpha=1 / 6),
    case("HardSigmoid", "MUL ADD"),
    case("HardSwish", "HARD_SWISH"),
    case("Identity", ""),
    case("InstanceNormalization", "MEAN SUB SQUARE ADD RSQRT MUL", scale=per_channel(1), shift=per_channel(2)),
    case(
        "LayerNormalization",
        "MEAN SUB SQUARE ADD RSQRT MUL",
        shape=(1, 5, 4, 6),
        scale=per_channel(1),
        shift=per_channel(2),
    ),
    case("LeakyRelu", "LEAKY_RELU", alpha=0.2),
    case("Log", "LOG", positive=True),
    case("LogSoftmax", "LOG_SOFTMAX", axis=1),
    case("MatMul", "FULLY_CONNECTED", shape=(1, 5, 6), w=random(6, 4)),
    case("MatMul", "TRANSPOSE CONV_2D", shape=(1, 4, 5, 6), w=random(6, 3)),
    case("Max", "MAXIMUM", b=random(6, 1, 1)),
    case("MaxPool", "MAX_POOL_2D", kernel_shape=[3, 3], strides=[2, 2]),
    case("Min", "MINIMUM", b=random(6, 1, 1)),
    case("Mul", "MUL", b=random(6, 1, 1)),
    case("Mul", "", b=ONE),
    case("Neg", "NEG"),
    case("PRelu", "PRELU", slope=random(6, 1, 1)),
    case("PRelu", "LEAKY_RELU", slope=ONE / 4),
    case("Pad", "PAD", pads=np.array([0, 0, 1, 2, 0, 0, 0, 3])),
    case("Pow", "SQUARE", exponent=2 * ONE),
    case("Pow", "SQRT", positive=True, exponent=ONE / 2),
    case("Pow", "POW", positive=True, exponent=1.7 * ONE),
    case("ReduceL2", "SQUARE SUM SQRT", axes=[2, 3]),
    case("ReduceMax", "REDUCE_MAX", axes=[1]),
    case("ReduceMean", "MEAN", axes=[2, 3]),
    case("ReduceMin", "REDUCE_MIN", axes=[1, 3], keepdims=0),
    case("ReduceSum", "SUM", axes=np.array([1])),
    case("Relu", "RELU"),
    case("Reshape", "RESHAPE TRANSPOSE", size=np.array([1, 2, 3, 8, 7])),
    case("Resize", "RESIZE_BILINEAR", roi=ONE[:0], scales=np.array([1, 1, 2, 2], np.float32), mode="linear"),
    case(
        "Resize",
        "RESIZE_NEAREST_NEIGHBOR",
        roi=ONE[:0],
        scales=np.array([1, 1, 2, 2], np.float32),
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
    case("Sigmoid", "LOGISTIC"),
    case("Sin", "SIN"),
    case("Slice", "SLICE", starts=np.array([1, 2]), ends=np.array([4, 9]), axes=np.array([1, 3])),
    case("Slice", "STRIDED_SLICE", starts=np.array([1]), ends=np.array([6]), axes=np.array([2]), steps=np.array([2])),
    case("Softmax", "SOFTMAX", axis=1),
    case("Softplus", "ABS NEG EXP ADD LOG RELU"),
    case("SpaceToDepth", "SPACE_TO_DEPTH", shape=(1, 3, 8, 6), blocksize=2),
    case("Split", "SPLIT", outputs=("logits", "rest"), axis=1),
    case("Split", "SPLIT_V", sizes=np.array([4, 2]), outputs=("logits", "rest"), axis=1),
    case("Sqrt", "SQRT", positive=True),
    case("Squeeze", "RESHAPE", shape=(1, 6, 1, 1), axes=np.array([2, 3])),
    case("Sub", "SUB", b=random(6, 1, 1)),
    case("Sum", "ADD", b=random(6, 1, 1)),
    case("Tanh", "TANH"),
    case("Transpose", "TRANSPOSE", perm=[0, 3, 2, 1]),
    case("Transpose", "", shape=(1, 5, 6), perm=[0, 1, 2]),
    case("Unsqueeze", "RESHAPE", shape=(1, 6), axes=np.array([2, 3])),
]
# Made by passes.name_functions out of other operators, and tested there.
NAMED = {"Gelu"}


@pytest.mark.parametrize(("nodes", "shape", "constants", "operators"), CASES)
def test_operator(nodes, shape, constants, operators):
    assert emitted(graph(nodes, shape, **constants)).keys() == operators


def test_every_operator_has_a_case():
    tried = {param.values[0][-1].op_type for param in CASES}
    assert tried == EMITTERS.keys() - NAMED
