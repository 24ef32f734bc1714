"""Exact rewrites: the same function, the same integers, for whatever a rewrite claims; all else is left alone."""

from contextlib import contextmanager

import numpy as np
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from converters import onnx_graph
from converters.formats import ONNX
from converters.inspect import describe
from converters.passes.rewrites import Place, rewritten
from converters.passes.rewrites.multiplied_back import multiplied_back
from converters.passes.rewrites.rules import RECORDED, RUNTIMES, Never, Recorded
from converters.quantization.qdq import as_signed, as_unsigned, write_qdq
from converters.quantization.quantize import quantize
from converters.quantization.twin import signed_twin
from converters.runtimes import onnx_session, run_onnx, tflite_interpreter
from converters.tflite.emit import tflite_bytes

RANDOM = np.random.default_rng(0)


class Wherever:
    """Rules that want all of the rewrites (or those named), and remember where."""

    def __init__(self, *names):
        self.names, self.places = names, []

    def wants(self, runtime, place):
        self.places.append(place)
        return not self.names or place.rewrite in self.names


class Graph:
    """A graph that is put together node by node; weights are drawn."""

    def __init__(self, *shape):
        self.shape, self.nodes, self.constants, self.last, self.channels = shape, [], {}, "image", shape[0]

    def add(self, kind, *inputs, name=None, **settings):
        name = name or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [*inputs] or [self.last], [name], name, **settings))
        self.last = name
        return self

    def conv(self, outputs, kernel=(3, 3), *, source=None, groups=1, bias=True, **settings):
        name, source = f"conv{len(self.nodes)}", source or self.last
        inputs = [source, f"{name}.w"]
        self.constants[f"{name}.w"] = RANDOM.standard_normal((outputs, self.channels // groups, *kernel)).astype("f4")
        if bias:
            inputs.append(f"{name}.b")
            self.constants[inputs[-1]] = RANDOM.standard_normal(outputs).astype("f4")
        self.channels = outputs
        return self.add("Conv", *inputs, name=name, group=groups, kernel_shape=kernel, **settings)

    def constant(self, name, value):
        self.constants[name] = np.asarray(value)
        return self

    def model(self, *outputs):
        graph = helper.make_graph(
            self.nodes,
            "graph",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, *self.shape))],
            [helper.make_empty_tensor_value_info(name) for name in outputs or [self.last]],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def images(model, count=4):
    shape = [size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim][1:]
    return RANDOM.standard_normal((count, *shape)).astype("f4")


def in_onnx_runtime(model, spec, samples, *, integers=True):
    """Integers out for integers in, or floats for floats."""
    made = write_qdq(model, spec, quantized_io=integers)
    onnx.checker.check_model(made, full_check=True)
    given = as_unsigned(spec.activations["image"].quantize(samples)) if integers else samples
    return [as_signed(value) if value.dtype == np.uint8 else value for value in run_onnx(made, given)]


def in_litert(model, spec, samples, *, integers=True):
    interpreter = tflite_interpreter(tflite_bytes(model, quantization=spec, integer_io=integers))
    interpreter.allocate_tensors()
    given = (spec.activations["image"].quantize(samples) if integers else samples).transpose(0, 2, 3, 1)
    rows = []
    for sample in given:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.ascontiguousarray(sample[None]))
        interpreter.invoke()
        rows.append([interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()])
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


def same_everywhere(model, rules, *, integers=True, **options):
    """What was applied for ONNX Runtime, if the function and the answers of both runtimes are those of before."""
    samples = images(model)
    made = quantize(model, samples, **options)
    stored, names = made.model.SerializeToString(), {}
    for runtime, run in zip(RUNTIMES, (in_onnx_runtime, in_litert), strict=True):
        expected = run(made.model, made.spec, samples, integers=integers)
        with rewritten(made.model, made.spec, runtime, rules) as found:
            for one, other in zip(run(found.model, found.spec, samples, integers=integers), expected, strict=True):
                np.testing.assert_allclose(one.astype(float), other, atol=1e-5)
            if runtime == "onnxruntime":
                function = onnx.ModelProto.FromString(write_floats(found.model))
                for one, other in zip(run_onnx(function, samples), run_onnx(made.model, samples), strict=True):
                    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
            names[runtime] = found.applied.nodes
    assert made.model.SerializeToString() == stored
    return names["onnxruntime"]


