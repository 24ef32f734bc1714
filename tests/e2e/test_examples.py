"""The examples: a loop of a user's own, from images that a script makes to bundles that are exported and measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def examples():
    """The scripts as modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        import detector
        import shapes

        yield {"shapes": shapes, "detector": detector}


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


def run(words, folder):
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("script", "data", "metric", "outputs"),
    [
        ("segmentation", "masks", "miou", [[5, 64, 64]]),
        ("detector", "boxes", "detector:mean_average_precision", [[64, 4], [64, 4]]),
    ],
)
def test_an_own_loop_gives_bundles_that_are_measured(folder, script, data, metric, outputs):
    words = [str(EXAMPLES / f"{script}.py"), f"{data}.npz", script, "--epochs", "1", "--tune", "1", "--ranks", "2"]
    assert f"rank2, tuned: {metric} " in run(words, folder)
    command, names = ["-m", "falcon_edge"], [f"{script}/standard.falcon", f"{script}/rank2.falcon"]
    asked = ["--data", f"{data}.npz", "--metric", metric]
    for name in names:
        run([*command, "export", name, "--precision", "fp32", "--precision", "int8", *asked, "--accept-loss"], folder)
    quick = ["--runs", "2", "--seconds", "0", "--processes", "1", "--ticks", "4"]
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


# -- the detector's metric --


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
