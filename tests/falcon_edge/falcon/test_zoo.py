"""FALCON in place of the convolutions of real architectures."""

import pytest
import zoo

pytestmark = [pytest.mark.slow, pytest.mark.skipif(zoo.missing() is not None, reason=str(zoo.missing()))]


@pytest.mark.parametrize("name", list(zoo.MEMBERS))
def test_the_whole_zoo(tmp_path, name):
    member = zoo.MEMBERS[name]
    compressed = zoo.compress(zoo.make(member), member.side, tmp_path)
    assert (compressed is None) == (name in zoo.NOTHING_TO_COMPRESS)
    if compressed is not None:
        assert compressed.lossless <= 1e-3
        assert compressed.onnx_db >= 80
        assert compressed.tflite_db >= 80
