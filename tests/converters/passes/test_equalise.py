"""Equalised channels: the same function, one range."""

import numpy as np
import pytest
import torch
from small_networks import resnet, samples, settled, vgg
from torch import nn

from converters import onnx_graph
from converters.onnx_export import export_onnx
from converters.onnx_graph import OnnxGraph
from converters.parity import snr_db
from converters.passes.equalise import equalise, pairs
from converters.quantization.observe import observe
from converters.runtimes import run_onnx


def mobile():
    """Pointwise, BN, ReLU, depthwise: the ReLU between them scales along."""
    layers = [nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU6()]
    return settled(nn.Sequential(*layers, nn.Conv2d(8, 8, 3, groups=8), nn.Flatten(), nn.Linear(8 * 36, 3)), (3, 8, 8))


@pytest.mark.parametrize("make", [lambda: vgg(1), lambda: vgg(2), lambda: resnet(1), mobile])
def test_the_function_stays_and_the_peaks_become_equal(tmp_path, make):
    network = make()
    path = tmp_path / "model.onnx"
    export_onnx(network, torch.zeros(1, *network.shape), path, simplify=False)
    model, inputs = onnx_graph.load(path), samples(network.shape, 8)
    before = run_onnx(path, inputs)[0]
    found = pairs(OnnxGraph(model))
    assert found
    peaks = {name: seen.peaks for name, seen in observe(model, inputs).items()}
    equalise(model, peaks)
    onnx_graph.save(model, path)
    assert snr_db(before, run_onnx(path, inputs)[0]) >= 110
    after = observe(model, inputs)
    for first, _ in found:
        name = first.output[0]
        loud = peaks[name] > 1e-6 * peaks[name].max()
        assert after[name].peaks[loud] == pytest.approx(np.full(loud.sum(), peaks[name].max()), rel=1e-4)


def test_a_clamp_at_six_does_not_scale_and_shared_weights_stay(tmp_path):
    network = mobile()
    path = tmp_path / "model.onnx"
    export_onnx(network, torch.zeros(1, *network.shape), path, simplify=False)
    model = onnx_graph.load(path)
    (only,) = pairs(OnnxGraph(model))
    assert only[0].op_type == only[1].op_type == "Conv"
    peaks = {name: seen.peaks for name, seen in observe(model, samples(network.shape, 2)).items()}
    model.graph.node.add(op_type="Identity", input=[only[1].input[1]], output=["also_read"])
    weights = {tensor.name: tensor.SerializeToString() for tensor in model.graph.initializer}
    equalise(model, peaks)
    assert {tensor.name: tensor.SerializeToString() for tensor in model.graph.initializer} == weights
