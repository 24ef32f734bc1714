"""Augmentation changes where things are, never what they are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from falcon_edge.training.augmentation import augment


def images(count=200, height=5, width=4, channels=3, seed=0):
    return np.random.default_rng(seed).integers(1, 256, (count, height, width, channels), dtype=np.uint8)


def augmented(pixels, seed=0, flip=True, crop_padding=0):
    return augment(pixels, np.random.default_rng(seed), flip=flip, crop_padding=crop_padding)[0]


def shifted(image, down, right):
    """The image moved by whole pixels, zeros behind it."""
    height, width, _ = image.shape
    moved = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            if 0 <= y - down < height and 0 <= x - right < width:
                moved[y, x] = image[y - down, x - right]
    return moved


def test_half_are_mirrored_and_the_others_are_as_they_were():
    pixels = images(2000)
    result = augmented(pixels)
    same, mirrored = (result == pixels).all((1, 2, 3)), (result == pixels[:, :, ::-1]).all((1, 2, 3))
    assert (same | mirrored).all()
    assert (augment(pixels, np.random.default_rng(0), flip=True, crop_padding=1)[1] == mirrored).all()
    # A fair coin is 5 standard deviations away from this once in a million runs.
    assert abs(mirrored.sum() - 1000) < 5 * np.sqrt(2000 / 4)


@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_a_crop_is_a_shift_with_zeros_at_the_border(padding, seed):
    pixels = images(5, 6, 6, 1, seed)
    result = augmented(pixels, seed, flip=False, crop_padding=padding)
    steps = range(-padding, padding + 1)
    for before, after in zip(pixels, result, strict=True):
        assert any(np.array_equal(after, shifted(before, down, right)) for down in steps for right in steps)


def test_every_shift_occurs():
    pixels = images(1, 7, 7, 1).repeat(400, 0)
    result = augmented(pixels, flip=False, crop_padding=1)
    assert len(np.unique(result.reshape(400, -1), axis=0)) == 9


@given(st.booleans(), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_shape_kind_and_the_original_stay(flip, padding, seed):
    pixels = images(3, seed=seed)
    before = pixels.copy()
    result = augmented(pixels, seed, flip, padding)
    assert result.shape == pixels.shape
    assert result.dtype == np.uint8
    assert not np.shares_memory(result, pixels)
    assert np.array_equal(pixels, before)


def test_seeds_decide():
    pixels = images()
    one, again, other = (augmented(pixels, seed, crop_padding=2) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_nothing_asked_nothing_changed():
    assert np.array_equal(augmented(images(), flip=False), images())
