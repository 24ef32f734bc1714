"""ONNX models that end earlier: each computes what the whole one does up to there."""

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession
from small_networks import resnet

from converters.formats import format_for
from converters.inspect import describe
from converters.onnx_export import export_onnx
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import quantize


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefixes")
    network = resnet(2)
    export_onnx(network, torch.zeros(1, *network.shape), folder / "fp32.onnx", simplify=False)
    images = np.random.default_rng(1).standard_normal((4, *network.shape)).astype(np.float32)
    quantized = quantize(onnx.load(folder / "fp32.onnx"), images)
    onnx.save(write_qdq(quantized.model, quantized.spec), folder / "int8.onnx")
    return folder, images[:1]


def answers(path, image):
    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: image}), strict=True))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_each_gives_out_what_the_rest_would_read(models, tmp_path, precision):
    folder, image = models
    path = folder / f"{precision}.onnx"
    operators = [each for each in describe(path).operators if each.macs]
    ends = [each.writes[0] for each in operators]
    if precision == "int8":  # a convolution is one kernel with the quantization behind it
        quantized = {node.input[0]: node.output[0] for node in onnx.load(path).graph.node if "Quantize" in node.op_type}
        relu = {node.input[0]: node.output[0] for node in onnx.load(path).graph.node if node.op_type == "Relu"}
        ends = [quantized.get(end) or quantized[relu[end]] for end in ends]
    whole = onnx.load(path)
    prefixes = list(format_for(path.suffix).prefixes(path, tmp_path, ends))
    assert len(prefixes) == len(ends)
    for prefix, end in zip(prefixes, ends, strict=True):
        onnx.checker.check_model(onnx.load(prefix))
        found = answers(prefix, image)
        assert end in found
        for name in found:
            whole.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    onnx.save(whole, tmp_path / "whole.onnx")
    expected = answers(tmp_path / "whole.onnx", image)
    for prefix in prefixes:
        for name, value in answers(prefix, image).items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-4 if precision == "fp32" else 1)
    assert {value.dtype for value in answers(prefixes[2], image).values()} == {
        np.dtype("float32" if precision == "fp32" else "uint8")
    }
