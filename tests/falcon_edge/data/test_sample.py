"""What ships with us: real images in three splits that share none, and a network that was trained on their kind."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

import falcon_edge.data
from falcon_edge.bundle import open_bundle
from falcon_edge.data import open_dataset
from falcon_edge.models.sources import build
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.training.aims import accuracy
from falcon_edge.training.images import Images

FOLDER = Path(falcon_edge.data.__file__).parent / "sample"
NETWORK = FOLDER / "vgg8.falcon"


@pytest.fixture(scope="module")
def sample():
    return open_dataset("sample")


def size(path):
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def test_splits_are_balanced_grey_images(sample):
    assert {name: len(split) for name, split in sample.splits.items()} == {"train": 5000, "val": 1000, "test": 2000}
    assert sample.image_shape == (28, 28, 1)
    assert sample.class_names[0] == "T-shirt/top"
    for split in sample.splits.values():
        assert np.array_equal(np.bincount(split.labels), [len(split) // 10] * 10)


def test_no_image_is_in_two_splits_or_twice_in_one(sample):
    """Not one, although the full data set has a few such pairs of its own."""
    images = {name: [image.tobytes() for image in split.images] for name, split in sample.splits.items()}
    for one, other in combinations(images, 2):
        assert not set(images[one]) & set(images[other])
    for split in images.values():
        assert len(set(split)) == len(split)


def test_the_network_is_whole_and_says_where_it_came_from():
    manifest = open_bundle(NETWORK).manifest
    assert manifest.name == "vgg8"
    assert manifest.architecture.source == "vgg8"
    assert manifest.lineage.role == "standard"
    assert [step.verb for step in manifest.lineage.steps] == ["train"]
    assert manifest.lineage.steps[0].data == "fashion-mnist"
    network = open_network(Choice(str(NETWORK))).module
    assert manifest.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert not torch.equal(network.features[0].weight, build("vgg8").features[0].weight)


def test_the_network_fits_the_sample(sample):
    manifest = open_bundle(NETWORK).manifest
    assert manifest.labels == sample.class_names
    assert manifest.input.shape == (1, 28, 28)


def test_it_was_measured_on_all_test_images_of_the_data_set():
    (measured,) = open_bundle(NETWORK).manifest.quality
    assert (measured.split, measured.samples) == ("test", 10_000)
    assert measured.value >= 0.925


def test_it_answers_the_shipped_test_images_as_well(sample):
    """2,000 of the 10,000: within three points, six standard deviations of a share near 94%."""
    opened = open_network(Choice(str(NETWORK)))
    found = accuracy(opened.module, Images(sample.test, opened.input))
    (measured,) = open_bundle(NETWORK).manifest.quality
    assert found == pytest.approx(measured.value, abs=0.03)


def test_golden_images_are_replayed_as_the_sample_has_them():
    bundle = open_bundle(NETWORK)
    images = {
        vector.pixels: np.fromfile(bundle.file(vector.pixels), np.uint8) for vector in bundle.manifest.golden.vectors
    }
    assert len(images) == 8
    assert all(image.size == 28 * 28 for image in images.values())


def test_sizes():
    assert size(NETWORK) < 2e6
    assert size(FOLDER) < 6e6
    assert sorted(child.name for child in FOLDER.iterdir()) == ["fashion-mnist.npz", "plan.json", "vgg8.falcon"]
