"""Golden vectors: images that lead, by the manifest's steps, to the very inputs that are kept."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from falcon_edge.bundle import open_bundle
from falcon_edge.data import Dataset, Split, open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.preprocessing import InputSpec, Resize, input_spec_for, normalise, to_pixels
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.golden import golden_inputs
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.pack import pack_bundle

SPEC = InputSpec(shape=(3, 8, 8), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.1))


def dataset(images, split="test"):
    return Dataset("made", ("a", "b"), Path("made"), **{split: Split(images, np.arange(len(images)) % 2)})


def pixels(count, height=8, width=8, channels=3):
    return np.random.default_rng(1).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


def test_inputs_are_float32_planes_normalised():
    images = pixels(8)
    vectors, files = golden_inputs(SPEC, dataset(images))
    assert len(vectors) == 8
    for vector, image in zip(vectors, images, strict=True):
        found = np.frombuffer(files[vector.input], "<f4").reshape(3, 8, 8)
        for channel in range(3):
            plane = image[:, :, channel].astype(np.float32) / np.float32(255)
            expected = (plane - np.float32(SPEC.mean[channel])) / np.float32(SPEC.std[channel])
            assert np.array_equal(found[channel], expected)
        assert vector.pixels_shape == (8, 8, 3)
        assert files[vector.pixels] == image.tobytes()
        assert vector.outputs == {}


def test_pixels_replayed_give_the_inputs_bit_for_bit(standard):
    """From a bundle on disk, through the steps of its own manifest."""
    bundle = open_bundle(standard)
    vectors = bundle.manifest.golden.vectors
    assert len(vectors) == 8
    assert bundle.manifest.input.steps != ()
    for vector in vectors:
        image = np.fromfile(bundle.file(vector.pixels), np.uint8).reshape(vector.pixels_shape)
        replayed = normalise(to_pixels(image, bundle.manifest.input)[None], bundle.manifest.input)
        assert bundle.file(vector.input).read_bytes() == replayed.astype("<f4").tobytes()
        assert replayed.shape == (1, *bundle.manifest.input.shape)


def test_names_are_numbered():
    vectors, files = golden_inputs(SPEC, dataset(pixels(20)))
    assert [vector.input for vector in vectors] == [f"golden/{number:02d}.input.bin" for number in range(8)]
    assert [vector.pixels for vector in vectors] == [f"golden/{number:02d}.pixels.bin" for number in range(8)]
    assert set(files) == {name for vector in vectors for name in (vector.input, vector.pixels)}


def test_images_are_spread_over_the_test_split(stripes):
    data = open_dataset(stripes)
    spec = input_spec_for((12, 12, 1), 1, (1, 12, 12), (0.5,), (0.5,))
    vectors, files = golden_inputs(spec, data)
    test = [image.tobytes() for image in data.test.images]
    places = [test.index(files[vector.pixels]) for vector in vectors]
    assert places[0] == 0
    assert places[-1] == 89
    assert all(11 <= after - before <= 14 for before, after in pairwise(places))


@pytest.mark.parametrize("split", ["train", "val"])
def test_other_splits_serve_where_there_is_no_test_split(split):
    images = pixels(8)
    vectors, files = golden_inputs(SPEC, dataset(images, split))
    assert [files[vector.pixels] for vector in vectors] == [image.tobytes() for image in images]


def test_few_images_are_repeated():
    vectors, _ = golden_inputs(SPEC, dataset(pixels(3)))
    assert len(vectors) == 8


def test_of_large_images_only_the_first_is_kept_raw():
    spec = SPEC.model_copy(update={"steps": (Resize(height=8, width=8),)})
    vectors, files = golden_inputs(spec, dataset(pixels(8, 200, 150)))
    assert [vector.pixels is not None for vector in vectors] == [True] + [False] * 7
    image = np.frombuffer(files["golden/00.pixels.bin"], np.uint8).reshape(200, 150, 3)
    assert files["golden/00.input.bin"] == normalise(to_pixels(image, spec)[None], spec).tobytes()


def test_without_data_there_is_noise_and_always_the_same():
    first, again = golden_inputs(SPEC, None), golden_inputs(SPEC, None)
    assert first == again
    inputs = {first[1][vector.input] for vector in first[0]}
    assert len(inputs) == 8
    image = np.frombuffer(first[1]["golden/03.pixels.bin"], np.uint8)
    assert first[0][3].pixels_shape == (8, 8, 3)
    assert image.std() > 50


def test_images_that_do_not_fit_or_are_broken_are_one_line(tmp_path):
    with pytest.raises(BadInput, match=r"the data does not fit the network's input.*\(9, 9, 3\)"):
        golden_inputs(SPEC, dataset(pixels(8, 9, 9)))
    (tmp_path / "test" / "a").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "test" / "a" / "0.png")
    data = open_dataset(tmp_path)
    (tmp_path / "test" / "a" / "0.png").write_bytes(b"no image")
    with pytest.raises(BadInput, match=r"0\.png: a broken image"):
        golden_inputs(SPEC, data)


def test_without_data_a_compressed_network_keeps_the_images_of_its_standard(tmp_path, stripes):
    """28x28 pixels that are padded to 32x32: noise of the input's size would be padded once more."""
    data = tmp_path / "grey.npz"
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    np.savez(data, x_test=images, y_test=np.arange(20) % 3)
    choice = Choice("vgg19", width=0.125, input_shape=(3, 32, 32))
    pack_bundle(choice, tmp_path / "standard", data=str(data))
    compress_bundle(Choice(str(tmp_path / "standard.falcon")), tmp_path / "falcon", rank=1)
    standard, falcon = (open_bundle(tmp_path / f"{name}.falcon") for name in ("standard", "falcon"))
    assert falcon.manifest.golden.vectors[0].pixels_shape == (28, 28, 1)
    for vector in standard.manifest.golden.vectors:
        for file in (vector.input, vector.pixels):
            assert falcon.file(file).read_bytes() == standard.file(file).read_bytes()
