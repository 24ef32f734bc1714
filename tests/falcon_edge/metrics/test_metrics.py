"""Metrics of outputs of any form, against other ways to compute them."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falcon_edge.errors import BadInput
from falcon_edge.metrics import METRICS, fidelity, metric_named
from falcon_edge.metrics.fidelity import EQUAL_DB

SEEDS = st.integers(0, 2**32 - 1)


def quality(metric, outputs, targets):
    return metric_named(metric).quality({"output": outputs}, targets)


@given(SEEDS, st.integers(2, 7), st.integers(1, 30))
@settings(deadline=None, max_examples=40)
def test_top_k_counts_the_ranks_of_the_classes(seed, classes, images):
    random = np.random.default_rng(seed)
    outputs = random.integers(0, 4, (images, classes)).astype(np.float32)  # with many equal ones
    targets = random.integers(0, classes, images)
    for name, k in (("top1", 1), ("top5", 5)):
        ranks = [
            sorted(range(classes), key=lambda c: (-row[c], c)).index(label)
            for row, label in zip(outputs, targets, strict=True)
        ]
        found = quality(name, outputs, targets)
        assert found.value == pytest.approx(np.mean([rank < k for rank in ranks]))
        assert found.interval[0] <= found.value <= found.interval[1]
        assert (found.samples, found.higher_is_better, found.unit) == (images, True, "share")


def test_top1_is_argmax():
    outputs = np.random.default_rng(0).standard_normal((200, 10)).astype(np.float32)
    targets = np.random.default_rng(1).integers(0, 10, 200)
    assert quality("top1", outputs, targets).value == (outputs.argmax(1) == targets).mean()


def test_an_answer_that_is_no_number_is_never_right():
    assert quality("top5", np.full((3, 4), np.nan, np.float32), np.array([0, 1, 2])).value == 0


@given(SEEDS, st.integers(2, 5), st.integers(1, 6))
@settings(deadline=None, max_examples=20)
def test_mean_overlap_by_counting_pixels(seed, classes, images):
    random = np.random.default_rng(seed)
    outputs = random.standard_normal((images, classes, 4, 5)).astype(np.float32)
    masks = random.integers(0, classes, (images, 4, 5))
    masks[random.random(masks.shape) < 0.2] = 255
    both, either = [0] * classes, [0] * classes
    for image in range(images):
        for y in range(4):
            for x in range(5):
                told, asked = int(outputs[image, :, y, x].argmax()), int(masks[image, y, x])
                for number in range(classes if asked != 255 else 0):
                    both[number] += told == asked == number
                    either[number] += number in (told, asked)
    ratios = [Fraction(one, other) for one, other in zip(both, either, strict=True) if other]
    if ratios:
        assert quality("miou", outputs, masks).value == pytest.approx(float(sum(ratios) / len(ratios)))
    counted = int((masks != 255).sum())
    right = int(((outputs.argmax(1) == masks) & (masks != 255)).sum())
    if counted:
        assert quality("pixel-accuracy", outputs, masks).value == pytest.approx(right / counted)


def test_images_as_targets():
    random = np.random.default_rng(0)
    targets = random.random((5, 3, 8, 8)).astype(np.float32)
    off = np.full((5, 1, 1, 1), [0.1], np.float32)
    assert quality("psnr", targets + off, targets).value == pytest.approx(20, abs=1e-3)
    found = quality("mae", targets + off, targets)
    assert found.value == pytest.approx(0.1, rel=1e-4)
    assert not found.higher_is_better
    grey = random.integers(0, 256, (5, 8, 8), dtype=np.uint8)
    assert quality("psnr", (grey / 255).astype(np.float32)[:, None], grey).value == 100


def test_intervals_cover_what_is_true():
    truth, covered, rounds = 0.8, {"top1": 0, "pixel-accuracy": 0}, 40
    for seed in range(rounds):
        random = np.random.default_rng(seed)
        right = random.random((60, 1, 40)) < truth
        maps = np.stack([~right, right], axis=1).astype(np.float32)
        rows = {"top1": (maps[:, :, 0, 0], np.ones(60, int)), "pixel-accuracy": (maps, np.ones((60, 1, 40), int))}
        for name, (outputs, targets) in rows.items():
            low, high = quality(name, outputs, targets).interval
            covered[name] += low <= truth <= high
    assert min(covered.values()) >= 0.85 * rounds


def test_equal_inputs_make_equal_intervals():
    random = np.random.default_rng(0)
    outputs, targets = random.standard_normal((9, 2, 3, 3)), random.integers(0, 2, (9, 3, 3))
    assert quality("miou", outputs, targets) == quality("miou", outputs, targets)


def test_one_image_has_no_interval():
    assert quality("mae", np.zeros((1, 2)), np.ones((1, 2))).interval is None


def test_a_users_function_has_an_interval_too():
    def worst(outputs, targets):
        return float(np.abs(outputs - targets).max())

    worst.higher_is_better = False
    random = np.random.default_rng(0)
    outputs, targets = random.random((50, 2)), random.random((50, 2))
    found = quality(worst, outputs, targets)
    assert found.value == np.abs(outputs - targets).max()
    assert found.interval[0] <= found.value == found.interval[1]
    assert (found.metric, found.higher_is_better) == ("worst", False)


def test_a_users_function_gets_several_outputs_by_name():
    def boxes(outputs, targets):
        return float((outputs["scores"] + outputs["boxes"] == targets).mean())

    outputs = {"boxes": np.arange(4), "scores": np.ones(4, int)}
    assert metric_named(boxes).quality(outputs, np.arange(1, 5)).value == 1.0


@pytest.mark.parametrize(
    ("metric", "outputs", "targets", "says"),
    [
        ("top1", np.zeros((2, 3)), np.zeros(3, int), "2 images, the targets 3"),
        ("top1", np.zeros((0, 3)), np.zeros(0, int), "0 images"),
        ("top1", np.zeros((2, 3)), np.array([0, 3]), "classes 0 to 3, the model has 0 to 2"),
        ("top1", np.zeros((2, 3)), np.array([0, -1]), "classes -1 to 0"),
        ("top1", np.zeros((2, 3)), np.zeros(2), "float64"),
        ("top1", np.zeros((2, 3, 4, 4)), np.zeros(2, int), "(N, classes) are asked for"),
        ("miou", np.zeros((2, 3)), np.zeros(2, int), "at least two classes"),
        ("miou", np.zeros((2, 1, 4, 4)), np.zeros((2, 4, 4), int), "at least two classes"),
        ("miou", np.zeros((2, 3, 4, 4)), np.zeros((2, 5, 5), int), "height and width"),
        ("miou", np.zeros((2, 3, 4, 4)), np.full((2, 4, 4), 3), "classes 3 to 3, the model has 0 to 2"),
        ("miou", np.zeros((2, 3, 4, 4)), np.full((2, 4, 4), 255), "not a finite number"),
        ("psnr", np.zeros((2, 3, 4, 4)), np.zeros((2, 3, 4, 5)), "must be alike"),
        ("psnr", np.zeros((2, 3, 4, 4)), np.zeros((2, 4, 4)), "must be alike"),
        ("mae", np.full((2, 3), np.inf), np.zeros((2, 3)), "not a finite number"),
    ],
)
def test_what_cannot_be_scored_is_said(metric, outputs, targets, says):
    with pytest.raises(BadInput) as error:
        quality(metric, outputs, targets)
    assert says in str(error.value)
    assert str(error.value).startswith(metric)
    assert "\n" not in str(error.value)


def raising(outputs, targets):
    raise KeyError("no\nsuch key")


def leaving(outputs, targets):
    raise SystemExit


def wordy(outputs, targets):
    return "good"


def undefined(outputs, targets):
    return math.nan


@pytest.mark.parametrize(
    ("function", "says"),
    [(raising, "KeyError"), (leaving, "SystemExit"), (wordy, "not a number"), (undefined, "not a finite number")],
)
def test_a_users_function_that_fails_is_named(function, says):
    with pytest.raises(BadInput, match=says) as error:
        quality(function, np.zeros((2, 3)), np.zeros(2))
    assert str(error.value).startswith(function.__name__)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["top2", "module:function", ""])
def test_a_name_that_is_none(name):
    with pytest.raises(BadInput, match="no such metric"):
        metric_named(name)


def test_every_metric_has_the_name_that_it_is_known_by():
    assert all(metric.name == name for name, metric in METRICS.items())
    assert metric_named("somewhere:function", load=lambda name: wordy).name == "somewhere:function"


def test_fidelity_of_every_output():
    random = np.random.default_rng(0)
    exact = {"logits": random.standard_normal((40, 5)), "map": random.standard_normal((40, 3, 4, 4))}
    noisy = {name: value + 0.1 * random.standard_normal(value.shape) for name, value in exact.items()}
    found = {each.metric: each for each in fidelity(exact, noisy)}
    assert set(found) == {"snr:logits", "same:logits", "snr:map", "same:map"}
    assert found["snr:map"].value == pytest.approx(20, abs=0.5)
    assert found["same:logits"].value == (exact["logits"].argmax(1) == noisy["logits"].argmax(1)).mean()
    assert found["same:map"].value == pytest.approx((exact["map"].argmax(1) == noisy["map"].argmax(1)).mean())
    same = {each.metric: each.value for each in fidelity(exact, exact)}
    assert same == {"snr:logits": EQUAL_DB, "same:logits": 1.0, "snr:map": EQUAL_DB, "same:map": 1.0}


def test_fidelity_of_outputs_that_are_not_alike():
    with pytest.raises(BadInput, match=r"boxes is .* in the reference and nothing here"):
        fidelity({"boxes": np.zeros((1, 2))}, {"scores": np.zeros((1, 2))})
