"""Convolutions and pools over their geometries: windows, strides, padding, dilation, groups."""

import pytest
from emission import emitted, graph, node, random, traced
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(
    st.sampled_from([1, 2, 6]), st.integers(1, 3), st.tuples(st.integers(1, 5), st.integers(1, 5)), PAIR, PAIR,
    st.tuples(*(st.integers(0, 3),) * 4), st.booleans(), st.tuples(st.integers(11, 16), st.integers(11, 16)),
)  # fmt: skip
@settings(max_examples=80)
def test_convolution(groups, multiplier, kernel, stride, dilation, pads, bias, size):
    assume(stride == (1, 1) or dilation == (1, 1))
    constants = {"w": random(6 * multiplier, 6 // groups, *kernel)} | ({"b": random(6 * multiplier)} if bias else {})
    conv = node("Conv", ["input", *constants], ["y"], strides=stride, dilations=dilation, pads=pads, group=groups)
    counts = emitted(graph([conv, node("Relu", ["y"], ["logits"])], (1, 6, *size), **constants))
    assert counts.keys() <= {"PAD", "CONV_2D", "DEPTHWISE_CONV_2D"}
    assert ("DEPTHWISE_CONV_2D" in counts) == (groups == 6)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "operators"),
    [
        (16, 3, 1, 1, {"CONV_2D"}),
        (16, 3, 1, 0, {"CONV_2D"}),
        (17, 3, 2, 1, {"CONV_2D"}),
        (16, 3, 2, 1, {"PAD", "CONV_2D"}),
        (16, 1, 2, 0, {"CONV_2D"}),
        (16, 5, 1, 1, {"PAD", "CONV_2D"}),
    ],
)
def test_padding_is_a_pad_only_where_it_must_be(size, kernel, stride, padding, operators):
    assert traced(nn.Conv2d(3, 4, kernel, stride, padding), (3, size, size)).keys() == operators


def test_padding_of_tensorflow_needs_no_pad():
    """timm's tf_ networks put the odd pixel behind, as SAME does."""
    assert traced(nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 4, 3, 2)), (3, 16, 16)) == {"CONV_2D": 1}


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_auto_padding(auto):
    conv = node("Conv", ["input", "w"], ["logits"], auto_pad=auto, strides=[2, 2], kernel_shape=[3, 3])
    emitted(graph([conv], (1, 3, 8, 8), w=random(4, 3, 3, 3)))


