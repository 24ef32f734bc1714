"""A gate without hardware: a small layer too much is found, and the same model raises no alarm."""

import functools

import pytest
import torch
from arm64 import emulated
from torch import nn

from converters import onnx_graph
from converters.onnx_export import export_onnx
from converters.tflite.emit import emit_tflite
from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.regression import Tolerances, Verdict, check, worst
from runtime_bench.runtimes import runtime_for

pytestmark = pytest.mark.xdist_group("arm64 bench")
SHAPE = (3, 32, 32)
MACS = 3 * 32 * 9 * 32**2 + 32 * 32 * 9 * 32**2 + 32 * 64 * 9 * 16**2
MORE = 64 * 9 * 16**2  # a depthwise layer: 0.98% of them


def network(*more):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()]
    layers += [nn.Conv2d(32, 64, 3, padding=1, stride=2), nn.ReLU(), *more, nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers).eval()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The network and the one with a layer more, both as ONNX and TFLite."""
    folder = tmp_path_factory.mktemp("gate")
    found = {}
    planted = network(nn.Conv2d(64, 64, 3, padding=1, groups=64), nn.ReLU())
    for name, model, macs in (("same", network(), MACS), ("planted", planted, MACS + MORE)):
        path = folder / f"{name}.onnx"
        export_onnx(model, torch.zeros(1, *SHAPE), path)
        emit_tflite(onnx_graph.load(path), path.with_suffix(".tflite"))
        found[name] = {
            each.suffix[1:]: Candidate(
                each, runtime_for(each.suffix).name, "network", each.suffix[1:], "fp32", macs=macs
            )
            for each in (path, path.with_suffix(".tflite"))
        }
    return found


def counted(model):
    entries = bench([model], emulated(), Protocol()).entries
    assert entries[0].failure is None
    return entries


def instructions(findings):
    (found,) = [finding for finding in findings if finding.figure == "instructions"]
    return found


@pytest.fixture(scope="module")
def baseline(models):
    """Of a file of the network, counted once."""
    return functools.cache(lambda name: counted(models["same"][name]))


@pytest.mark.parametrize("name", ["tflite", pytest.param("onnx", marks=pytest.mark.slow)])
def test_a_layer_of_a_hundredth_of_the_macs_is_found(models, baseline, name):
    assert 0.009 < MORE / MACS < 0.01
    findings = check(counted(models["planted"][name]), baseline(name), Tolerances())
    assert worst(findings) is Verdict.regression
    assert instructions(findings).verdict is Verdict.regression
    assert 0.005 < instructions(findings).change < 0.1
    print(f"{name}: {instructions(findings).change:+.2%}")


@pytest.mark.parametrize(("name", "times"), [("tflite", 1), pytest.param("onnx", 50, marks=pytest.mark.slow)])
def test_the_same_model_again_raises_no_alarm(models, baseline, name, times):
    changes = []
    for _ in range(times):
        findings = check(counted(models["same"][name]), baseline(name), Tolerances())
        assert worst(findings) is Verdict.passed
        changes.append(abs(instructions(findings).change))
    assert max(changes) < 0.001
    print(f"{name}, {times} reruns: at most {max(changes):.4%}")
