"""Real architectures, from torch to TFLite."""

import pytest
import zoo

pytestmark = pytest.mark.skipif(zoo.missing() is not None, reason=str(zoo.missing()))


def as_good_as_torch(name, folder):
    member = zoo.MEMBERS[name]
    converted = zoo.convert(member, member.side, folder)
    assert converted.onnx_db >= 80
    assert converted.tflite_db >= 80
    assert converted.tflite.get("TRANSPOSE", 0) == zoo.TRANSPOSES.get(name, 0)


@pytest.mark.parametrize("name", zoo.QUICK)
def test_ten_families(tmp_path, name):
    as_good_as_torch(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in zoo.MEMBERS if name not in zoo.QUICK])
def test_the_whole_zoo(tmp_path, name):
    as_good_as_torch(name, tmp_path)
