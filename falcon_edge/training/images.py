"""A data set's split as the tensors that a network reads."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from falcon_edge.data import Split, spread
from falcon_edge.errors import BadInput
from falcon_edge.preprocessing import InputSpec, are_prepared, batch_pixels, normalise
from falcon_edge.training.team import ALONE, Team

PIXEL_CACHE_BYTES = 2 * 1024**3
DIGEST_IMAGES = 256


class Images:
    """Images under one input specification: pixels uint8 (N, H, W, C), inputs float32 (N, C, H, W).

    The pixels of a split that fits in PIXEL_CACHE_BYTES are prepared once; a larger one is decoded batch by batch.
    Inputs that somebody else prepared, float32 (N, C, H, W), are their own pixels, (N, H, W, C) as others. device: of
    inputs and labels.
    Raises BadInput, at once or when they are read, for images that do not fit the specification.
    """

    def __init__(self, split: Split, spec: InputSpec, device: torch.device | str = "cpu"):
        self.split, self.spec, self.device = split, spec, torch.device(device)
        channels, height, width = spec.shape
        fits = len(split) * channels * height * width <= PIXEL_CACHE_BYTES
        self._prepared = are_prepared(split.images)
        self._pixels = self._prepare(split.images) if fits or self._prepared else None

    def __len__(self) -> int:
        return len(self.split)

    @property
    def kept(self) -> bool:
        """Whether its pixels are in memory: they need not be decoded again."""
        return self._pixels is not None

    @cached_property
    def labels(self) -> Tensor:
        """The class of every image, int64 (N,). Raises BadInput for data without them."""
        return torch.from_numpy(np.asarray(self.split.labels, dtype=np.int64)).to(self.device)

    def pixels(self, indices: np.ndarray) -> np.ndarray:
        """(n, H, W, C) of the images at `indices`: uint8, or float32 of those that are prepared."""
        if self._pixels is not None:
            return self._pixels[indices]
        return self._prepare([self.split.images[int(index)] for index in indices])

    def inputs(self, pixels: np.ndarray) -> Tensor:
        """float32 (n, C, H, W), channels last in memory, of pixels (n, H, W, C)."""
        values = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)) if self._prepared else normalise(pixels, self.spec)
        return torch.from_numpy(values).to(self.device, memory_format=torch.channels_last)

    @property
    def mean_pixel(self) -> np.ndarray:
        """(C,), of the pixels' kind: what is nearest to 0 as an input."""
        if self._prepared:
            return np.zeros(self.spec.shape[0], np.float32)
        return np.round(255 * np.asarray(self.spec.mean)).clip(0, 255).astype(np.uint8)

    def batches(self, batch_size: int, limit: int | None = None, team: Team = ALONE) -> Iterator[tuple[Tensor, Tensor]]:
        """(inputs, labels) in order, of the first `limit` images or all; of a team each its own part of them."""
        for places in self._places(batch_size, limit, team):
            yield self.inputs(self.pixels(places)), self.labels[places[0] : places[-1] + 1]

    def unlabelled(self, batch_size: int, limit: int | None = None) -> Iterator[Tensor]:
        """Inputs in order, of the first `limit` images or all."""
        for places in self._places(batch_size, limit, ALONE):
            yield self.inputs(self.pixels(places))

    def _places(self, batch_size: int, limit: int | None, team: Team) -> Iterator[np.ndarray]:
        count = len(self) if limit is None else min(limit, len(self))
        for start in team.part(range(0, count, batch_size)):
            yield np.arange(start, min(start + batch_size, count))

    def digest(self) -> str:
        """SHA-256 of the specification, the labels if any, and up to DIGEST_IMAGES images spread over the split."""
        labels = self.labels.cpu().numpy().tobytes() if self.split.kind == "classes" else b""
        digest = hashlib.sha256(self.spec.model_dump_json().encode() + labels)
        chosen = spread(len(self), DIGEST_IMAGES)
        digest.update(np.ascontiguousarray(self.pixels(chosen)).tobytes())
        return digest.hexdigest()

    def _prepare(self, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        try:
            pixels = batch_pixels(images, self.spec)
            return pixels.transpose(0, 2, 3, 1) if self._prepared else pixels
        except ValueError as error:
            raise BadInput(f"the data does not fit the network's input: {error}") from error
