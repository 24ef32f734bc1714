"""Operators that rename, cut, join or reduce axes: data moves only where it must."""

import numpy as np
import pytest
import torch
from emission import emitted, graph, node, random, traced
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional


class Shuffle(nn.Module):
    def __init__(self, groups):
        super().__init__()
        self.groups = groups

    def forward(self, x):
        batch, channels, height, width = x.shape
        split = x.view(batch, self.groups, channels // self.groups, height, width)
        return split.transpose(1, 2).reshape(batch, channels, height, width)


class Permuted(nn.Module):
    """A block of ConvNeXt: normalisation and linear layers over the channels of (N, H, W, C)."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.one, self.two = nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        y = self.two(functional.gelu(self.one(self.norm(x.permute(0, 2, 3, 1)))))
        return x + y.permute(0, 3, 1, 2)


class Blocks(nn.Module):
    """The stem of TResNet."""

    def forward(self, x):
        batch, channels, height, width = x.shape
        x = x.view(batch, channels, height // 4, 4, width // 4, 4).permute(0, 3, 5, 1, 2, 4)
        return x.reshape(batch, channels * 16, height // 4, width // 4)


class Tokens(nn.Module):
    """An image as rows of pixels and back."""

    def forward(self, x):
        return x.flatten(2).transpose(1, 2).sigmoid().transpose(1, 2).reshape(x.shape)


@pytest.mark.parametrize(
    ("network", "operators"),
    [
        (Permuted(6), "MEAN SUB SQUARE ADD RSQRT MUL CONV_2D GELU"),
        (Tokens(), "LOGISTIC"),
        (lambda x: x.permute(0, 2, 3, 1).softmax(-1).permute(0, 3, 1, 2), "SOFTMAX"),
        (lambda x: x.permute(0, 3, 1, 2).relu().permute(0, 2, 3, 1), "RELU"),
        (lambda x: x.transpose(2, 3).relu().transpose(2, 3), "RELU"),
        (lambda x: x.mean((2, 3), keepdim=True).permute(0, 2, 3, 1).reshape(1, -1), "MEAN RESHAPE"),
        (Blocks(), "SPACE_TO_DEPTH"),
        (Shuffle(2), "RESHAPE TRANSPOSE"),
        (nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(24, 4, 1)), "RESHAPE TRANSPOSE CONV_2D"),
        (nn.Sequential(Shuffle(3), nn.Conv2d(6, 4, 3)), "CONV_2D"),
        (nn.Sequential(Shuffle(2), nn.ReLU(), Shuffle(3), nn.Conv2d(6, 4, 3, bias=False)), "RELU CONV_2D"),
        (nn.Sequential(Shuffle(2), nn.MaxPool2d(2), nn.Conv2d(6, 4, 1)), "MAX_POOL_2D CONV_2D"),
        (nn.Sequential(Shuffle(2), nn.Conv2d(6, 6, 3, groups=6), nn.Conv2d(6, 4, 1)), "DEPTHWISE_CONV_2D CONV_2D"),
    ],
)
def test_layouts(network, operators):
    assert traced(network, (6, 8, 8)).keys() == {*operators.split()}


def test_a_shuffle_is_one_transpose_and_no_change_of_layout():
    assert traced(Shuffle(2), (6, 8, 8)) == {"RESHAPE": 2, "TRANSPOSE": 1}


@pytest.mark.parametrize(
    ("network", "operators"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(48, 5)), "RESHAPE FULLY_CONNECTED"),
        (nn.Sequential(nn.Flatten(), nn.Linear(48, 5, bias=False), nn.ReLU()), "RESHAPE FULLY_CONNECTED"),
        (nn.Sequential(nn.Flatten(), nn.Hardswish(), nn.Linear(48, 5)), "HARD_SWISH RESHAPE FULLY_CONNECTED"),
        (nn.Sequential(nn.Flatten(), nn.BatchNorm1d(48), nn.Linear(48, 5)), "MUL RESHAPE FULLY_CONNECTED"),
        (lambda x: x.flatten(1) * torch.arange(48.0), "MUL RESHAPE TRANSPOSE"),
        (nn.Flatten(), "TRANSPOSE RESHAPE"),
        (lambda x: x.reshape(1, -1), "TRANSPOSE RESHAPE"),
        (lambda x: x.reshape(1, 6, 4, 2), "TRANSPOSE RESHAPE"),
        (lambda x: x.flatten(1) @ torch.linspace(0, 1, 96).reshape(48, 2), "RESHAPE FULLY_CONNECTED"),
        (lambda x: x.mean((2, 3), keepdim=True).squeeze(3).squeeze(2), "MEAN RESHAPE"),
        (lambda x: x.mean((2, 3)).unsqueeze(2).unsqueeze(3), "MEAN RESHAPE"),
        (lambda x: x.mean((2, 3)).flatten(1) + x.flatten(1).sum(1, keepdim=True), "MEAN SUM RESHAPE"),
    ],
)
def test_flattening_keeps_the_order(network, operators):
    assert traced(network, (3, 4, 4)).keys() <= {*operators.split(), "ADD"}


def axes_and_shape(rank):
    return st.tuples(st.permutations(range(rank)), st.tuples(*(st.sampled_from([1, 2, 3, 4]),) * (rank - 1)))


@given(
    axes_and_shape(4), axes_and_shape(4), st.sampled_from(["Relu", "Softmax", "Concat", "ReduceMax"]), st.integers(0, 3)
)
@settings(max_examples=80)
def test_any_transposes_around_any_operator(first, second, kind, axis):
    (before, sizes), (after, _) = first, second
    outputs = ["y"]
    given = {"axis": axis} if kind in ("Softmax", "Concat") else {"axes": [axis]} if kind == "ReduceMax" else {}
    nodes = [
        node("Transpose", ["input"], ["x"], perm=before),
        node(kind, ["x", "x"] if kind == "Concat" else ["x"], outputs, **given),
        node("Transpose", ["y"], ["logits"], perm=after),
    ]
    emitted(graph(nodes, (1, *sizes)))


RESHAPES = [
    *((1, 2, 6, 4, 6), (1, 12, 24), (1, 288), (1, 4, 6, 12), (1, 24, 12), (1, 8, 3, 3), (1, 72), (1, 2, 4, 9)),
    *((1, 24, 1, 1), (1, 6, 4), (1, 2, 12)),
]


@given(
    st.sampled_from([(1, 12, 4, 6), (1, 8, 9), (1, 24)]), st.lists(st.sampled_from(RESHAPES), min_size=1, max_size=3)
)
def test_any_chain_of_reshapes(shape, targets):
    nodes, name, constants = [], "input", {}
    for index, target in enumerate(target for target in targets if np.prod(target) == np.prod(shape)):
        constants[f"s{index}"] = np.array(target)
        nodes.append(node("Reshape", [name, f"s{index}"], [f"r{index}"]))
        nodes.append(node("Transpose", [f"r{index}"], [f"t{index}"]))
        name = f"t{index}"
    nodes.append(node("Abs", [name], ["logits"]))
    emitted(graph(nodes, shape, **constants))


@given(
    st.integers(1, 3), st.lists(st.integers(1, 4), min_size=1, max_size=4), st.booleans(),
)  # fmt: skip
def test_split_and_concat(axis, sizes, equal):
    sizes = [sizes[0]] * len(sizes) if equal else sizes
    shape = [1, 5, 4, 3]
    shape[axis] = sum(sizes)
    parts = [f"p{index}" for index in range(len(sizes))]
    nodes = [
        node("Split", ["input", "sizes"], parts, axis=axis),
        *(node("Sigmoid", [part], [f"{part}.s"]) for part in parts),
        node("Concat", [f"{part}.s" for part in reversed(parts)], ["logits"], axis=axis),
    ]
    counts = emitted(graph(nodes, tuple(shape), sizes=np.array(sizes)))
    assert "TRANSPOSE" not in counts


@given(st.data())
@settings(max_examples=80)
def test_slices(data):
    shape = (1, 5, 6, 7)
    axes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3, unique=True))
    bounds = [sorted(data.draw(st.tuples(st.integers(0, shape[axis] - 1), st.integers(1, 9)))) for axis in axes]
    bounds = [(low, high if high > low else low + 1) for low, high in bounds]
    steps = [data.draw(st.sampled_from([1, 1, 2, 3, -1, -2])) for _ in axes]
    starts = [low if step > 0 else high for (low, high), step in zip(bounds, steps, strict=True)]
    ends = [high if step > 0 else low - 99 * (low == 0) for (low, high), step in zip(bounds, steps, strict=True)]
    names = {"starts": starts, "ends": ends, "axes": axes, "steps": steps}
    cut = node("Slice", ["input", *names], ["logits"])
    model = graph([cut], shape, **{name: np.array(value) for name, value in names.items()})
    if 0 not in [dimension.dim_value for dimension in model.graph.output[0].type.tensor_type.shape.dim]:
        assert emitted(model).keys() <= {"SLICE", "STRIDED_SLICE"}


@given(
    st.sampled_from(["ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2"]),
    st.sets(st.integers(0, 3), min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from([(1, 3, 4, 5), (1, 6, 1, 1), (1, 1, 4, 3)]),
)
@settings(max_examples=80)
def test_reductions(kind, axes, keep, shape):
    counts = emitted(graph([node(kind, ["input"], ["logits"], axes=sorted(axes), keepdims=int(keep))], shape))
    assert counts["TRANSPOSE"] <= 1  # of a result that is no image


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_softmax_over_any_axis(axis):
    counts = traced(lambda x: x.softmax(axis), (4, 5, 6))
    assert counts["SOFTMAX"] == (axis == 1)
    assert counts["TRANSPOSE"] == 0


def test_softmax_over_the_branches_of_a_block():
    counts = traced(lambda x: x * x.mean((2, 3)).view(1, 2, 1, 4).softmax(1).reshape(1, 8, 1, 1), (8, 5, 6))
    assert counts["TRANSPOSE"] == 0


def test_softmax_does_not_overflow():
    assert traced(lambda x: (1000 * x).softmax(3), (2, 3, 4))["TRANSPOSE"] == 0


@pytest.mark.parametrize(
    ("function", "operators"),
    [
        (lambda x: x[:, 2], "SLICE RESHAPE"),
        (lambda x: x[:, :, 1:3], "SLICE"),
        (lambda x: x[:, [0, 3, 1]], "GATHER"),
        (lambda x: x.flip(1), "STRIDED_SLICE"),
        (lambda x: torch.cat([x, torch.ones(1, 1, 5, 5)], 1), "CONCATENATION"),
        (lambda x: torch.stack([x, -x], 1).sum(1), "NEG RESHAPE CONCATENATION SUM"),
        (lambda x: torch.cat(x.chunk(2, 1)[::-1], 1), "SPLIT CONCATENATION SLICE"),
        (lambda x: x.expand(1, 4, 5, 5) + 1, "ADD"),
        (lambda x: x * x.mean((1, 2, 3), keepdim=True).expand_as(x), "MEAN MUL"),
    ],
)
def test_parts(function, operators):
    assert traced(function, (4, 5, 5)).keys() <= {*operators.split()}


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_normalisation_over_groups(groups):
    assert "TRANSPOSE" not in traced(nn.GroupNorm(groups, 6), (6, 5, 4))
    assert "TRANSPOSE" not in traced(nn.Sequential(nn.Conv2d(6, 6, 1), nn.InstanceNorm2d(6, affine=True)), (6, 5, 4))


def test_several_images_at_once():
    nodes = [
        node("Conv", ["input", "w"], ["y"]),
        node("Flatten", ["y"], ["f"]),
        node("Gemm", ["f", "v"], ["logits"]),
    ]
    counts = emitted(graph(nodes, (3, 2, 5, 4), w=random(3, 2, 3, 3), v=random(18, 4)))
    assert counts == {"CONV_2D": 1, "RESHAPE": 1, "FULLY_CONNECTED": 1}
