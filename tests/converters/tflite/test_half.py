"""float16 storage: half the size, float32 in and out, and the rounding of the constants is all that is lost."""

import numpy as np
import onnx
import pytest
import torch
from small_networks import resnet, samples, vgg
from torch import nn

from converters.half import LEAST_NUMBERS
from converters.inspect import describe
from converters.onnx_export import export_onnx
from converters.parity import check_same, snr_db
from converters.runtimes import run_onnx, run_tflite
from converters.tflite.emit import emit_tflite, write_rounded


def halved(network, shape, folder):
    """(source, rounded graph, float16 file, constants that are left) of a network."""
    source, rounded, half = (folder / name for name in ("model.onnx", "rounded.onnx", "half.tflite"))
    export_onnx(network, torch.zeros(1, *shape), source, simplify=False)
    emit_tflite(source, half, half=True)
    return source, rounded, half, write_rounded(source, rounded)


@pytest.mark.parametrize("make", [vgg, resnet])
@pytest.mark.parametrize("rank", [0, 2])
def test_constants_are_halved_and_the_answers_stay(tmp_path, make, rank):
    network = make(rank)
    source, rounded, half, left = halved(network, network.shape, tmp_path)
    whole = tmp_path / "whole.tflite"
    emit_tflite(source, whole)
    inputs = samples(network.shape, 16)
    check_same(rounded, inputs, half)
    expected, found = run_onnx(source, inputs)[0], run_tflite(half, inputs)[0]
    assert 55 <= snr_db(expected, found) <= 90
    assert np.array_equal(expected.argmax(1), found.argmax(1))
    assert left == ()
    described = describe(half)
    assert {value.dtype for value in (*described.inputs, *described.outputs)} == {"float32"}
    layers = [operator for operator in described.operators if operator.macs]
    large = {operator.dtype for operator in layers if operator.parameters >= 2 * LEAST_NUMBERS}
    assert large == {"float16"}
    assert described.macs == describe(whole).macs
    assert described.parameters == describe(whole).parameters
    saved = 2 * sum(parameter.numel() for parameter in network.parameters() if parameter.numel() >= LEAST_NUMBERS)
    assert half.stat().st_size <= whole.stat().st_size - 0.9 * saved + 200 * len(described.operators)


class Difference(nn.Module):
    """Of two layers that are nearly the same: what rounding does to each is large beside it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.other = nn.Conv2d(3, 16, 3, bias=False), nn.Conv2d(3, 16, 3, bias=False)
        with torch.no_grad():
            self.other.weight.copy_(self.one.weight + 1e-2 * self.other.weight)

    def forward(self, x):
        return (self.one(x) - self.other(x)).flatten(1)


def test_a_file_is_right_however_much_float16_loses(tmp_path):
    source, rounded, half, _ = halved(Difference(), (3, 8, 8), tmp_path)
    inputs = samples((3, 8, 8), 8)
    assert check_same(rounded, inputs, half)[0].snr_db >= 90
    assert snr_db(run_onnx(source, inputs)[0], run_tflite(half, inputs)[0]) < 50


@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_what_float16_cannot_hold_stays_float32(tmp_path, factor):
    """Weights above 65,504 and below its normal numbers, made up for by the layer behind."""
    torch.manual_seed(0)
    first, second, last = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 8, 3), nn.Linear(128, 4)
    with torch.no_grad():
        first.weight *= factor
        first.bias *= factor
        second.weight /= factor
    network = nn.Sequential(first, nn.ReLU(), second, nn.Flatten(), last)
    source, rounded, half, left = halved(network, (3, 8, 8), tmp_path)
    assert set(left) == {"0.weight", "2.weight"}
    inputs = samples((3, 8, 8), 8)
    check_same(rounded, inputs, half)
    assert snr_db(run_onnx(source, inputs)[0], run_tflite(half, inputs)[0]) >= 60
    assert [operator.dtype for operator in describe(half).operators if operator.macs] == ["float32"] * 2 + ["float16"]


@pytest.mark.parametrize("factor", [1e-9, 1e-6, 1e6])
def test_by_channel_no_channel_is_lost_that_others_make_up_for(tmp_path, factor):
    """Four channels that the layer behind multiplies by what they were divided by, and that rounding would take."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 8, 3)
    with torch.no_grad():
        first.weight[:4] *= factor
        first.bias[:4] *= factor
        second.weight[:, :4] /= factor
    source, _, half, _ = halved(nn.Sequential(first, nn.ReLU(), second, nn.Flatten()), (3, 8, 8), tmp_path)
    inputs, lost = samples((3, 8, 8), 8), []
    for by_channel in (False, True):
        left = write_rounded(source, tmp_path / "rounded.onnx", by_channel=by_channel)
        emit_tflite(source, half, half=True, by_channel=by_channel)
        check_same(tmp_path / "rounded.onnx", inputs, half)
        lost.append(snr_db(run_onnx(source, inputs)[0], run_tflite(half, inputs)[0]))
    assert set(left) == {"0.weight", "2.weight"}
    assert lost[0] < 30
    assert lost[1] >= 60


