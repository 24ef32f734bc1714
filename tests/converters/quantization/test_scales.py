"""Values that meet, results of a fixed scale, biases beside weights of nothing: int8 holds what it is given."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from alone import run_alone
from onnx import numpy_helper
from small_networks import samples
from torch import nn
from torch.nn import functional

from converters import onnx_graph
from converters.inspect import describe
from converters.onnx_export import export_onnx
from converters.parity import snr_db
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import quantize
from converters.quantization.rules import FIXED, QuantizationError
from converters.quantization.spec import INT32_LIMIT, quantize_bias
from converters.runtimes import run_onnx, run_tflite
from converters.tflite.emit import emit_tflite

SHAPE = (8, 10, 10)
INPUTS = samples(SHAPE, 32)


class Function(nn.Module):
    """A function of an image and of convolutions of 8 to 8 channels."""

    def __init__(self, function, convolutions=1):
        super().__init__()
        torch.manual_seed(0)
        self.function, self.convolutions = function, nn.ModuleList(nn.Conv2d(8, 8, 1) for _ in range(convolutions))

    def forward(self, x):
        return self.function(x, *self.convolutions)


def cat(*values):
    return torch.cat(values, 1)


def exported(network, folder):
    path = folder / "model.onnx"
    export_onnx(network.eval(), torch.zeros(1, *SHAPE), path, simplify=False)
    return onnx_graph.load(path)


def answers(model, folder):
    """(the quantization, SNR in dB of ONNX Runtime, of LiteRT, and of every value rounded by itself, steps between)."""
    made, path = quantize(model, INPUTS), folder / "model.tflite"
    emit_tflite(made.model, path, quantization=made.spec)
    exact, one, other = run_onnx(model, INPUTS)[0], run_onnx(write_qdq(made.model, made.spec), INPUTS)[0], None
    other = run_tflite(path, INPUTS)[0]
    other = other.transpose(0, 3, 1, 2) if other.ndim == 4 else other
    alone = run_alone(model, INPUTS, INPUTS)
    step = made.spec.activations[model.graph.output[0].name].scale
    figures = (snr_db(exact, one), snr_db(exact, other), snr_db(exact, alone), np.abs(one - other).max() / step)
    return made.spec, *figures


# Joints of what has a scale of its own and what has none, by the SNR that they had when one scale served all.
JOINTS = {
    "softmax, tanh and sigmoid": Function(lambda x, a: cat(torch.softmax(a(x), 1), torch.tanh(x), torch.sigmoid(x))),
    "sigmoid beside tanh": Function(lambda x, a: cat(torch.sigmoid(a(x)), torch.tanh(x))),
    "sigmoid beside an image": Function(lambda x, a: a(x) * torch.sigmoid(x) + cat(torch.sigmoid(x), x)[:, 8:]),
    "boxes beside scores": Function(lambda x, a: cat(200 * a(x), torch.sigmoid(x))),
    "a head behind both": nn.Sequential(
        Function(lambda x, a: cat(200 * a(x), torch.sigmoid(x))), nn.Conv2d(16, 8, 3, padding=1)
    ),
    "a border beyond a sigmoid": Function(lambda x, a: functional.pad(torch.sigmoid(a(x)), (1, 1, 1, 1), value=3.0)),
    "a softmax over pixels": Function(lambda x, a: torch.softmax(a(x).flatten(1), 1)),
    "attention over pixels": Function(lambda x, a: x * torch.softmax(a(x).flatten(2), 2).reshape(x.shape)),
    "small results of fixed scale": Function(lambda x, a: torch.tanh(0.01 * x) + torch.sigmoid(a(x) - 8)),
    "one branch of a concatenation twice": Function(lambda x, a: cat(a(x), a(x), x)),
    **{
        f"a skip connection beside {factor} times its convolution": Function(
            lambda x, a, b, factor=factor: b(functional.relu(a(x))) + cat(a(x), factor * b(a(x)))[:, :8], 2
        )
        for factor in (10, 100, 1000)
    },
    "coordinates beside an image": nn.Sequential(
        Function(lambda x, a: cat(a(x).sigmoid(), 256 * torch.linspace(0, 1, 10).expand(1, 1, 10, 10))),
        nn.Conv2d(9, 8, 3, padding=1),
    ),
    "concatenations of concatenations": Function(
        lambda x, a, b: (lambda one: cat(cat(x, one), cat(one, b(one)), x))(functional.relu(a(x))), 2
    ),
    "maxima padded with infinity": Function(
        lambda x, a: functional.max_pool2d(functional.pad(a(x), (1, 1, 1, 1), value=-np.inf), 3)
    ),
}


@pytest.mark.parametrize("name", JOINTS)
def test_no_worse_than_each_value_by_itself(tmp_path, name):
    _, one, other, alone, steps = answers(exported(JOINTS[name], tmp_path), tmp_path)
    assert min(one, other) >= alone - 3
    assert min(one, other) >= 25
    assert steps <= 1.001


def test_what_is_requantized_gives_the_same_integers(tmp_path):
    model = exported(JOINTS["sigmoid beside an image"], tmp_path)
    made, path = quantize(model, INPUTS), tmp_path / "model.tflite"
    emit_tflite(made.model, path, quantization=made.spec, integer_io=True)
    inputs = np.random.default_rng(0).integers(-128, 128, (8, *SHAPE)).astype(np.int8)
    unsigned = (inputs.astype(np.int16) + 128).astype(np.uint8)
    one = run_onnx(write_qdq(made.model, made.spec, quantized_io=True), unsigned)[0].astype(int) - 128
    other = run_tflite(path, inputs)[0].transpose(0, 3, 1, 2)
    assert np.abs(one - other).max() <= 1
    assert (one == other).mean() >= 0.99
    assert describe(path).counts["QUANTIZE"] == 1


def test_a_value_keeps_its_scale_where_it_goes_elsewhere_too(tmp_path):
    network = Function(lambda x, a, b: b(a(x)) + cat(a(x), 10 * b(a(x)))[:, :8], 2)
    spec = quantize(exported(network, tmp_path), INPUTS).spec
    skip, joint = spec.activations["/convolutions.0/Conv_output_0"], spec.activations["/Concat_output_0"]
    assert joint.scale > 3 * skip.scale


def test_a_value_that_goes_nowhere_else_is_made_in_the_scale_of_the_joint(tmp_path):
    network = nn.Sequential(Function(lambda x, a, b: cat(a(x), 3 * functional.relu(b(x))), 2), nn.Conv2d(16, 8, 1))
    model = exported(network, tmp_path)
    made = quantize(model, INPUTS)
    joint = next(node for node in made.model.graph.node if node.op_type == "Concat")
    assert {made.spec.activations[name] for name in joint.input} == {made.spec.activations[joint.output[0]]}
    emit_tflite(made.model, tmp_path / "model.tflite", quantization=made.spec)
    assert describe(tmp_path / "model.tflite").counts["QUANTIZE"] == 1  # the input's


def test_alike_fixed_scales_meet_without_a_change(tmp_path):
    spec = quantize(exported(Function(lambda x, a: cat(torch.sigmoid(a(x)), torch.sigmoid(x))), tmp_path), INPUTS).spec
    assert spec.activations["logits"] == FIXED["Sigmoid"]


@pytest.mark.parametrize(
    ("name", "node", "said"),
    [
        ("a softmax over pixels", "logits", "small for the scale 0.00390625"),
        ("boxes beside scores", "logits", "decodes boxes or scores"),
        ("a head behind both", "logits", "reads /0/Concat_output_0, which no int8 scale holds"),
    ],
)
def test_what_no_scale_holds_stays_in_float_and_says_why(tmp_path, name, node, said):
    assert said in quantize(exported(JOINTS[name], tmp_path), INPUTS).spec.kept[node]


def test_a_tanh_that_saturates_stays_in_float(tmp_path):
    """int8 ends at 127/128 there: 0.8% less than what it is, always, and with every further layer."""
    network = Function(lambda x, one: torch.tanh(20 * one(x).relu() + 0.5), 1)
    kept = quantize(exported(network, tmp_path), INPUTS).spec.kept
    assert any("go beyond 0.992" in reason for reason in kept.values())


class Centred(nn.Module):
    """The mean of what has none: as behind an instance normalisation."""

    def forward(self, x):
        centred = functional.relu(x) - functional.relu(x).mean((2, 3), keepdim=True)
        return functional.adaptive_avg_pool2d(centred, 1)


def test_scales_that_a_kernel_does_not_take_leave_it_in_float(tmp_path):
    """ONNX Runtime's mean in int8 refuses, when it runs, to make a step of 256 and more of one."""
    quantized = quantize(exported(Centred(), tmp_path), INPUTS)
    assert "too far apart for its int8 kernel" in quantized.spec.kept["logits"]
    found = run_onnx(write_qdq(quantized.model, quantized.spec), INPUTS)[0]
    assert np.isfinite(found).all()
    kept = {name: reason for name, reason in quantized.spec.kept.items() if name != "logits"}
    spec = replace(quantized.spec, kept=kept)
    with pytest.raises(QuantizationError, match="too far apart"):
        write_qdq(quantized.model, spec)


