"""What int8 costs layer by layer, found without labels and named with its reason."""

import numpy as np
import pytest
import torch
from small_networks import samples
from torch import nn

from converters import onnx_graph
from converters.onnx_export import export_onnx
from converters.parity import snr_db
from converters.quantization.losses import LOW_DB, losses
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import quantize
from converters.runtimes import run_onnx

SHAPE = (8, 10, 10)


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))


def found(network, folder, inputs=None, **options):
    path = folder / "model.onnx"
    export_onnx(network.eval(), torch.zeros(1, *SHAPE), path, simplify=False)
    inputs = samples(SHAPE, 16) if inputs is None else inputs
    made = quantize(onnx_graph.load(path), inputs)
    return made, losses(made, inputs, **options)


def test_every_layer_has_its_loss_and_an_ordinary_network_no_warning(tmp_path):
    made, lost = found(plain(), tmp_path)
    assert list(lost.layers) == ["input", "/1/Relu_output_0", "logits"]
    assert lost.warnings == ()
    inputs = samples(SHAPE, 16)
    exact, rounded = (run_onnx(model, inputs)[0] for model in (made.model, write_qdq(made.model, made.spec)))
    each = [snr_db(one, other) for one, other in zip(exact, rounded, strict=True)]
    assert lost.layers["logits"] == pytest.approx(np.median(each), abs=0.5)


def test_the_image_with_an_outlier_is_named(tmp_path):
    inputs = samples(SHAPE, 16)
    inputs[5, 3, 2, 2] = 1e6
    _, lost = found(plain(), tmp_path, inputs, names=[f"picture {number}" for number in range(16)])
    assert lost.layers["input"] < 1
    assert lost.warnings[0].startswith("input: 0 dB in int8: an outlier: input reaches 1e+06 for picture 5, and ")


def uneven():
    network = plain()
    with torch.no_grad():
        network[0].weight[3] *= 1e4
        network[2].weight[:, 3] *= 1e-4
    return network


class Cancelling(nn.Module):
    def forward(self, x):
        return (x + 100) - 100


@pytest.mark.parametrize(
    ("network", "layer", "said"),
    [
        (uneven(), "logits", "the range: channel 3 of /1/Relu_output_0 reaches"),
        (nn.Sequential(plain(), Cancelling()), "logits", "what remains of far larger numbers"),
    ],
)
def test_a_layer_that_loses_more_than_its_operands_explain_is_named(tmp_path, network, layer, said):
    _, lost = found(network, tmp_path)
    (warning,) = lost.warnings
    assert warning.startswith(f"{layer}: ")
    assert said in warning
    assert lost.layers[layer] < LOW_DB


class Dead(nn.Module):
    """Weights of nothing beside a bias, which is taken off again."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(8, 8, 1)
        with torch.no_grad():
            self.first.weight[:] *= 1e-6
            self.first.bias[:] = 2.0

    def forward(self, x):
        return self.first(x) - 2.0


def test_dead_channels_are_named(tmp_path):
    _, lost = found(Dead(), tmp_path)
    (warning,) = lost.warnings
    assert warning.startswith("logits: ")
    assert "dead channels: the weights of channels 0, 1, 2 and 5 more of /first/Conv_output_0" in warning


def test_what_adds_up_over_many_layers_is_said_of_the_output(tmp_path):
    torch.manual_seed(0)
    layers = [layer for _ in range(24) for layer in (nn.Conv2d(8, 8, 1), nn.Hardtanh(-4, 4))]
    with torch.no_grad():
        for layer in layers[::2]:
            layer.weight *= 3.0
    _, lost = found(nn.Sequential(*layers), tmp_path)
    assert lost.layers["logits"] < LOW_DB
    assert lost.warnings == (f"logits: {lost.layers['logits']:.0f} dB in int8: the rounding of many layers adds up",)
