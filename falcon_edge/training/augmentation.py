"""Random changes of training images that keep their class."""

import numpy as np


def augment(pixels: np.ndarray, random: np.random.Generator, *, flip: bool, crop_padding: int) -> np.ndarray:
    """Mirror half of the images and shift each by up to `crop_padding` pixels (zeros come in at the border).

    pixels: uint8 (n, H, W, C); the result is a new array of the same shape.
    """
    count, height, width, _ = pixels.shape
    pixels = pixels.copy()
    if flip:
        mirrored = random.random(count) < 0.5
        pixels[mirrored] = pixels[mirrored, :, ::-1]
    if crop_padding:
        border = (crop_padding, crop_padding)
        padded = np.pad(pixels, ((0, 0), border, border, (0, 0)))
        offsets = random.integers(0, 2 * crop_padding + 1, size=(count, 2))
        for index, (top, left) in enumerate(offsets):
            pixels[index] = padded[index, top : top + height, left : left + width]
    return pixels
