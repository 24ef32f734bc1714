"""convert: an .onnx as another file, with the proofs of a bundle."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession
from operator_forms import SHAPE, known_opsets, together

from converters.errors import ConversionError
from converters.formats import format_for
from converters.parity import run, snr_db, usual
from converters.runtimes import run_onnx, tflite_interpreter
from falcon_edge.bundle import open_bundle
from falcon_edge.data.dataset import from_pairs
from falcon_edge.errors import BadInput
from falcon_edge.notices import Notice
from falcon_edge.steps.convert import convert, export_file
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.quantize import Int8


def write(path, opset=13, last=False):
    """A small network of one operator more than convolutions, its channels first, or last."""
    random = np.random.default_rng(0)
    weights = {
        "w": random.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "m": random.standard_normal((4, 5)).astype(np.float32),
    }
    nodes = [
        *([helper.make_node("Transpose", ["x"], ["first"], perm=[0, 3, 1, 2])] if last else []),
        helper.make_node("Conv", ["first" if last else "x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "m"], ["y"]),
    ]
    shape = [1, 6, 8, 3] if last else [1, 3, 6, 8]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7), path)
    return path


@pytest.mark.parametrize("suffix", [".tflite", ".ort", ".onnx"])
@pytest.mark.parametrize("last", [False, True])
def test_a_file_answers_as_the_one_it_was_made_of(tmp_path, suffix, last):
    source, output = write(tmp_path / "net.onnx", last=last), tmp_path / f"out{suffix}"
    made = convert(source, output)
    (parity,) = made.parity
    assert parity.against == "net.onnx"
    x = np.random.default_rng(1).standard_normal((3, 3, 6, 8)).astype(np.float32)
    expected = run_onnx(source, x.transpose(0, 2, 3, 1).copy() if last else x)[0]
    form = format_for(suffix)
    assert snr_db(expected, usual(run(form, output, x), form.layout)[0]) > 90
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["net.onnx", output.name])


@pytest.mark.parametrize("opset", [7, 9, 11, 17, 18, 21])
def test_opsets_of_old_and_new_files(tmp_path, opset):
    assert convert(write(tmp_path / "net.onnx", opset), tmp_path / "out.tflite").parity[0].against == "net.onnx"


@pytest.mark.parametrize(
    ("kind", "opset"),
    [
        pytest.param(*each, marks=[] if each == ("Clip", 11) else pytest.mark.slow)
        for each in known_opsets()
        if each[1] <= 21 and each != ("Equal", 7)
    ],
)
def test_all_forms_of_an_operator_at_every_opset_that_changed_it(tmp_path, kind, opset):
    source, output = tmp_path / "net.onnx", tmp_path / "out.tflite"
    onnx.save(together(kind, opset), source)
    if kind in ("Log", "Reciprocal"):
        with pytest.raises(BadInput, match="answers an image of zeros with values that are not finite"):
            convert(source, output)
        return
    convert(source, output)
    x = np.random.default_rng(1).standard_normal((2, *SHAPE[1:])).astype(np.float32)
    found = usual(run(format_for(".tflite"), output, x), format_for(".tflite").layout)
    assert min(snr_db(*each) for each in zip(run_onnx(source, x), found, strict=True)) > 80


def test_int8_is_calibrated_on_data_and_held_against_the_source(exported, stripes, tmp_path):
    source = exported[0] / "exports" / "model.fp32.onnx"
    int8 = Int8(str(stripes), samples=60, accept_loss=True)
    with pytest.warns(Notice, match=r"stripes\.npz: its images are resized to 28 x 28, .*, for .*\.onnx"):
        made = convert(source, tmp_path / "out.tflite", precision="int8", int8=int8)
    convert(source, tmp_path / "float.tflite")
    assert (tmp_path / "out.tflite").stat().st_size < (tmp_path / "float.tflite").stat().st_size
    assert made.file == "out.tflite"
    assert [each.against for each in (*made.parity, *made.loss)] == ["model.fp32.onnx in int8", "model.fp32.onnx"]
    assert made.loss[0].snr_db > 20


def test_float16_is_held_against_the_source_and_what_is_said_names_the_users_files(tmp_path):
    v, other = np.random.default_rng(0).standard_normal((2, 16, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["one"]),
        helper.make_node("Conv", ["x", "w"], ["other"]),
        helper.make_node("Sub", ["one", "other"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 6, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, 4, 6])],
        [numpy_helper.from_array(v, "v"), numpy_helper.from_array(v + np.float32(1e-2) * other, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "a.onnx")
    with pytest.warns(Notice, match=r"b\.tflite differs from a\.onnx \(SNR .* float16 loses much") as said:
        made = convert(tmp_path / "a.onnx", tmp_path / "b.tflite", precision="fp16")
    assert not [each for each in said if "model." in str(each.message)]
    assert made.parity[0].against == "a.onnx rounded to float16"
    assert (made.loss[0].against, made.loss[0].snr_db < 40) == ("a.onnx", True)


def test_names_of_input_and_outputs_are_kept(tmp_path):
    source = write(tmp_path / "net.onnx")
    model = onnx.load(source)
    model.graph.input[0].name = model.graph.node[0].input[0] = "the image:0"
    model.graph.output.append(helper.make_tensor_value_info("r", TensorProto.FLOAT, [1, 4, 6, 8]))
    onnx.save(model, source)
    for suffix in (".onnx", ".ort"):
        convert(source, tmp_path / f"out{suffix}")
        session = InferenceSession(tmp_path / f"out{suffix}")
        named = [value.name for value in (*session.get_inputs(), *session.get_outputs())]
        assert named == ["the image:0", "y", "r"]
    int8 = Int8(from_pairs(np.random.default_rng(0).integers(0, 256, (8, 6, 8, 3), np.uint8), "images"))
    for precision in ("fp32", "fp16", "int8"):
        convert(source, tmp_path / "out.tflite", precision=precision, int8=int8, force=True)
        made = tflite_interpreter((tmp_path / "out.tflite").read_bytes())
        assert [row["name"] for row in (*made.get_input_details(), *made.get_output_details())] == named
        assert made.get_signature_list() == {"serving_default": {"inputs": named[:1], "outputs": sorted(named[1:])}}


@pytest.mark.parametrize(
    ("source", "output", "says"),
    [
        ("net.onnx", "out.pb", "the suffix says the format"),
        ("net.onnx", "nowhere/out.tflite", "there is no folder"),
        ("net.onnx", "there.tflite", "is there already"),
        ("net.onnx", "net.onnx", "is the file that is converted"),
        ("there.tflite", "out.tflite", r"not an \.onnx file"),
        ("nothing.onnx", "out.tflite", r"nothing\.onnx"),
        ("broken.onnx", "out.tflite", r"broken\.onnx"),
    ],
)
def test_what_cannot_be_converted_is_said_and_leaves_nothing(tmp_path, source, output, says):
    write(tmp_path / "net.onnx")
    (tmp_path / "there.tflite").write_bytes(b"mine")
    (tmp_path / "broken.onnx").write_bytes((tmp_path / "net.onnx").read_bytes()[:100])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(BadInput, match=says):
        convert(tmp_path / source, tmp_path / output)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_maps_of_an_onnx_whose_channels_are_last_stay_what_they_are(tmp_path):
    source = write(tmp_path / "net.onnx", last=True)
    model = onnx.load(source)
    model.graph.node.append(helper.make_node("Transpose", ["r"], ["map"], perm=[0, 2, 3, 1]))
    model.graph.output.append(helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, 6, 8, 4]))
    onnx.save(model, source)
    x = np.random.default_rng(1).standard_normal((2, 3, 6, 8)).astype(np.float32)
    expected = run_onnx(source, np.ascontiguousarray(x.transpose(0, 2, 3, 1)))[1]
    convert(source, tmp_path / "out.tflite")
    assert np.allclose(run(format_for(".tflite"), tmp_path / "out.tflite", x)[1], expected, atol=1e-4)
    with pytest.warns(Notice, match=r"out\.ort: takes images with their channels first"):
        convert(source, tmp_path / "out.ort")
    assert np.allclose(run(format_for(".ort"), tmp_path / "out.ort", x)[1], expected.transpose(0, 3, 1, 2), atol=1e-4)


def test_suffixes_in_capitals_are_as_good(tmp_path):
    source = write(tmp_path / "NET.ONNX")
    for name in ("net.TFLite", "net.Ort"):
        assert convert(source, tmp_path / name).file == name
    pack_bundle(Choice(str(source)), tmp_path / "NET.FALCON")
    assert open_bundle(tmp_path / "NET.FALCON").manifest.name == "NET"


def test_with_force_a_file_is_replaced(tmp_path):
    (tmp_path / "out.tflite").write_bytes(b"old")
    convert(write(tmp_path / "net.onnx"), tmp_path / "out.tflite", force=True)
    assert (tmp_path / "out.tflite").stat().st_size > 100


def test_a_file_is_exported_as_a_bundle(tmp_path):
    source = write(tmp_path / "net.onnx", last=True)
    manifest = export_file(source, tmp_path / "out", ("onnx", "tflite"))
    assert manifest.name == "out"
    assert open_bundle(tmp_path / "out.falcon").manifest == manifest
    assert [export.file for export in manifest.exports] == ["exports/model.fp32.onnx", "exports/model.fp32.tflite"]
    with pytest.raises(BadInput, match=r"out\.falcon: exists already"):
        export_file(source, tmp_path / "out", ("tflite",))
    made = export_file(source, tmp_path / "out", ("tflite",), force=True)
    assert [export.target for export in made.exports] == ["tflite"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "out.falcon"]


def test_what_fails_on_the_way_names_the_file_and_leaves_the_bundle_that_was_there(tmp_path):
    source = write(tmp_path / "net.onnx")
    export_file(source, tmp_path / "out", ("onnx",))
    before = open_bundle(tmp_path / "out.falcon").manifest
    with pytest.raises(ConversionError, match=r"net\.onnx: .*has no node nowhere"):
        export_file(source, tmp_path / "out", ("tflite",), head_only=("nowhere",), force=True)
    assert open_bundle(tmp_path / "out.falcon").manifest == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "out.falcon"]


def test_the_same_file_gives_the_same_bytes(tmp_path):
    write(tmp_path / "net.onnx")
    made = [tmp_path / name for name in ("one.tflite", "two.tflite")]
    for output in made:
        convert(tmp_path / "net.onnx", output)
    assert made[0].read_bytes() == made[1].read_bytes()
