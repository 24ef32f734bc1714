"""From a data set to a comparison, by the commands that the README names."""

import numpy as np
import pytest
import torch
from torch import nn

from falcon_edge.bundle import open_bundle
from runtime_bench.results import load

FILES = ("exports/model.fp32.onnx", "exports/model.fp32.tflite")
NETWORK = """
from torch import nn

def tiny(num_classes=3, in_channels=1):
    return nn.Sequential(nn.Conv2d(in_channels, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(8, num_classes))
"""


@pytest.fixture(scope="module")
def standard(flow):
    return open_bundle(flow.folder / "standard.falcon").manifest


@pytest.fixture(scope="module")
def compressed(flow):
    return open_bundle(flow.folder / "falcon.falcon").manifest


@pytest.fixture(scope="module")
def results(flow):
    return load(flow.folder / "results.json")


def test_nothing_but_what_was_asked_for_is_left(flow):
    names = {path.name for path in flow.folder.iterdir()}
    assert names == {"stripes.npz", "standard.falcon", "falcon.falcon", "results.json"}


def test_training_learns(standard):
    (measured,) = standard.quality
    assert (measured.data, measured.split, measured.samples) == ("stripes.npz", "test", 90)
    assert measured.value > 0.8
    assert standard.labels == ("rows", "columns", "noise")
    assert (standard.lineage.role, standard.lineage.parent) == ("standard", None)


def test_compression_keeps_the_lineage_and_most_of_the_accuracy(standard, compressed):
    assert (compressed.lineage.role, compressed.lineage.parent.name) == ("compressed", "standard")
    assert compressed.lineage.parent.identity == standard.lineage.identity
    assert [step.verb for step in compressed.lineage.steps] == ["train", "compress"]
    assert standard.macs / compressed.macs > 4
    assert compressed.quality[0].value > 0.6  # one in three is chance


@pytest.mark.parametrize("name", ["standard", "falcon"])
def test_exports_compute_what_the_network_does(flow, name):
    bundle = open_bundle(flow.folder / f"{name}.falcon")
    assert tuple(export.file for export in bundle.manifest.exports) == FILES
    for export in bundle.manifest.exports:
        assert export.parity[0].samples == len(bundle.manifest.golden.vectors) == 8
        assert export.parity[0].snr_db is None or export.parity[0].snr_db >= 90
        assert export.macs == bundle.manifest.macs
    for vector in bundle.manifest.golden.vectors:
        outputs = [np.fromfile(bundle.file(vector.outputs[file]), "<f4") for file in FILES]
        assert outputs[0].shape == (3,)
        assert outputs[0] == pytest.approx(outputs[1], rel=1e-3)


def test_measuring_both_in_both_runtimes(results, standard, compressed):
    found = [(entry.model.name, entry.runtime.name) for entry in results.entries]
    assert found == [(name, runtime) for name in ("standard", "falcon") for runtime in ("onnxruntime", "litert")]
    for entry in results.entries:
        manifest = standard if entry.model.name == "standard" else compressed
        assert entry.failure is None
        assert entry.summary.count == 6
        assert {burst.round for burst in entry.bursts} == {0, 1}
        assert entry.summary.min_ns > 0
        assert entry.memory.after_load > entry.memory.before_load > 0
        assert (entry.model.macs, entry.model.parameters) == (manifest.macs, manifest.parameters)
        assert entry.agreement[0].within_tolerance
        assert entry.agreement[0].classes_equal == entry.agreement[0].vectors == 8
        # What torch measured, to an image whose two best classes are nearly equal.
        assert entry.quality[0].samples == 90
        assert entry.quality[0].value == pytest.approx(manifest.quality[0].value, abs=1 / 90 + 1e-9)


def test_comparison_is_that_of_the_samples(again, standard, compressed):
    entries = load(again.folder / "results.json").entries
    rows = again.done["compare"].document
    assert [row["entry"]["model"]["name"] for row in rows] == ["standard", "standard", "falcon", "falcon"]

    def median(entry):
        return np.median([sample for burst in entry.bursts for sample in burst.samples_ns])

    for row, before, after in zip(rows[2:], entries[:2], entries[2:], strict=True):
        speedup, ratio = median(before) / median(after), standard.macs / compressed.macs
        assert row["standard"] == "standard"
        assert row["speedup"] == pytest.approx(speedup)
        assert row["macs_ratio"] == pytest.approx(ratio)
        assert row["realised_share"] == pytest.approx(speedup / ratio)


