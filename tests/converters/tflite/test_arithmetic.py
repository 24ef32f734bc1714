"""Arithmetic, activations and matrix products."""

import numpy as np
import pytest
import torch
from emission import emitted, graph, node, random, traced
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

OPERATORS = ["Add", "Sub", "Mul", "Div", "Max", "Min"]
SIZES = st.tuples(*(st.integers(1, 4),) * 4)


def broadcast(data, shape):
    """A shape that broadcasts with another."""
    rank = data.draw(st.integers(0, len(shape)))
    return tuple(data.draw(st.sampled_from([1, size])) for size in shape[len(shape) - rank :])


@given(st.data(), st.sampled_from(OPERATORS), SIZES, st.booleans(), st.booleans())
@settings(max_examples=80)
def test_constants_broadcast(data, kind, sizes, swapped, relu):
    shape = (1, *sizes[1:])
    constant = np.sign(value := random(*broadcast(data, shape))) * (np.abs(value) + 0.5)  # fit to divide by
    nodes = [node("Neg" if kind == "Div" and swapped else "Identity", ["input"], ["x"])]
    if kind == "Div" and swapped:
        nodes.append(node("Exp", ["x"], ["y"]))
    first = nodes[-1].output[0]
    nodes.append(node(kind, ["c", first] if swapped else [first, "c"], ["z"]))
    nodes.append(node("Relu" if relu else "Identity", ["z"], ["logits"]))
    assert "TRANSPOSE" not in emitted(graph(nodes, shape, c=constant))


@given(st.data(), st.sampled_from(OPERATORS), SIZES, st.booleans())
@settings(max_examples=80)
def test_computed_values_broadcast(data, kind, sizes, swapped):
    """An image with reductions of itself, of the same rank or a lower one."""
    shape = (1, *sizes[1:])
    axes = sorted(data.draw(st.sets(st.integers(1, 3))))
    keep = data.draw(st.booleans()) or (bool(axes) and axes[-1] != len(axes))
    nodes = [
        node("ReduceMean", ["input"], ["m"], axes=[0, *axes], keepdims=int(keep)),
        node("Exp", ["m"], ["e"]),
        node(kind, ["e", "input"] if swapped and kind != "Div" else ["input", "e"], ["logits"]),
    ]
    emitted(graph(nodes, shape))


@pytest.mark.parametrize(
    ("network", "operators"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU6()), {"CONV_2D"}),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Hardtanh()), {"CONV_2D"}),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Hardtanh(0, 1)), {"CONV_2D", "RELU_0_TO_1"}),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Hardtanh(-2, 3)), {"CONV_2D", "MAXIMUM", "MINIMUM"}),
        (lambda x: functional.relu(x + x), {"ADD"}),
        (lambda x: functional.relu(x - x.mean((2, 3), keepdim=True)), {"MEAN", "SUB"}),
        (lambda x: x + torch.arange(3.0)[None, :, None, None], {"ADD"}),
        (lambda x: x + torch.arange(8.0), {"ADD"}),
        (lambda x: functional.relu6(x * 3 + 1), {"MUL", "ADD"}),
        (nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3), nn.ReLU()), {"RELU", "MUL"}),
        (nn.SiLU(), {"LOGISTIC", "MUL"}),
        (nn.GELU(), {"GELU"}),
        (nn.GELU("tanh"), {"GELU"}),
        (nn.Hardswish(), {"HARD_SWISH"}),
        (lambda x: x * functional.relu6(x + 3) / 6, {"HARD_SWISH"}),
        (nn.Mish(), {"ABS", "NEG", "EXP", "ADD", "LOG", "RELU", "TANH", "MUL"}),
        (nn.ELU(), {"ELU"}),
        (nn.PReLU(), {"LEAKY_RELU"}),
        (nn.PReLU(3), {"LEAKY_RELU"}),
        (lambda x: functional.prelu(x, torch.tensor([0.1, -0.5, 1.5])), {"PRELU"}),
        (lambda x: x.flatten(1) * torch.linspace(-1, 1, 192), {"MUL", "RESHAPE", "TRANSPOSE"}),
        (lambda x: (x**2).sum((2, 3)).sqrt(), {"SQUARE", "SUM", "SQRT"}),
        (lambda x: torch.rsqrt(x.abs() + 1), {"ABS", "ADD", "SQRT", "DIV"}),
    ],
)
def test_functions(network, operators):
    assert traced(network, (3, 8, 8)).keys() == operators


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.5, 2.0)])
def test_every_form_of_gemm(transposed, alpha, beta):
    nodes = [
        node("Flatten", ["input"], ["flat"]),
        node("Gemm", ["flat", "w", "b"], ["logits"], transB=transposed, alpha=alpha, beta=beta),
    ]
    model = graph(nodes, (1, 6, 1, 1), w=random(4, 6) if transposed else random(6, 4), b=random(4))
    assert emitted(model)["FULLY_CONNECTED"] == 1


@pytest.mark.parametrize(
    ("function", "operators"),
    [
        (lambda x: x @ x.transpose(2, 3), {"BATCH_MATMUL", "TRANSPOSE"}),
        (lambda x: x.flatten(2).transpose(1, 2) @ x.flatten(2), {"BATCH_MATMUL", "RESHAPE"}),
        (lambda x: (x.flatten(2) @ x.flatten(2).transpose(1, 2)).softmax(-1), {"BATCH_MATMUL", "RESHAPE", "SOFTMAX"}),
        (lambda x: torch.ones(2, 4) @ x.flatten(2), {"BATCH_MATMUL", "RESHAPE"}),
    ],
)
def test_products_of_computed_matrices(function, operators):
    assert traced(function, (4, 5, 6)).keys() <= operators | {"TRANSPOSE"}


@pytest.mark.parametrize(("shape", "code"), [((7, 6), "FULLY_CONNECTED"), ((2, 7, 6), "CONV_2D")])
def test_a_linear_layer_over_rows_takes_its_bias_and_activation_in(shape, code):
    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 4)

        def forward(self, x):
            return functional.relu(self.linear(x.reshape(1, *shape)))

    counts = traced(Rows(), (2, 7, 6) if len(shape) == 3 else (1, 7, 6))
    assert counts[code] == 1
    assert "ADD" not in counts
    assert "RELU" not in counts
