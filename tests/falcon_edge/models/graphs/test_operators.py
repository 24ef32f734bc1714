"""Every operator of the table with attributes that are drawn, against ONNX Runtime; three images against each alone."""

import numpy as np
import onnx
import pytest
from emission import graph, node, random
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from imported import right
from torch import nn

from falcon_edge.models.graphs.node import MAKERS
from falcon_edge.models.graphs.operators import activation, broadcast, choose, reduce, unary

SHAPE = (1, 4, 6, 5)
COUNT = 6
FORMS = {}  # operator: a function that draws (nodes, constants)

sides = st.integers(1, 3)
steps = st.integers(1, 2)


def forms_of(*kinds):
    def register(function):
        FORMS.update(dict.fromkeys(kinds, function))
        return function

    return register


def ints(*values):
    return np.array(values, np.int64)


def one(kind, *names, source="input", **given):
    return [node(kind, [source, *names], ["logits"], "n", **given)]


def as_float(nodes):
    """What is true as 0 and 1."""
    last = nodes[-1]
    last.output[0] = "truth"
    return [*nodes, node("Cast", ["truth"], ["logits"], to=1)]


def positive(nodes):
    """Nodes of an input above zero."""
    for each in nodes:
        each.input[:] = ["above" if name == "input" else name for name in each.input]
    return [node("Abs", ["input"], ["size"]), node("Add", ["size", "tenth"], ["above"]), *nodes]


def padded(draw, kernel):
    """pads or a rule for windows over two axes; each pad is smaller than the kernel."""
    rule = draw(st.sampled_from(("pads", "pads", "SAME_UPPER", "SAME_LOWER", "VALID")))
    if rule != "pads":
        return {"auto_pad": rule}
    return {"pads": [draw(st.integers(0, side - 1)) for side in (*kernel, *kernel)]}


@forms_of(*unary.LAYERS, *unary.FUNCTIONS, "LeakyRelu", "Elu", "Celu", "Selu", "HardSigmoid", "Identity", "Gelu")
def unary_forms(draw, kind):
    numbers = {
        "LeakyRelu": ("alpha",),
        "Elu": ("alpha",),
        "Celu": ("alpha",),
        "Selu": ("alpha", "gamma"),
        "HardSigmoid": ("alpha", "beta"),
    }.get(kind, ())
    given = {name: draw(st.sampled_from((0.1, 1 / 6, 0.5, 2.0))) for name in numbers if draw(st.booleans())}
    nodes = one(kind, **given)
    if kind in ("Log", "Sqrt", "Reciprocal"):
        return positive(nodes), {"tenth": np.float32(0.1)}
    if kind in ("Acos", "Asin", "Atanh"):
        nodes[0].input[0] = "bounded"
        return [
            node("Tanh", ["input"], ["t"]),
            node("Mul", ["t", "share"], ["bounded"]),
            *nodes,
        ], {"share": np.float32(0.5)}
    if kind == "Acosh":
        return positive(nodes), {"tenth": np.float32(1.1)}
    return nodes, {}


@forms_of("Clip")
def clips(draw, kind):
    bounds = {"low": np.float32(draw(st.sampled_from((-1, 0, 0.5)))), "high": np.float32(draw(st.sampled_from((1, 6))))}
    names = [draw(st.sampled_from((name, ""))) for name in bounds]
    if draw(st.booleans()):
        return one(kind, *names), {name: value for name, value in bounds.items() if name in names}
    computed = [node("Reshape", ["input", "s"], ["row"]), node("ReduceMax", ["row"], ["v"], keepdims=0)]
    return [*computed, *one(kind, "", "v")], {"s": ints(1, -1)}


@forms_of("PRelu")
def slopes(draw, kind):
    shape = draw(st.sampled_from(((4, 1, 1), (1,), (1, 4, 1, 1), (5,), (4, 6, 5), (6, 1))))
    return one(kind, "slope"), {"slope": random(*shape)}