def write_floats(model):
    """A lent graph as a file of its own."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    for tensor in whole.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(onnx_graph.OnnxGraph(model).constants[tensor.name], tensor.name))
    return whole.SerializeToString()


sizes = st.integers(4, 13)


@settings(max_examples=60)
@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.tuples(sizes, sizes),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.sampled_from([(1, 1), (1, 1), (2, 2), (2, 2), (2, 1)]),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
    st.sampled_from([(1, 1), (1, 1), (1, 1), (1, 2)]),
    st.booleans(),
    st.sampled_from([None, "Relu"]),
)
def test_a_first_convolution_of_any_geometry(
    channels, outputs, size, kernel, stride, pads, dilations, bias, activation
):
    spans = [(side - 1) * step + 1 for side, step in zip(kernel, dilations, strict=True)]
    found = [(size[axis] + pads[axis] + pads[axis + 2] - spans[axis]) // stride[axis] + 1 for axis in range(2)]
    assume(min(found) > 0)
    graph = Graph(channels, *size)
    graph.conv(outputs, kernel, strides=stride, pads=pads, dilations=dilations, bias=bias)
    if activation:
        graph.add(activation)
    graph.add("MaxPool", kernel_shape=(1, 1))
    applied = same_everywhere(graph.model(), Wherever())
    dense, even = dilations == (1, 1), all(side % 2 == 0 for side in size)
    if dense and stride == (2, 2) and even and max(kernel) > 1:
        expected = {"space-to-depth"}
    elif dense and stride == (1, 1) and channels < 3 and all(w % (4 // channels) == 0 for w in (size[1], found[1])):
        expected = {"column-blocks"}
    else:
        expected = {"padded-channels"} if channels % 4 else set()
    assert applied.keys() - {"padded-channels"} == expected - {"padded-channels"}
    assert (applied.get("padded-channels", ()) == ("conv0",)) == ("padded-channels" in expected)


@settings(max_examples=25)
@given(
    st.integers(2, 20),
    st.integers(2, 20),
    st.sampled_from([(1, 1), (2, 2)]),
    st.sampled_from([None, "Relu", "MaxPool", "Clip", "HardSwish"]),
    st.booleans(),
)
def test_channels_between_convolutions(channels, outputs, stride, between, bias):
    graph = Graph(4, 7, 8).conv(channels, (1, 1))
    if between == "MaxPool":
        graph.add("MaxPool", kernel_shape=(3, 3), strides=(2, 2), pads=(1, 1, 1, 1))
    elif between == "Clip":
        graph.constant("low", np.float32(0)).constant("high", np.float32(6)).add("Clip", graph.last, "low", "high")
    elif between:
        graph.add(between)
    graph.conv(channels, (3, 3), groups=channels, strides=stride, pads=(1, 1, 1, 1), bias=bias)
    graph.add("Relu").conv(outputs, (1, 1)).add("GlobalAveragePool")
    applied = same_everywhere(graph.model(), Wherever("padded-channels"))
    assert bool(applied) == (channels % 16 != 0)


def residual():
    """Two branches that meet, ten channels wide, with a depthwise convolution in one of them."""
    graph = Graph(4, 8, 8).conv(10, (1, 1)).add("Relu", name="both")
    graph.conv(10, (3, 3), groups=10, pads=(1, 1, 1, 1)).add("Relu").conv(10, (1, 1))
    return graph.add("Add", graph.last, "both").add("Relu")


def test_channels_that_meet_are_padded_together():
    assert same_everywhere(residual().conv(3, (1, 1)).model(), Wherever()) == {"padded-channels": ("conv2",)}


@pytest.mark.parametrize("reader", ["output", "concat", "flatten", "grouped", "kept"])
def test_channels_that_something_else_reads_are_left_alone(reader):
    graph, options = residual(), {}
    if reader == "concat":
        graph.add("Concat", graph.last, "both", axis=1).channels = 20
    elif reader == "flatten":
        graph.add("Flatten").constant("w", RANDOM.standard_normal((640, 3)).astype("f4"))
        graph.add("Gemm", graph.last, "w")
    elif reader == "grouped":
        graph.conv(10, (1, 1), groups=5)
    elif reader == "kept":
        graph.conv(3, (1, 1))
        options = {"kept": {graph.last: "as asked"}}
    assert same_everywhere(graph.model(), Wherever(), **options) == {}


@pytest.mark.parametrize("relu", [False, True])
def test_a_maximum_of_what_stays_in_float(tmp_path, relu):
    graph = Graph(4, 8, 8).conv(4)
    stem = graph.last
    if relu:
        graph.add("Relu")
    graph.add("MaxPool", kernel_shape=(3, 3), strides=(2, 2), pads=(1, 1, 1, 1), name="pool").conv(4, (1, 1))
    model = graph.model()
    samples = images(model)
    made = quantize(model, samples, kept={stem: "as asked"})
    # Between integers ONNX Runtime would quantize the weights by itself.
    applied = same_everywhere(model, RECORDED, integers=False, kept={stem: "as asked"})
    assert applied == {"float-maximum": ("pool",)}
    with rewritten(made.model, made.spec, "onnxruntime", RECORDED) as found:
        onnx_session(write_qdq(found.model, found.spec), optimised=tmp_path / "optimised.onnx")
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert kinds.index("MaxPool") < kinds.index("QuantizeLinear")


@pytest.mark.parametrize("pool", ["of integers", "an output", "behind integers"])
def test_another_maximum_is_left_alone(pool):
    graph = Graph(4, 8, 8)
    if pool == "behind integers":
        graph.conv(4)
    stem = graph.conv(4).last
    graph.add("MaxPool", kernel_shape=(2, 2), name="pool").conv(4, (1, 1))
    model = graph.model(*(["pool"] if pool == "an output" else []), graph.last)
    kept = {} if pool == "of integers" else {stem: "as asked"}
    assert same_everywhere(model, RECORDED, integers=False, kept=kept) == {}


def test_two_convolutions_of_one_image():
    graph = Graph(3, 8, 8).conv(4, (3, 3), strides=(2, 2), pads=(1, 1, 1, 1))
    graph.channels = 3
    one = graph.last
    graph.conv(4, (2, 2), strides=(2, 2), source="image")
    assert same_everywhere(graph.add("Add", one, graph.last).model(), Wherever())["space-to-depth"] == (
        "conv0",
        "conv1",
    )
    graph = Graph(3, 8, 8).conv(4, (1, 1))
    graph.channels = 3
    one = graph.last
    graph.conv(4, (1, 1), source="image").add("Add", one, graph.last)
    assert same_everywhere(graph.model(), Wherever()) == {"padded-channels": ("conv0",)}


def test_a_result_that_is_an_output_too_keeps_its_name():
    graph = Graph(1, 8, 8).conv(3, pads=(1, 1, 1, 1))
    stem = graph.last
    graph.add("Relu")
    assert "column-blocks" in same_everywhere(graph.model(stem, graph.last), Wherever())


@settings(max_examples=40)
@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(2, 5),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from([(1, 1), (2, 2), (2, 1)]),
    st.lists(st.integers(0, 2), min_size=4, max_size=4),
    st.sampled_from([(1, 1), (2, 2)]),
    st.sampled_from(["neither", "depthwise", "pointwise"]),
)
def test_factors_multiplied_back(branches, inputs, outputs, kernel, stride, pads, dilations, biased):
    graph, sums = Graph(inputs, 9, 8), []
    for _ in range(branches):
        graph.channels = inputs
        graph.conv(outputs, (1, 1), source="image", bias=biased == "pointwise")
        settings = {"strides": stride, "pads": pads, "dilations": dilations, "bias": biased == "depthwise"}
        graph.conv(outputs, kernel, groups=outputs, **settings)
        sums.append(graph.last)
        if len(sums) > 1:
            sums = [graph.add("Add", *sums).last]
    model = graph.add("Relu").model()
    samples = images(model)
    expected, before = run_onnx(model, samples)[0], len(model.graph.node)
    rules = Wherever()
    applied = multiplied_back(model, rules, RUNTIMES)
    exact = biased != "pointwise" or not any(pads)
    assert len(model.graph.node) == (2 if exact else before)
    assert bool(applied.nodes) == exact
    np.testing.assert_allclose(run_onnx(model, samples)[0], expected, rtol=1e-4, atol=1e-4)
    if exact:
        assert rules.places[0].branches == branches
        macs, parameters = cost_of(model)
        assert macs == expected[0].size * inputs * np.prod(kernel)
        assert parameters == outputs * (inputs * np.prod(kernel) + 1)


def cost_of(model):
    graph = onnx_graph.OnnxGraph(model)
    from converters.passes.rewrites.editing import cost

    return cost(graph, graph.shapes())


@pytest.mark.parametrize("what", ["an activation", "another reader", "an output", "other geometry"])
def test_factors_that_are_no_product_are_left_alone(what):
    graph = Graph(3, 8, 8).conv(4, (1, 1), bias=False)
    point = graph.last
    if what == "an activation":
        graph.add("Relu")
    graph.conv(4, groups=4, pads=(1, 1, 1, 1))
    if what == "another reader":
        graph.add("Add", graph.last, point)
    if what == "other geometry":
        one, graph.channels = graph.last, 3
        graph.conv(4, (1, 1), source="image", bias=False).conv(4, (5, 5), groups=4, pads=(2, 2, 2, 2))
        graph.add("Add", one, graph.last)
    model = graph.model(*((graph.last, point) if what == "an output" else ()))
    rules = Wherever()
    applied = multiplied_back(model, rules, RUNTIMES).nodes
    assert len(applied.get("multiplied-back", ())) == (2 if what == "other geometry" else 0)


def test_the_same_graph_gives_the_same_bytes():
    model = residual().conv(3, (1, 1)).model()
    samples = images(model)
    made = []
    for _ in range(2):
        quantized = quantize(model, samples)
        with rewritten(quantized.model, quantized.spec, "onnxruntime", Wherever()) as found:
            made.append(write_qdq(found.model, found.spec).SerializeToString(deterministic=True))
    assert made[0] == made[1]


def test_no_rewrite_without_rules_that_want_it():
    model = Graph(1, 8, 8).conv(3, pads=(1, 1, 1, 1)).model()
    assert same_everywhere(model, Never()) == {}


@contextmanager
def padded_file(folder, *, integer_io):
    """A file whose image is padded, its quantization and its samples as it takes them."""
    model = Graph(3, 8, 8).conv(4, pads=(1, 1, 1, 1)).add("Relu").conv(3, (1, 1)).model()
    samples = images(model)
    made = quantize(model, samples)
    with rewritten(made.model, made.spec, "onnxruntime", Recorded("x86-vnni")) as found:
        assert found.applied.nodes == {"padded-channels": ("conv0",)}
        onnx.save(write_qdq(found.model, found.spec, quantized_io=integer_io), folder / "model.onnx")
    yield (
        folder / "model.onnx",
        as_unsigned(made.spec.activations["image"].quantize(samples)) if integer_io else samples,
    )


@pytest.mark.parametrize("integer_io", [False, True])
def test_a_padded_image_has_a_twin_and_prefixes_and_stays_in_integers(tmp_path, integer_io):
    with padded_file(tmp_path, integer_io=integer_io) as (path, samples):
        expected = run_onnx(path, samples)[0]
        twin = onnx_session(signed_twin(onnx.load(path)), signed=True)
        found = np.concatenate([twin.run(None, {"image": sample[None]})[0] for sample in samples])
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found.astype(float), expected, atol=1e-5)
        ends = [each.writes[0] for each in describe(path).operators if each.kind == "Pad"]
        (prefix,) = ONNX.prefixes(path, tmp_path, ends)
        assert run_onnx(prefix, samples)[0].dtype == np.uint8
        session = onnx_session(path, optimised=tmp_path / "optimised.onnx")
        assert session.get_outputs()
        kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
        assert kinds.count("DequantizeLinear") == (0 if integer_io else 1)


def place(rewrite, channels, kernel=3, stride=1, branches=1):
    shape = (1, channels, 32, 32), (1, 64, 32 // stride, 32 // stride)
    return Place(rewrite, "node", *shape, (kernel, kernel), (stride, stride), branches=branches)


def test_what_was_recorded():
    def wanted(*of, cpu="any", **settings):
        return [runtime for runtime in RUNTIMES if Recorded(cpu).wants(runtime, place(*of, **settings))]

    assert wanted("space-to-depth", 3, 7, 2) == ["onnxruntime", "litert"]
    assert wanted("space-to-depth", 3, 3, 2) == ["onnxruntime"]
    assert wanted("space-to-depth", 64, 3, 2) == []
    assert wanted("column-blocks", 1) == wanted("float-maximum", 64) == ["onnxruntime"]
    assert wanted("padded-channels", 3) == wanted("multiplied-back", 3) == []
    vnni = {"cpu": "x86-vnni"}
    assert wanted("padded-channels", 3, **vnni) == ["onnxruntime"]
    assert wanted("multiplied-back", 3, **vnni) == ["onnxruntime", "litert"]
    assert wanted("multiplied-back", 64, **vnni) == wanted("multiplied-back", 64, branches=2, **vnni) == []
    assert wanted("multiplied-back", 16, branches=2, **vnni) == ["onnxruntime", "litert"]
    assert wanted("multiplied-back", 64, stride=2, branches=2, **vnni) == ["onnxruntime", "litert"]
    assert wanted("multiplied-back", 256, stride=2, branches=3, **vnni) == []
