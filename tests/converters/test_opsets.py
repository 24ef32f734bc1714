"""What ONNX changed between opsets is decided by the opset: every operator at every opset that changed it.

ONNX Runtime runs the graph as it is written; what is emitted of it has to give the same.
"""

import contextlib

import numpy as np
import onnx
import pytest
from emission import emitted, graph, node, random

from converters.errors import ConversionError, UnsupportedOperator
from converters.passes.current_form import FIRST_OPSET
from converters.passes.own_functions import TANH
from converters.quantization.rules import QUANTIZED
from converters.tflite import emit  # noqa: F401  # registers the emitters
from converters.tflite.context import EMITTERS

SHAPE = (1, 4, 6, 6)
NEWEST = 25  # of ONNX Runtime 1.32
# What is written at an opset in which the operator itself is not, or whose forms have a test of their own.
UNARY = (
    *("Abs", "Ceil", "Cos", "Elu", "Exp", "Floor", "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish"),
    *("Identity", "LeakyRelu", "Neg", "Reciprocal", "Relu", "Selu", "Sigmoid", "Sin", "Softplus", "Tanh", "Celu"),
    *("Gelu", "Transpose", "Flatten"),
)
BINARY = ("Add", "Sub", "Mul", "Div", "Max", "Min")
REDUCTIONS = ("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin")
POOLS = ("AveragePool", "MaxPool")
COMPARISONS = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal")


def ints(*values):
    return np.array(values, np.int64)


def one(kind, *names, **settings):
    return [node(kind, ["input", *names], ["logits"], **settings)]


def axes_of(kind, opset, first, axes, **settings):
    """(nodes, constants) of an operator whose axes became an input at an opset."""
    if opset < first:
        return one(kind, axes=list(axes), **settings), {}
    return one(kind, "axes", **settings), {"axes": ints(*axes)}


