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


def typed(operator, operators, *, truths=0, **given):
    """A case of an operator of which the operands or the result are no real numbers; `truths` operands are true where
    the input is positive, and where it is not above a half."""
    constants = {name: value for name, value in given.items() if isinstance(value, np.ndarray)}
    attributes = {name: value for name, value in given.items() if name not in constants}
    nodes, names = [], ["input", *constants]
    if truths:
        constants, names = {"none": np.float32(0), "half": np.float32(0.5)}, ["above", "below"][2 - truths :]
        nodes = [
            node("Greater", ["input", "none"], ["above"]),
            node("Greater", ["input", "half"], ["high"]),
            node("Not", ["high"], ["below"]),
        ]
    nodes += [node(operator, names, ["found"], **attributes), node("Cast", ["found"], ["logits"], to=1)]
    return pytest.param(nodes, IMAGE, constants, {*operators.split()}, id=f"{operator}-{operators}")


def choice(operators, condition):
    """A case of Where, of which the condition is computed or stored."""
    constants = {"level": random(6, 1, 1), "stored": random(8, 7) > 0}
    nodes = [
        node("Greater", ["input", "level"], ["computed"]),
        node("Where", [condition, "input", "level"], ["logits"]),
    ]
    return pytest.param(nodes, IMAGE, constants, {*operators.split()}, id=f"Where-{condition}")


def per_channel(seed=0, count=6):
    return random(count, seed=seed)


