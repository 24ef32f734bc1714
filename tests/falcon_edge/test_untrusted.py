"""Bundles, weights and results from anywhere: one line that can be printed, and nothing is run or filled."""

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from converters.errors import ConversionError
from falcon_edge.bundle import MANIFEST, PLAN, SUMS, edit_bundle, open_bundle
from falcon_edge.cli import main  # noqa: F401  # names in backticks become its options, once it is there
from falcon_edge.cli.session import _line, _text, exit_code
from falcon_edge.documents import read_document
from falcon_edge.errors import BadInput
from falcon_edge.falcon.plan import Plan
from falcon_edge.manifest import Export, Manifest, MeasuredParity
from falcon_edge.models.sources import build
from falcon_edge.models.weights import load_weights
from falcon_edge.steps.bench import BenchRequest, bench
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.shipped import copy_sample_network
from runtime_bench.bench import Protocol
from runtime_bench.errors import BenchInputError
from runtime_bench.results import load


def refused(call, *arguments):
    """The one line with which something is refused, as a user sees it."""
    with pytest.raises((BadInput, BenchInputError)) as caught:
        call(*arguments)
    assert exit_code(caught.value) == 2
    line = _line(caught.value)
    assert "\n" not in line
    assert line.isprintable()
    assert len(line) < 1010
    return line


