"""bench: what of a bundle or a bare file goes into the measurement, and what comes out."""

import hashlib
import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from converters.inspect import describe
from falcon_edge.bundle import open_bundle
from falcon_edge.data import open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.falcon.cost import cost
from falcon_edge.steps.bench import BenchRequest, Selection, bench, bench_groups
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.quantize import Int8
from falcon_edge.training.images import Images
from runtime_bench.bench import Protocol
from runtime_bench.devices.local import LocalDevice
from runtime_bench.errors import BenchInputError
from runtime_bench.profile import APART_RUNS, CALL_EVERY, TURNS
from runtime_bench.why import cold_cost, sections

QUICK = Protocol(runs=3, processes=1, seconds=0.0, rounds=1, warm_up_runs=1, warm_up_seconds=0.0, every=0)
ONNX, TFLITE = "exports/model.fp32.onnx", "exports/model.fp32.tflite"


@pytest.fixture(scope="module")
def measured(exported, stripes):
    return bench(exported, BenchRequest(QUICK, data=str(stripes))).entries


@pytest.fixture(scope="module")
def bare(exported, tmp_path_factory):
    """The files of the compressed network, away from their bundle."""
    folder = tmp_path_factory.mktemp("bare")
    return [Path(shutil.copy(exported[1] / name, folder / f"a{Path(name).suffix}")) for name in (ONNX, TFLITE)]


@pytest.fixture(scope="module")
def measured_bare(bare, stripes):
    return bench(bare, BenchRequest(QUICK, data=str(stripes))).entries


def right(bundle, stripes):
    """How many of the test images the torch network gets right."""
    opened, test = open_network(Choice(str(bundle))), open_dataset(stripes).test
    with torch.no_grad():
        inputs, labels = next(Images(test, opened.input).batches(len(test)))
        return int((opened.module(inputs).argmax(1) == labels).sum())


def test_every_file_of_every_bundle_is_measured(measured, exported):
    assert [(entry.model.name, entry.model.target, entry.runtime.name) for entry in measured] == [
        ("standard", "onnx", "onnxruntime"),
        ("standard", "tflite", "litert"),
        ("compressed", "onnx", "onnxruntime"),
        ("compressed", "tflite", "litert"),
    ]
    for entry in measured:
        assert entry.failure is None
        assert entry.device == "local"
        assert entry.summary.count >= 3
        assert entry.summary.count == sum(len(burst.samples_ns) for burst in entry.bursts)
        assert entry.runtime.threads == 1
        assert entry.memory.peak > 0