CASES = [
    case("Abs", "ABS"),
    case("Add", "ADD", b=random(6, 1, 1)),
    typed("ArgMax", "ARG_MAX CAST RESHAPE", axis=1),
    typed("ArgMin", "ARG_MIN CAST TRANSPOSE", axis=2, keepdims=0),
    typed("And", "GREATER LOGICAL_NOT LOGICAL_AND CAST", truths=2),
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
    typed("Cast", "CAST", to=6),
    case("Celu", "ELU"),
    case("Celu", "MUL ELU", alpha=0.4),
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
    case("Elu", "ELU LEAKY_RELU", alpha=0.5),
    typed("Equal", "EQUAL CAST", b=random(*IMAGE)),
    case("Exp", "EXP"),
    case("Expand", "", size=np.array(IMAGE)),
    case("Expand", "TILE", shape=(1, 6, 1, 7), size=np.array([2, 1, 8, 7])),
    case("Expand", "TILE RESHAPE TRANSPOSE", shape=(1, 6, 1, 7), size=np.array([3, 2, 6, 5, 7])),
    case("Flatten", "TRANSPOSE RESHAPE"),
    case("Floor", "FLOOR"),
    case("Gather", "SLICE", index=np.array([2, 3]), axis=1),
    case("Gather", "SLICE RESHAPE TRANSPOSE", index=np.array(2), axis=2),
    case("Gather", "GATHER", index=np.array([5, 0, 2]), axis=1),
    case("Gemm", "FULLY_CONNECTED", shape=(1, 6), w=random(6, 4), b=random(4)),
    case("GlobalAveragePool", "MEAN"),
    case("GlobalMaxPool", "REDUCE_MAX"),
    typed("Greater", "GREATER CAST", b=random(6, 1, 1)),
    typed("GreaterOrEqual", "GREATER_EQUAL CAST", b=random(6, 1, 1)),
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
    case("LRN", "LOCAL_RESPONSE_NORMALIZATION", size=5, alpha=0.3, beta=0.6, bias=1.5),
    typed("Less", "LESS CAST", b=random(6, 1, 1)),
    typed("LessOrEqual", "LESS_EQUAL CAST", b=random(6, 1, 1)),
    case("LeakyRelu", "LEAKY_RELU", alpha=0.2),
    case("Log", "LOG", positive=True),
    case("LogSoftmax", "LOG_SOFTMAX", axis=1),
    case("MatMul", "FULLY_CONNECTED", shape=(1, 5, 6), w=random(6, 4)),
    case("MatMul", "TRANSPOSE CONV_2D", shape=(1, 4, 5, 6), w=random(6, 3)),
    case("Max", "MAXIMUM", b=random(6, 1, 1)),
    case("MaxPool", "MAX_POOL_2D", kernel_shape=[3, 3], strides=[2, 2]),
    case("Max", "MAXIMUM", b=random(6, 1, 1), c=random(8, 7)),
    case(
        "MaxPool",
        "PADV2 SPACE_TO_BATCH_ND MAX_POOL_2D BATCH_TO_SPACE_ND STRIDED_SLICE",
        kernel_shape=[2, 3],
        dilations=[3, 2],
        strides=[1, 2],
        pads=[1, 2, 1, 1],
    ),
    case(
        "MaxPool",
        "TRANSPOSE RESHAPE SPACE_TO_BATCH_ND MAX_POOL_2D BATCH_TO_SPACE_ND",
        shape=(1, 6, 11),
        kernel_shape=[3],
        dilations=[3],
    ),
    case("Mean", "ADD MUL", b=random(6, 1, 1), c=random(8, 7)),
    case("Min", "MINIMUM", b=random(6, 1, 1)),
    case("Mul", "MUL", b=random(6, 1, 1)),
    case("Mul", "", b=ONE),
    case("Neg", "NEG"),
    typed("Not", "GREATER LOGICAL_NOT CAST", truths=1),
    typed("Or", "GREATER LOGICAL_NOT LOGICAL_OR CAST", truths=2),
    case("PRelu", "PRELU", slope=random(6, 1, 1)),
    case("PRelu", "LEAKY_RELU", slope=ONE / 4),
    case("Pad", "PAD", pads=np.array([0, 0, 1, 2, 0, 0, 0, 3])),
    case("Pow", "SQUARE", exponent=2 * ONE),
    case("Pow", "SQRT", positive=True, exponent=ONE / 2),
    case("Pow", "POW", positive=True, exponent=1.7 * ONE),
    case("Reciprocal", "DIV"),
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
    case("Selu", "ELU LEAKY_RELU MUL"),
    case("Selu", "ELU MUL", alpha=1.0, gamma=2.0),
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
    case("Sum", "ADD", b=random(6, 1, 1), c=random(8, 7)),
    case("Sum", ""),
    case("Tanh", "TANH"),
    case("Tile", "TILE", times=np.array([1, 2, 1, 3])),
    case("Transpose", "TRANSPOSE", perm=[0, 3, 2, 1]),
    case("Transpose", "", shape=(1, 5, 6), perm=[0, 1, 2]),
    case("Unsqueeze", "RESHAPE", shape=(1, 6), axes=np.array([2, 3])),
    choice("GREATER SELECT_V2", "computed"),
    choice("SELECT_V2", "stored"),
]
# Made by passes.name_functions out of other operators, and tested there.
NAMED = {"Gelu"}


@pytest.mark.parametrize(("nodes", "shape", "constants", "operators"), CASES)
def test_operator(nodes, shape, constants, operators):
    assert emitted(graph(nodes, shape, **constants)).keys() == operators


@pytest.mark.parametrize(
    ("before", "shape"), [(None, (1, 4, 4, 4)), (None, (4, 4, 4)), ("Abs", (1, 4, 4, 4)), ("Transpose", (4, 4, 4))]
)
def test_a_product_of_a_value_by_itself(before, shape):
    """XNNPACK takes x x for x x^T where the emitter has transposed x for both sides at once."""
    nodes = [] if before is None else [node(before, ["input"], ["x"])]
    factors = ["input" if before is None else "x"] * 2
    assert emitted(graph([*nodes, node("MatMul", factors, ["logits"])], shape))["BATCH_MATMUL"] == 1


def test_every_operator_has_a_case():
    tried = {made.op_type for param in CASES for made in param.values[0]}
    assert tried == EMITTERS.keys() - NAMED | {"Sum", "Mean"}
