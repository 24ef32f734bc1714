"""Models that end earlier: each computes what the whole one does up to there."""

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from small_networks import resnet

from converters.errors import ConversionError
from converters.formats import format_for
from converters.inspect import describe
from converters.onnx_export import export_onnx
from converters.tflite.emit import emit_tflite


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefixes")
    network = resnet(2)
    export_onnx(network, torch.zeros(1, *network.shape), folder / "resnet.onnx", simplify=False)
    emit_tflite(folder / "resnet.onnx", folder / "resnet.tflite")
    emit_tflite(folder / "resnet.onnx", folder / "half.tflite", half=True)
    return folder / "resnet.tflite"


def answers(path, keep=False):
    """Every output by its tensor's name (all tensors with `keep`), for one seeded image."""
    interpreter = Interpreter(str(path), experimental_preserve_all_tensors=keep)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    image = np.random.default_rng(0).standard_normal(source["shape"]).astype(np.float32)
    interpreter.set_tensor(source["index"], image)
    interpreter.invoke()
    details = interpreter.get_tensor_details() if keep else interpreter.get_output_details()
    return {row["name"]: interpreter.get_tensor(row["index"]) for row in details if row["shape"].size or not keep}


def test_each_gives_out_what_the_whole_one_computes_there(model, tmp_path):
    operators = describe(model).operators
    paths = list(format_for(".tflite").prefixes(model, tmp_path, [each.writes[0] for each in operators]))
    assert len(paths) == len(operators)
    sizes = [path.stat().st_size for path in paths]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1] / 3  # constants that are not reached are not there
    expected = answers(model, keep=True)
    several = 0
    for path, operator in zip(paths, operators, strict=True):
        found = answers(path)
        assert operator.writes[0] in found
        several += len(found) > 1
        for name, value in found.items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-5)
    assert several > 0  # in a branch, both sides are given out


def test_the_last_one_is_the_whole_also_where_constants_are_expanded(model, tmp_path):
    half = model.with_name("half.tflite")
    (path,) = format_for(".tflite").prefixes(half, tmp_path, ["logits"])
    for name, value in answers(path).items():
        np.testing.assert_array_equal(value, answers(half)[name])


def test_a_damaged_file(tmp_path):
    (tmp_path / "a.tflite").write_bytes(b"\x00\x00\x00\x00TFL3 no model")
    with pytest.raises(ConversionError, match=r"a\.tflite: a damaged TFLite model"):
        list(format_for(".tflite").prefixes(tmp_path / "a.tflite", tmp_path, ["logits"]))