# -- manifest.json, plan.json, results --


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The bundle that ships with us."""
    return copy_sample_network(tmp_path_factory.mktemp("sample") / "sample")


@pytest.fixture
def bundle(sample, tmp_path):
    """A bundle whose manifest or plan can be changed, by a function of the document or to any bytes."""

    def change(edit, name=MANIFEST):
        path = tmp_path / "b.falcon"
        if not path.exists():
            shutil.copytree(sample, path)
        if callable(edit):
            document = json.loads((path / name).read_bytes())
            edit(document)
            edit = json.dumps(document).encode()
        (path / name).write_bytes(edit)
        lines = (path / SUMS).read_text().splitlines()
        digest = hashlib.sha256(edit).hexdigest()
        (path / SUMS).write_text(
            "".join(f"{digest}  {name}\n" if line.endswith(f"  {name}") else f"{line}\n" for line in lines)
        )
        return path

    return change


def test_the_sample_is_whole(bundle):
    path = bundle(lambda document: None)
    assert open_bundle(path).manifest == read_document(path / MANIFEST, Manifest)
    assert open_network(Choice(str(path))).name == open_bundle(path).manifest.name


DEEP = b'{"steps": ' + b"[" * 100_000
BROKEN = [
    (b"", "not a valid manifest"),
    (b"\xff\xfe\x00", "not a valid manifest"),
    (b"null", "not a valid manifest"),
    (DEEP, "not a valid manifest"),
    (DEEP + b"]" * 100_000 + b"}", "not a valid manifest"),
    (lambda document: document.update(macs=10**30), "more than 64 bits"),
    (lambda document: document.update(macs=float("nan")), "not a valid manifest"),
    (lambda document: document.update(tools={"a" * 10_000: 3}), "not a valid manifest"),
    (lambda document: document.update({"\x1b[2J\x9b": 1}), r"\x1b[2J\x9b"),
    (lambda document: document.update(name="\ud800"), "not a valid manifest"),
    (lambda document: document.update(schema_version="x" * 10_000), "a manifest of version 'xxx"),
    (lambda document: document["input"].update(shape=[1, 10**6, 10**6]), "images of this size are too large"),
    (lambda document: document["input"].update(shape=[1, -1, 28]), "the shape must be positive"),
    (lambda document: document["input"].update(steps=[{"op": "resize", "height": 10**9, "width": 1}]), "too large"),
    (lambda document: document["input"].update(steps=[{"op": "run"}]), "not a valid manifest"),
    (lambda document: document["golden"]["vectors"][0].update(input="../../etc/passwd"), "no path inside of"),
    (lambda document: document["golden"]["vectors"][0].update(input="/etc/passwd"), "no path inside of the bundle"),
    (lambda document: document["golden"]["vectors"][0].update(input="golden/missing.bin"), "lacks golden/missing.bin"),
    (lambda document: document["lineage"]["steps"][0].update(options={"x": eval("[" * 90 + "]" * 90)}), None),
    (lambda document: document["lineage"]["steps"][0].update(options={"x": 1e999}), "not a valid manifest"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "reason"), BROKEN, ids=[f"{index}" for index in range(len(BROKEN))])
def test_a_broken_manifest(bundle, edit, reason):
    path = bundle(edit)
    if reason is None:
        assert open_bundle(path).manifest
    else:
        assert reason in refused(open_bundle, path)


def test_numbers_that_are_no_json(bundle):
    text = (bundle(lambda document: None) / MANIFEST).read_text()
    path = bundle(text.replace('"options": {', '"options": {"x": 1e999, ', 1).encode())
    assert "not a valid manifest" in refused(open_bundle, path)


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        ({"source": "os:abort"}, "os is a module of Python itself"),
        ({"source": "os.path:abspath"}, "os.path is a module of Python itself"),
        ({"source": "subprocess:run"}, "subprocess is a module of Python itself"),
        ({"source": "vgg8", "width": 1000.0}, "would be larger than 8 GiB"),
        ({"source": "vgg8", "width": 1e300}, "cannot be built"),
        ({"source": "timm:resnet18", "model_args": {"checkpoint_path": "x"}}, "--model-arg is for module:function"),
        ({"source": "vgg8", "num_classes": 10**12}, "at most 1000000"),
        ({"source": "vgg8", "in_channels": 10**12}, "at most 1000000"),
        ({"source": "vgg8", "num_classes": 11}, "its weights do not fit"),
    ],
)
def test_a_manifest_that_asks_for_another_network(bundle, architecture, reason):
    path = bundle(lambda document: document.update(architecture=architecture))
    assert reason in refused(open_network, Choice(str(path)))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (DEEP, "not a valid plan"),
        (lambda document: document["layers"][1].update(action="falcon", rank=10**9), "rank"),
        (lambda document: document["layers"][1].update(action="falcon", rank=10**30), "64 bits"),
        (lambda document: document["layers"][1].update(name="x\x1b[2J", action="falcon", rank=1), "no convolution"),
    ],
)
def test_a_broken_plan(bundle, edit, reason):
    path = bundle(edit, PLAN)
    assert reason in refused(open_network, Choice(str(path)))


@pytest.mark.parametrize(
    ("read", "limit"),
    [
        (lambda path: read_document(path, Manifest), 16),
        (lambda path: read_document(path, Plan), 16),
        (load, 256),
    ],
    ids=["manifest", "plan", "results"],
)
def test_a_document_that_is_too_large_is_not_read(tmp_path, read, limit):
    path = tmp_path / "a.json"
    path.touch()
    os.truncate(path, 3 * 1024**4)
    assert f"larger than {limit} MiB" in refused(read, path)


def test_sums_that_are_too_large_are_not_read(bundle):
    path = bundle(lambda document: None)
    os.truncate(path / SUMS, 3 * 1024**4)
    assert "larger than 16 MiB" in refused(open_bundle, path)


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b'{"schema_version": 1, "x": 1e999}', b'{"schema_version": 1' + b"0" * 5000 + b"}",
             b'{"schema_version": ' + b"[" * 900 + b"]" * 900 + b"}", b'{"schema_version": 1, "entries": ["\\ud800"]}']
)  # fmt: skip
def test_broken_results(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text)
    refused(load, tmp_path / "a.json")


def test_no_runtime_sees_an_export_that_was_not_checked(sample, tmp_path):
    """Whoever made the bundle made its hashes, too."""
    path = tmp_path / "b.falcon"
    shutil.copytree(sample, path)
    parity = MeasuredParity(output="logits", against="onnx", samples=1, max_abs=0, max_relative=0, snr_db=None)
    file = "exports/model.fp32.tflite"
    with edit_bundle(path) as draft:
        draft.write(file, b"\x1c\x00\x00\x00TFL3" + b"\xff" * 100)
        export = Export(file=file, target="tflite", precision="fp32", parity=(parity,), macs=1)
        draft.manifest = draft.manifest.model_copy(update={"exports": (export,)})
    with pytest.raises(ConversionError, match=r"exports/model\.fp32\.tflite: a damaged TFLite model"):
        bench([path], BenchRequest(Protocol(runs=1, processes=1, seconds=0, rounds=1, every=0)))


# -- weights --


def network():
    return nn.Sequential(nn.Linear(4, 2), nn.Flatten())


def weights(**changed):
    return {"0.weight": torch.ones(2, 4), "0.bias": torch.ones(2)} | changed


def repacked(path, edit, compression=zipfile.ZIP_STORED):
    """The same .pt with `edit` applied to the contents of every part, by its name."""
    with zipfile.ZipFile(path) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, edit(name, data))


def bomb(path):
    """A hundred kilobytes that unpack to a hundred megabytes."""
    torch.save(weights(), path)
    repacked(path, lambda name, data: bytes(100 * 1024**2) if "/data/" in name else data, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1024**2


def header(path, text, declared=None):
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    path.write_bytes(struct.pack("<Q", len(text) if declared is None else declared) + text + bytes(40))


def too_large_for_float32(path):
    save_file(weights(**{"0.bias": torch.full([2], 1e300, dtype=torch.float64)}), path)


def save(changed):
    return lambda path: torch.save(weights(**changed), path)


class Code:
    def __reduce__(self):
        return os.abort, ()


ENTRY = {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]}
NO_PLAIN = "is no plain tensor of real numbers"
NO_WEIGHTS = "not a weights file"
WEIGHTS = [
    ("a.pt", bomb, "far more than this network has weights"),
    ("a.pt", save({"0.bias": torch.ones(2, device="meta")}), NO_PLAIN),
    ("a.pt", save({"0.bias": torch.ones(2, dtype=torch.complex64)}), NO_PLAIN),
    ("a.pt", save({"0.weight": torch.ones(2, 4).to_sparse()}), NO_PLAIN),
    ("a.pt", lambda path: torch.save(Code(), path), NO_WEIGHTS),
    ("a.pt", save({"0.weight": Code()}), NO_WEIGHTS),
    ("a.pt", save({"0.bias": torch.ones(()).expand(2**40)}), "0.bias is (1099511627776,)"),
    ("a.pt", save({"0.bias": torch.tensor([1, torch.inf])}), "not finite"),
    ("a.pt", lambda path: path.write_bytes(b"PK\x03\x04"), NO_WEIGHTS),
    ("a.pt", lambda path: path.write_bytes(b"\x80\x02" + b"(" * 10**6), NO_WEIGHTS),
    ("a.pt", lambda path: path.write_bytes(b"PK\x05\x06" + bytes(18)), NO_WEIGHTS),
    ("a.safetensors", too_large_for_float32, "not finite"),
    ("a.safetensors", lambda path: header(path, {"0.weight": ENTRY}, 2**63), NO_WEIGHTS),
    ("a.safetensors", lambda path: header(path, {"0.weight": ENTRY}, 10**6), NO_WEIGHTS),
    ("a.safetensors", lambda path: header(path, b"[" * 10**5), NO_WEIGHTS),
    ("a.safetensors", lambda path: header(path, {"0.weight": ENTRY | {"data_offsets": [0, 2**40]}}), NO_WEIGHTS),
    ("a.safetensors", lambda path: header(path, {"0.weight": ENTRY | {"data_offsets": [8, 0]}}), NO_WEIGHTS),
    ("a.safetensors", lambda path: header(path, {"0.weight": ENTRY | {"shape": [2**40, 2**40]}}), NO_WEIGHTS),
    ("a.safetensors", lambda path: header(path, {"0.weight": ENTRY, "0.bias": ENTRY}), NO_WEIGHTS),
    ("a.safetensors", lambda path: header(path, {"0.weight": ENTRY | {"dtype": "F3"}}), NO_WEIGHTS),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "reason"), WEIGHTS, ids=[f"{index}" for index in range(len(WEIGHTS))])
def test_broken_weights(tmp_path, name, make, reason):
    make(tmp_path / name)
    made = network()
    before = {key: value.clone() for key, value in made.state_dict().items()}
    assert reason in refused(load_weights, made, tmp_path / name)
    assert all(torch.equal(value, made.state_dict()[key]) for key, value in before.items())


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_weights_that_are_far_too_large_are_not_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.touch()
    os.truncate(path, 3 * 1024**4)
    assert "holds more than 64 MiB" in refused(load_weights, network(), path)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_weights_of_other_types_still_fit(tmp_path, dtype):
    torch.save({name: tensor.to(dtype) for name, tensor in weights().items()}, tmp_path / "a.pt")
    made = network()
    load_weights(made, tmp_path / "a.pt")
    assert torch.equal(made.state_dict()["0.weight"], torch.ones(2, 4))


def test_a_training_checkpoint_is_not_too_large(tmp_path):
    """Two moments of the optimizer and the weights once more."""
    made = build("vgg8")
    state = made.state_dict()
    torch.save({"state_dict": state, "optimizer": [state, state], "ema": state}, tmp_path / "a.pt")
    torch.save({"state_dict": state, "optimizer": [{k: v.double() for k, v in state.items()}] * 2}, tmp_path / "a.pt")
    load_weights(build("vgg8"), tmp_path / "a.pt")


# -- what is shown --


def test_errors_are_short_and_steer_no_terminal():
    line = _line(BadInput("a\x1b]0;title\x07 \x9b2J\ud800\n" + "x" * 10_000))
    assert line.startswith(r"a\x1b]0;title\x07 ")
    assert line.isprintable()
    assert len(line) == 1000


def test_tables_steer_no_terminal():
    from rich.table import Table

    table = Table("one\x1b[2J", title="two\x9b2J")
    table.add_row("three\x1b]0;title\x07, déjà vu, \ud800")
    shown = _text(table)
    assert not any(sign in shown for sign in "\x1b\x9b\x07\ud800")
    assert all(word in shown for word in ("one", "two", "three", "déjà vu"))


def test_a_bare_file_is_inspected_without_torch(sample, tmp_path):
    """And without the runtimes, in this process and in the child."""
    (tmp_path / "a.tflite").write_bytes(b"no model")
    script = (
        "import sys; from falcon_edge.cli.main import main; sys.argv = ['falcon-edge', 'inspect', 'a.tflite']\n"
        "try: main()\n"
        "finally: print([name for name in ('torch', 'onnxruntime', 'ai_edge_litert') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (2, "[]")
    assert done.stderr == "error: a.tflite: not a TFLite model\n"
