"""float16 storage: half the size, float32 in and out, nearly the same answers."""

import numpy as np
import pytest
import torch
from networks import resnet, samples, vgg

from converters.inspect import describe
from converters.onnx_export import export_onnx
from converters.parity import snr_db
from converters.runtimes import run_onnx, run_tflite
from converters.tflite.emit import emit_tflite


@pytest.mark.parametrize("make", [vgg, resnet])
@pytest.mark.parametrize("rank", [0, 2])
def test_constants_are_halved_and_the_answers_stay(tmp_path, make, rank):
    network = make(rank)
    source, half, whole = (tmp_path / name for name in ("model.onnx", "half.tflite", "whole.tflite"))
    export_onnx(network, torch.zeros(1, *network.shape), source, simplify=False)
    emit_tflite(source, half, half=True)
    emit_tflite(source, whole)
    inputs = samples(network.shape, 16)
    expected, found = run_onnx(source, inputs)[0], run_tflite(half, inputs)
    assert snr_db(expected, found) >= 55
    assert np.array_equal(expected.argmax(1), found.argmax(1))
    described = describe(half)
    assert {value.dtype for value in (*described.inputs, *described.outputs)} == {"float32"}
    assert {operator.dtype for operator in described.operators if operator.macs} == {"float16"}
    assert described.macs == describe(whole).macs
    assert described.parameters == describe(whole).parameters
    saved = 2 * sum(parameter.numel() for parameter in network.parameters() if parameter.ndim > 1)
    assert half.stat().st_size <= whole.stat().st_size - 0.8 * saved + 200 * len(described.operators)


def test_what_float16_cannot_hold_saturates(tmp_path):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.MaxPool2d(3, 2, 1))
    source, path = tmp_path / "model.onnx", tmp_path / "half.tflite"
    export_onnx(network, torch.zeros(1, 3, 9, 8), source, simplify=False)
    emit_tflite(source, path, half=True)
    inputs = samples((3, 9, 8)) - 5  # negative: a maximum that is padded with anything above would show
    expected, found = run_onnx(source, inputs)[0], run_tflite(path, inputs).transpose(0, 3, 1, 2)
    assert np.isfinite(found).all()
    assert snr_db(expected, found) >= 55
