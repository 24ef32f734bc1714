"""Networks with several outputs, maps and boxes, through every step: packed, compressed, exported, measured."""

import json
import re
import warnings

import numpy as np
import pytest
from typer.testing import CliRunner

from converters.errors import ConversionError
from falcon_edge.bundle import open_bundle
from falcon_edge.cli.main import app
from falcon_edge.errors import BadInput, BelowAsked
from falcon_edge.steps.bench import BenchRequest, Selection, bench
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.train import train_bundle
from falcon_edge.training.recipe import Recipe
from runtime_bench.bench import Protocol
from runtime_bench.regression import Tolerances, check

QUICK = Protocol(runs=2, seconds=0.0, processes=1, rounds=1, warm_up_runs=1, warm_up_seconds=0.0, every=0)
NETS = """
import torch
from torch import nn
from torch.nn import functional


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        layers = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU()
        self.body = nn.Sequential(*layers)
        self.mask, self.box = nn.Conv2d(16, 3, 3, padding=1), nn.Conv2d(16, 5, 1)

    def forward(self, x):
        x = self.body(x)
        box = self.box(x).flatten(2).transpose(1, 2)
        boxes = torch.cat([torch.exp(box[..., :4]) * 10, torch.sigmoid(box[..., 4:])], -1)
        return {"mask": functional.interpolate(self.mask(x), scale_factor=2.0), "boxes": boxes}


def two():
    torch.manual_seed(0)
    return Two()


def share_of_first(outputs, targets):
    return float((outputs["mask"].argmax(1) == 0).mean())


def raises(outputs, targets):
    raise RuntimeError("no idea")


def no_number(outputs, targets):
    return "good"


class Apart:
    unit = "dB"
    higher_is_better = False

    def per_image(self, outputs, targets):
        return [float(box[..., 4].mean()) for box in outputs["boxes"]]

    def together(self, parts):
        return sum(parts) / len(parts)


apart = Apart()
other = Apart()
other.higher_is_better = True
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The working folder: networks and metrics as a module, and images with masks, with numbers, and alone."""
    folder = tmp_path_factory.mktemp("several")
    (folder / "heads.py").write_text(NETS)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (24, 12, 12), dtype=np.uint8)
    both = {"x_train": images, "x": images}
    masks = (images > 128).astype(np.uint8)
    np.savez(folder / "alone.npz", **both)
    np.savez(folder / "masks.npz", **both, y_train=masks, y=masks)
    np.savez(folder / "more.npz", **both, y_train=masks + 7, y=masks + 7)
    np.savez(folder / "large.npz", **both, y_train=masks.repeat(2, 1), y=masks.repeat(2, 1))
    boxes = random.random((24, 2, 5))
    np.savez(folder / "boxes.npz", **both, y_train=boxes, y=boxes)
    np.savez(folder / "classes.npz", **both, y_train=np.arange(24) % 3, y=np.arange(24) % 3)
    return folder


