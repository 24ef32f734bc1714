"""export: files that were proved, and the golden outputs that a device must reproduce."""

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from converters.errors import ParityError, UnsupportedOperator
from converters.inspect import describe
from falcon_edge import bundle
from falcon_edge.bundle import edit_bundle, open_bundle
from falcon_edge.errors import BadInput
from falcon_edge.manifest import Golden
from falcon_edge.notices import Notice
from falcon_edge.steps.cards import read_card
from falcon_edge.steps.export import export_bundle, golden_samples
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.pack import pack_bundle

ONNX, TFLITE = "exports/model.fp32.onnx", "exports/model.fp32.tflite"


def contents(bundle):
    return {file.relative_to(bundle).as_posix(): file.read_bytes() for file in bundle.rglob("*") if file.is_file()}


def by_onnxruntime(path, inputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return [session.run(None, {"input": image[None]})[0] for image in inputs]


def by_litert(path, inputs):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    rows = []
    for image in inputs:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image.transpose(1, 2, 0)[None].copy())
        interpreter.invoke()
        rows.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    return rows


def by_torch(bundle, inputs):
    with torch.no_grad():
        return open_network(Choice(str(bundle))).module(torch.from_numpy(inputs)).numpy()


@pytest.mark.parametrize("index", [0, 1])
def test_both_files_are_added_and_nothing_else_changes(exported, standard, compressed, index):
    before, after = contents((standard, compressed)[index]), contents(exported[index])
    outputs = [
        f"golden/{number:02d}.model.fp32.{kind}.output.bin" for number in range(8) for kind in ("onnx", "tflite")
    ]
    assert set(after) - set(before) == {ONNX, TFLITE, *outputs}
    assert {name for name in before if before[name] != after[name]} == {"manifest.json", "SHA256SUMS"}
    manifest = open_bundle(exported[index]).manifest
    expected = open_bundle((standard, compressed)[index]).manifest
    assert manifest.model_copy(update={"exports": (), "golden": expected.golden}) == expected


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize(("name", "run"), [(ONNX, by_onnxruntime), (TFLITE, by_litert)])
def test_golden_outputs_are_what_the_runtime_answers(exported, index, name, run):
    bundle = open_bundle(exported[index])
    inputs = golden_samples(bundle)
    assert inputs.shape == (8, 1, 28, 28)
    reference = by_torch(exported[index], inputs)
    found = run(bundle.file(name), inputs)
    for vector, answer, expected in zip(bundle.manifest.golden.vectors, found, reference, strict=True):
        data = bundle.file(vector.outputs[name]).read_bytes()
        assert answer.dtype == np.float32
        kept = np.frombuffer(data, np.float32).reshape(answer.shape)
        assert np.allclose(kept, answer, rtol=1e-5, atol=1e-5)
        assert np.allclose(kept[0], expected, rtol=1e-4, atol=1e-4)
        assert kept.argmax() == expected.argmax()


@pytest.mark.parametrize("index", [0, 1])
def test_parity_is_recorded_as_it_was_measured(exported, index):
    bundle = open_bundle(exported[index])
    onnx, tflite = bundle.manifest.exports
    assert [(onnx.file, onnx.target, onnx.precision), (tflite.file, tflite.target, tflite.precision)] == [
        (ONNX, "onnx", "fp32"),
        (TFLITE, "tflite", "fp32"),
    ]
    assert (onnx.parity[0].against, tflite.parity[0].against) == ("torch", "model.fp32.onnx")
    inputs = golden_samples(bundle)
    outputs = {
        name: np.stack([np.fromfile(bundle.file(v.outputs[name]), "<f4") for v in bundle.manifest.golden.vectors])
        for name in (ONNX, TFLITE)
    }
    torchs = by_torch(exported[index], inputs)
    for made, reference in ((onnx, torchs), (tflite, outputs[ONNX])):
        (parity,) = made.parity
        assert parity.samples == 8
        assert 0 <= parity.max_relative <= 1e-4
        assert parity.snr_db is None or parity.snr_db >= 90
        difference = np.abs(outputs[made.file] - reference).max()
        assert parity.max_abs == pytest.approx(difference, abs=2e-6)
        assert parity.max_relative == pytest.approx(parity.max_abs / np.abs(reference).max(), rel=1e-3)


@pytest.mark.parametrize("index", [0, 1])
def test_tolerances_and_macs(exported, index):
    manifest = open_bundle(exported[index]).manifest
    assert [each.file for each in manifest.golden.tolerances] == [ONNX, TFLITE]
    for tolerance in manifest.golden.tolerances:
        assert (tolerance.rtol, tolerance.max_lsb, tolerance.classes) == (1e-4, None, True)
    for made in manifest.exports:
        assert made.macs == describe(exported[index] / made.file).macs == manifest.macs
        assert made.notes == ()


@pytest.mark.parametrize("name", [ONNX, TFLITE])
def test_the_card_in_the_file_is_the_manifests(exported, name):
    for path in exported:
        file = path / name
        assert read_card(file, describe(file)) == open_bundle(path).manifest.card()