def forms(kind, opset):
    """(nodes, constants) of the forms of an operator that an opset has, the defaults that changed among them."""
    if kind in UNARY:
        yield one(kind), {}
    elif kind in ("Sqrt", "Log"):
        yield [node("Abs", ["input"], ["a"]), node(kind, ["a"], ["logits"])], {}
    elif kind in BINARY:
        shapes = ((1,), (4, 1, 1), (6,)) if opset >= 8 or kind not in ("Max", "Min") else (SHAPE,)
        for shape in shapes:
            yield one(kind, "c"), {"c": random(*shape) + 3}
        if kind in ("Max", "Min") and opset >= 8:
            yield [node(kind, ["input", "c", "d"], ["logits"])], {"c": random(4, 6, 6), "d": random(*SHAPE, seed=1)}
    elif kind in ("Sum", "Mean"):
        for count in (1, 2, 3):
            yield (
                [node(kind, ["input"] * (count - 1) + ["c"], ["logits"])] if count > 1 else one(kind),
                {"c": random(*SHAPE)},
            )
        if opset >= 8:
            yield one(kind, "c", "d"), {"c": random(4, 1, 1), "d": random(6)}
    elif kind == "Pow":
        yield [node("Abs", ["input"], ["a"]), node(kind, ["a", "c"], ["logits"])], {"c": np.float32(1.5)}
        yield one(kind, "c"), {"c": np.float32(2)}
        if opset >= 12:
            yield one(kind, "c"), {"c": ints(3)}
    elif kind == "PRelu":
        yield one(kind, "c"), {"c": random(4, 1, 1)}
    elif kind == "Clip":
        if opset < 11:
            yield one(kind, min=-0.5, max=0.75), {}
            yield one(kind, max=0.75), {}
            yield one(kind), {}
        else:
            yield one(kind, "a", "b"), {"a": np.float32(-0.5), "b": np.float32(0.75)}
            yield one(kind, "", "b"), {"b": np.float32(0.75)}
            yield one(kind), {}
    elif kind in ("Softmax", "LogSoftmax"):
        yield one(kind), {}
        for axis in (0, 1, 2, 3) + ((-1, -2) if opset >= 11 else ()):
            yield one(kind, axis=axis), {}
        yield [node("Flatten", ["input"], ["f"]), node(kind, ["f"], ["logits"], axis=1)], {}
    elif kind == "Dropout":
        yield one(kind), {}
        if opset < 12:
            yield one(kind, ratio=0.3), {}
        else:
            yield one(kind, "ratio", "training"), {"ratio": np.float32(0.3), "training": np.bool_(False)}
    elif kind == "Slice":
        if opset < 10:
            yield one(kind, starts=[1, -4], ends=[3, 1000], axes=[1, 3]), {}
            yield one(kind, starts=[0, 1], ends=[1, -1]), {}
        else:
            places = {"starts": ints(1, -4), "ends": ints(3, 1000), "axes": ints(1, 3), "steps": ints(1, 2)}
            yield one(kind, *places), places
            yield one(kind, "starts", "ends"), {"starts": ints(0, 1), "ends": ints(1, -1)}
            if opset >= 11:
                yield one(kind, "starts", "ends", "axes"), {**places, "axes": ints(-3, -1)}
    elif kind == "Split":
        ends = ["logits", "rest"]
        if opset < 13:
            yield [node(kind, ["input"], ends, axis=1, split=[1, 3])], {}
        else:
            yield [node(kind, ["input", "split"], ends, axis=1)], {"split": ints(1, 3)}
        if opset < 18:
            yield [node(kind, ["input"], ends, axis=2)], {}
        else:
            yield [node(kind, ["input"], ["logits", "b", "c"], axis=2, num_outputs=3)], {}
            yield [node(kind, ["input"], ends, axis=-1, num_outputs=2)], {}
    elif kind == "Squeeze":
        yield axes_of(kind, opset, 13, [0])
        if opset >= 11:
            yield axes_of(kind, opset, 13, [-4])
        yield one(kind), {}
    elif kind == "Unsqueeze":
        yield axes_of(kind, opset, 13, [0, 3])
        if opset >= 11:
            yield axes_of(kind, opset, 13, [-1])
    elif kind in REDUCTIONS or kind == "ReduceSum":
        first = 13 if kind == "ReduceSum" else 18
        yield axes_of(kind, opset, first, [2, 3])
        yield axes_of(kind, opset, first, [1], keepdims=0)
        yield one(kind), {}
        if opset >= 11:
            yield axes_of(kind, opset, first, [-1])
        if opset >= first:
            yield one(kind, noop_with_empty_axes=1), {}
    elif kind == "Pad":
        pads = [0, 1, 2, 0, 0, 0, 1, 2]
        for mode in ("constant", "reflect", "edge"):
            if opset < 11:
                yield one(kind, mode=mode, pads=pads), {}
            else:
                yield one(kind, "pads", mode=mode), {"pads": ints(*pads)}
        if opset < 11:
            yield one(kind, pads=pads, value=1.5), {}
        else:
            yield one(kind, "pads", "value"), {"pads": ints(*pads), "value": np.float32(1.5)}
        if opset >= 18:
            yield one(kind, "pads", "", "axes"), {"pads": ints(1, 0, 2, 1), "axes": ints(-1, 1)}
    elif kind == "Resize":
        for mode, factors in (("nearest", (2, 2)), ("nearest", (1.5, 2)), ("linear", (2, 2)), ("linear", (1.5, 3))):
            scales = np.array([1, 1, *factors], np.float32)
            if opset < 11:
                yield one(kind, "scales", mode=mode), {"scales": scales}
                continue
            for transform in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"):
                names = ["", "scales"] if opset > 11 else ["roi", "scales"]
                settings = {"mode": mode, "coordinate_transformation_mode": transform, "nearest_mode": "floor"}
                yield one(kind, *names, **settings), {"scales": scales, "roi": np.zeros(0, np.float32)}
            yield one(kind, "roi", "scales", mode=mode), {"scales": scales, "roi": np.zeros(0, np.float32)}
        if opset >= 18:
            yield one(kind, "", "scales", axes=[2, 3], mode="linear"), {"scales": np.array([2, 2], np.float32)}
            yield (
                one(kind, "", "", "sizes", axes=[3], mode="linear", keep_aspect_ratio_policy="stretch"),
                {"sizes": ints(12)},
            )
    elif kind == "Upsample":
        for mode, factors in (("nearest", (2, 3)), ("linear", (2, 2)), ("linear", (1.5, 2))):
            if opset < 9:
                yield one(kind, mode=mode, scales=[1.0, 1.0, *factors]), {}
            else:
                yield one(kind, "scales", mode=mode), {"scales": np.array([1, 1, *factors], np.float32)}
    elif kind == "BatchNormalization":
        values = {"g": random(4), "b": random(4, seed=1), "m": random(4, seed=2), "v": random(4, seed=3) ** 2 + 0.5}
        yield one(kind, *values, epsilon=1e-3), values
        yield one(kind, *values, momentum=0.8), values
    elif kind == "InstanceNormalization":
        yield one(kind, "g", "b"), {"g": random(4), "b": random(4, seed=1)}
    elif kind == "LayerNormalization":
        yield one(kind, "g", "b"), {"g": random(6), "b": random(6, seed=1)}
    elif kind == "LRN":
        yield one(kind, size=3, alpha=0.5, beta=0.6, bias=1.5), {}
        yield one(kind, size=3), {}
    elif kind in ("Conv", "ConvTranspose"):
        weights = {"w": random(4, 4, 3, 3), "b": random(4)}
        yield one(kind, "w"), weights
        yield one(kind, "w", "b", pads=[1, 0, 1, 2], strides=[2, 2]), weights
        for auto in ("SAME_UPPER", "SAME_LOWER", "VALID"):
            yield one(kind, "w", "b", auto_pad=auto, strides=[2, 2]), weights
        if kind == "ConvTranspose":
            yield one(kind, "w", "b", strides=[2, 2], output_padding=[1, 1]), weights
            yield one(kind, "w", "b", strides=[2, 2], output_shape=[12, 12]), weights
    elif kind in POOLS:
        yield one(kind, kernel_shape=[3, 3]), {}
        yield one(kind, kernel_shape=[3, 2], pads=[1, 1, 1, 0], strides=[2, 1]), {}
        for auto in ("SAME_UPPER", "SAME_LOWER", "VALID"):
            yield one(kind, kernel_shape=[3, 3], strides=[2, 2], auto_pad=auto), {}
        if opset >= 10:
            yield one(kind, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), {}
            yield one(kind, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1), {}
            if kind == "MaxPool":
                yield one(kind, kernel_shape=[2, 3], dilations=[2, 2], pads=[1, 2, 1, 1], strides=[2, 1]), {}
        if kind == "AveragePool":
            yield one(kind, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1), {}
            if opset >= 10:
                yield (
                    one(kind, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1),
                    {},
                )
    elif kind == "Gemm":
        flat = node("Flatten", ["input"], ["f"])
        values = {"w": random(5, 144), "b": random(5)}
        yield [flat, node(kind, ["f", "w", "b"], ["logits"], transB=1, alpha=0.5, beta=2.0)], values
        if opset >= 11:
            yield [flat, node(kind, ["f", "w"], ["logits"], transB=1)], values
    elif kind == "MatMul":
        yield one(kind, "w"), {"w": random(6, 3)}
        yield one(kind, "w"), {"w": random(4, 6, 3)}
    elif kind == "Concat":
        yield one(kind, "c", axis=1), {"c": random(1, 2, 6, 6)}
        if opset >= 11:
            yield one(kind, "c", axis=-1), {"c": random(1, 4, 6, 2)}
    elif kind == "Gather":
        yield one(kind, "i", axis=1), {"i": ints(3, 0)}
        yield one(kind, "i"), {"i": np.int64(0)}
        if opset >= 11:
            yield one(kind, "i", axis=-1), {"i": ints(-1, 2)}
    elif kind == "Reshape":
        yield one(kind, "s"), {"s": ints(0, -1, 3)}
        if opset >= 14:
            yield one(kind, "s", allowzero=1), {"s": ints(1, 144)}
    elif kind in ("DepthToSpace", "SpaceToDepth"):
        yield one(kind, blocksize=2), {}
        if kind == "DepthToSpace" and opset >= 11:
            yield one(kind, blocksize=2, mode="CRD"), {}
    elif kind == "Cast":
        yield [node(kind, ["input"], ["i"], to=7), node(kind, ["i"], ["logits"], to=1)], {}
        yield [node(kind, ["input"], ["i"], to=9), node(kind, ["i"], ["logits"], to=1)], {}
        yield [node(kind, ["input"], ["i"], to=11), node(kind, ["i"], ["logits"], to=1)], {}
    elif kind in ("ArgMax", "ArgMin"):
        made = node("Cast", ["i"], ["logits"], to=1)
        yield [node(kind, ["input"], ["i"], axis=1), made], {}
        yield [node(kind, ["input"], ["i"], axis=3, keepdims=0), made], {}
        if opset >= 11:
            yield [node(kind, ["input"], ["i"], axis=-2), made], {}
    elif kind in COMPARISONS:
        if kind == "Equal" and opset < 11:
            return  # of integers alone
        yield [node(kind, ["input", "c"], ["t"]), node("Cast", ["t"], ["logits"], to=1)], {"c": random(4, 1, 1)}
    elif kind in ("And", "Or", "Not"):
        tests = [node("Greater", ["input", "c"], ["t"]), node("Less", ["input", "d"], ["u"])]
        names = ["t"] if kind == "Not" else ["t", "u"]
        made = [node(kind, names, ["v"]), node("Cast", ["v"], ["logits"], to=1)]
        yield [*tests, *made], {"c": np.float32(-0.2), "d": np.float32(0.5)}
    elif kind == "Where":
        yield (
            [node("Greater", ["input", "c"], ["t"]), node(kind, ["t", "input", "c"], ["logits"])],
            {"c": random(4, 1, 1)},
        )
        yield [node(kind, ["t", "c", "input"], ["logits"])], {"t": random(6, 6) > 0, "c": np.float32(2)}
    elif kind == "Tile":
        yield one(kind, "r"), {"r": ints(1, 2, 1, 3)}
    elif kind == "Expand":
        yield [node("GlobalAveragePool", ["input"], ["m"]), node(kind, ["m", "s"], ["logits"])], {"s": ints(1, 4, 3, 2)}
        yield (
            [node("GlobalAveragePool", ["input"], ["m"]), node(kind, ["m", "s"], ["logits"])],
            {"s": ints(2, 1, 1, 3, 1)},
        )
    else:
        raise AssertionError(f"{kind} has no case here")


