"""Augmentation changes where things are, never what they are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from falcon_edge.training.augmentation import Changes


def images(count=200, height=5, width=4, channels=3, seed=0):
    return np.random.default_rng(seed).integers(1, 256, (count, height, width, channels), dtype=np.uint8)


COVER = np.array([7, 8, 9], dtype=np.uint8)


def drawn(pixels, seed=0, flip=True, crop_padding=0, cutout=0):
    random, (count, *size, _) = np.random.default_rng(seed), pixels.shape
    return Changes.drawn(random, count, size, flip=flip, crop_padding=crop_padding, cutout=cutout)


def augmented(pixels, *options, **named):
    return drawn(pixels, *options, **named).applied(pixels, COVER[: pixels.shape[3]])


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
    assert (drawn(pixels, crop_padding=1).mirrored == mirrored).all()
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


@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_a_cutout_covers_a_square_and_nothing_else(side, seed):
    pixels = images(20, 6, 8, seed=seed)
    changes = drawn(pixels, seed, flip=False, cutout=side)
    result = changes.applied(pixels, COVER)
    y, x = np.mgrid[:6, :8]
    for before, after, (down, right) in zip(pixels, result, changes.centres, strict=True):
        from_top, from_left = y - down + side // 2, x - right + side // 2
        covered = (from_top >= 0) & (from_top < side) & (from_left >= 0) & (from_left < side)
        assert covered[down, right]
        assert (after[covered] == COVER).all()
        assert (after[~covered] == before[~covered]).all()


def test_every_pixel_is_the_centre_of_some_cutout():
    assert len(np.unique(drawn(images(2000), flip=False, cutout=1).centres, axis=0)) == 5 * 4


@given(st.booleans(), st.integers(0, 3), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_a_part_of_the_images_is_changed_as_it_is_among_all(flip, padding, cutout, seed):
    pixels, part = images(9, seed=seed), np.array([7, 2, 3])
    changes = drawn(pixels, seed, flip, padding, cutout)
    assert np.array_equal(changes.of(part).applied(pixels[part], COVER), changes.applied(pixels, COVER)[part])


@given(st.booleans(), st.integers(0, 3), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_shape_kind_and_the_original_stay(flip, padding, cutout, seed):
    pixels = images(3, seed=seed)
    before = pixels.copy()
    result = augmented(pixels, seed, flip, padding, cutout)
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
