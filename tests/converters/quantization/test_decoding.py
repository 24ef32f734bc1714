"""The decoding of boxes and scores stays in float; nothing else does for it."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from converters.onnx_export import export_onnx
from converters.onnx_graph import OnnxGraph
from converters.quantization.qdq import integer_outputs, write_qdq
from converters.quantization.quantize import quantize
from converters.runtimes import run_onnx, run_tflite
from converters.tflite.emit import emit_tflite

INPUTS = np.random.default_rng(0).standard_normal((16, 3, 16, 16)).astype(np.float32)
GRID = torch.stack(torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")).reshape(1, 2, 64) * 8


class Head(nn.Module):
    """A body, and what is made of it."""

    def __init__(self, decode, channels=6):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, channels, 3, 1, 1))
        self.other, self.decode = nn.Conv2d(8, 4, 1), decode

    def forward(self, x):
        return self.decode(self.body(x))


def anchors_last(x):
    x = x.flatten(2).transpose(1, 2)
    return torch.cat([x[..., :2] * 8 + GRID.transpose(1, 2), torch.exp(x[..., 2:4]) * 16, torch.sigmoid(x[..., 4:])], 2)


def anchors_first(x):
    x = x.flatten(2)
    return torch.cat([x[:, :4] * 100, torch.sigmoid(x[:, 4:])], 1)


def grid_alone(x):
    return x.flatten(2)[:, :2] + GRID


def quantized(tmp_path, decode, channels=6):
    torch.manual_seed(0)
    network = Head(decode, channels).eval()
    path = export_onnx(network, torch.from_numpy(INPUTS[:1]), tmp_path / "a.onnx", output_names=["out"]).path
    return path, quantize(path, INPUTS)


@pytest.mark.parametrize("decode", [anchors_last, anchors_first, grid_alone])
def test_boxes_and_scores_are_as_exact_as_what_the_convolution_gives(tmp_path, decode):
    path, made = quantized(tmp_path, decode)
    graph = OnnxGraph(made.model)
    assert integer_outputs(graph, made.spec) == []
    assert all(node.output[0] not in made.spec.kept for node in graph.nodes[:3])  # the body is in integers
    exact = run_onnx(path, INPUTS)[0]
    rounded = run_onnx(write_qdq(made.model, made.spec), INPUTS)[0]
    emit_tflite(made.model, tmp_path / "a.tflite", quantization=made.spec)
    lite = run_tflite(tmp_path / "a.tflite", INPUTS)[0]
    assert lite.shape == rounded.shape
    # What is decoded is off by what its own range is worth in steps, not by that of all parts together.
    spans = np.ptp(exact.reshape(-1, exact.shape[-1] if decode is anchors_last else 1), axis=0)
    for found in (rounded, lite):
        assert np.abs(found - exact).max() < 0.05 * spans.max()
    if decode is anchors_last:
        for found in (rounded, lite):
            assert np.abs(found - exact)[..., 4:].max() < 0.03


@pytest.mark.parametrize(
    "decode",
    [
        lambda x: torch.softmax(x.mean((2, 3)), 1),
        torch.sigmoid,
        lambda x: functional.interpolate(x, scale_factor=2.0),
        lambda x: torch.cat([x[:, :3], x[:, 3:]], 1),
        lambda x: (x + 1.0) * 2.0,
        lambda x: x * torch.tensor([1.0, 2, 3, 4, 5, 6]).reshape(1, 6, 1, 1),
    ],
)
def test_what_is_no_decoding_stays_in_integers(tmp_path, decode):
    _, made = quantized(tmp_path, decode)
    assert not [reason for reason in made.spec.kept.values() if "decodes" in reason]


def test_a_network_that_joins_unlike_values_before_its_last_layer_decodes_nothing(tmp_path):
    class Joined(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.last = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(8, 5, 1)

        def forward(self, x):
            x = self.one(x)
            return self.last(torch.cat([torch.exp(x), x], 1))

    torch.manual_seed(0)
    path = export_onnx(Joined().eval(), torch.from_numpy(INPUTS[:1]), tmp_path / "a.onnx").path
    assert not [reason for reason in quantize(path, INPUTS).spec.kept.values() if "decodes" in reason]


def test_unlike_parts_that_are_computed_with_afterwards_decode_nothing(tmp_path):
    _, made = quantized(
        tmp_path, lambda x: x[:, :3] * 9 + torch.cat([torch.sigmoid(x[:, 3:]), 50 * x[:, :3]], 1)[:, 3:]
    )
    assert not [reason for reason in made.spec.kept.values() if "decodes" in reason]


def test_a_graph_without_any_convolution_decodes_nothing(tmp_path):
    class Exp(nn.Module):
        def forward(self, x):
            return torch.exp(x)

    path = export_onnx(Exp(), torch.from_numpy(INPUTS[:1]), tmp_path / "a.onnx").path
    assert quantize(path, INPUTS).spec.kept == {}