def almost_dead(x):
    """Of the values of a convolution with a large bias below 0, next to nothing is left."""
    scale = torch.tensor([100.0] * 4 + [1e-6] * 4)
    bias = torch.tensor([-1e5] * 4 + [0.0] * 4)
    return functional.relu(functional.conv2d(x, torch.diag(scale).reshape(8, 8, 1, 1), bias))


def cancelled(x):
    """Large numbers that differ by next to nothing."""
    large = 1000 * x
    return large + (1e-4 * x - 1000 * x)


@pytest.mark.parametrize(
    "function",
    [almost_dead, cancelled, lambda x: functional.hardswish(-100 * x.relu() - 2.999)],
    ids=["conv", "add", "hardswish"],
)
def test_a_result_of_next_to_nothing_stays_in_float(function, tmp_path):
    """XNNPACK takes no step of 256 of the result for one; LiteRT ends the whole process, or does not load the file."""
    network = Function(lambda x, one, other: other(one(x) + function(one(x))), 2)
    quantized = quantize(exported(network, tmp_path), INPUTS)
    assert any("too far apart for its int8 kernel" in reason for reason in quantized.spec.kept.values())
    emit_tflite(quantized.model, tmp_path / "model.tflite", quantization=quantized.spec)
    found = run_tflite(tmp_path / "model.tflite", INPUTS)[0].transpose(0, 3, 1, 2)
    with torch.no_grad():
        exact = network(torch.from_numpy(INPUTS)).numpy()
    assert snr_db(exact, found) > 25
    assert snr_db(exact, run_onnx(write_qdq(quantized.model, quantized.spec), INPUTS)[0]) > 25


