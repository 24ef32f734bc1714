"""Every operator that is read, in the forms that each opset has: graphs for whoever reads them."""

import numpy as np
import onnx
from emission import graph, node, random
from onnx import numpy_helper

from converters.passes.current_form import FIRST_OPSET
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
                names = ["", "scales"] if opset > 12 else ["roi", "scales"]
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


def every_opset(last=21):
    """Every (operator, opset) from the first opset that we read."""
    first = {}
    for kind, opset in known_opsets():
        first[kind] = min(opset, first.get(kind, opset))
    gone = {"Upsample": 9}
    yield from (
        (kind, opset) for kind, since in sorted(first.items()) for opset in range(since, gone.get(kind, last) + 1)
    )


def graphs(kind, opset):
    """A graph for each form, from "input" of SHAPE to "logits"."""
    for nodes, constants in forms(kind, opset):
        used = {name for made in nodes for name in made.input}
        yield graph(nodes, SHAPE, opset=opset, **{name: value for name, value in constants.items() if name in used})


def together(kind, opset):
    """One graph of all forms of an operator, each of them a row for each image; None where an opset has no form."""
    nodes, stored, outputs = [], [numpy_helper.from_array(ints(1, -1), "row")], []
    for number, (made, constants) in enumerate(forms(kind, opset)):
        names = {name: name and f"{name}.{number}" for each in made for name in (*each.input, *each.output)}
        names["input"] = "input"
        for each in made:
            renamed = onnx.NodeProto()
            renamed.CopyFrom(each)
            renamed.input[:], renamed.output[:] = ([names[name] for name in side] for side in (each.input, each.output))
            nodes.append(renamed)
        stored += [
            numpy_helper.from_array(np.asarray(value), names[name])
            for name, value in constants.items()
            if name in names
        ]
        nodes.append(node("Reshape", [names["logits"], "row"], [f"form.{number}"]))
        outputs.append(f"form.{number}")
    if not outputs:
        return None
    made = onnx.helper.make_graph(
        nodes,
        "forms",
        [onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, SHAPE)],
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        stored,
    )
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