@forms_of(*broadcast.FUNCTIONS)
def arithmetic(draw, kind):
    shape = draw(st.sampled_from(((), (1,), (4, 1, 1), (5,), (1, 4, 6, 5), (6, 1), (1, 1, 6, 1))))
    constants = {"c": np.abs(random(*shape)) + 0.5}
    if kind == "Pow":
        constants["c"] = draw(st.sampled_from((np.float32(2), np.float32(0.5), np.int64(3), constants["c"])))
        return positive(one(kind, "c")), {"tenth": np.float32(0.1), **constants}
    if kind == "Div" or draw(st.booleans()):
        return one(kind, "c"), constants
    count = draw(st.integers(1, 3)) if kind in ("Sum", "Mean", "Max", "Min") else 1
    values = [node("Tanh", ["input"], ["a"]), node("Abs", ["input"], ["b"])]
    return [*values, *one(kind, *["a", "b", "c"][:count])], constants


@forms_of("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal")
def comparisons(draw, kind):
    nodes = [node("Floor", ["input"], ["whole"]), node(kind, ["whole", "c"], ["truth"])]
    return as_float(nodes), {"c": np.floor(random(*draw(st.sampled_from(((4, 1, 1), (), (6, 5))))))}


@forms_of("And", "Or", "Xor", "Not")
def logic(draw, kind):
    tests = [node("Greater", ["input", "c"], ["t"]), node("Less", ["input", "d"], ["u"])]
    names = ["t"] if kind == "Not" else ["t", "u"]
    return as_float([*tests, node(kind, names, ["truth"])]), {"c": np.float32(-0.2), "d": random(4, 1, 1)}


@forms_of("Where")
def where(draw, kind):
    test = node("Greater", ["input", "c"], ["t"])
    names = draw(st.sampled_from((["t", "input", "c"], ["t", "c", "input"], ["m", "input", "c"])))
    constants = {"c": random(4, 1, 1), "m": random(6, 5) > 0}
    return [*([test] if "t" in names else []), node(kind, names, ["logits"])], constants


@forms_of("ArgMax", "ArgMin")
def extremes(draw, kind):
    given = {"axis": draw(st.sampled_from((1, 2, 3, -1))), "keepdims": draw(st.integers(0, 1))}
    return as_float(one(kind, **given)), {}