def test_entries_say_what_the_bundles_say(measured, exported):
    for entry, (path, file) in zip(measured, [(p, f) for p in exported for f in (ONNX, TFLITE)], strict=True):
        manifest = open_bundle(path).manifest
        data = (path / file).read_bytes()
        model = entry.model
        assert (model.sha256, model.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
        assert (model.role, model.identity) == (manifest.lineage.role, manifest.lineage.identity)
        assert (model.parameters, model.macs, model.precision) == (manifest.parameters, manifest.macs, "fp32")
        assert model.operators == describe(path / file).counts
        network = cost(open_network(Choice(str(path))).module, (1, 28, 28))
        assert (model.parameters, model.macs) == (network.parameters, network.macs)
    standard, compressed = measured[0].model, measured[2].model
    assert compressed.parent == standard.identity
    assert compressed.macs < standard.macs


def test_golden_vectors_are_replayed(measured):
    for entry in measured:
        assert entry.agreement[0].vectors == entry.agreement[0].classes_equal == 8
        assert entry.agreement[0].within_tolerance


def test_accuracy_is_that_of_torch(measured, exported, stripes):
    for entry in measured:
        expected = right(exported[entry.model.role == "compressed"], stripes)
        assert (entry.quality[0].data, entry.quality[0].samples) == ("stripes.npz", 90)
        assert round(entry.quality[0].value * entry.quality[0].samples) == expected
        assert entry.quality[0].value == expected / 90


def test_a_bare_file_is_known_by_its_card(measured, measured_bare, exported):
    lineage = open_bundle(exported[1]).manifest.lineage
    for entry, with_bundle in zip(measured_bare, measured[2:], strict=True):
        model = entry.model
        assert entry.failure is None
        assert (model.name, model.role, model.identity) == ("compressed", "compressed", lineage.identity)
        assert (model.parent, model.target) == (lineage.parent.identity, with_bundle.model.target)
        assert (model.macs, model.precision) == (with_bundle.model.macs, "fp32")
        assert entry.quality == with_bundle.quality
        assert entry.agreement == ()


def without_card(source, path):
    model = onnx.load(source)
    del model.metadata_props[:]
    onnx.save(model, path)
    return path


def test_a_file_without_a_card(bare, tmp_path, stripes):
    path = without_card(bare[0], tmp_path / "plain.onnx")
    with pytest.raises(BadInput, match=r"plain\.onnx: carries no card"):
        bench([path], BenchRequest(QUICK, data=str(stripes)))
    (entry,) = bench([path], BenchRequest(QUICK)).entries
    assert entry.failure is None
    model = entry.model
    assert (model.name, model.role, model.identity, model.parent) == ("plain", None, None, None)
    assert (model.macs, model.operators) == (describe(bare[0]).macs, describe(bare[0]).counts)
    assert entry.quality == ()


@pytest.mark.parametrize("card", [{"schema_version": 3}, {"hue": 1}, {"input": None}])
def test_a_card_that_cannot_be_read(bare, tmp_path, card):
    model = onnx.load(bare[0])
    entry = next(entry for entry in model.metadata_props if entry.key == "falcon_edge.card")
    entry.value = json.dumps(json.loads(entry.value) | card)
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(BadInput, match=r"a\.onnx: (not a valid card|a card of version 3)") as caught:
        bench([tmp_path / "a.onnx"], BenchRequest(QUICK))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "targets"),
    [
        ({"runtimes": ["litert"]}, ["tflite"]),
        ({"runtimes": ["ort"]}, ["onnx"]),
        ({"targets": ["tflite"]}, ["tflite"]),
        ({"precisions": ["fp32"], "targets": ["onnx"]}, ["onnx"]),
    ],
)
def test_what_is_measured_can_be_narrowed(exported, words, targets):
    results = bench(exported[:1], BenchRequest(QUICK, selection=Selection(**words)))
    assert [entry.model.target for entry in results.entries] == targets


@pytest.mark.parametrize(
    "words", [{"precisions": ["int8"]}, {"targets": ["ort"]}, {"runtimes": ["ort"], "targets": ["tflite"]}]
)
def test_nothing_left_to_measure(exported, words):
    with pytest.raises(BenchInputError, match="nothing to measure"):
        bench(exported, BenchRequest(QUICK, selection=Selection(**words)))


def test_fewer_images_are_spread_over_the_test_split(exported, tmp_path, stripes):
    """Sorted by class, as image folders are: the first ones would all be of one class."""
    arrays = dict(np.load(stripes))
    order = np.argsort(arrays["y_test"], kind="stable")
    arrays["x_test"], arrays["y_test"] = arrays["x_test"][order], arrays["y_test"][order]
    np.savez(tmp_path / "sorted.npz", **arrays)
    words = {"selection": Selection(targets=["onnx"]), "data": str(tmp_path / "sorted.npz")}
    (entry,) = bench(exported[:1], BenchRequest(QUICK, samples=9, **words)).entries
    chosen = np.linspace(0, 89, 9).round().astype(int)
    np.savez(tmp_path / "chosen.npz", **(arrays | {name: arrays[name][chosen] for name in ("x_test", "y_test")}))
    assert sorted(arrays["y_test"][chosen]) == [0] * 3 + [1] * 3 + [2] * 3
    assert (entry.quality[0].samples, round(entry.quality[0].value * entry.quality[0].samples)) == (
        9,
        right(exported[0], tmp_path / "chosen.npz"),
    )
    for count in (0, -3):
        with pytest.raises(BadInput, match="needs at least 1"):
            bench(exported[:1], BenchRequest(QUICK, samples=count, **words))


