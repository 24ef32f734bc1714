"""A split as tensors: the same pixels whether they are kept or decoded again, in order, with their labels."""

import numpy as np
import pytest
import torch
from PIL import Image

from falcon_edge.data import Split, open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.preprocessing import InputSpec, Resize
from falcon_edge.training import images as module
from falcon_edge.training.images import Images

SPEC = InputSpec(shape=(1, 12, 12), mean=(0.25,), std=(0.5,))
SMALLER = InputSpec(shape=(1, 8, 8), mean=(0.25,), std=(0.5,), steps=(Resize(height=8, width=8),))


@pytest.fixture
def split(stripes):
    return open_dataset(stripes).train


def test_inputs_are_normalised_pixels(split):
    images = Images(split, SPEC)
    chosen = np.array([7, 0, 200])
    pixels = images.pixels(chosen)
    assert np.array_equal(pixels, split.images[chosen])
    inputs = images.inputs(pixels)
    assert inputs.shape == (3, 1, 12, 12)
    assert inputs.dtype == torch.float32
    expected = (split.images[chosen].astype(np.float64) / 255 - 0.25) / 0.5
    assert np.allclose(inputs.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-6)


def test_batches_hold_every_image_once_and_in_order(split):
    images = Images(split, SPEC)
    batches = list(images.batches(100))
    assert [len(labels) for _, labels in batches] == [100, 100, 40]
    assert torch.equal(torch.cat([labels for _, labels in batches]), torch.from_numpy(split.labels))
    together = torch.cat([inputs for inputs, _ in batches])
    assert torch.equal(together, images.inputs(images.pixels(np.arange(240))))
    assert len(images) == 240


@pytest.mark.parametrize(("limit", "sizes"), [(150, [100, 50]), (1, [1]), (1000, [100, 100, 40]), (0, [])])
def test_batches_up_to_a_limit(split, limit, sizes):
    assert [len(labels) for _, labels in Images(split, SPEC).batches(100, limit)] == sizes


@pytest.mark.parametrize("spec", [SPEC, SMALLER])
def test_a_split_too_large_to_keep_is_the_same(split, spec, monkeypatch):
    kept = Images(split, spec)
    monkeypatch.setattr(module, "PIXEL_CACHE_BYTES", 0)
    decoded = Images(split, spec)
    chosen = np.array([3, 239, 3])
    assert np.array_equal(kept.pixels(chosen), decoded.pixels(chosen))
    assert kept.digest() == decoded.digest()


def test_images_of_many_sizes_are_resized(tmp_path):
    for number, size in enumerate(((9, 20), (8, 8), (30, 10))):
        folder = tmp_path / "train" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, 40 * number).save(folder / f"{number}.png")
    images = Images(open_dataset(tmp_path).train, SMALLER)
    assert images.pixels(np.arange(3)).shape == (3, 8, 8, 1)
    assert images.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize("keep", [True, False])
def test_images_that_do_not_fit_are_one_line(split, monkeypatch, keep):
    monkeypatch.setattr(module, "PIXEL_CACHE_BYTES", 2**31 if keep else 0)
    wrong = InputSpec(shape=(1, 28, 28), mean=(0.5,), std=(0.5,))
    with pytest.raises(BadInput, match=r"does not fit the network's input.*\(12, 12, 1\), not as \(28, 28, 1\)"):
        Images(split, wrong).pixels(np.arange(2))


def test_the_digest_tells_data_apart(split):
    brighter, other_label = split.images.copy(), split.labels.copy()
    brighter[0, 0, 0] += 1
    other_label[5] = 2 - other_label[5] // 2
    digests = {
        Images(split, SPEC).digest(),
        Images(split, SMALLER).digest(),
        Images(Split(brighter, split.labels), SPEC).digest(),
        Images(Split(split.images, other_label), SPEC).digest(),
        Images(split.subset(np.arange(239)), SPEC).digest(),
        Images(split.subset(np.arange(240)[::-1]), SPEC).digest(),
    }
    assert len(digests) == 6
    assert Images(split.subset(np.arange(240)), SPEC).digest() in digests