def known_opsets():
    """Every (operator, opset): the opsets that changed one of ours, and the first that we read."""
    history = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.name in EMITTERS.keys() | QUANTIZED | {"Upsample", "Sum", "Mean"}:
            history.setdefault(schema.name, {})[schema.since_version] = schema
    for name, schemas in sorted(history.items()):
        first = max(FIRST_OPSET, min(schemas))
        opsets = {max(FIRST_OPSET, since) for since, schema in schemas.items() if not schema.deprecated}
        yield from ((name, opset) for opset in sorted(opsets | {first}) if opset <= NEWEST)


@pytest.mark.parametrize(("kind", "opset"), list(known_opsets()))
def test_an_operator_is_what_its_opset_says(kind, opset):
    right = 0
    for nodes, constants in forms(kind, opset):
        used = {name for made in nodes for name in made.input}
        model = graph(nodes, SHAPE, opset=opset, **{name: value for name, value in constants.items() if name in used})
        refused = contextlib.suppress(UnsupportedOperator) if kind == "Resize" else contextlib.nullcontext()
        with refused:  # TFLite has not every Resize of ONNX
            emitted(model)
            right += 1
    assert right > (2 if kind == "Resize" else 0) or (kind, opset) == ("Equal", 7)


def test_weights_that_are_listed_as_inputs_too():
    model = graph(one("Conv", "w"), SHAPE, opset=8, w=random(300, 4, 3, 3))
    weight = model.graph.initializer[0]
    model.graph.input.append(onnx.helper.make_tensor_value_info("w", weight.data_type, weight.dims))
    model.ir_version = 3
    assert emitted(model) == {"CONV_2D": 1}


