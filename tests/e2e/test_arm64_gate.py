"""A gate without hardware, as CI runs it: a small layer too much is found, and the same model raises no alarm."""

import json
import shutil

import pytest
import torch
from arm64 import userland
from torch import nn

from converters import onnx_graph
from converters.onnx_export import export_onnx
from converters.tflite.emit import emit_tflite
from runtime_bench.results import load

# One process of xdist counts the baseline.
pytestmark = [pytest.mark.xdist_group("arm64 gate"), pytest.mark.slow]
KINDS = ("onnx", "tflite")
MACS = 3 * 32 * 9 * 32**2 + 32 * 32 * 9 * 32**2 + 32 * 48 * 9 * 16**2 + 48 * 48 * 9 * 8**2
PLANTED = 48 * 48 * 8**2  # a convolution of 1x1
RERUNS = 50


def network(*more):
    torch.manual_seed(0)
    layers = []
    for inputs, outputs, stride in ((3, 32, 1), (32, 32, 1), (32, 48, 2), (48, 48, 2)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1, stride=stride), nn.ReLU()]
    return nn.Sequential(*layers, *more, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The network, the same one under another name, and the one with a layer more, in both formats."""
    userland()
    folder = tmp_path_factory.mktemp("gate")
    for name, model in (("old", network()), ("planted", network(nn.Conv2d(48, 48, 1), nn.ReLU()))):
        export_onnx(model, torch.zeros(1, 3, 32, 32), folder / f"{name}.onnx")
        emit_tflite(onnx_graph.load(folder / f"{name}.onnx"), folder / f"{name}.tflite")
    for kind in KINDS:
        shutil.copy(folder / f"old.{kind}", folder / f"same.{kind}")
    return folder


@pytest.fixture(scope="module")
def checked(folder, warm):
    """Counts a file anew and checks it against the network, which was counted once: exit code, findings by figure."""

    def count(name, kind):
        results = folder / f"{name}.{kind}.json"
        done = warm(f"bench {name}.{kind} --device arm64 -q -o {results.name}", folder)
        assert done.code == 0, done
        return results.name

    def checked(name, kind):
        if not (folder / f"old.{kind}.json").exists():
            count("old", kind)
        done = warm(f"check {count(name, kind)} --baseline old.{kind}.json --json", folder)
        return done.code, {finding["figure"]: finding for finding in done.document["findings"]}

    return checked


@pytest.mark.parametrize("kind", KINDS)
def test_a_convolution_of_a_hundredth_of_the_macs_is_found(folder, checked, kind):
    code, findings = checked("planted", kind)
    old, new = (load(folder / f"{name}.{kind}.json").entries[0].model.macs for name in ("old", "planted"))
    assert (old, new) == (MACS, MACS + PLANTED)
    assert 0.0097 < PLANTED / MACS < 0.01
    assert code == 1
    assert "latency" not in findings
    assert findings["instructions"]["verdict"] == "regression"  # by itself: the file would not have to tell its MACs
    assert 0.005 < findings["instructions"]["change"] < 0.03
    print(f"{kind}: {findings['instructions']['change']:+.3%}")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_model_again_raises_no_alarm(folder, checked, kind):
    changes = []
    for _ in range(RERUNS):
        code, findings = checked("same", kind)
        assert code == 0
        assert {finding["verdict"] for finding in findings.values()} == {"pass"}
        changes.append(abs(findings["instructions"]["change"]))
    assert max(changes) < 0.001
    print(f"{kind}, {RERUNS} reruns: at most {max(changes):.4%}")


def test_models_are_counted_there_and_then(folder, warm):
    """Without results files; what is counted repeats, so that a regression is not looked for a second time."""
    for name, code, verdict in (("same", 0, "pass"), ("planted", 1, "regression")):
        done = warm(f"check {name}.tflite --baseline old.tflite --device arm64 -o now.json --json", folder)
        assert (done.code, done.document["verdict"]) == (code, verdict)
        assert done.err.count("counting old (litert)") == 1
        assert all(entry["counts"] for entry in json.loads((folder / "now.json").read_text())["entries"])
