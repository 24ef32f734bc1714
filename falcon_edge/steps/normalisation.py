"""The mean and std that pixels are brought to: said, or guessed; and whether a network answers better with others."""

import math
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from scipy.stats import binomtest
from torch import nn

from falcon_edge.data import Dataset, Split, channel_statistics
from falcon_edge.errors import BadInput
from falcon_edge.falcon.forward import device_of
from falcon_edge.network import Network
from falcon_edge.notices import notice
from falcon_edge.preprocessing import InputSpec, are_prepared, in_words
from falcon_edge.training.images import Images

PHOTO_SIZE = 160
BATCH = 100
# A normalisation is clearly better if it is so by this share of the images, and by chance once in a thousand networks.
BETTER, BY_CHANCE = 0.02, 0.001


@dataclass(frozen=True)
class Normalisation:
    """Mean and std per channel, in 0..1; whose they are, None where the user said them."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    whose: str | None = None

    def of(self, channels: int) -> "Normalisation | None":
        """The same for so many channels, if it can be."""
        if len(self.mean) == channels:
            return self
        return replace(self, mean=self.mean * channels, std=self.std * channels) if len(self.mean) == 1 else None

    def __str__(self) -> str:
        numbers = (",".join(f"{number:.6g}" for number in side) for side in (self.mean, self.std))
        return " `std` ".join(("`mean` " + next(numbers), *numbers))


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "ImageNet's")
HALF = Normalisation((0.5,), (0.5,), "to -1..1")
COMMON = (
    IMAGENET,
    HALF,
    Normalisation((0.0,), (1.0,), "to 0..1"),
    Normalisation((0.0,), (1 / 255,), "none, 0..255"),
    Normalisation((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616), "CIFAR-10's"),
    Normalisation((0.1307,), (0.3081,), "MNIST's"),
    Normalisation((0.286,), (0.353,), "Fashion-MNIST's"),
)


def normalisation(
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    shape: tuple[int, int, int],
    dataset: Dataset | None,
) -> Normalisation:
    """What the user says; ImageNet's for photo networks; else the data's; else to -1..1."""
    if (mean is None) != (std is None):
        raise BadInput("`mean` and `std` go together")
    channels = shape[0]
    if mean is not None and std is not None:
        if len(mean) != channels or len(std) != channels:
            raise BadInput(f"`mean` and `std` need {channels} numbers each")
        if not (all(map(math.isfinite, mean)) and all(0 < number < math.inf for number in std)):
            raise BadInput("`mean` and `std` are finite numbers, std above 0")
        return Normalisation(mean, std)
    if channels == 3 and min(shape[1:]) >= PHOTO_SIZE:
        return IMAGENET
    of_data = None if dataset is None else _of_data(dataset).of(channels)
    half = HALF.of(channels)
    assert half is not None
    return of_data or half


def guess(guessed: Normalisation) -> str:
    """What a user should know of a normalisation that nobody said."""
    return (
        f"its normalisation is a guess, {guessed.whose} ({guessed}); give the one that it was trained with, for its "
        "answers depend on it"
    )


def tell_preparation(network: Network, dataset: Dataset | None, model: str) -> None:
    """Say what is done to images of the data to make them inputs of a network, called `model`, if anything is."""
    words = in_words(network.input)
    if dataset is not None and words and not are_prepared(dataset.first("train", "val", "test")[1].images):
        notice(f"{dataset.source}: its images are {words}, for {model}")


def better(
    network: nn.Module, spec: InputSpec, split: Split, dataset: Dataset
) -> tuple[Normalisation, float, float] | None:
    """A normalisation with which a network is clearly better on labelled images: it, top-1 (0..1) with it and without.

    None for inputs that are prepared already.

    Both answer the same images; the exact sign test (McNemar's) over those that only one of them has right.
    """
    if are_prepared(split.images):
        return None
    now = _right(network, spec, split)
    found: tuple[Normalisation, float, float] | None = None
    for one in chain((_of_data(dataset),), COMMON):
        other = one.of(spec.shape[0])
        if other is None or np.allclose((*other.mean, *other.std), (*spec.mean, *spec.std), rtol=0.02, atol=0.02):
            continue
        then = _right(network, spec.model_copy(update={"mean": other.mean, "std": other.std}), split)
        won, lost = int((then & ~now).sum()), int((now & ~then).sum())
        top1 = float(then.mean())
        clearly = top1 - now.mean() > BETTER and binomtest(won, won + lost, alternative="greater").pvalue < BY_CHANCE
        if clearly and (found is None or top1 > found[1]):
            found = other, top1, float(now.mean())
    return found


def _of_data(dataset: Dataset) -> Normalisation:
    split = dataset.first("train", "val", "test")[1]
    return Normalisation(*channel_statistics(split), whose="the data's own")


@torch.no_grad()
def _right(network: nn.Module, spec: InputSpec, split: Split) -> np.ndarray:
    """Which images of a split a network has right: bool (N,)."""
    batches = Images(split, spec, device_of(network)).batches(BATCH)
    return np.concatenate([(network(inputs).argmax(1) == labels).cpu().numpy() for inputs, labels in batches])
