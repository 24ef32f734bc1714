"""How the program ends when something fails on the way or the user has enough: exit 1, 2, 4 and 130."""

import os
import re
import shutil
import signal
from pathlib import Path

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper
from program import LIMIT, Done, listing, start

from runtime_bench.results import load

MOODY = """
import torch
from torch import nn

class Moody(nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :3] * torch.rand(())

def moody():
    return Moody()
"""
SHORT = "--seconds 0 --warm-up 0 --ticks 4 --processes 1"
QUICK = f"{SHORT} --runs 2 --rounds 1"


def onnx_that_fails_when_run(path):
    """It looks up places in a table that lie far outside of it."""
    constants = {"big": np.float32([1e6]), "table": np.zeros(3, np.float32)}
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["input", "big"], ["far"]),
            helper.make_node("Cast", ["far"], ["places"], to=TensorProto.INT64),
            helper.make_node("Gather", ["table", "places"], ["found"]),
            helper.make_node("Flatten", ["found"], ["logits"]),
        ],
        "fails",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, (1, 1, 4, 4))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 16))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)


def tflite_that_cannot_be_loaded(good, path):
    """A whole file whose convolutions do not move."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(good.read_bytes(), 0))
    for operator in model.subgraphs[0].operators:
        if isinstance(operator.builtinOptions, schema.Conv2DOptionsT):
            operator.builtinOptions.strideH = operator.builtinOptions.strideW = 0
    model.metadata = []  # it tells of an archive behind the file, which is not copied
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())


@pytest.fixture
def folder(flow, tmp_path):
    """One good file of each kind, and one of each that its runtime fails on."""
    for kind in ("onnx", "tflite"):
        shutil.copy(flow.folder / f"standard.falcon/exports/model.fp32.{kind}", tmp_path / f"good.{kind}")
    onnx_that_fails_when_run(tmp_path / "failing.onnx")
    tflite_that_cannot_be_loaded(tmp_path / "good.tflite", tmp_path / "failing.tflite")
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "reason"), [("onnx", "[ONNXRuntimeError]"), ("tflite", "(CONV_2D) failed to prepare")]
)
def test_a_model_that_fails_costs_the_others_nothing(warm, folder, kind, reason):
    done = warm(f"bench failing.{kind} good.{kind} {QUICK} -o results.json -q", folder)
    assert done.code == 4
    (line,) = done.err.splitlines()
    assert line.startswith(f"error: failing.{kind}: ")
    assert reason in line
    assert reason in done.words
    failing, good = load(folder / "results.json").entries
    assert failing.failure.kind == "runtime"
    assert failing.summary is None
    assert good.failure is None
    assert good.summary.count == 2


def test_a_device_that_cannot_be_used_costs_the_others_nothing(warm, folder):
    devices = "--device ssh://127.0.0.1:1 --device local"
    done = warm(f"bench good.tflite {QUICK} {devices} -o several.json --csv several.csv --json", folder)
    assert done.code == 4
    assert done.err.splitlines()[-1].startswith("error: ssh://127.0.0.1:1: ")
    (results,) = done.document
    assert results["options"]["device"] == "local"
    assert load(folder / "several.local.json").entries[0].failure is None
    assert (folder / "several.local.csv").exists()
    assert not (folder / "several.json").exists()
    done = warm(f"bench good.tflite {QUICK} {devices} --resume several.local.json", folder)
    assert (done.code, done.err) == (2, "error: --resume goes on with one device: name that alone\n")


def test_inspecting_needs_no_runtime(warm, folder):
    """Files that a runtime fails on are described all the same."""
    for kind in ("onnx", "tflite"):
        assert warm(f"inspect failing.{kind}", folder).code == 0


def test_a_worker_that_is_killed(folder):
    """By the kernel where memory runs out, here by us."""

    def kill_the_first_worker(pid):
        os.kill(children(pid)[0], signal.SIGKILL)

    command = f"bench good.onnx good.tflite {SHORT} --runs 4 --rounds 2 -o results.json --json"
    done = disturbed(command, folder, at="loading .*litert", by=kill_the_first_worker)
    assert done.code == 4
    line = done.err.splitlines()[-1]
    assert line.startswith("error: good.onnx: ")
    assert "SIGKILL" in line
    assert "Traceback" not in done.err
    results = load(folder / "results.json")
    assert done.document == results.model_dump(mode="json")
    killed, other = results.entries
    assert (killed.failure.kind, killed.failure.signal) == ("signal", "SIGKILL")
    assert other.failure is None
    assert other.summary.count == 4


def test_interrupted_measuring_keeps_what_was_measured(folder):
    command = f"bench good.onnx {SHORT} --runs 4000 --rounds 2000 -o results.json --json"
    done = disturbed(command, folder, at="round 4 of", by=interrupt)
    assert done.code == 130
    assert done.err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in done.err
    results = load(folder / "results.json")
    assert done.document == results.model_dump(mode="json")
    assert results.interrupted
    (entry,) = results.entries
    assert 3 * 2 <= entry.summary.count < 4000
    assert "too-few-samples" in {flag.flag for flag in entry.flags}


def test_interrupted_training_leaves_no_bundle_and_goes_on(flow, warm, stripes, tmp_path):
    """To the very bytes of a run that nobody interrupted."""
    shutil.copy(stripes, tmp_path)
    command = "train vgg8 --width 0.25 --data stripes.npz --epochs 4 --batch-size 32 -o standard"
    done = disturbed(command, tmp_path, at="epoch 2/4: loss", by=interrupt)
    assert done.code == 130
    assert done.err.splitlines()[-1] == "interrupted"
    assert {path.name for path in tmp_path.iterdir()} == {"stripes.npz", ".standard.checkpoint"}
    done = warm(command, tmp_path)
    assert done.code == 0
    assert "epoch 1/4" not in done.err
    assert {path.name for path in tmp_path.iterdir()} == {"stripes.npz", "standard.falcon"}
    weights = "standard.falcon/weights.safetensors"
    assert (tmp_path / weights).read_bytes() == (flow.folder / weights).read_bytes()


@pytest.mark.parametrize(
    "command",
    [
        "missing",
        "train",
        "compare",
        "train vgg8 --missing",
        "bench --processes 0",
        "bench --processes a",
        "export --target no",
    ],
)
def test_wrong_usage(warm, tmp_path, command):
    before = listing(tmp_path)
    done = warm(command, tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "Usage: " in done.err
    assert "Traceback" not in done.err
    assert listing(tmp_path) == before


def test_parity_that_is_not_reached(warm, tmp_path):
    """A network that answers at random is no network to export: exit 1, and the bundle stays as it was."""
    (tmp_path / "nets.py").write_text(MOODY)
    assert warm("pack nets:moody --input 1x4x4 -o moody", tmp_path).code == 0
    before = listing(tmp_path / "moody.falcon")
    done = warm("export moody.falcon -q", tmp_path)
    assert done.code == 1, done
    (line,) = done.err.splitlines()
    assert "differs from torch" in line
    assert listing(tmp_path / "moody.falcon") == before


def disturbed(command, folder, *, at, by):
    """Run a command, and once it says `at` on stderr, call `by` with its process id."""
    with start(command, folder) as process:
        assert any(re.search(at, line) for line in process.stderr), f"it ended without saying {at}"
        by(process.pid)
        out, err = process.communicate(timeout=LIMIT)
    return Done(command, process.returncode, out, err)


def interrupt(pid):
    """As Ctrl-C does."""
    os.kill(pid, signal.SIGINT)


def children(pid):
    """Child processes in the order of their start."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
