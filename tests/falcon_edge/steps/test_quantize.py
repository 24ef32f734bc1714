"""int8, fp16 and .ort through export and bench: what the bundle says of them, and that it is so."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from converters.parity import snr_db
from falcon_edge.bundle import WEIGHTS, open_bundle
from falcon_edge.cli.main import app
from falcon_edge.data import open_dataset
from falcon_edge.errors import BadInput, BelowAsked
from falcon_edge.notices import Notice
from falcon_edge.steps.bench import BenchRequest, Selection, bench
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.quantize import Inputs, Int8
from falcon_edge.steps.shipped import SHIPPED
from falcon_edge.training.images import Images
from runtime_bench.bench import Protocol

PROTOCOL = Protocol(runs=4, processes=1, seconds=0, rounds=2, warm_up_runs=1, warm_up_seconds=0, every=0)
FILES = {
    "exports/model.fp16.tflite",
    *(f"exports/model.{precision}.{target}" for precision in ("fp32", "int8") for target in ("onnx", "ort", "tflite")),
}


@pytest.fixture(scope="module")
def integer(standard, tmp_path_factory, stripes):
    """At rank 3, which answers as the standard network does without tuning: int8 has something to lose."""
    path = tmp_path_factory.mktemp("integer") / "net.falcon"
    compress_bundle(Choice(str(standard)), path, data=str(stripes), rank=3)
    export_bundle(path, ("onnx", "ort", "tflite"), ("fp32", "fp16", "int8"), int8=Int8(str(stripes), samples=64))
    return path


def test_every_form_is_there_and_says_what_it_was_compared_with(integer):
    manifest = open_bundle(integer).manifest
    assert {made.file for made in manifest.exports} == FILES
    against = {made.file.removeprefix("exports/model."): made.parity[0].against for made in manifest.exports}
    assert against["fp32.onnx"] == "torch"
    assert against["fp32.ort"] == against["int8.onnx"] == "model.fp32.onnx"
    assert against["fp16.tflite"] == "model.fp32.rounded.onnx"
    assert against["int8.ort"] == against["int8.tflite"] == "model.int8.onnx"
    assert len({made.macs for made in manifest.exports}) == 1
    assert {each.file for each in manifest.golden.tolerances} == FILES


def test_what_a_precision_loses_is_told_beside_whether_the_file_is_right(integer):
    bundle = open_bundle(integer)
    vectors = bundle.manifest.golden.vectors
    answers = {
        made.file: np.stack([np.fromfile(bundle.file(vector.outputs[made.file]), "<f4") for vector in vectors])
        for made in bundle.manifest.exports
    }
    for made in bundle.manifest.exports:
        assert made.warnings == ()
        if made.precision == "fp32":
            assert made.loss == ()
            continue
        assert (made.loss[0].against, made.loss[0].samples) == ("model.fp32.onnx", 8)
        expected = snr_db(answers["exports/model.fp32.onnx"], answers[made.file])
        assert made.loss[0].snr_db == pytest.approx(expected, abs=0.1)
        assert made.loss[0].snr_db >= (50 if made.precision == "fp16" else 20)
    half = next(made for made in bundle.manifest.exports if made.precision == "fp16")
    assert half.parity[0].snr_db >= 90 > half.loss[0].snr_db


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
        assert given.quality.samples == given.quality_float.samples == 60
        lost = 100 * (given.quality_float.value - given.quality.value)
        assert ("loses nothing" in given.text) == (lost <= 0.1)
        assert given.speed is None


@pytest.mark.slow
def test_advice_with_speed_has_the_latencies_that_were_measured(integer, stripes, tmp_path):
    path = tmp_path / "net.falcon"
    shutil.copytree(integer, path)
    export_bundle(path, ("onnx", "tflite"), ("int8",), int8=Int8(str(stripes), samples=64, measure=True))
    advice = open_bundle(path).manifest.advice
    assert [given.speed.runtime for given in advice] == ["onnxruntime", "litert"]
    for given in advice:
        times = given.speed.fp32_ns / given.speed.int8_ns
        assert f"{times:.2f} times as fast" in given.text
        assert ("use fp32" in given.text) == (times < 1)


def test_all_forms_run_and_agree(integer, stripes):
    results = bench([integer], BenchRequest(PROTOCOL, data=str(stripes)))
    assert {entry.model.file for entry in results.entries} == {name.removeprefix("exports/") for name in FILES}
    for entry in results.entries:
        assert entry.failure is None, entry.model.file
        assert entry.agreement[0].within_tolerance
    top1 = {entry.model.precision: entry.quality[0].value for entry in results.entries}
    assert top1["int8"] >= top1["fp32"] - 0.03


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_integers_in_and_out(integer, tmp_path, stripes, activations):
    path = tmp_path / "net.falcon"
    shutil.copytree(integer, path)
    options = Int8(str(stripes), samples=32, integer_io=True, activations=activations)
    manifest = export_bundle(path, ("onnx", "tflite"), ("int8",), int8=options)
    assert manifest.golden.of("exports/model.int8.onnx", "onnxruntime")[0].max_lsb == 2
    vector = manifest.golden.vectors[0]
    stored = [np.fromfile(path / vector.outputs[f"exports/model.int8.{end}"], np.uint8) for end in ("onnx", "tflite")]
    assert [len(output) for output in stored] == [3, 3]
    results = bench([path], BenchRequest(PROTOCOL, data=str(stripes), selection=Selection(targets=("onnx", "tflite"))))
    top1 = {entry.model.file: entry.quality[0].value for entry in results.entries}
    for entry in results.entries:
        assert entry.failure is None
        assert entry.agreement[0].within_tolerance
    for name in ("model.int8.onnx", "model.int8.tflite"):
        assert top1[name] >= top1["model.fp32.onnx"] - 0.03


def test_files_of_a_former_quantization_are_taken_out(integer, tmp_path, stripes):
    path = tmp_path / "net.falcon"
    shutil.copytree(integer, path)
    export_bundle(path, ("onnx",), ("int8",), int8=Int8(str(stripes), samples=16))
    manifest = open_bundle(path).manifest  # which finds files that are missing, and files that are too many
    left = FILES - {"exports/model.int8.ort", "exports/model.int8.tflite"}
    assert {made.file for made in manifest.exports} == left
    assert {each.file for each in manifest.golden.tolerances} == left
    assert all(vector.outputs.keys() == left for vector in manifest.golden.vectors)
    assert [given.file for given in manifest.advice] == ["exports/model.int8.onnx"]
    assert manifest.quantization.samples == 16
    names = {file.name for file in path.rglob("*")}
    assert not {name for name in names if "int8.ort" in name or "int8.tflite" in name}
    assert {name for name in names if "int8.onnx" in name}


def test_files_of_the_same_quantization_stay(integer, tmp_path, stripes):
    path = tmp_path / "net.falcon"
    shutil.copytree(integer, path)
    before = {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    export_bundle(path, ("tflite",), ("int8",), int8=Int8(str(stripes), samples=64))
    assert {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_the_command_says_what_it_takes_out(integer, tmp_path, stripes):
    shutil.copytree(integer, tmp_path / "net.falcon")
    words = f"export {tmp_path}/net.falcon --target tflite --precision int8 --data {stripes} --samples 16".split()
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    said = [line.split()[2] for line in done.stderr.splitlines() if "of another quantization" in line]
    assert said == ["exports/model.int8.onnx", "exports/model.int8.ort"]


@pytest.mark.parametrize("form", ["array", "decoded"])
def test_inputs_are_made_of_pixels_when_they_are_asked_for(stripes, compressed, form):
    spec = open_bundle(compressed).manifest.input
    split = open_dataset(stripes).val
    if form == "decoded":
        split = replace(split, images=list(split.images))
    images = Images(split, spec)
    inputs = Inputs(images)
    whole = np.concatenate([batch.numpy() for batch, _ in images.batches(7)])
    assert len(inputs) == len(whole)
    np.testing.assert_array_equal(np.stack(list(inputs)), whole)
    np.testing.assert_array_equal(inputs[3], whole[3])
    np.testing.assert_array_equal(inputs[np.int64(-1)], whole[-1])
    np.testing.assert_array_equal(inputs[2:9], whole[2:9])
    with pytest.raises(IndexError):
        inputs[len(whole)]


def test_a_bundle_with_an_ort_is_inspected(integer):
    done = CliRunner().invoke(app, ["inspect", str(integer), "--json"])
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert "exports/model.int8.ort" in {made["file"] for made in document["manifest"]["exports"]}
    assert set(document["files"]) == {
        made["file"] for made in document["manifest"]["exports"] if made["target"] != "ort"
    }
    assert "model.int8.ort" in CliRunner().invoke(app, ["inspect", str(integer)]).stdout


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
        export_bundle(integer, ("onnx",), ("fp16",))
    with pytest.raises(BadInput, match="int8 needs images"):
        export_bundle(integer, ("onnx",), ("int8",))
    with pytest.raises(BadInput, match="has 3 classes, but the data has 10"):
        export_bundle(integer, ("onnx",), ("int8",), int8=Int8("sample"))


def packed(folder, change):
    """The network that ships with us, its weights changed in place, as a bundle."""
    state = load_file(SHIPPED / WEIGHTS)
    change(state)
    save_file(state, folder / "weights.safetensors")
    pack_bundle(Choice("vgg8", weights=folder / "weights.safetensors"), folder / "net", data="sample")
    return folder / "net.falcon"


def pruned(state):
    """Batch normalisation leaves next to nothing of 8 channels of the third convolution, but their shift."""
    state["features.8.weight"][:8] = 1e-8


def uneven(state):
    """The same function, with one channel of the third convolution ten thousand times as large as the others."""
    for name in ("weight", "bias"):
        state[f"features.8.{name}"][0] *= 1e4
    state["features.11.weight"][:, 0] *= 1e-4


@pytest.fixture(scope="module")
def bundle_that_int8_ruins(tmp_path_factory):
    return packed(tmp_path_factory.mktemp("uneven"), uneven)


def test_channels_that_were_pruned_cost_nothing(tmp_path):
    path = packed(tmp_path, pruned)
    manifest = export_bundle(path, ("onnx", "tflite"), ("int8",), int8=Int8("sample", samples=128))
    assert manifest.quantization.kept == {}
    assert manifest.layer_losses.warnings == ()
    for given in manifest.advice:
        assert given.quality.value >= given.quality_float.value - 0.005


def test_what_each_layer_loses_is_in_the_manifest(integer):
    manifest = open_bundle(integer).manifest
    lost = manifest.layer_losses.snr_db
    assert {manifest.input.name, manifest.outputs[0].name} <= lost.keys()
    assert min(lost.values()) > 15
    assert manifest.layer_losses.warnings == ()


@pytest.mark.parametrize("targets", [("onnx",), ("tflite",), ("ort",)])
def test_a_loss_beyond_what_is_allowed_writes_nothing(bundle_that_int8_ruins, targets):
    before = {file: file.read_bytes() for file in bundle_that_int8_ruins.rglob("*") if file.is_file()}
    with pytest.warns(Notice), pytest.raises(BelowAsked, match=r"loses \d+\.\d\d points .* `max_drop` allows 1"):
        export_bundle(bundle_that_int8_ruins, targets, ("fp32", "int8"), int8=Int8("sample", samples=64))
    assert {file: file.read_bytes() for file in bundle_that_int8_ruins.rglob("*") if file.is_file()} == before


def test_a_loss_that_is_accepted_is_told(bundle_that_int8_ruins, tmp_path):
    shutil.copytree(bundle_that_int8_ruins, tmp_path / "net.falcon")
    words = f"export {tmp_path}/net.falcon --target onnx --precision int8 --data sample --samples 64".split()
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "--accept-loss" in done.stderr
    done = CliRunner().invoke(app, [*words, "--accept-loss"])
    assert done.exit_code == 0
    (warning,) = open_bundle(tmp_path / "net.falcon").manifest.layer_losses.warnings
    assert "the range: channel 0 of" in warning
    assert f"warning: int8: {warning}" in done.stderr
