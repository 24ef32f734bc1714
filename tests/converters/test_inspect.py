"""What inspection says of a file that was emitted."""

import flatbuffers
import numpy as np
import onnx
from emission import graph, node, random

from converters.inspect import describe
from converters.tflite.emit import emit_tflite
from converters.tflite.schema import schema


def described(model, folder):
    onnx.save(model, folder / "a.onnx")
    emit_tflite(folder / "a.onnx", folder / "a.tflite")
    return describe(folder / "a.onnx"), describe(folder / "a.tflite")


def test_transposes_that_remain_are_listed_with_the_bytes_that_they_move(tmp_path):
    source, target = described(graph([node("LogSoftmax", ["input"], ["logits"], axis=2)], (1, 3, 4, 5)), tmp_path)
    assert source.transposes == ()
    assert [move.input for move in target.transposes] == [(1, 4, 5, 3), (1, 5, 3, 4)]
    assert [move.output for move in target.transposes] == [(1, 5, 3, 4), (1, 4, 5, 3)]
    assert [move.bytes for move in target.transposes] == [2 * 60 * 4] * 2


def test_dimensions_that_are_free_are_named_but_for_the_batch(tmp_path):
    model = graph([node("Relu", ["input"], ["logits"])], (1, 3, 4, 5))
    for place, name in enumerate(("n", "", "height")):
        dimension = model.graph.input[0].type.tensor_type.shape.dim[place]
        dimension.Clear()
        dimension.dim_param = name
    onnx.save(model, tmp_path / "a.ONNX")
    assert describe(tmp_path / "a.ONNX").inputs[0].free == ("1", "2 (height)")
    emit_tflite(graph_file(tmp_path), tmp_path / "a.tflite")
    model = schema.ModelT.InitFromPackedBuf((tmp_path / "a.tflite").read_bytes())
    model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].shapeSignature = np.array([-1, -1, 5, 3], np.int32)
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    (tmp_path / "b.TFLite").write_bytes(builder.Output())
    assert describe(tmp_path / "b.TFLite").inputs[0].free == ("1",)
    assert describe(tmp_path / "a.tflite").inputs[0].free == ()


def graph_file(folder):
    path = folder / "fixed.onnx"
    onnx.save(graph([node("Relu", ["input"], ["logits"])], (1, 3, 4, 5)), path)
    return path


def test_macs_are_the_same_in_both_formats(tmp_path):
    nodes = [
        node("ConvTranspose", ["input", "w"], ["up"], strides=[2, 2]),
        node("Reshape", ["up", "rows"], ["x"]),
        node("Transpose", ["x"], ["y"], perm=[0, 2, 1]),
        node("MatMul", ["x", "y"], ["z"]),
        node("MatMul", ["z", "v"], ["logits"]),
    ]
    rows = np.array([1, 6, 80])
    source, target = described(graph(nodes, (1, 3, 4, 5), w=random(3, 6, 2, 2), v=random(6, 7), rows=rows), tmp_path)
    assert source.macs == target.macs == 3 * 4 * 5 * 6 * 4 + 6 * 80 * 6 + 6 * 6 * 7