def test_numbers_that_a_constant_has_in_other_attributes_than_value():
    nodes = [
        node("Constant", [], ["a"], value_float=0.5),
        node("Constant", [], ["b"], value_floats=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        node("Constant", [], ["s"], value_ints=[1, 144]),
        node("Add", ["input", "a"], ["x"]),
        node("Mul", ["x", "b"], ["y"]),
        node("Reshape", ["y", "s"], ["logits"]),
    ]
    assert emitted(graph(nodes, SHAPE)).keys() == {"ADD", "MUL", "RESHAPE", "TRANSPOSE"}


def test_an_opset_that_is_too_old_is_refused_in_one_line():
    with pytest.raises(ConversionError, match="is of opset 6, and 7 is the first that is read"):
        emitted(graph(one("Relu"), SHAPE, opset=6))


def test_every_operator_has_forms():
    for kind in (EMITTERS.keys() | QUANTIZED) - {TANH}:  # which is no operator of ONNX, but a function of ours
        assert list(forms(kind, NEWEST))


@pytest.mark.parametrize(("rule", "pads"), [("SAME_UPPER", [0, 0, 0, 1]), ("VALID", [1, 1, 1, 1])])
def test_two_paddings_that_contradict_each_other_are_refused(rule, pads):
    pool = node("MaxPool", ["input"], ["logits"], kernel_shape=[3, 3], auto_pad=rule, pads=pads)
    model = graph([pool], SHAPE)
    sizes = (SHAPE[0], SHAPE[1], SHAPE[2] + pads[0] + pads[2] - 2, SHAPE[3] + pads[1] + pads[3] - 2)  # none is inferred
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, sizes))
    with pytest.raises(ConversionError, match=f"has auto_pad {rule} and pads .*: keep one"):
        emitted(model)
