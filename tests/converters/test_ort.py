"""ONNX Runtime's own format: the same answers, portable, and the operators that a reduced build needs."""

import numpy as np
import pytest
import torch
from networks import resnet, samples, vgg

from converters import onnx_graph
from converters.errors import ConversionError
from converters.onnx_export import export_onnx
from converters.ort import convert_to_ort
from converters.parity import snr_db
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import quantize
from converters.runtimes import run_onnx


@pytest.fixture(params=["float", "int8"])
def source(tmp_path, request):
    network = resnet(1)
    path = tmp_path / "model.onnx"
    export_onnx(network, torch.zeros(1, *network.shape), path, simplify=False)
    if request.param == "int8":
        quantized = quantize(onnx_graph.load(path), samples(network.shape, 8))
        onnx_graph.save(write_qdq(quantized.model, quantized.spec), path)
    return path


def test_the_same_answers_and_portable_operators(source, tmp_path):
    export = convert_to_ort(source, tmp_path / "model.ort")
    inputs = samples((3, 33, 34))
    expected, found = run_onnx(source, inputs)[0], run_onnx(export.path, inputs)[0]
    assert snr_db(expected, found) >= 60
    assert {domain for domain, _ in export.operators} <= {"ai.onnx", "com.microsoft"}


def test_the_operators_are_read_by_the_build_of_onnx_runtime(source, tmp_path):
    from onnxruntime.tools.reduced_build_config_parser import parse_config

    export = convert_to_ort(source, tmp_path / "model.ort")
    (tmp_path / "operators.config").write_text(export.config)
    required, _ = parse_config(str(tmp_path / "operators.config"))
    named = {name for by_opset in required.values() for names in by_opset.values() for name in names}
    assert named == {name for names in export.operators.values() for name in names}
    assert named & {"FusedConv", "QLinearConv"}


def test_same_file_same_bytes(source, tmp_path):
    files = [convert_to_ort(source, tmp_path / name).path.read_bytes() for name in ("a.ort", "b.ort")]
    assert files[0] == files[1]


def test_what_onnx_runtime_does_not_load(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    with pytest.raises(ConversionError, match=r"broken\.onnx: ONNX Runtime cannot load it"):
        convert_to_ort(tmp_path / "broken.onnx", tmp_path / "a.ort")
    assert [file.name for file in tmp_path.iterdir()] == ["broken.onnx"]


def test_int8_answers_are_bit_identical(tmp_path):
    """Integer kernels do not round differently at another level of optimisation."""
    network = vgg(1)
    path = tmp_path / "model.onnx"
    export_onnx(network, torch.zeros(1, *network.shape), path, simplify=False)
    quantized = quantize(onnx_graph.load(path), samples(network.shape, 8))
    onnx_graph.save(write_qdq(quantized.model, quantized.spec), path)
    convert_to_ort(path, tmp_path / "model.ort")
    inputs = samples(network.shape)
    assert np.array_equal(run_onnx(path, inputs)[0], run_onnx(tmp_path / "model.ort", inputs)[0])