def test_the_factors_of_a_gemm_are_rounded_with_its_weights(tmp_path):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.weight, self.bias = nn.Buffer(torch.randn(192, 160)), nn.Buffer(torch.randn(160))

        def forward(self, x):
            return torch.addmm(self.bias, x.flatten(1), self.weight, alpha=0.3, beta=3.0)

    _, rounded, half, _ = halved(Scaled(), (3, 8, 8), tmp_path)
    check_same(rounded, samples((3, 8, 8), 8), half)
    assert half.stat().st_size < 2 * 192 * 160 + 3000


def test_rounding_again_changes_nothing(tmp_path):
    network = vgg(2)
    _, rounded, half, _ = halved(network, network.shape, tmp_path)
    again, other = tmp_path / "again.onnx", tmp_path / "other.tflite"
    assert write_rounded(rounded, again) == ()
    emit_tflite(rounded, other, half=True)
    assert again.read_bytes() == rounded.read_bytes()
    assert other.read_bytes() == half.read_bytes()
    for tensor in onnx.load(rounded).graph.initializer:
        value = onnx.numpy_helper.to_array(tensor)
        if value.dtype == np.float32 and value.size >= LEAST_NUMBERS:
            assert np.array_equal(value.astype(np.float16), value)


class Scored(nn.Module):
    """Constants that are not weights: an added mask with infinities, a division, tiny and huge numbers."""

    def __init__(self, mask):
        super().__init__()
        self.mask = nn.Buffer(mask)

    def forward(self, x):
        scores = torch.softmax(x.flatten(2) @ x.flatten(2).transpose(1, 2) / 8 + self.mask, -1)
        return (scores @ x.flatten(2)).flatten(1) / (1 + self.mask.exp().sum())


@pytest.mark.parametrize("blocked", [-np.inf, -1e9, float(np.finfo(np.float32).min)])
def test_a_mask_blocks_what_it_blocked(tmp_path, blocked):
    mask = torch.full((16, 16), blocked).triu(1)
    source, rounded, half, _ = halved(Scored(mask), (16, 4, 4), tmp_path)
    inputs = samples((16, 4, 4), 4)
    check_same(rounded, inputs, half)
    check_same(source, inputs, half)


def test_a_padded_maximum_stays_that_of_the_image(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.MaxPool2d(3, 2, 1))
    source, _, path, _ = halved(network, (3, 9, 8), tmp_path)
    inputs = samples((3, 9, 8)) - 5  # negative: a maximum that is padded with anything above would show
    expected, found = run_onnx(source, inputs)[0], run_tflite(path, inputs)[0].transpose(0, 3, 1, 2)
    assert np.isfinite(found).all()
    assert snr_db(expected, found) >= 55