def test_what_cannot_be_measured(exported, standard, tmp_path, stripes):
    np.savez(tmp_path / "other.npz", x=np.zeros((4, 12, 12), np.uint8), y=np.arange(4))
    np.savez(tmp_path / "train.npz", x_train=np.zeros((4, 12, 12), np.uint8), y_train=np.arange(4) % 3)
    own = shutil.copytree(standard, tmp_path / "own net.falcon")
    tests = (
        ([standard], {}, r"standard\.falcon: has no exported files; run falcon-edge export"),
        ([own], {}, r"run falcon-edge export '.*own net\.falcon' first"),
        ([tmp_path / "nothing.falcon"], {}, r"nothing\.falcon"),
        (exported, {"data": "nothing"}, "no such data set"),
        (exported, {"data": str(tmp_path / "other.npz")}, "has 3 classes, but the data has 4"),
        (exported, {"data": str(tmp_path / "train.npz")}, "has no test split"),
    )
    for paths, words, said in tests:
        with pytest.raises(Exception, match=said) as caught:
            bench(paths, BenchRequest(QUICK, **words))
        assert "\n" not in str(caught.value)


def test_a_size_that_is_free_is_bad_input_before_anything_is_measured(bare, tmp_path):
    model = onnx.load(bare[0])
    image = model.graph.input[0]
    image.type.tensor_type.shape.dim[3].dim_param = "width"
    onnx.save(model, tmp_path / "free.onnx")
    with pytest.raises(BadInput, match=rf"free\.onnx: its input {image.name} is free in dimension 3 \(width\)"):
        bench([bare[1], tmp_path / "free.onnx"], BenchRequest(QUICK))


def test_suffixes_in_capitals_are_as_good(bare, tmp_path):
    loud = [Path(shutil.copy(path, tmp_path / f"{path.stem}{path.suffix.upper()}")) for path in bare]
    entries = bench(loud, BenchRequest(QUICK)).entries
    assert [(entry.failure, entry.model.target, entry.model.file) for entry in entries] == [
        (None, "onnx", "a.ONNX"),
        (None, "tflite", "a.TFLITE"),
    ]


def test_a_device_that_is_none(exported):
    with pytest.raises(BenchInputError, match="moon: no such device; known are local, arm64"):
        bench(exported, BenchRequest(QUICK), device="moon")


def test_a_runtime_that_is_none():
    with pytest.raises(BenchInputError, match="tensorrt: no such runtime"):
        Selection(runtimes=["tensorrt"])


def test_groups_come_back_apart(exported):
    results, (one, other) = bench_groups(
        [exported[:1], exported[1:]], BenchRequest(QUICK, selection=Selection(runtimes=["ort"]))
    )
    assert (*one, *other) == results.entries
    assert [entry.model.name for entry in (*one, *other)] == ["standard", "compressed"]