def test_a_baseline_by_its_name_or_its_bundle(flow, warm, tmp_path):
    def compared(baseline):
        done = warm(f"compare {flow.folder}/results.json --baseline {baseline} --json", tmp_path)
        return done.code, done.out and [row["standard"] for row in done.document], done.err

    assert compared("falcon") == (0, 4 * ["falcon"], "")
    assert compared(flow.folder / "falcon.falcon") == compared("falcon")
    assert compared("standard.falcon")[2] == "error: no model is called standard.falcon; there are falcon, standard\n"
    assert warm("pack vgg8 --width 0.25 -o standard", tmp_path).code == 0
    said = "error: standard.falcon: was not measured here as it is now; these results are of falcon, standard\n"
    assert compared("standard.falcon") == (2, "", said)
    report = f"report {flow.folder}/results.json -o report.html --baseline {flow.folder}/falcon.falcon"
    assert warm(report, tmp_path).code == 0


def test_tables_for_people(flow, standard, compressed):
    out = {name: done.out for name, done in flow.done.items()}
    assert f"{100 * standard.quality[0].value:.2f}% on 90 test images of stripes.npz" in out["train"]
    assert "compressed from standard" in out["compress"]
    assert f"{compressed.macs:,}" in out["inspect"]
    assert "falcon rank 1" in out["inspect"]
    assert "train on stripes.npz, compress on stripes.npz" in out["inspect"]
    assert all(file in out["inspect"] for file in FILES)
    assert "all golden outputs agree" in out["bench"]
    assert f"{standard.macs / compressed.macs:.2f}x" in out["compare"]


def test_inspecting_a_bare_file(flow, warm, compressed):
    for file in FILES:
        described = warm(f"inspect falcon.falcon/{file} --json", flow.folder).document
        assert described["macs"] == compressed.macs
        assert described["card"]["lineage"]["parent"]["name"] == "standard"
        assert described["operators"]
        assert file.rpartition("/")[2] in warm(f"inspect falcon.falcon/{file}", flow.folder).out


def test_packing_a_network_of_ones_own(warm, stripes, tmp_path):
    (tmp_path / "nets.py").write_text(NETWORK)
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    torch.save(network.state_dict(), tmp_path / "trained.pt")
    done = warm(f"pack nets:tiny --weights trained.pt --data {stripes} --input 1x12x12 -o mine --json", tmp_path)
    assert done.code == 0
    assert done.document["labels"] == ["rows", "columns", "noise"]
    assert done.document["lineage"]["role"] == "standard"
    again = f"pack nets:tiny --weights trained.pt --data {stripes} --input 1x12x12 -o mine -q"
    refused = warm(again, tmp_path)
    assert (refused.code, refused.err) == (
        2,
        "error: mine.falcon: exists already; choose another name, or replace it with --force\n",
    )
    assert warm(f"{again} --force", tmp_path).code == 0
    assert warm("export --json", tmp_path).code == 0  # the only bundle here
    bundle = open_bundle(tmp_path / "mine.falcon")
    for vector in bundle.manifest.golden.vectors:
        inputs = np.fromfile(bundle.file(vector.input), "<f4").reshape(1, 1, 12, 12)
        expected = network(torch.from_numpy(inputs)).detach().numpy()[0]
        for file in FILES:
            assert np.fromfile(bundle.file(vector.outputs[file]), "<f4") == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_the_same_commands_give_the_same_bytes(flow, again):
    for name in ("standard.falcon", "falcon.falcon"):
        one, other = flow.folder / name, again.folder / name
        files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
        assert {file.as_posix() for file in files} >= {*FILES, "weights.safetensors", "manifest.json"}
        assert files == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
        for file in files:
            assert (one / file).read_bytes() == (other / file).read_bytes(), file