@pytest.fixture(scope="module")
def bundles(place, tmp_path_factory):
    """The network as it is and at rank 2, in float and in int8 for every runtime."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.syspath_prepend(place)
        pack_bundle(Choice("heads:two", input_shape=(1, 12, 12)), place / "standard", data=str(place / "masks.npz"))
        compress_bundle(Choice(str(place / "standard.falcon")), place / "small", data=str(place / "masks.npz"), rank=2)
        for name in ("standard", "small"):
            int8 = Int8(str(place / "masks.npz"), samples=8, accept_loss=True)
            export_bundle(place / f"{name}.falcon", ("onnx", "ort", "tflite"), ("fp32", "int8"), int8=int8)
        export_bundle(place / "standard.falcon", ("tflite",), ("fp16",))
        yield place / "standard.falcon", place / "small.falcon"


@pytest.fixture(autouse=True)
def there(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(place)


def test_the_manifest_tells_of_every_output(bundles):
    for path in bundles:
        manifest = open_bundle(path).manifest
        assert [(each.name, each.shape, each.kind) for each in manifest.outputs] == [
            ("mask", (3, 12, 12), "map"),
            ("boxes", (36, 5), "values"),
        ]
        assert [each.metric for each in manifest.quality] == ["miou"]
        assert list(manifest.quantization.outputs) == ["mask"]  # boxes are decoded in float
        for made in manifest.exports:
            assert made.layouts == {"mask": "NHWC" if made.target == "tflite" else "NCHW"}
            assert [parity.output for parity in made.parity] == ["mask", "boxes"]
            if made.precision == "fp32":
                assert all(parity.snr_db is None or parity.snr_db >= 90 for parity in made.parity)
            else:
                assert [(each.output, each.against) for each in made.loss] == [
                    ("mask", "model.fp32.onnx"), ("boxes", "model.fp32.onnx"),
                ]  # fmt: skip
            assert [each.output for each in manifest.golden.of(made.file, "litert")] == ["mask", "boxes"]


def test_every_output_is_replayed_and_has_to_agree(bundles):
    for entry in bench([bundles[0]], BenchRequest(QUICK)).entries:
        assert entry.failure is None
        assert [(each.output, each.within_tolerance, each.classes_equal) for each in entry.agreement] == [
            ("mask", True, None), ("boxes", True, None),
        ]  # fmt: skip


def test_a_second_output_that_is_wrong_is_a_failure(bundles, tmp_path):
    import shutil

    from falcon_edge.bundle import edit_bundle

    path = shutil.copytree(bundles[0], tmp_path / "standard.falcon")
    name = open_bundle(path).manifest.golden.vectors[3].outputs["exports/model.fp32.tflite"]
    with edit_bundle(path) as draft:
        data = np.frombuffer((path / name).read_bytes(), np.float32).copy()
        data[3 * 12 * 12 + 7] += 1.0
        draft.write(name, data.tobytes())
    results = bench([path], BenchRequest(QUICK, selection=Selection(precisions=("fp32",))))
    failed = {entry.model.target: entry.failure for entry in results.entries}
    assert failed["onnx"] is None
    assert failed["tflite"].kind == "wrong-outputs"
    assert "its output boxes is up to" in failed["tflite"].message


@pytest.mark.parametrize(
    ("metric", "name", "unit"),
    [
        (None, "miou", "share"),
        ("pixel-accuracy", "pixel-accuracy", "share"),
        ("heads:share_of_first", "heads:share_of_first", ""),
        ("heads:apart", "heads:apart", "dB"),
    ],
)
def test_a_metric_is_the_same_on_every_runtime(bundles, metric, name, unit):
    request = BenchRequest(QUICK, data="masks.npz", metric=metric, selection=Selection(precisions=("fp32",)))
    found = [entry.quality for entry in bench([bundles[0]], request).entries]
    assert len(found) == 3
    for (quality,) in found:
        assert (quality.metric, quality.unit, quality.samples, quality.data) == (name, unit, 24, "masks.npz")
        assert quality.interval[0] <= quality.value <= quality.interval[1]
        assert quality.value == pytest.approx(found[0][0].value, abs=1e-4)


def test_miou_on_a_device_is_that_of_torch(bundles):
    (torchs,) = open_bundle(bundles[0]).manifest.quality
    request = BenchRequest(QUICK, data="masks.npz", selection=Selection(precisions=("fp32",)))
    for entry in bench([bundles[0]], request).entries:
        assert entry.quality[0].value == pytest.approx(torchs.value, abs=1e-3)


def test_without_targets_answers_are_held_against_the_standard_network(bundles):
    entries = bench(bundles, BenchRequest(QUICK, data="alone.npz", samples=10)).entries
    for entry in entries:
        assert [each.metric for each in entry.quality] == ["snr:mask", "same:mask", "snr:boxes"]
        snr, same, _ = entry.quality
        if entry.model.role == "standard":
            assert snr.value > (
                90 if entry.model.precision == "fp32" else 40 if entry.model.precision == "fp16" else 15
            )
            assert same.value > 0.9
        else:
            assert snr.value < 90
    with pytest.raises(BadInput, match=r"small\.falcon: alone\.npz has no targets, .* measure its bundle"):
        bench(bundles[1:], BenchRequest(QUICK, data="alone.npz"))


def test_what_a_metric_lost_is_compared(bundles):
    request = BenchRequest(QUICK, data="masks.npz", selection=Selection(precisions=("fp32",), runtimes=("litert",)))
    new, old = (bench([path], request).entries for path in bundles[::-1])
    found = {finding.figure: finding for finding in check(new, old, Tolerances(accuracy=0.0), allow_missing=True)}
    assert found["miou"].change == pytest.approx(old[0].quality[0].value - new[0].quality[0].value)
    assert "points" in found["miou"].says


@pytest.mark.parametrize(
    ("data", "metric", "said"),
    [
        ("masks.npz", "heads:raises", "heads:raises: the metric raised RuntimeError: no idea"),
        ("masks.npz", "heads:no_number", "heads:no_number: the metric gives a str, not a number"),
        ("masks.npz", "heads:none", "heads:none cannot be imported"),
        ("masks.npz", "best", "best: no such metric; there are top1"),
        ("masks.npz", "psnr", "psnr: targets are"),
        ("alone.npz", "miou", "alone.npz: has no targets, which miou needs"),
        ("more.npz", None, "miou: targets have classes 7 to 8, the model has 0 to 2"),
        ("large.npz", None, "a mask"),
        ("boxes.npz", None, r"boxes.npz: its targets are float64 \(24, 2, 5\), the network's output mask is"),
        ("classes.npz", None, r"say by `metric` how they are judged"),
    ],
)
def test_data_and_metrics_that_do_not_fit_are_said_before_anything_is_measured(bundles, data, metric, said):
    with pytest.raises(BadInput, match=said) as caught:
        bench(bundles[:1], BenchRequest(Protocol(seconds=20.0, processes=1, every=0), data=data, metric=metric))
    assert "\n" not in str(caught.value)


def test_our_own_training_is_for_classifiers(bundles, place):
    recipe = Recipe(epochs=1, learning_rate=0.1)
    with pytest.raises(BadInput, match=r"gives mask \(3, 12, 12\), boxes \(36, 5\); our training is for one row"):
        train_bundle(Choice(str(bundles[0])), "classes.npz", place / "out", recipe)
    assert not (place / "out.falcon").exists()


@pytest.mark.parametrize("data", ["alone.npz", "masks.npz"])
def test_other_networks_are_tuned_from_the_originals_answers_alone(bundles, data, tmp_path):
    recipe = Recipe(epochs=3, learning_rate=0.05, batch_size=4)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made = compress_bundle(Choice(str(bundles[0])), tmp_path / "out", data=data, rank=1, recipe=recipe)
    assert made.lineage.steps[-1].options["labels"] == "none: the network's own answers"
    lines = [json.loads(line) for line in (tmp_path / "out.falcon" / "training.jsonl").read_text().splitlines()]
    figures = [line["quality"]["value"] for line in lines]
    assert {line["quality"]["metric"] for line in lines} == {"likeness"}
    assert figures[[line["kept"] for line in lines].index(True)] == max(figures) > figures[0]
    assert made.quality[0].metric == {"alone.npz": "snr:mask", "masks.npz": "miou"}[data]
    learned = [str(each.message) for each in said if "learns from the original's answers alone" in str(each.message)]
    assert len(learned) == (data == "masks.npz")


def test_int8_is_limited_by_the_metric(bundles):
    """What is lost where less is better is gained where more is: exactly one of the two is refused."""
    said = []
    for metric in ("heads:apart", "heads:other"):
        int8 = Int8("masks.npz", samples=4, max_drop=0.0, metric=metric, calibration="entropy")
        try:
            export_bundle(bundles[1], ("tflite",), ("int8",), int8=int8)
        except BelowAsked as error:
            said.append(str(error))
    assert len(said) == 1
    assert re.search(r"int8 loses \d+\.\d\d dB of heads:(apart|other) \(.* dB to .* dB on 24 test images\)", said[0])


def test_int8_without_targets_is_limited_by_equal_decisions(place, bundles, tmp_path):
    import shutil

    path = shutil.copytree(bundles[0], tmp_path / "a.falcon")
    manifest = export_bundle(path, ("tflite",), ("int8",), int8=Int8("alone.npz", samples=8, max_drop=100.0))
    (advice,) = manifest.advice
    assert (advice.quality.metric, advice.quality_float.value) == ("same:mask", 1.0)
    assert 0.5 < advice.quality.value <= 1.0


# -- heads --


def test_files_that_end_with_their_heads(place, bundles, tmp_path):
    import shutil

    path = shutil.copytree(bundles[0], tmp_path / "a.falcon")
    heads = ["/module/mask/Conv", "/module/box/Conv"]
    manifest = export_bundle(path, ("onnx", "tflite"), ("fp32",), head_only=heads)
    assert [(each.name, each.shape) for each in manifest.given] == [
        ("module.mask.Conv", (3, 6, 6)), ("module.box.Conv", (5, 6, 6)),
    ]  # fmt: skip
    assert [each.name for each in manifest.outputs] == ["mask", "boxes"]
    assert [made.file for made in manifest.exports] == ["exports/model.fp32.onnx", "exports/model.fp32.tflite"]
    assert manifest.quantization is None
    # What follows ends there too, and nothing is decoded in float any more.
    manifest = export_bundle(path, ("onnx", "tflite"), ("int8",), int8=Int8("alone.npz", samples=8, accept_loss=True))
    assert len(manifest.exports) == 4
    assert manifest.quantization.kept == {}
    for entry in bench([path], BenchRequest(QUICK)).entries:
        assert entry.failure is None
        assert [each.output for each in entry.agreement] == ["module.mask.Conv", "module.box.Conv"]
    network = open_network(Choice(str(path)))
    assert [each.name for each in network.outputs] == ["mask", "boxes"]


def test_a_head_that_is_not_there(bundles):
    with pytest.raises(ConversionError, match=r"has no node /mask/Conf; there are .*/module/mask/Conv.*inspect"):
        export_bundle(bundles[0], ("onnx",), head_only=["/mask/Conf"])
    with pytest.raises(ConversionError, match="is named twice as a head"):
        export_bundle(bundles[0], ("onnx",), head_only=["/module/mask/Conv"] * 2)


# -- the command line --


@pytest.mark.slow
def test_the_commands(bundles, place, tmp_path):
    run = CliRunner()
    words = [
        "bench",
        str(bundles[0]),
        "--data",
        "masks.npz",
        "--metric",
        "heads:apart",
        "--runs",
        "2",
        "--seconds",
        "0",
    ]
    done = run.invoke(app, [*words, "--processes", "1", "--json", "-o", str(tmp_path / "r.json")])
    assert done.exit_code == 0
    assert {entry["quality"][0]["metric"] for entry in json.loads(done.stdout)["entries"]} == {"heads:apart"}
    done = run.invoke(app, ["report", str(tmp_path / "r.json"), "-o", str(tmp_path / "r.html")])
    assert done.exit_code == 0
    assert "heads:apart" in (tmp_path / "r.html").read_text()
    done = run.invoke(app, ["inspect", str(bundles[0])])
    assert re.search(r"outputs\s+mask 3x12x12, boxes 36x5", done.stdout)
    for words in (["bench", str(bundles[0])], ["pack", "heads:two", "-o", "x"]):
        done = run.invoke(app, [*words, "--metric", "miou"])
        assert done.exit_code == 2
        assert "--metric miou: is measured on --data DATA" in done.stderr
