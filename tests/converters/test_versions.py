"""What is written asks for no newer runtime than it needs; tests/e2e/test_old_runtimes.py runs it in old ones."""

import pytest
import torch
from operator_versions import versions
from small_networks import resnet, samples, vgg
from torch import nn

from converters import onnx_graph
from converters.onnx_export import export_onnx
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import quantize
from converters.tflite.emit import tflite_bytes


@pytest.fixture(scope="module", params=["vgg", "resnet", "hardtanh"])
def model(request, tmp_path_factory):
    networks = {
        "vgg": lambda: vgg(1),
        "resnet": lambda: resnet(2),
        "hardtanh": lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.MaxPool2d(2), nn.Hardtanh(), nn.Conv2d(4, 4, 1)),
    }
    network = networks[request.param]().eval()
    shape = getattr(network, "shape", (3, 8, 8))
    path = export_onnx(
        network, torch.zeros(1, *shape), tmp_path_factory.mktemp("versions") / "a.onnx", simplify=False
    ).path
    model = onnx_graph.load(path)
    return model, quantize(model, samples(shape, 4))


@pytest.mark.parametrize("activations", ["float", "uint8", "int8"])
@pytest.mark.parametrize("quantized_io", [False, True])
def test_opset_17_and_ir_version_8(model, activations, quantized_io):
    written, quantized = model
    if activations != "float":
        written = write_qdq(quantized.model, quantized.spec, activations=activations, quantized_io=quantized_io)
    assert written.ir_version <= 8
    assert {entry.domain: entry.version for entry in written.opset_import} == {"": 17}


@pytest.mark.parametrize("form", ["float", "half", "int8", "integers"])
def test_lowest_versions_of_tflite_operators(model, form):
    source, quantized = model
    options = {"half": form == "half"}
    if form in ("int8", "integers"):
        source, options = quantized.model, {"quantization": quantized.spec, "integer_io": form == "integers"}
    found = versions(tflite_bytes(source, **options))
    assert len(found) > 3
    assert [entry for entry in found if entry[1] != entry[2]] == []
