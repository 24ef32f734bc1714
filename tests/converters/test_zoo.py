"""Real architectures, from torch to ONNX and TFLite, in float and in int8."""

import pytest
import zoo

pytestmark = pytest.mark.skipif(zoo.missing() is not None, reason=str(zoo.missing()))


def as_good_as_torch(name, folder):
    member = zoo.MEMBERS[name]
    converted = zoo.convert(zoo.make(member), member.side, folder)
    assert converted.onnx_db >= 80
    assert converted.tflite_db >= 80
    assert "TRANSPOSE" not in converted.tflite
    quantized = zoo.quantize(member.side, folder)
    # Of random weights: that it is the same network, not how accurate a trained one would be.
    loud = name in zoo.LOUD
    assert quantized.onnx_db >= quantized.alone_db - 3
    assert quantized.onnx_db >= (4 if loud else 10)
    # Two that lose as much, each by itself, are 3 dB further from one another than from what they lose it against.
    assert quantized.agreement_db >= (4 if loud else quantized.onnx_db - 3)


@pytest.mark.parametrize("name", zoo.QUICK)
def test_ten_families(tmp_path, name):
    as_good_as_torch(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in zoo.MEMBERS if name not in zoo.QUICK])
def test_the_whole_zoo(tmp_path, name):
    as_good_as_torch(name, tmp_path)
