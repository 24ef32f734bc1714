"""int8, fp16 and .ort through export and bench: what the bundle says of them, and that it is so."""

import numpy as np
import pytest

from falcon_edge.bundle import open_bundle
from falcon_edge.data import open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.steps.bench import bench
from falcon_edge.steps.export import export
from falcon_edge.steps.quantize import Int8
from runtime_bench.bench import Protocol

PROTOCOL = Protocol(runs=4, seconds=0, rounds=2, warm_up_runs=1, warm_up_seconds=0)
FILES = {
    "exports/model.fp16.tflite",
    *(f"exports/model.{precision}.{target}" for precision in ("fp32", "int8") for target in ("onnx", "ort", "tflite")),
}


@pytest.fixture(scope="module")
def integer(compressed, tmp_path_factory, stripes):
    import shutil

    path = tmp_path_factory.mktemp("integer") / "net.falcon"
    shutil.copytree(compressed, path)
    export(path, ("onnx", "ort", "tflite"), ("fp32", "fp16", "int8"), int8=Int8(str(stripes), samples=64))
    return path


def test_every_form_is_there_and_says_what_it_was_compared_with(integer):
    manifest = open_bundle(integer).manifest
    assert {made.file for made in manifest.exports} == FILES
    against = {made.file.removeprefix("exports/model."): made.parity.against for made in manifest.exports}
    assert against["fp32.onnx"] == "torch"
    assert against["fp32.ort"] == against["fp16.tflite"] == against["int8.onnx"] == "model.fp32.onnx"
    assert against["int8.ort"] == against["int8.tflite"] == "model.int8.onnx"
    assert len({made.macs for made in manifest.exports}) == 1
    assert manifest.golden.tolerances.keys() == FILES


def test_the_quantization_is_told(integer, stripes):
    about = open_bundle(integer).manifest.quantization
    split = open_dataset(stripes).train
    chosen = split.subset(np.linspace(0, len(split) - 1, 64).round().astype(int))
    assert (about.calibration, about.samples, about.data) == ("minmax", 64, "stripes.npz")
    assert about.data_sha256 == chosen.sha256()
    assert about.kept == {}
    assert about.islands == ()


def test_the_advice_is_what_was_measured(integer):
    advice = open_bundle(integer).manifest.advice
    assert [given.file for given in advice] == ["exports/model.int8.onnx", "exports/model.int8.tflite"]
    for given in advice:
        assert given.samples == 60
        lost = 100 * (given.top1_float - given.top1)
        assert ("loses nothing" in given.text) == (lost <= 0.1)


def test_all_forms_run_and_agree(integer, stripes):
    results = bench([integer], PROTOCOL, data=str(stripes))
    assert {entry.model.file for entry in results.entries} == {name.removeprefix("exports/") for name in FILES}
    for entry in results.entries:
        assert entry.failure is None, entry.model.file
        assert entry.agreement.within_tolerance
    top1 = {entry.model.precision: entry.accuracy.top1 for entry in results.entries}
    assert top1["int8"] >= top1["fp32"] - 0.03


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_integers_in_and_out(integer, tmp_path, stripes, activations):
    import shutil

    path = tmp_path / "net.falcon"
    shutil.copytree(integer, path)
    options = Int8(str(stripes), samples=32, integer_io=True, activations=activations)
    manifest = export(path, ("onnx", "tflite"), ("int8",), int8=options)
    assert manifest.golden.tolerances["exports/model.int8.onnx"].max_lsb == 2
    vector = manifest.golden.vectors[0]
    stored = [np.fromfile(path / vector.outputs[f"exports/model.int8.{end}"], np.uint8) for end in ("onnx", "tflite")]
    assert [len(output) for output in stored] == [3, 3]
    results = bench([path], PROTOCOL, data=str(stripes), targets=("onnx", "tflite"))
    top1 = {entry.model.file: entry.accuracy.top1 for entry in results.entries}
    for entry in results.entries:
        assert entry.failure is None
        assert entry.agreement.within_tolerance
    for name in ("model.int8.onnx", "model.int8.tflite"):
        assert top1[name] >= top1["model.fp32.onnx"] - 0.03


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"calibration": "guess"}, "there are minmax"),
        ({"samples": 0}, "at least one image"),
        ({"keep_accuracy": -1.0}, "at least 0 points"),
    ],
)
def test_options_that_mean_nothing(change, said):
    with pytest.raises(BadInput, match=said):
        Int8("sample", **change)


def test_forms_that_do_not_exist(integer):
    with pytest.raises(BadInput, match="fp16 is for the target tflite"):
        export(integer, ("onnx",), ("fp16",))
    with pytest.raises(BadInput, match="int8 needs images"):
        export(integer, ("onnx",), ("int8",))
    with pytest.raises(BadInput, match="has 10 classes, but the network 3"):
        export(integer, ("onnx",), ("int8",), int8=Int8("sample"))