class Products(nn.Module):
    """alpha x W + beta b, as torch.addmm computes it."""

    def __init__(self, alpha, beta):
        super().__init__()
        torch.manual_seed(0)
        self.weight, self.bias = nn.Parameter(torch.randn(800, 6)), nn.Parameter(20 * torch.randn(6))
        self.alpha, self.beta = alpha, beta

    def forward(self, x):
        return torch.addmm(self.bias, x.flatten(1), self.weight, alpha=self.alpha, beta=self.beta)


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 1.0), (0.01, 3.0), (-0.5, 0.0), (1.0, 0.25)])
def test_factors_of_a_product_are_in_its_weights(tmp_path, alpha, beta):
    spec, one, other, alone, steps = answers(exported(Products(alpha, beta), tmp_path), tmp_path)
    assert spec.kept == {}
    assert min(one, other) >= alone - 1
    assert steps <= 1.001


def small_channels(kind, gamma, bias):
    """A network in which channel 2 has weights of the size `gamma`, and this bias."""
    torch.manual_seed(1)
    layers = {
        "convolution": (nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 6, 1)),
        "depthwise": (nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU(), nn.Conv2d(8, 6, 1)),
        "last": (nn.Conv2d(8, 8, 3, padding=1),),
        "linear": (nn.Flatten(), nn.Linear(800, 8), nn.ReLU(), nn.Linear(8, 6)),
        "logits": (nn.Flatten(), nn.Linear(800, 8)),
    }[kind]
    layer = next(layer for layer in layers if hasattr(layer, "bias"))
    with torch.no_grad():
        layer.weight[2] *= gamma
        layer.bias[2] = bias
    return nn.Sequential(*layers)