def test_exporting_again_replaces_and_gives_the_same_bytes(exported, tmp_path):
    """In another order, over older files, and with one target after the other."""
    path = Path(shutil.copytree(exported[1], tmp_path / "compressed.falcon"))
    before = contents(path)
    with edit_bundle(path) as draft:
        for name in (ONNX, TFLITE, "golden/00.model.fp32.onnx.output.bin", "golden/07.model.fp32.tflite.output.bin"):
            draft.write(name, b"old")
    export_bundle(path, ("tflite",))
    assert [made.file for made in open_bundle(path).manifest.exports] == [ONNX, TFLITE]
    assert (path / ONNX).read_bytes() == b"old"
    export_bundle(path, ("onnx",))
    assert contents(path) == before


def test_two_exports_at_once_are_refused_and_the_first_goes_on(exported, tmp_path):
    path, refused = Path(shutil.copytree(exported[1], tmp_path / "compressed.falcon")), []

    def export_too(done, total, text):
        if done == 0:
            with pytest.raises(BadInput, match=r"compressed\.falcon: process \d+ is writing it") as caught:
                export_bundle(path, ("tflite",))
            refused.append(caught)

    export_bundle(path, ("onnx",), ("fp32",), progress=export_too)
    assert len(refused) == 1
    assert contents(path) == contents(exported[1])
    assert os.listdir(tmp_path) == ["compressed.falcon"]


@pytest.mark.parametrize(
    ("layer", "features", "error", "said"),
    [
        # Tracing keeps the first image's brightness as a constant: the file answers the others wrongly.
        ("x * (1 + float(x.mean()))", 64, ParityError, "differs from torch by"),
        ("torch.det(x)", 4, UnsupportedOperator, "TFLite.*Det|Det.*TFLite"),
    ],
)
def test_a_wrong_or_impossible_file_leaves_the_bundle_as_it_was(tmp_path, user_module, layer, features, error, said):
    user_module(f"""
    class Odd(nn.Module):
        def forward(self, x):
            return {layer}

    def net():
        return nn.Sequential(nn.Conv2d(1, 4, 3), Odd(), nn.Flatten(), nn.Linear({features}, 3))
    """)
    pack_bundle(Choice("users_own:net", input_shape=(1, 6, 6)), tmp_path / "net")
    path = tmp_path / "net.falcon"
    before = contents(path)
    with pytest.raises(error, match=said) as caught:
        export_bundle(path, ("onnx", "tflite"))
    assert str(caught.value).startswith(f"{path}: ")
    assert "falcon-edge-" not in str(caught.value)  # the temporary folder is of no use to anyone
    assert "\n" not in str(caught.value)
    assert contents(path) == before
    assert sorted(child.name for child in tmp_path.iterdir()) == ["net.falcon", "user"]


def test_targets_that_are_not_there_yet_are_refused_at_once(standard):
    texts = []
    with pytest.raises(BadInput, match="coreml: no such target; there are onnx, ort, tflite"):
        export_bundle(standard, ("onnx", "coreml"), progress=lambda done, total, text: texts.append(text))
    assert texts == []


def test_bundles_that_cannot_be_exported(standard, tmp_path):
    with pytest.raises(BadInput, match="no such bundle"):
        export_bundle(tmp_path / "nothing.falcon", ("onnx",))
    for golden, data in ((Golden(), b""), (None, b"short")):
        path = Path(shutil.copytree(standard, tmp_path / f"{len(data)}.falcon"))
        with edit_bundle(path) as draft:
            if golden is None:
                draft.write("golden/00.input.bin", data)
            else:
                draft.manifest = draft.manifest.model_copy(update={"golden": golden})
        with pytest.raises(BadInput, match="its golden inputs are not"):
            export_bundle(path, ("onnx",))


def test_golden_samples_are_the_files_in_order(standard):
    bundle = open_bundle(standard)
    samples = golden_samples(bundle)
    assert samples.dtype == np.float32
    for number in range(8):
        assert samples[number].tobytes() == (standard / "golden" / f"{number:02d}.input.bin").read_bytes()


def test_a_bundle_that_was_miscounted_gets_the_count_of_the_exported_graph(tmp_path, choice):
    path = tmp_path / "net.falcon"
    right = pack_bundle(choice, path).macs
    with edit_bundle(path) as draft:
        draft.manifest = draft.manifest.model_copy(update={"macs": right - 7})
    with pytest.warns(Notice, match=f"{right:,} MACs in the exported graph, {right - 7:,} in the network"):
        manifest = export_bundle(path, ("onnx",))
    assert manifest.macs == open_bundle(path).manifest.macs == right


def test_an_export_reads_every_file_for_its_hash_once(exported, tmp_path, monkeypatch):
    path = Path(shutil.copytree(exported[0], tmp_path / "net.falcon"))
    real, hashed = bundle.sha256, Counter()

    def sha256(file):
        hashed[file.relative_to(file.parents[1] if file.parent.name in ("exports", "golden") else file.parent)] += 1
        return real(file)

    monkeypatch.setattr(bundle, "sha256", sha256)
    export_bundle(path, ("tflite",))
    new = {Path(name) for name in contents(path) if "tflite" in name} | {Path("manifest.json")}
    assert hashed == {Path(name): 1 + (Path(name) in new) for name in contents(path) if name != "SHA256SUMS"}
    assert open_bundle(path).manifest == open_bundle(exported[0]).manifest
