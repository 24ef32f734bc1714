"""Random changes of training images that keep their class."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Changes:
    """What chance does to n images, each on its own, so that any part of them can be changed apart from the others.

    mirrored: (n,), left and right are exchanged. corners: (n, 2), the top left of a crop out of the image with
    `padding` zeros around it. centres: (n, 2), of a square of `side` pixels that is covered (Cutout, DeVries and
    Taylor, arXiv 1708.04552, section 3.2: part of it may lie outside).
    """

    mirrored: np.ndarray
    padding: int
    corners: np.ndarray
    side: int
    centres: np.ndarray

    @classmethod
    def drawn(
        cls,
        random: np.random.Generator,
        count: int,
        size: tuple[int, int],
        *,
        flip: bool = False,
        crop_padding: int = 0,
        cutout: int = 0,
    ) -> "Changes":
        """Of `count` images of (height, width) pixels. flip: every other one on average; 0 leaves the others out."""
        mirrored = np.less(random.random(count), 0.5) if flip else np.zeros(count, dtype=bool)
        corners, centres = np.zeros((count, 2), dtype=int), np.zeros((count, 2), dtype=int)
        if crop_padding:
            corners = random.integers(0, 2 * crop_padding + 1, size=(count, 2))
        if cutout:
            centres = random.integers(0, size, size=(count, 2))
        return cls(mirrored, crop_padding, corners, cutout, centres)

    def of(self, which: np.ndarray | slice) -> "Changes":
        """Those of some of the images."""
        return Changes(self.mirrored[which], self.padding, self.corners[which], self.side, self.centres[which])

    def applied(self, pixels: np.ndarray, cover: np.ndarray) -> np.ndarray:
        """Images uint8 (n, H, W, C), changed, as a new array. cover: uint8 (C,), what covered pixels become."""
        _, height, width, _ = pixels.shape
        pixels = pixels.copy()
        pixels[self.mirrored] = mirror(pixels[self.mirrored])
        if self.padding:
            border = (self.padding, self.padding)
            padded = np.pad(pixels, ((0, 0), border, border, (0, 0)))
            for image, whole, (top, left) in zip(pixels, padded, self.corners, strict=True):
                image[:] = whole[top : top + height, left : left + width]
        if self.side:
            for image, centre in zip(pixels, self.centres, strict=True):
                top, left = centre - self.side // 2
                image[max(0, top) : top + self.side, max(0, left) : left + self.side] = cover
        return pixels


def mirror(pixels: np.ndarray) -> np.ndarray:
    """Left and right of images (n, H, W, C) exchanged."""
    return pixels[:, :, ::-1]
