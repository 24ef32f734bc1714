"""Random changes of training images that keep their class."""

import numpy as np


def augment(
    pixels: np.ndarray, random: np.random.Generator, *, flip: bool, crop_padding: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mirror half of the images and shift each by up to `crop_padding` pixels (zeros come in at the border).

    pixels: uint8 (n, H, W, C); the result is a new array of the same shape, and which of them were mirrored (n,).
    """
    count, height, width, _ = pixels.shape
    pixels, mirrored = pixels.copy(), np.zeros(count, dtype=bool)
    if flip:
        mirrored = np.less(random.random(count), 0.5)
        pixels[mirrored] = mirror(pixels[mirrored])
    if crop_padding:
        border = (crop_padding, crop_padding)
        padded = np.pad(pixels, ((0, 0), border, border, (0, 0)))
        offsets = random.integers(0, 2 * crop_padding + 1, size=(count, 2))
        for index, (top, left) in enumerate(offsets):
            pixels[index] = padded[index, top : top + height, left : left + width]
    return pixels, mirrored


def mirror(pixels: np.ndarray) -> np.ndarray:
    """Left and right of images (n, H, W, C) exchanged."""
    return pixels[:, :, ::-1]