def assert_bias_holds(folder, kind, gamma, bias):
    model = exported(small_channels(kind, gamma, bias), folder)
    made, path = quantize(model, INPUTS), folder / "model.tflite"
    assert made.spec.kept == {}
    emit_tflite(made.model, path, quantization=made.spec)
    exact, one = run_onnx(model, INPUTS)[0], run_onnx(write_qdq(made.model, made.spec), INPUTS)[0]
    other = run_tflite(path, INPUTS)[0]
    other = other.transpose(0, 3, 1, 2) if other.ndim == 4 else other
    first = next(node.output[0] for node in model.graph.node if node.op_type in ("Conv", "Gemm"))
    alone = snr_db(exact, run_alone(model, INPUTS, INPUTS, exact_channels={first: [2]}))
    assert min(snr_db(exact, one), snr_db(exact, other)) >= alone - 1


@pytest.mark.parametrize("bias", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("gamma", [1e-10, 1e-8, 1e-5])
def test_a_bias_beside_weights_of_nothing_is_not_cut_off(tmp_path, gamma, bias):
    assert_bias_holds(tmp_path, "convolution", gamma, bias)


def test_a_large_logit_bias_is_not_cut_off(tmp_path):
    assert_bias_holds(tmp_path, "logits", 1e-4, 1e5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["convolution", "depthwise", "last", "linear", "logits"])
@pytest.mark.parametrize("gamma", [10.0**exponent for exponent in range(-10, 1)])
def test_no_bias_is_cut_off(tmp_path, kind, gamma):
    for exponent in range(-3, 7):
        for sign in (1, -1):
            assert_bias_holds(tmp_path, kind, gamma, sign * 10.0**exponent)


def test_biases_are_well_inside_of_int32(tmp_path):
    made = quantize(exported(small_channels("convolution", 1e-10, 1e6), tmp_path), INPUTS)
    constants = {tensor.name: tensor for tensor in made.model.graph.initializer}
    for node in made.model.graph.node:
        if node.op_type == "Conv":
            bias = numpy_helper.to_array(constants[node.input[2]])
            scale = made.spec.activations[node.input[0]].scale
            steps, _ = quantize_bias(bias, scale, made.spec.weights[node.input[1]])
            assert np.abs(steps.astype(np.int64)).max() <= 0.51 * INT32_LIMIT


@pytest.mark.parametrize("factor", [1.0, 30.0])
def test_a_clamp_that_int8_has_no_operator_with_is_one_of_its_own(tmp_path, factor):
    """Clip(-1, 1) is taken in by TFLite's convolution in float; in int8 the scale before it would be another there."""
    network = nn.Sequential(Function(lambda x, a: factor * a(x)), nn.Conv2d(8, 8, 3), nn.Hardtanh(-1, 1))
    spec, one, other, alone, steps = answers(exported(network, tmp_path), tmp_path)
    assert spec.kept == {}
    assert min(one, other) >= alone - 1
    assert steps <= 1.001
