"""Every pass: the graph that it leaves, and that it answers as before."""

import numpy as np
import onnx
import pytest
import torch
from emission import Function, graph, node, random
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from converters.errors import ConversionError
from converters.onnx_export import export_onnx
from converters.passes import tidy
from converters.passes.as_depthwise import as_depthwise
from converters.passes.current_form import current_form
from converters.passes.drop_expand import drop_expand
from converters.passes.fix_ceil_mode import fix_ceil_mode
from converters.passes.fold_pad import fold_pad
from converters.passes.mean_as_pool import mean_as_pool
from converters.passes.name_functions import name_functions
from converters.passes.one_image import one_image
from converters.passes.route_channels import route_channels

IMAGE = (1, 6, 8, 7)


def kinds(model):
    return [made.op_type for made in model.graph.node]


def answers(model, inputs):
    import onnxruntime

    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"input": inputs})[0]


def unchanged(change, model, shape=IMAGE, *, close=1e-5):
    """The model after a pass, whose answers are compared with those before it."""
    inputs = random(*shape)
    before = answers(model, inputs)
    changed = change(model)
    onnx.checker.check_model(changed, full_check=True)
    after = answers(changed, inputs)
    assert after.shape == before.shape
    assert np.allclose(after, before, rtol=close, atol=close * np.abs(before).max())
    return changed


def test_zeros_around_an_image_become_the_convolution_s_own():
    nodes = [
        node("Pad", ["input", "pads"], ["padded"]),
        node("Conv", ["padded", "w"], ["logits"], pads=[1, 0, 0, 2]),
    ]
    model = unchanged(fold_pad, graph(nodes, IMAGE, w=random(4, 6, 3, 3), pads=np.array([0, 0, 1, 0, 0, 0, 0, 3])))
    assert kinds(model) == ["Conv"]


@pytest.mark.parametrize(
    ("pads", "fill", "mode"),
    [
        ([0, 1, 1, 1, 0, 0, 0, 0], 0, "constant"),
        ([0, 0, -1, 1, 0, 0, 0, 0], 0, "constant"),
        ([0, 0, 1, 1, 0, 0, 1, 1], 0.5, "constant"),
        ([0, 0, 1, 1, 0, 0, 1, 1], 0, "reflect"),
    ],
)
def test_other_pads_stay(pads, fill, mode):
    nodes = [
        node("Pad", ["input", "pads", "fill"], ["padded"], mode=mode),
        node("Conv", ["padded", "w"], ["logits"]),
    ]
    channels = 6 + pads[1]
    model = graph(nodes, IMAGE, w=random(4, channels, 3, 3), pads=np.array(pads), fill=np.float32(fill))
    assert kinds(unchanged(fold_pad, model)) == ["Pad", "Conv"]


@pytest.mark.parametrize(("size", "left"), [((1, 6, 8, 7), ["Mul"]), ((2, 6, 8, 7), ["Expand", "Mul"])])
def test_expand_goes_where_broadcasting_does_it(size, left):
    nodes = [
        node("ReduceMean", ["input"], ["m"], axes=[2, 3]),
        node("Expand", ["m", "size"], ["e"]),
        node("Mul", ["e", "input"], ["logits"]),
    ]
    model = unchanged(drop_expand, graph(nodes, IMAGE, size=np.array(size)))
    assert kinds(model) == ["ReduceMean", *left]


@given(
    st.sampled_from(["MaxPool", "AveragePool"]), st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)), st.tuples(*(st.integers(0, 3),) * 4), st.booleans(),
    st.tuples(st.integers(4, 9), st.integers(4, 9)),
)  # fmt: skip
@settings(max_examples=200)
def test_pools_without_ceil_mode(kind, kernel, stride, pads, counted, size):
    pads = [min(pad, kernel[axis % 2] - 1) for axis, pad in enumerate(pads)]
    given = {"kernel_shape": kernel, "strides": stride, "pads": pads, "ceil_mode": 1}
    if kind == "AveragePool":
        given["count_include_pad"] = int(counted)
    model = unchanged(fix_ceil_mode, graph([node(kind, ["input"], ["logits"], **given)], (1, 2, *size)), (1, 2, *size))
    declared = [dimension.dim_value for dimension in model.graph.output[0].type.tensor_type.shape.dim]
    assert declared == list(answers(model, random(1, 2, *size)).shape)


def function(network, folder):
    return onnx.load(export_onnx(network, torch.zeros(1, 6, 8, 7), folder / "a.onnx", simplify=False).path)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (functional.gelu, "Gelu"),
        (lambda x: functional.gelu(x, approximate="tanh"), "Gelu"),
        (lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)), "Gelu"),
        (lambda x: x * (torch.erf(x * 0.5**0.5) + 1) / 2, "Gelu"),
        (lambda x: x * (functional.relu6(x + 3) / 6), "HardSwish"),
        (lambda x: x * functional.hardsigmoid(x), "HardSwish"),
    ],
)
def test_functions_are_recognised_however_they_are_written(tmp_path, write, name):
    model = name_functions(function(Function(lambda x: write(x + x.mean())), tmp_path))
    assert kinds(model) == ["ReduceMean", "Add", name]