@forms_of("Conv")
def convolutions(draw, kind):
    if draw(st.integers(0, 3)) == 0:
        given = {"pads": draw(st.sampled_from(([0, 0], [1, 2], [1, 1]))), "strides": [draw(steps)]}
        return [node("Reshape", ["input", "s"], ["row"]), *one(kind, "w", source="row", **given)], {
            "s": ints(1, 4, 30),
            "w": random(3, 4, 3),
        }
    groups, kernel = draw(st.sampled_from((1, 2, 4))), (draw(sides), draw(sides))
    weight = random(groups * draw(sides), 4 // groups, *kernel)
    given = {"group": groups, "strides": [draw(steps), draw(steps)], **padded(draw, kernel)}
    if "pads" in given:  # ONNX Runtime knows no other rule beside dilations
        given["dilations"] = [draw(steps), draw(steps)]
    names = ["w", "b"] if draw(st.booleans()) else ["w"]
    return one(kind, *names, **given), {"w": weight, "b": random(len(weight))}


@forms_of("ConvTranspose")
def transposed(draw, kind):
    groups, kernel = draw(st.sampled_from((1, 2))), (draw(sides), draw(sides))
    weight, stride = random(4, draw(sides), *kernel), [draw(steps), draw(steps)]
    given = {"group": groups, "strides": stride, "dilations": [draw(steps), draw(steps)]}
    form = draw(st.sampled_from(("pads", "more", "shape", "rule")))
    if form == "pads":
        given["pads"] = [draw(st.integers(0, side - 1)) for side in (*kernel, *kernel)]
    elif form == "more":
        given["output_padding"] = [draw(st.integers(0, step - 1)) for step in stride]
    elif form == "shape":
        given["dilations"] = [1, 1]
        whole = [step * (size - 1) + side for step, size, side in zip(stride, SHAPE[2:], kernel, strict=True)]
        given["output_shape"] = [
            size - draw(st.integers(0, side - 1)) for size, side in zip(whole, kernel, strict=True)
        ]
    else:
        given["auto_pad"] = draw(st.sampled_from(("SAME_UPPER", "SAME_LOWER", "VALID")))
        given["strides"] = [min(pair) for pair in zip(stride, kernel, strict=True)]  # windows that meet
    names = ["w", "b"] if draw(st.booleans()) else ["w"]
    return one(kind, *names, **given), {"w": weight, "b": random(weight.shape[1] * groups)}


@forms_of("MaxPool", "AveragePool")
def pools(draw, kind):
    kernel = (draw(sides), draw(sides))
    given = {"kernel_shape": kernel, "strides": [draw(steps), draw(steps)], **padded(draw, kernel)}
    if "auto_pad" not in given:
        given["ceil_mode"] = draw(st.integers(0, 1))
    elif "SAME" in given["auto_pad"]:  # ONNX Runtime has no pixels between its windows then
        given["strides"] = [min(pair) for pair in zip(given["strides"], kernel, strict=True)]
    if kind == "AveragePool":
        given["count_include_pad"] = draw(st.integers(0, 1))
    elif "auto_pad" not in given:
        given["dilations"] = [draw(steps), draw(steps)]
    return one(kind, **given), {}


@forms_of("GlobalAveragePool", "GlobalMaxPool")
def whole_pools(draw, kind):
    target = draw(st.sampled_from(((1, 4, 6, 5), (1, 4, 30), (1, 4, 2, 3, 5))))
    return [node("Reshape", ["input", "s"], ["x"]), *one(kind, source="x")], {"s": ints(*target)}


@forms_of("Gemm")
def products(draw, kind):
    turned = draw(st.integers(0, 1))
    constants = {
        "w": random(*((7, 120) if turned else (120, 7))),
        "b": random(*draw(st.sampled_from(((7,), (1, 7), ())))),
    }
    names = ["w", "b"] if draw(st.booleans()) else ["w"]
    given = {"transB": turned, "alpha": draw(st.sampled_from((1.0, 0.5))), "beta": draw(st.sampled_from((1.0, 2.0)))}
    flat = [node("Flatten", ["input"], ["f"])]
    if draw(st.integers(0, 3)) == 0:  # of two computed values
        return [*flat, node("Gemm", ["f", "f"], ["g"], transA=1), *one(kind, "w", source="g", **given)], constants
    return [*flat, *one(kind, *names, source="f", **given)], constants


@forms_of("MatMul")
def matrices(draw, kind):
    form = draw(st.sampled_from(("linear", "bias", "deep", "first", "computed")))
    if form == "computed":
        return [node("Transpose", ["input"], ["t"], perm=[0, 1, 3, 2]), *one(kind, "t")], {}
    if form == "first":
        return [node(kind, ["w", "input"], ["logits"])], {"w": random(3, 6)}
    if form == "deep":
        return one(kind, "w"), {"w": random(4, 5, 2)}
    if form == "linear":
        return one(kind, "w"), {"w": random(5, 3)}
    bias = random(*draw(st.sampled_from(((3,), (1, 1, 1, 3), (1,), ()))))
    names = draw(st.permutations(("product", "b")))
    return [node(kind, ["input", "w"], ["product"]), node("Add", list(names), ["logits"])], {
        "w": random(5, 3),
        "b": bias,
    }


@forms_of("BatchNormalization")
def batch_norms(draw, kind):
    values = {"g": random(4), "b": random(4, seed=1), "m": random(4, seed=2), "v": random(4, seed=3) ** 2 + 0.5}
    target = draw(st.sampled_from(((1, 4, 6, 5), (1, 4, 30), (1, 4, 2, 3, 5))))
    given = {name: draw(st.sampled_from((1e-3, 0.9))) for name in ("epsilon", "momentum") if draw(st.booleans())}
    return [node("Reshape", ["input", "s"], ["x"]), *one(kind, *values, source="x", **given)], {
        "s": ints(*target),
        **values,
    }


@forms_of("LayerNormalization")
def layer_norms(draw, kind):
    axis = draw(st.sampled_from((-1, 3, 2, 1)))
    shape = draw(st.sampled_from((SHAPE[axis:], (1,) * len(SHAPE[axis:]))))
    names = ["g", "b"] if draw(st.booleans()) else ["g"]
    return one(kind, *names, axis=axis, epsilon=draw(st.sampled_from((1e-5, 1e-2)))), {
        "g": random(*shape),
        "b": random(*shape, seed=1),
    }


@forms_of("InstanceNormalization")
def instance_norms(draw, kind):
    target = draw(st.sampled_from(((1, 4, 6, 5), (1, 2, 60), (1, 4, 2, 3, 5), (1, 120, 1, 1), (1, 4, 1, 30))))
    count = target[1]
    values = {"g": random(count), "b": random(count, seed=1)}
    if draw(st.booleans()):
        values = {"g": np.ones(count, np.float32), "b": np.zeros(count, np.float32)}
    return [node("Reshape", ["input", "s"], ["x"]), *one(kind, *values, source="x")], {"s": ints(*target), **values}


@forms_of("LRN")
def responses(draw, kind):
    given = {name: draw(st.sampled_from((0.5, 0.9))) for name in ("alpha", "beta", "bias") if draw(st.booleans())}
    return one(kind, size=draw(st.sampled_from((1, 3, 5))), **given), {}


@forms_of("Softmax", "LogSoftmax")
def softmaxes(draw, kind):
    axis = draw(st.sampled_from((None, 1, 2, 3, -1, -2)))
    return one(kind, **({} if axis is None else {"axis": axis})), {}


@forms_of(*reduce.FUNCTIONS)
def reductions(draw, kind):
    axes = draw(st.sampled_from(([1], [2, 3], [-1], [1, 2, 3], [3, 1])))
    given = {"keepdims": draw(st.integers(0, 1))}
    if kind == "ReduceSum":
        nodes, constants = one(kind, "axes", **given), {"axes": ints(*axes)}
    else:
        nodes, constants = one(kind, axes=axes, **given), {}
    if kind == "ReduceLogSum":
        return positive(nodes), {"tenth": np.float32(0.1), **constants}
    return nodes, constants


@forms_of("Concat")
def joints(draw, kind):
    axis = draw(st.sampled_from((1, 2, 3, -1)))
    shape = [*SHAPE]
    shape[axis] = draw(sides)
    names = draw(st.permutations(("input", "c", "input")))[: draw(st.integers(1, 3))]
    assume("input" in names)
    return [node(kind, list(names), ["logits"], axis=axis)], {"c": random(*shape)}


@forms_of("Split")
def partings(draw, kind):
    axis = draw(st.sampled_from((1, 2, 3, -1)))
    size = SHAPE[axis]
    first = draw(st.integers(1, size - 1))
    ends = [draw(st.permutations(("logits", "rest")))][0]
    if size % 2 == 0 and draw(st.booleans()):
        return [node(kind, ["input"], list(ends), axis=axis)], {}
    return [node(kind, ["input", "parts"], list(ends), axis=axis)], {"parts": ints(first, size - first)}


@forms_of("Slice")
def parts(draw, kind):
    axes = draw(st.sampled_from(([1], [2, 3], [-1], [3, 1])))
    places = st.integers(-7, 7)
    constants = {
        "starts": ints(*(draw(places) for _ in axes)),
        "ends": ints(*(draw(st.one_of(places, st.sampled_from((2**31 - 1, -(2**31))))) for _ in axes)),
        "axes": ints(*axes),
        "steps": ints(*(draw(st.sampled_from((1, 1, 2, -1, -2))) for _ in axes)),
    }
    chosen = zip(*(value.tolist() for value in constants.values()), strict=True)
    assume(all(len(range(*slice(start, end, step).indices(SHAPE[axis]))) for start, end, axis, step in chosen))
    return one(kind, *constants), constants


@forms_of("Gather")
def gathers(draw, kind):
    axis = draw(st.sampled_from((1, 2, 3, -1)))
    index = draw(
        st.sampled_from((ints(0, 2), ints(-1), np.int64(1), ints(1, 2, 3), np.array([[0, -2], [3, 1]]), np.int32(-3)))
    )
    return one(kind, "i", axis=axis), {"i": index}


@forms_of("Pad")
def borders(draw, kind):
    mode = draw(st.sampled_from(("constant", "reflect", "edge")))
    pads = ints(*(draw(st.integers(-1, 2)) for _ in range(8)))
    pads[[0, 4]] = 0
    constants = {"pads": pads, "value": np.float32(1.5)}
    names = ["pads", "value"] if mode == "constant" and draw(st.booleans()) else ["pads"]
    return one(kind, *names, mode=mode), constants


@forms_of("Resize")
def resizes(draw, kind):
    mode = draw(st.sampled_from(("nearest", "linear", "linear", "cubic")))
    transform = draw(st.sampled_from(("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")))
    assume(mode != "cubic" or transform != "asymmetric")
    given = {"mode": mode, "coordinate_transformation_mode": transform}
    if mode == "nearest":
        given["nearest_mode"] = draw(st.sampled_from(("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")))
    factors = st.sampled_from((2, 3) if mode == "cubic" else (0.5, 1, 1.5, 2, 3))
    if draw(st.booleans()):
        return one(kind, "", "scales", **given), {"scales": np.float32([1, 1, draw(factors), draw(factors)])}
    goals = (draw(st.integers(2, 14)), draw(st.integers(2, 14)))
    return one(kind, "", "", "sizes", **given), {"sizes": ints(1, 4, *goals)}


@forms_of("Tile")
def tiles(draw, kind):
    return one(kind, "times"), {"times": ints(1, *(draw(sides) for _ in range(3)))}


@forms_of("Expand")
def expansions(draw, kind):
    shape = draw(st.sampled_from(((1, 4, 3, 2), (4, 6, 5), (1, 1, 1, 5), (4, 1, 1))))
    return [node("GlobalAveragePool", ["input"], ["m"]), *one(kind, "s", source="m")], {"s": ints(*shape)}


@forms_of("Dropout")
def dropouts(draw, kind):
    return one(kind), {}


@forms_of("Cast")
def casts(draw, kind):
    types = st.sampled_from(
        (onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL, onnx.TensorProto.DOUBLE)
    )
    return [
        node("Mul", ["input", "c"], ["x"]),
        node(kind, ["x"], ["i"], to=draw(types)),
        *one(kind, source="i", to=1),
    ], {"c": np.float32(3)}


@forms_of("Reshape")
def targets(draw, kind):
    shape = draw(
        st.sampled_from(((1, 120), (1, -1), (0, -1), (-1, 30), (0, 2, 2, -1), (1, 2, 2, 6, 5), (0, 0, -1), (4, 30)))
    )
    return one(kind, "s"), {"s": ints(*shape)}


@forms_of("Flatten")
def flattened(draw, kind):
    return one(kind, axis=draw(st.sampled_from((0, 1, 2, 3, 4, -1, -3)))), {}


@forms_of("Squeeze")
def squeezes(draw, kind):
    pooled = [node("GlobalAveragePool", ["input"], ["m"])]
    axes = draw(st.sampled_from((None, [2], [2, 3], [-1], [0, 3])))
    if axes is None:
        return [*pooled, *one(kind, source="m")], {}
    return [*pooled, *one(kind, "axes", source="m")], {"axes": ints(*axes)}


@forms_of("Unsqueeze")
def unsqueezes(draw, kind):
    return one(kind, "axes"), {"axes": ints(*draw(st.sampled_from(([0], [1], [-1], [0, 3], [4, 2], [-1, 1]))))}


@forms_of("Transpose")
def orders(draw, kind):
    order = draw(st.permutations(range(4)))
    return one(kind, **draw(st.sampled_from(({}, {"perm": list(order)})))), {}


@forms_of("DepthToSpace", "SpaceToDepth")
def blocks(draw, kind):
    given = {"mode": draw(st.sampled_from(("DCR", "CRD")))} if kind == "DepthToSpace" else {}
    cut = [node("Slice", ["input", "a", "b", "c"], ["even"])]  # 4 x 6 x 4
    return [*cut, *one(kind, source="even", blocksize=2, **given)], {"a": ints(0), "b": ints(4), "c": ints(3)}


def made(kind, draw):
    nodes, constants = FORMS[kind](draw, kind)
    used = {name for each in nodes for name in each.input}
    opset = 20 if kind == "Gelu" else 18 if kind == "Mish" else 17
    constants = {name: value for name, value in constants.items() if name in used}
    return graph(nodes, SHAPE, opset=opset, **constants)


# Of which SNR is what float32 leaves: sums that nearly cancel, functions that are steep.
LEAST = {"Tan": 80, "InstanceNormalization": 80}


@pytest.mark.parametrize("count", [COUNT, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", sorted(FORMS))
def test_an_operator_is_what_onnx_runtime_runs(kind, count):
    @given(st.data())
    @settings(max_examples=count, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    def tried(data):
        right(made(kind, data.draw), at_least=LEAST.get(kind, 100))

    tried()


def test_every_operator_of_the_table_has_forms():
    assert FORMS.keys() == MAKERS.keys() - {"TanhGelu"}  # a function of ours, not of ONNX
    assert {*choose.FUNCTIONS, *activation.__dict__} >= {"Where", "clip"}


ORDINARY = {
    "Relu": nn.ReLU,
    "HardSwish": nn.Hardswish,
    "Softmax": nn.Softmax,
    "GlobalAveragePool": nn.AdaptiveAvgPool2d,
}


@pytest.mark.parametrize("kind", ORDINARY)
def test_what_torch_has_as_a_layer_is_that_layer(kind):
    network = right(graph(one(kind), SHAPE))
    assert [type(module) for module in network.children()] == [ORDINARY[kind]]


@pytest.mark.parametrize(
    ("given", "layer"),
    [
        ({"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, "nearest"),
        ({"mode": "linear"}, "bilinear"),
        ({"mode": "linear", "coordinate_transformation_mode": "align_corners"}, "bilinear"),
        ({"mode": "cubic"}, "bicubic"),
    ],
)
def test_usual_forms_of_resize_are_torchs_layer(given, layer):
    network = right(graph(one("Resize", "", "scales", **given), SHAPE, scales=np.float32([1, 1, 2, 2])))
    assert [module.mode for module in network.children()] == [layer]


def test_windows_that_are_padded_unevenly_have_a_border_before():
    network = right(graph(one("Conv", "w", pads=[0, 0, 1, 1], strides=[2, 2]), SHAPE, w=random(3, 4, 3, 3)))
    assert [step.layer for step in network.steps] == ["n_before", "n"]
    assert isinstance(network.n, nn.Conv2d)
    assert list(network.state_dict()) == ["n.weight"]


def test_numbers_of_a_constant_node_in_any_attribute():
    nodes = [
        node("Constant", [], ["a"], value_float=0.5),
        node("Constant", [], ["s"], value_ints=[1, 120]),
        node("Constant", [], ["c"], value=onnx.numpy_helper.from_array(random(5))),
        node("Add", ["input", "a"], ["x"]),
        node("Mul", ["x", "c"], ["y"]),
        node("Reshape", ["y", "s"], ["logits"]),
    ]
    right(graph(nodes, SHAPE))


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1]])
def test_ceil_mode_that_no_pass_has_written_out(kind, pads):
    for counted in (0, 1) if kind == "AveragePool" else (None,):
        given = {} if counted is None else {"count_include_pad": counted}
        pool = one(kind, kernel_shape=[3, 2], strides=[3, 2], pads=pads, ceil_mode=1, **given)
        right(graph(pool, SHAPE), folded=False)
