"""Every int8 operator in both runtimes, fed the same integers: the same answers to the last step."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_networks import resnet, samples, vgg
from torch import nn
from torch.nn import functional

from converters import onnx_graph
from converters.inspect import describe
from converters.onnx_export import export_onnx
from converters.onnx_graph import OnnxGraph
from converters.parity import snr_db
from converters.quantization.islands import float_islands
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import quantize
from converters.quantization.rules import FIXED, QUANTIZED, QuantizationError
from converters.quantization.spec import TensorQuantization
from converters.runtimes import onnx_session, run_onnx, run_tflite
from converters.tflite.emit import emit_tflite

SHAPE = (8, 10, 10)


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function, self.first = function, nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return self.function(self.first(x))


def exported(network, folder, shape=SHAPE):
    path = folder / "model.onnx"
    export_onnx(network.eval(), torch.zeros(1, *shape), path, simplify=False)
    return onnx_graph.load(path)


def integers(shape, count=8):
    return np.random.default_rng(1).integers(-128, 128, (count, *shape)).astype(np.int8)


def both(model, folder, shape=SHAPE, rescaled=False, **options):
    """(ONNX Runtime's outputs, LiteRT's) as int8, for the same int8 inputs.

    rescaled: a value changes its scale between operators, which goes through float.
    """
    quantized = quantize(model, samples(shape, 16), **options)
    assert quantized.spec.kept == {}
    path = folder / "model.tflite"
    emit_tflite(quantized.model, path, quantization=quantized.spec, integer_io=True)
    described = describe(path)
    assert {value.dtype for value in (*described.inputs, *described.outputs)} == {"int8"}
    assert rescaled == ({"QUANTIZE", "DEQUANTIZE"} <= described.counts.keys())
    inputs = integers(shape)
    one = run_onnx(
        write_qdq(quantized.model, quantized.spec, quantized_io=True), (inputs.astype(np.int16) + 128).astype(np.uint8)
    )[0]
    one = (one.astype(np.int16) - 128).astype(np.int8)
    other = run_tflite(path, inputs)[0]
    return one, other.transpose(0, 3, 1, 2) if other.ndim == 4 else other


def agree(one, other):
    difference = np.abs(one.astype(int) - other.astype(int))
    assert one.shape == other.shape
    assert difference.max() <= 1
    assert (difference == 0).mean() >= 0.99
    assert len(np.unique(one)) > 3  # something was computed


NETWORKS = {
    "conv": nn.Conv2d(8, 12, 3, padding=1),
    "conv without bias": nn.Conv2d(8, 12, 3, bias=False),
    "conv relu": nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU()),
    "conv relu6": nn.Sequential(nn.Conv2d(8, 12, 5, padding=2), nn.ReLU6()),
    "conv dilated": nn.Conv2d(8, 12, 3, dilation=2),
    "conv in groups": nn.Conv2d(8, 16, 3, groups=4),
    "depthwise": nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1, groups=8), nn.ReLU()),
    "depthwise multiplied": nn.Conv2d(8, 16, 3, groups=8),
    "linear": nn.Sequential(nn.Flatten(), nn.Linear(800, 10)),
    "two linear": nn.Sequential(nn.Flatten(), nn.Linear(800, 20), nn.ReLU(), nn.Linear(20, 10)),
    "max pool": nn.MaxPool2d(3, 2, 1),
    "max pool behind relu": nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU(), nn.MaxPool2d(2)),
    "average pool": nn.AvgPool2d(2),
    "average pool padded": nn.AvgPool2d(3, 2, 1),
    "global average": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "global average kept": nn.AdaptiveAvgPool2d(1),
    "add": Function(lambda x: x + functional.max_pool2d(x, 3, 1, 1)),
    "add relu": Function(lambda x: functional.relu(x + functional.max_pool2d(x, 3, 1, 1))),
    "add a constant": Function(lambda x: x + torch.linspace(-1, 1, 8)[:, None, None]),
    "mul": Function(lambda x: x * torch.sigmoid(x)),
    "mul by a constant": Function(lambda x: x * torch.linspace(-1, 2, 8)[:, None, None]),
    "squeeze and excite": Function(lambda x: x * torch.sigmoid(functional.adaptive_avg_pool2d(x, 1))),
    "concat": Function(lambda x: torch.cat([x, functional.max_pool2d(x, 3, 1, 1)], 1)),
    "slice": Function(lambda x: x[:, 2:6, 1:-1]),
    "split": Function(lambda x: torch.cat(x.split((3, 5), 1)[::-1], 1)),
    "split evenly": Function(lambda x: sum(x.chunk(2, 1))),
    "shuffle": Function(lambda x: x.reshape(1, 2, 4, 10, 10).transpose(1, 2).reshape(1, 8, 10, 10)),
    "pad": Function(lambda x: functional.pad(x, (1, 2, 0, 1))),
    "global maximum": nn.Sequential(nn.Conv2d(8, 8, 1), nn.AdaptiveMaxPool2d(1)),
    "pixel shuffle": nn.Sequential(nn.Conv2d(8, 8, 1), nn.PixelShuffle(2)),
    "relu alone": Function(lambda x: functional.relu(functional.max_pool2d(x, 3, 1, 1))),
    "relu6 alone": Function(lambda x: functional.relu6(functional.max_pool2d(x, 3, 1, 1))),
    "transpose": nn.Sequential(nn.Conv2d(8, 8, 1), Function(lambda x: x.transpose(2, 3))),
    "sigmoid": Function(torch.sigmoid),
    "tanh": Function(torch.tanh),
    "softmax": nn.Sequential(nn.Flatten(), nn.Linear(800, 10), nn.Softmax(1)),
    "leaky relu": nn.Sequential(nn.Conv2d(8, 8, 1), nn.LeakyReLU(0.1)),
    "hard swish": nn.Sequential(nn.Conv2d(8, 8, 1), nn.Hardswish()),
    "gelu": nn.Sequential(nn.Conv2d(8, 8, 1), nn.GELU(), nn.Conv2d(8, 8, 1)),
    "gelu by tanh": nn.Sequential(nn.Conv2d(8, 8, 1), nn.GELU("tanh")),
    "hard swish by hard sigmoid": Function(lambda x: x * functional.hardsigmoid(x)),
    "hard sigmoid": nn.Sequential(nn.Conv2d(8, 8, 1), nn.Hardsigmoid()),
    "elu": nn.Sequential(nn.Conv2d(8, 8, 1), nn.ELU()),
    "exp": nn.Sequential(Function(torch.exp), nn.Conv2d(8, 8, 1)),  # at the end it would decode boxes
    "dilated max pool": nn.Sequential(nn.Conv2d(8, 8, 1), nn.MaxPool2d(3, 2, 1, dilation=2)),
    "tile": Function(lambda x: x.repeat(1, 2, 1, 3)),
    "expand": Function(lambda x: functional.adaptive_avg_pool2d(x, 1).expand(1, 8, 4, 5) + 0.5),
    "gather": Function(lambda x: x[:, torch.tensor([5, 0, 3])]),
    "leaky relu of rows": nn.Sequential(nn.Flatten(), nn.Linear(800, 10), nn.LeakyReLU(0.1)),
    "row of pixels": nn.Sequential(nn.Conv2d(8, 8, 1), nn.Flatten(2), nn.Conv1d(8, 6, 3, padding=1), nn.ReLU()),
    "upsample nearest": nn.Sequential(nn.Conv2d(8, 8, 1), nn.Upsample(scale_factor=2, mode="nearest")),
}


RESCALED = ("relu alone", "relu6 alone")  # clamps that no operator has taken in


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_integers_in_the_same_integers_out(tmp_path, name):
    network = NETWORKS[name]
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    agree(*both(exported(network, tmp_path), tmp_path, rescaled=name in RESCALED))


@pytest.mark.parametrize("make", [vgg, resnet])
@pytest.mark.parametrize("rank", [0, 1, 2])
@pytest.mark.parametrize("method", ["minmax", "percentile"])
def test_whole_networks_agree(tmp_path, make, rank, method):
    network = make(rank)
    one, other = both(exported(network, tmp_path, network.shape), tmp_path, network.shape, method=method)
    difference = np.abs(one.astype(int) - other.astype(int))
    assert difference.max() <= 2
    assert (difference <= 1).mean() >= 0.95


@pytest.fixture
def residual(tmp_path):
    model = exported(resnet(2), tmp_path, (3, 33, 34))
    return model, samples((3, 33, 34), 8)


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_onnx_runtime_leaves_nothing_in_float(residual, activations):
    quantized = quantize(*residual)
    assert float_islands(write_qdq(quantized.model, quantized.spec)) == ()
    assert float_islands(write_qdq(quantized.model, quantized.spec, quantized_io=True)) == ()


def test_what_is_kept_is_an_island_in_both_runtimes(residual, tmp_path):
    model, inputs = residual
    name = next(node.output[0] for node in OnnxGraph(model).nodes if node.op_type == "Conv")
    quantized = quantize(model, inputs, kept={name: "asked for"})
    written = write_qdq(quantized.model, quantized.spec)
    assert any("Conv" in island for island in float_islands(written))
    path = tmp_path / "model.tflite"
    emit_tflite(quantized.model, path, quantization=quantized.spec)
    assert [operator.dtype for operator in describe(path).operators if operator.macs].count("float32") == 1
    one, other = run_onnx(written, inputs)[0], run_tflite(path, inputs)[0]
    assert snr_db(one, other) >= 40


def test_the_twin_of_signed_activations_gives_the_same_integers(residual):
    quantized = quantize(*residual)
    inputs = integers((3, 33, 34))
    unsigned = write_qdq(quantized.model, quantized.spec, quantized_io=True)
    signed = write_qdq(quantized.model, quantized.spec, activations="int8", quantized_io=True)
    one = run_onnx(unsigned, (inputs.astype(np.int16) + 128).astype(np.uint8))[0]
    session = onnx_session(signed, signed=True)
    (name,) = (value.name for value in session.get_inputs())
    other = np.concatenate([session.run(None, {name: image[None]})[0] for image in inputs])
    assert np.abs(one.astype(int) - 128 - other).max() <= 1


def test_interpolation_stays_in_float(tmp_path):
    network = nn.Sequential(nn.Conv2d(8, 8, 1), nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(8, 4, 1))
    quantized = quantize(exported(network, tmp_path), samples(SHAPE, 4))
    (reason,) = quantized.spec.kept.values()
    assert "round differently" in reason
    path = tmp_path / "model.tflite"
    emit_tflite(quantized.model, path, quantization=quantized.spec)
    assert {operator.dtype for operator in describe(path).operators if operator.kind == "RESIZE_BILINEAR"} == {
        "float32"
    }


def spec_of(network, folder, shape=SHAPE):
    model = exported(network, folder, shape)
    return model, quantize(model, samples(shape, 4)).spec


@pytest.mark.parametrize(
    ("network", "operator"),
    [
        (nn.Sequential(nn.Conv2d(8, 8, 1), nn.MaxPool2d(2)), "MaxPool"),
        (nn.Sequential(nn.Conv2d(8, 8, 1), nn.AvgPool2d(2)), "AveragePool"),
        (Function(lambda x: functional.pad(x, (1, 1, 1, 1))), "Pad"),
        (nn.Sequential(nn.Conv2d(8, 8, 1), nn.Flatten()), "Flatten"),
        (Function(lambda x: x[:, 2:6]), "Slice"),
        (nn.Sequential(nn.Conv2d(8, 8, 1), nn.Upsample(scale_factor=2)), "Resize"),
        (Function(torch.sigmoid), "Sigmoid"),
        (Function(torch.tanh), "Tanh"),
        (Function(lambda x: torch.softmax(20 * x, 1)), "Softmax"),
        (nn.Conv2d(8, 8, 3), "Conv"),
    ],
)
def test_both_writers_refuse_a_broken_rule(tmp_path, network, operator):
    model, spec = spec_of(network, tmp_path)
    node = next(node for node in OnnxGraph(model).nodes if node.op_type == operator)
    if operator == "Conv":
        broken = replace(spec, weights={name: scales[:1] for name, scales in spec.weights.items()})
    else:
        wrong = TensorQuantization(2.0 * spec.activations[node.output[0]].scale, 5)
        broken = replace(spec, activations={**spec.activations, node.output[0]: wrong})
    with pytest.raises(QuantizationError, match=operator):
        write_qdq(model, broken)
    with pytest.raises(QuantizationError, match=operator):
        emit_tflite(model, tmp_path / "broken.tflite", quantization=broken)
    assert not (tmp_path / "broken.tflite").exists()


def test_a_value_without_a_scale_is_refused(tmp_path):
    model, spec = spec_of(nn.Conv2d(8, 8, 3), tmp_path)
    broken = replace(spec, activations={"input": spec.activations["input"]})
    with pytest.raises(QuantizationError, match="logits has no scale"):
        write_qdq(model, broken)


def test_fixed_results_have_their_scales(tmp_path):
    for operator, function in (("Sigmoid", torch.sigmoid), ("Tanh", torch.tanh)):
        _, spec = spec_of(Function(function), tmp_path)
        assert spec.activations["logits"] == FIXED[operator]


def test_every_quantized_operator_was_tried_here(tmp_path):
    tried = set()
    for network in NETWORKS.values():
        quantized = quantize(exported(network, tmp_path), samples(SHAPE, 1))
        tried.update(node.op_type for node in OnnxGraph(quantized.model).nodes)
    assert QUANTIZED - tried <= {"Identity", "Dropout", "Squeeze", "Unsqueeze", "AveragePool"}