@pytest.mark.parametrize(
    ("write", "name", "factor"),
    [
        (lambda x: x * (1 + torch.erf(x / 2**0.5)), "Gelu", 2),
        (lambda x: x * (1 + torch.erf(x / 2**0.5)) * 0.501, "Gelu", 1.002),
        (lambda x: x * functional.relu6(x + 3) * -2, "HardSwish", -12),
    ],
)
def test_a_multiple_of_a_function_is_the_function_times_a_factor(tmp_path, write, name, factor):
    model = name_functions(function(Function(lambda x: write(x + 1)), tmp_path))
    assert kinds(model) == ["Add", name, "Mul"]
    (stored,) = [tensor for tensor in model.graph.initializer if tensor.name == model.graph.node[-1].input[1]]
    assert onnx.numpy_helper.to_array(stored) == pytest.approx(factor, rel=1e-5)


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x * (1 + torch.erf(x)),
        lambda x: torch.cat([0.5 * x * (y := 1 + torch.erf(x / 2**0.5)), y], 1),
        lambda x: x * torch.tanh(x) / 2,
    ],
)
def test_other_functions_are_left_alone(tmp_path, write):
    model = function(Function(write), tmp_path)
    before = kinds(model)
    assert kinds(name_functions(model)) == before


@pytest.mark.parametrize(("keep", "left"), [(True, ["GlobalAveragePool"]), (False, ["GlobalAveragePool", "Flatten"])])
def test_a_mean_over_pixels_is_a_global_pool(tmp_path, keep, left):
    model = function(Function(lambda x: x.mean((3, 2), keepdim=keep)), tmp_path)
    assert kinds(model) == left
    assert (
        kinds(
            unchanged(
                mean_as_pool,
                graph([node("ReduceMean", ["input"], ["logits"], axes=[-1, 2], keepdims=int(keep))], IMAGE),
            )
        )
        == left
    )


@pytest.mark.parametrize("axes", [[2], [1, 2], [1, 2, 3]])
def test_a_mean_over_other_axes_stays(axes):
    model = graph([node("ReduceMean", ["input"], ["logits"], axes=axes)], IMAGE)
    assert kinds(mean_as_pool(model)) == ["ReduceMean"]


def test_a_batch_normalisation_alone_is_a_depthwise_convolution():
    nodes = [node("BatchNormalization", ["input", *"sbmv"], ["logits"], epsilon=1e-3)]
    constants = {name: np.abs(random(6, seed=index)) for index, name in enumerate("sbmv")}
    model = unchanged(as_depthwise, graph(nodes, IMAGE, **constants))
    assert kinds(model) == ["Conv"]


def test_one_image():
    model = graph([node("Relu", ["input"], ["logits"])], ("batch", 3, 4, 4))
    assert [d.dim_value for d in one_image(model, "a.onnx").graph.input[0].type.tensor_type.shape.dim] == [1, 3, 4, 4]


def test_a_free_size_is_refused():
    from converters.errors import ConversionError

    model = graph([node("Relu", ["input"], ["logits"])], ("batch", 3, "height", 4))
    with pytest.raises(ConversionError, match="input is free in dimension 2"):
        one_image(model, "a.onnx")


class Unit(nn.Module):
    """ShuffleNetV2's unit of stride 1."""

    def __init__(self, width):
        super().__init__()
        half = width // 2
        self.body = nn.Sequential(nn.Conv2d(half, half, 1), nn.ReLU(), nn.Conv2d(half, half, 3, 1, 1, groups=half),
                                  nn.Conv2d(half, half, 1), nn.ReLU())  # fmt: skip

    def forward(self, x):
        left, right = x.chunk(2, 1)
        return shuffle(torch.cat([left, self.body(right)], 1), 2)


def shuffle(x, groups):
    batch, channels, height, width = x.shape
    split = x.view(batch, groups, channels // groups, height, width)
    return split.transpose(1, 2).reshape(batch, channels, height, width)


class Start(nn.Module):
    """A unit of stride 2: depthwise convolutions read the shuffled channels."""

    def __init__(self, width):
        super().__init__()
        self.left = nn.Sequential(nn.Conv2d(width, width, 3, 2, 1, groups=width), nn.Conv2d(width, width, 1), nn.ReLU())
        self.right = nn.Sequential(nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 3, 2, 1, groups=width))

    def forward(self, x):
        return shuffle(torch.cat([self.left(x), self.right(x)], 1), 2)


