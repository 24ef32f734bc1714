"""The batches of an epoch: which images, and what chance does to them, as seed and epoch alone decide."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from falcon_edge.errors import BadInput
from falcon_edge.training.aims import Drawn
from falcon_edge.training.augmentation import Changes
from falcon_edge.training.images import Images
from falcon_edge.training.recipe import Recipe
from falcon_edge.training.team import Team


@dataclass(frozen=True)
class _Batch:
    """Of this process: the places (n,) of its images and their changes; of what is mixed into them, with its share."""

    images: np.ndarray
    changes: Changes
    share: float = 1.0
    others: np.ndarray | None = None
    other_changes: Changes | None = None

    @property
    def needed(self) -> np.ndarray:
        """All places that it reads."""
        return self.images if self.others is None else np.concatenate([self.images, self.others])


class Batches:
    """Of training images, under a recipe; each process of a team has its own part of every batch.

    workers: processes that decode images, where there are too many to keep; the batches are the same. Raises BadInput
    for changes that leave nothing of some images.
    """

    def __init__(self, images: Images, recipe: Recipe, team: Team, workers: int = 0):
        self.images, self.recipe, self.team = images, recipe, team
        least = min(images.spec.shape[1:])
        for name in ("cutout", "crop_padding"):  # or a whole image may be covered, or left behind
            if (asked := getattr(recipe, name)) >= least:
                raise BadInput(f"{name} {asked}: must be less than the images' shorter side, which is {least} pixels")
        self.workers = 0 if images.kept else workers
        self.steps = max(1, len(images) // recipe.batch_size)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Drawn]]:
        """Inputs of epoch `number`, and what they were made of."""
        batches = self._drawn(number)
        for batch, pixels in zip(batches, self._pixels([batch.needed for batch in batches]), strict=True):
            count = len(batch.images)
            inputs, others = self._changed(pixels[:count], batch.changes), None
            if batch.others is not None and batch.other_changes is not None:
                other = self._changed(pixels[count:], batch.other_changes)
                inputs = batch.share * inputs + (1 - batch.share) * other
                others = torch.from_numpy(batch.others)
            mirrored = torch.from_numpy(batch.changes.mirrored)
            yield inputs, Drawn(torch.from_numpy(batch.images), mirrored, others, batch.share)

    def _drawn(self, number: int) -> list[_Batch]:
        recipe, size = self.recipe, self.recipe.batch_size
        random = np.random.default_rng((recipe.seed, number))
        order = random.permutation(len(self.images))
        drawn = []
        for start in range(0, self.steps * size, size):
            chosen = order[start : start + size]
            changes = Changes.drawn(
                *(random, len(chosen), self.images.spec.shape[1:]),
                flip=recipe.flip,
                crop_padding=recipe.crop_padding,
                cutout=recipe.cutout,
            )
            own = self.team.part(np.arange(len(chosen)))
            batch = _Batch(chosen[own], changes.of(own))
            if recipe.mixup:
                share, partners = random.beta(recipe.mixup, recipe.mixup), random.permutation(len(chosen))[own]
                batch = _Batch(batch.images, batch.changes, share, chosen[partners], changes.of(partners))
            drawn.append(batch)
        return drawn

    def _pixels(self, places: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        if not self.workers:
            return map(self.images.pixels, places)
        loader: DataLoader[Any] = DataLoader(
            _Decoded(self.images),
            batch_sampler=[each.tolist() for each in places],
            num_workers=self.workers,
            collate_fn=_as_it_is,
            generator=torch.Generator(),  # or it would draw from the network's, and dropout with it
        )
        return iter(loader)

    def _changed(self, pixels: np.ndarray, changes: Changes) -> Tensor:
        return self.images.inputs(changes.applied(pixels, self.images.mean_pixel))


class _Decoded(Dataset[np.ndarray]):
    """Pixels by places, for a loader's processes."""

    def __init__(self, images: Images):
        self.images = images

    def __getitems__(self, places: list[int]) -> np.ndarray:
        return self.images.pixels(np.array(places))


def _as_it_is(pixels: Any) -> Any:
    return pixels