@pytest.mark.parametrize("groups", [1, 6])
def test_convolution_over_a_row(groups):
    network = nn.Sequential(nn.Flatten(2), nn.Conv1d(6, 12, 3, 2, 1, groups=groups), nn.ReLU(), nn.MaxPool1d(2))
    counts = traced(network, (6, 4, 5))
    assert counts.keys() <= {"RESHAPE", "PAD", "CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "TRANSPOSE"}
    assert counts["TRANSPOSE"] == 1  # the result, which is no image, is in ONNX's order


@given(
    st.sampled_from([1, 2, 4]), PAIR, PAIR, PAIR, st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)), st.booleans(), st.tuples(st.integers(3, 6), st.integers(3, 6)),
)  # fmt: skip
@settings(max_examples=80)
def test_transposed_convolution(groups, kernel, stride, dilation, padding, extra, bias, size):
    assume(all(more < step for more, step in zip(extra, stride, strict=True)))  # ONNX Runtime allows no more
    constants = {"w": random(4, 8 // groups, *kernel)} | ({"b": random(8)} if bias else {})
    conv = node(
        "ConvTranspose", ["input", *constants], ["logits"], strides=stride, dilations=dilation,
        pads=[*padding, *padding], output_padding=extra, group=groups,
    )  # fmt: skip
    try:
        model = graph([conv], (1, 4, *size), **constants)
        result = [dimension.dim_value for dimension in model.graph.output[0].type.tensor_type.shape.dim]
    except Exception:
        result = [0]
    assume(min(result) > 0)
    assert emitted(model).keys() <= {"TRANSPOSE_CONV", "SLICE"}


def test_upsampling_by_a_transposed_convolution_is_one_operator():
    assert traced(nn.ConvTranspose2d(4, 6, 2, 2), (4, 5, 5)) == {"TRANSPOSE_CONV": 1}
    assert traced(nn.ConvTranspose2d(4, 6, 4, 2, 1), (4, 5, 5)) == {"TRANSPOSE_CONV": 1}


@given(
    st.sampled_from(["max", "average", "counted"]), st.tuples(st.integers(1, 4), st.integers(1, 4)), PAIR,
    st.tuples(*(st.integers(0, 2),) * 4), st.booleans(), st.booleans(),
    st.tuples(st.integers(9, 13), st.integers(9, 13)),
)  # fmt: skip
@settings(max_examples=120)
def test_pools(kind, kernel, stride, pads, ceil, relu, size):
    assume(all(pads[axis] < kernel[axis] and pads[axis + 2] < kernel[axis] for axis in range(2)))
    given = {"kernel_shape": kernel, "strides": stride, "pads": pads, "ceil_mode": int(ceil)}
    if kind != "max":
        given["count_include_pad"] = int(kind == "counted")
    pool = node("MaxPool" if kind == "max" else "AveragePool", ["y"], ["logits"], **given)
    counts = emitted(graph([node("Relu" if relu else "Neg", ["input"], ["y"]), pool], (1, 3, *size)))
    assert "PADV2" not in counts or not relu


@given(st.integers(2, 4), st.integers(1, 3), st.integers(0, 1), st.booleans(), st.integers(7, 12))
def test_averages_as_torch_has_them(kernel, stride, padding, counted, size):
    pool = nn.AvgPool2d(kernel, stride, padding, ceil_mode=True, count_include_pad=counted)
    traced(pool, (3, size, size + 1))


def test_an_average_over_what_is_there_is_corrected_where_same_is_not_it():
    assert traced(nn.AvgPool2d(3, 1, 1, count_include_pad=False), (3, 8, 8)) == {"AVERAGE_POOL_2D": 1}
    counts = traced(nn.AvgPool2d(3, 2, 1, count_include_pad=False), (3, 8, 8))
    assert counts == {"PAD": 1, "AVERAGE_POOL_2D": 1, "MUL": 1}


def test_a_padded_maximum_of_negative_numbers():
    assert traced(lambda x: functional.max_pool2d(-x.abs() - 1, 3, 2, 1), (3, 8, 8))["PADV2"] == 1


@pytest.mark.parametrize("network", [nn.MaxPool2d(1), nn.AdaptiveAvgPool2d(7), nn.Dropout(), nn.Identity()])
def test_what_does_nothing_is_nothing(network):
    counts = traced(nn.Sequential(nn.Conv2d(3, 4, 1), network, nn.ReLU()), (3, 7, 7))
    assert counts.keys() <= {"CONV_2D", "RELU"}


@pytest.mark.parametrize(
    "network",
    [
        nn.AdaptiveAvgPool2d(1),
        lambda x: x.mean((2, 3)),
        lambda x: x.mean((2, 3), keepdim=True),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        lambda x: functional.adaptive_avg_pool2d(x, 1) + 1.5,
    ],
)
def test_global_pools(network):
    assert traced(network, (6, 5, 7)).keys() <= {"MEAN", "ADD"}


class Standardised(nn.Conv2d):
    """Its weights are normalised before every use, as in NFNets."""

    def forward(self, x):
        mean, deviation = self.weight.mean((1, 2, 3), keepdim=True), self.weight.std((1, 2, 3), keepdim=True)
        return functional.conv2d(x, (self.weight - mean) / deviation, self.bias)


def test_weights_that_are_computed_from_others_are_stored():
    assert traced(Standardised(3, 4, 3), (3, 8, 8)) == {"CONV_2D": 1}