def test_a_damaged_bundle_is_not_measured(exported, tmp_path):
    path = Path(shutil.copytree(exported[0], tmp_path / "net.falcon"))
    data = bytearray((path / TFLITE).read_bytes())
    data[len(data) // 2] ^= 1
    (path / TFLITE).write_bytes(data)
    with pytest.raises(BadInput, match=r"model\.fp32\.tflite does not match SHA256SUMS"):
        bench([path], BenchRequest(QUICK))


def test_nothing_is_left_beside_the_bundles(measured, exported):
    assert sorted(os.listdir(exported[0].parent)) == ["compressed.falcon", "standard.falcon"]


# -- where the time goes --


@pytest.fixture(scope="module")
def profiled(exported):
    return bench(exported, BenchRequest(QUICK, profile=True))


def test_every_file_is_profiled_as_a_whole(profiled):
    methods = {"onnx": "runtime", "tflite": "prefixes"}
    for entry in profiled.entries:
        profile = entry.profile
        assert profile.method == methods[entry.model.target]
        assert sum(layer.macs for layer in profile.layers) == entry.model.macs
        whole = sum(layer.ns for layer in profile.layers) + profile.remainder_ns
        # what takes longer alone than in the whole has been measured in another moment
        assert whole == pytest.approx(entry.summary.p50_ns, rel=1e-6)
        assert profile.layers[-1].output == "logits"


def test_both_models_have_their_layers_side_by_side(profiled):
    for target in ("onnx", "tflite"):
        standard, compressed = (entry for entry in profiled.entries if entry.model.target == target)
        found = sections(standard, compressed)
        assert len(found) > 1
        forms = {layer.form for section in found for layer in section.compressed}
        assert {"pointwise", "depthwise"} & forms
        assert [layer for section in found for layer in section.standard] == [*standard.profile.layers]


def test_the_peak_is_that_of_this_machine(profiled):
    assert set(profiled.peaks.macs_per_second) == {"fp32"}
    assert profiled.peaks.macs_per_second["fp32"] > 1e8
    assert profiled.peaks.bytes_per_second > 1e8


def test_where_it_is_measured_back_to_back_alone_nothing_is_said_of_why(profiled):
    for entry in profiled.entries:
        assert entry.profile.apart is None
        assert entry.profile.call is None
        assert cold_cost(entry, profiled.peaks) is None


# To empty a server's caches takes a third of a second, and LiteRT's layers are found by many inferences.
@pytest.mark.parametrize(
    ("way", "runtime"),
    [
        *(("paced", "onnxruntime"), ("paced", "litert"), ("cold", "onnxruntime")),
        pytest.param("cold", "litert", marks=pytest.mark.slow),
    ],
)
def test_why_an_inference_apart_takes_longer_is_found_apart_from_how_much(exported, way, runtime):
    """The layers, and the call, of inferences that are as far apart as those of which it is to be told."""
    started, selection = time.monotonic(), Selection(runtimes=[runtime])
    protocol = replace(QUICK, ticks=8, **{"cold": True} if way == "cold" else {"every": 0.02})
    results = bench(exported[1:], BenchRequest(protocol, selection=selection, profile=True))
    (entry,) = results.entries
    inferences = (2 + 2 / CALL_EVERY) * TURNS * APART_RUNS  # of both models, as a whole and what is within
    assert time.monotonic() - started > inferences * protocol.every
    assert (entry.profile.apart, entry.cold is None) == (way, way == "paced")
    # LiteRT's call is a few microseconds, less than two measurements are apart on a busy machine.
    assert (way, runtime) != ("cold", "onnxruntime") or entry.profile.call.ns < entry.profile.call.cold_ns
    assert all(layer.cold_ns is not None for layer in entry.profile.layers)
    weights = sum(layer.weights or 0 for layer in entry.profile.layers)
    # Batch norms were folded, and a .tflite gives each convolution a bias.
    assert 3 * entry.model.parameters < weights < 5 * entry.model.parameters
    found = cold_cost(entry, results.peaks)
    assert (found is None) == (entry.profile.longer_ns == 0)
    if found is not None:
        assert min(found.call, found.memory) >= 0
        assert found.whole == entry.profile.longer_ns


@pytest.mark.slow
def test_an_ort_file_is_profiled_by_the_onnx_beside_it(exported, tmp_path):
    bundle = Path(shutil.copytree(exported[1], tmp_path / "with-ort.falcon"))
    export_bundle(bundle, ("ort",))
    (entry,) = bench([bundle], BenchRequest(QUICK, selection=Selection(targets=["ort"]), profile=True)).entries
    assert sum(layer.macs for layer in entry.profile.layers) == entry.model.macs


class Board(LocalDevice):
    """This machine, which says that it is another; the files that its workers load."""

    def __init__(self, machine):
        super().__init__()
        self.machine, self.loaded = machine, []

    def environment(self):
        return super().environment().model_copy(update={"machine": self.machine})

    def push(self, path):
        self.loaded.append(path.name)
        return super().push(path)


@pytest.mark.parametrize(("machine", "asked"), [("aarch64", True), ("x86_64", False)])
def test_on_arm_additions_in_int8_are_held_against_what_arm_rounds_to(compressed, stripes, tmp_path, machine, asked):
    """Rank 2 adds its two branches."""
    bundle = Path(shutil.copytree(compressed, tmp_path / "compressed.falcon"))
    export_bundle(bundle, ("onnx",), ("int8",), int8=Int8(str(stripes), samples=16))
    board = Board(machine)
    (entry,) = bench([bundle], BenchRequest(QUICK, selection=Selection(precisions=("int8",))), device=board).entries
    assert entry.agreement[0].within_tolerance
    assert ("rounded.onnx" in board.loaded) == asked