NETWORKS = {
    "units": nn.Sequential(Unit(6), Unit(6), Unit(6), nn.Conv2d(6, 4, 1)),
    "stages": nn.Sequential(Unit(6), Start(6), Unit(12), nn.Conv2d(12, 4, 3)),
    "between": nn.Sequential(Unit(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 1)),
    "three groups": nn.Sequential(nn.Conv2d(6, 6, 1), Function(lambda x: shuffle(x, 3)), nn.Conv2d(6, 4, 1)),
    "twice": nn.Sequential(Function(lambda x: shuffle(shuffle(x, 3), 2)), nn.Conv2d(6, 4, 1)),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dynamic", [False, True])
def test_shuffles_vanish_before_convolutions(tmp_path, name, dynamic):
    network = NETWORKS[name]
    path = export_onnx(network, torch.zeros(1, *IMAGE[1:]), tmp_path / "a.onnx", simplify=False, dynamic_batch=dynamic)
    model = onnx.load(path.path)
    assert "Transpose" not in kinds(model)
    inputs = random(3 if dynamic else 1, *IMAGE[1:])
    assert np.allclose(answers(model, inputs), network(torch.from_numpy(inputs)).detach().numpy(), atol=1e-5)
    before = kinds(model)
    assert kinds(unchanged(tidy, model, inputs.shape)) == before


@pytest.mark.parametrize(
    "last",
    [
        nn.Identity(),
        nn.Conv2d(6, 4, 1, groups=2),
        nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        Function(lambda x: x + torch.arange(6.0)[:, None, None]),
    ],
)
def test_a_shuffle_that_somebody_needs_stays(tmp_path, last):
    model = function(nn.Sequential(Unit(6), last), tmp_path)
    assert kinds(model).count("Transpose") == 1
    unchanged(route_channels, model)


def test_a_value_that_is_read_in_both_ways_is_shuffled_once(tmp_path):
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(6, 6, 1)

        def forward(self, x):
            mixed = shuffle(self.conv(x), 2)
            return self.conv(mixed) + mixed

    assert kinds(function(Both(), tmp_path)).count("Transpose") == 1


@pytest.mark.parametrize(("to", "stays"), [("FLOAT", False), ("DOUBLE", False), ("FLOAT8E4M3FN", True)])
def test_saturation_is_kept_where_it_means_something(to, stays):
    """ONNX Runtime refuses it elsewhere, but where its optimiser takes the node out before it is looked at."""
    nodes = [
        node("Cast", ["input"], ["other"], to=getattr(onnx.TensorProto, to), saturate=1),
        node("Cast", ["other"], ["logits"], to=onnx.TensorProto.FLOAT),
    ]
    model = graph(nodes, IMAGE)
    model.opset_import[0].version = 19
    kept = {each.name for each in current_form(model).graph.node[0].attribute}
    assert kept == ({"to", "saturate"} if stays else {"to"})


@pytest.mark.parametrize("rule", ["SAME_UPPER", "SAME_LOWER"])
def test_a_dilated_pool_whose_size_onnx_runtime_makes_otherwise_is_refused(rule):
    """ONNX: ceil(8 / 2) = 4 rows; ONNX Runtime 1.32 makes 3."""
    pool = node("MaxPool", ["input"], ["logits"], kernel_shape=[2, 2], dilations=[2, 1], strides=[2, 1], auto_pad=rule)
    assert answers(graph([pool], IMAGE), random(*IMAGE)).shape[2] == 3
    with pytest.raises(ConversionError, match=f"has auto_pad {rule} and dilations .*; write pads"):
        current_form(graph([pool], IMAGE))


@given(
    rule=st.sampled_from(["SAME_UPPER", "SAME_LOWER"]),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    dilations=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    groups=st.sampled_from([1, 3]),
    named=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_the_same_size_is_written_as_pads(rule, kernel, dilations, groups, named):
    """ONNX Runtime refuses SAME with dilations: PyTorch pads, the odd pixel behind (UPPER) or in front."""
    weight, inputs = random(9, 6 // groups, *kernel), random(*IMAGE)
    size = {"kernel_shape": kernel} if named else {}
    conv = node("Conv", ["input", "w"], ["logits"], auto_pad=rule, dilations=dilations, group=groups, **size)
    changed = current_form(graph([conv], IMAGE, w=weight))
    onnx.checker.check_model(changed, full_check=True)
    pads = []
    for length, dilation in reversed([*zip(kernel, dilations, strict=True)]):  # the last axis first
        small, large = (length - 1) * dilation // 2, -(-(length - 1) * dilation // 2)
        pads += [small, large] if rule == "SAME_UPPER" else [large, small]
    padded = functional.pad(torch.from_numpy(inputs), pads)
    expected = functional.conv2d(padded, torch.from_numpy(weight), dilation=dilations, groups=groups).numpy()
    assert expected.shape[2:] == IMAGE[2:]
    assert np.allclose(answers(changed, inputs), expected, rtol=1e-4, atol=1e-4)
