"""The examples: loops of users, from images that a script makes to bundles that are exported and measured."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from environments import environment

import falcon_edge as fe
from falcon_edge.metrics import METRICS
from falcon_edge.steps.compare import compare
from falcon_edge.steps.report import report
from runtime_bench.bench import Protocol
from runtime_bench.results import save

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def examples():
    """The scripts as modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        import detector
        import segmentation
        import shapes

        yield {"shapes": shapes, "detector": detector, "segmentation": segmentation}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, examples):
    """A few images of each kind."""
    folder = tmp_path_factory.mktemp("shapes")
    made = {name: examples["shapes"].split(name, count) for name, count in (("train", 64), ("val", 16), ("test", 24))}
    for file, place in (("masks", 1), ("boxes", 2)):
        arrays = {f"x_{name}": found[0] for name, found in made.items()}
        arrays["labels"] = np.array(["ground", *examples["shapes"].KINDS][place - 1 :])
        np.savez(folder / f"{file}.npz", **arrays, **{f"y_{name}": found[place] for name, found in made.items()})
    return folder


# PyPI's torchvision, which timm and Lightning import, does not fit a CPU torch; see falcon_edge/models/packages.py.
WITH_TORCHVISION = """
import runpy, sys
from falcon_edge.models.packages import timm
timm("the example")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(words, folder, python=sys.executable):
    variables = os.environ | {"PYTHONPATH": str(EXAMPLES), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([python, *words], cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("script", "data", "metric", "outputs"),
    [
        pytest.param("segmentation", "masks", "segmentation:mean_iou", [[5, 64, 64]], marks=pytest.mark.slow),
        pytest.param(
            "detector", "boxes", "detector:mean_average_precision", [[64, 4], [64, 4]], marks=pytest.mark.slow
        ),
    ],
)
def test_an_own_loop_gives_bundles_that_are_measured(folder, script, data, metric, outputs):
    words = [str(EXAMPLES / f"{script}.py"), f"{data}.npz", script, "--epochs", "1", "--tune", "1", "--ranks", "2"]
    assert f"rank2, tuned: {metric} " in run(words, folder)
    command, names = ["-m", "falcon_edge"], [f"{script}/standard.falcon", f"{script}/rank2.falcon"]
    asked = ["--data", f"{data}.npz", "--metric", metric]
    for name in names:
        run([*command, "export", name, "--precision", "fp32", "--precision", "int8", *asked, "--accept-loss"], folder)
    quick = ["--runs", "2", "--seconds", "0", "--warm-up", "0", "--processes", "1", "--ticks", "4"]
    results = json.loads(run([*command, "bench", *names, *asked, *quick, "--json"], folder))
    assert len(results["entries"]) == 8
    for entry in results["entries"]:
        assert entry["failure"] is None
        assert [each["metric"] for each in entry["quality"]] == [metric]
        assert len(entry["agreement"]) == len(outputs)
    manifest = json.loads((folder / names[1] / "manifest.json").read_text())
    assert [each["shape"] for each in manifest["outputs"]] == outputs
    assert manifest["lineage"]["steps"][-1]["options"]["tuned"]["epochs"] == 1
    assert manifest["lineage"]["role"] == "compressed"
    assert "boxes" not in manifest["quantization"]["outputs"]  # they are decoded in float


@pytest.mark.parametrize("name", ["own_loop", "timm_loop", "segmentation", "detector", "lightning_loop"])
def test_an_example_is_read_in_minutes(name):
    assert 40 <= len((EXAMPLES / f"{name}.py").read_text().splitlines()) <= 80


@pytest.mark.parametrize(
    ("script", "started", "options"),
    [
        ("own_loop", [], []),
        pytest.param(
            *("timm_loop", ["-c", WITH_TORCHVISION], ["--model", "test_resnet", "--size", "12", "--epochs", "12"]),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_module_in_memory_gives_bundles_that_compare_by_themselves(stripes, tmp_path, script, started, options):
    if started and find_spec("timm") is None:
        pytest.skip("timm is not installed")
    words = [*started, str(EXAMPLES / f"{script}.py"), str(stripes), script, "--epochs", "3", "--tune", "2", *options]
    figures = re.fullmatch(r"top-1: standard (\S+), compressed (\S+), tuned (\S+)\n", run(words, tmp_path))
    standard, _, tuned = map(float, figures.groups())
    assert min(standard, tuned) > 0.5  # of three classes
    compared(tmp_path / script, stripes)


@pytest.mark.slow
@pytest.mark.xdist_group("lightning")
def test_lightning_gives_bundles_that_compare_by_themselves(stripes, tmp_path, request):
    packages = sysconfig.get_paths()["purelib"]
    made = environment("lightning", request.config.cache, sys.version_info[:2], beside=packages)
    script = str(EXAMPLES / "lightning_loop.py")
    words = ["-c", WITH_TORCHVISION, script, str(stripes), "lightning", "--epochs", "3", "--tune", "2"]
    run(words, tmp_path, made.folder / "bin/python")
    compared(tmp_path / "lightning", stripes)


def compared(folder, data):
    """What `compare` and `report` say of a standard network and of what was tuned, which nobody names to them."""
    bundles = [folder / "standard.falcon", folder / "small.falcon"]
    for bundle in bundles:
        fe.export_bundle(bundle, ["onnx"])
    quick = Protocol(runs=2, processes=1, seconds=0.0, rounds=1, warm_up_runs=1, warm_up_seconds=0.0, every=0)
    results = folder / "results.json"
    save(fe.bench(bundles, fe.BenchRequest(quick, data=data)), results)
    (row,) = (row for row in compare([results]) if row.entry.model.name == "small")
    assert (row.entry.failure, row.standard.model.name) == (None, "standard")
    (headline,) = report([results], folder / "report.html").headlines
    assert {"small", "standard"} <= set(headline.says.split())


# -- the metrics --


def test_mean_iou_is_that_of_the_program(examples):
    random = np.random.default_rng(0)
    scores, masks = random.standard_normal((6, 5, 16, 16)), random.integers(0, 4, (6, 16, 16)).astype(np.uint8)
    expected = METRICS["miou"].quality({"output": scores}, masks).value
    assert examples["segmentation"].mean_iou(scores, masks) == pytest.approx(expected)


def found(boxes, scores):
    """Outputs of one image: at most 64 boxes, all of kind 0."""
    outputs = {"boxes": np.zeros((1, 64, 4)), "scores": np.zeros((1, 64, 4))}
    outputs["boxes"][0, : len(boxes)] = np.reshape(boxes, (-1, 4))
    outputs["scores"][0, : len(scores), 0] = scores
    return outputs


def wanted(*boxes):
    rows = [(0, *box) for box in boxes] + [(-1, 0, 0, 0, 0)] * (4 - len(boxes))
    return np.array([rows], np.float32)


A, B, OFF = (0, 0, 10, 10), (30, 30, 50, 50), (0, 0, 10, 21)  # OFF overlaps A by 10/21


@pytest.mark.parametrize(
    ("boxes", "scores", "right"),
    [
        ([A, B], [0.9, 0.8], 1.0),
        ([A], [0.9], 0.5),
        ([], [], 0.0),
        ([A, A, B], [0.9, 0.8, 0.7], 1.0),  # the second lies on the first, and is left out
        ([OFF, A, B], [0.9, 0.8, 0.7], 2 / 3),  # precision 0, 1/2, 2/3: made to fall nowhere from right to left
        ([A, B, (50, 0, 60, 10)], [0.9, 0.8, 0.1], 1.0),  # a wrong one behind all right ones costs nothing
        ([A, B], [0.9, 0.01], 0.5),  # what is hardly there is not there
    ],
)
def test_mean_average_precision_by_hand(examples, boxes, scores, right):
    metric = examples["detector"].mean_average_precision
    parts = metric.per_image(found(boxes, scores), wanted(A, B))
    assert metric.together(parts) == pytest.approx(right)


def test_shapes_are_the_same_ones_whenever_they_are_made(examples):
    one, other = (examples["shapes"].split("test", 5) for _ in range(2))
    assert all(np.array_equal(left, right) for left, right in zip(one, other, strict=True))
    images, masks, boxes = one
    assert (images.shape, masks.shape, boxes.shape) == ((5, 64, 64, 3), (5, 64, 64), (5, 4, 5))
    for mask, rows in zip(masks, boxes, strict=True):
        for kind, left, top, right, bottom in rows[rows[:, 0] >= 0].astype(int):
            assert (mask[top:bottom, left:right] == kind + 1).any()
