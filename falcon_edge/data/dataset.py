"""What a data set is, whatever format it came in."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from falcon_edge.batches import each
from falcon_edge.data.classes import ClassMap, NoMatch, listed, match, numbered
from falcon_edge.errors import BadInput
from falcon_edge.notices import notice
from falcon_edge.preprocessing import are_prepared

STATISTICS_IMAGES = 5000
IGNORED = 255  # in masks, by the custom of PASCAL VOC and Cityscapes: no class is asked for there
Kind = Literal["classes", "masks", "values"]

HELD_OUT = 0.1  # of the training images, where there is no validation split
MOST_HELD_OUT = 5000
LOOKED_AT = 256  # images of a split, to tell it from others
TEST_SHARE, SEED = 0.2, 0  # of images alone that are in one split, see `Dataset.cut`


def spread(size: int, count: int) -> np.ndarray:
    """At most `count` of the numbers 0..size - 1, spread evenly: int64, ascending."""
    return np.linspace(0, size - 1, min(count, size)).round().astype(int)


@dataclass(frozen=True)
class Split:
    """Images and what is asked of them: uint8, an array (N, H, W, C) or a sequence of arrays (H, W, C).

    Or what a network eats, prepared by somebody else: float32, an array (N, C, H, W).

    targets (N, ...): a class for each image (int64), a mask of classes (an array, or a sequence of arrays (H, W)), or
    whatever a metric takes; None without any.
    """

    images: Sequence[np.ndarray] | np.ndarray
    targets: np.ndarray | Sequence[np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def kind(self) -> Kind | None:
        """What the targets are: whole numbers are classes, of an image or of its pixels."""
        if self.targets is None:
            return None
        if not isinstance(self.targets, np.ndarray):
            return "masks"
        if self.targets.dtype.kind not in "iu" or self.targets.ndim not in (1, 3):
            return "values"
        return "classes" if self.targets.ndim == 1 else "masks"

    @property
    def labels(self) -> np.ndarray:
        """The class of each image, int64 (N,). Raises BadInput where the targets are no such thing."""
        if not isinstance(self.targets, np.ndarray) or self.kind != "classes":
            has = "has no targets" if self.targets is None else f"has {self.kind} for targets"
            raise BadInput(f"the data {has}; a class for each image is what this needs")
        return self.targets

    def all_targets(self) -> np.ndarray:
        """The targets as one array (N, ...). Raises BadInput for masks of different sizes, or without targets."""
        if self.targets is None:
            raise BadInput("the data has no targets")
        if isinstance(self.targets, np.ndarray):
            return self.targets
        masks = [self.targets[index] for index in range(len(self))]
        shapes = sorted({mask.shape for mask in masks})
        if len(shapes) > 1:
            raise BadInput(f"masks differ in size ({shapes[0]} and {shapes[1]}): make them those of the outputs")
        return np.stack(masks)

    def spread(self, count: int) -> "Split":
        """At most `count` images, spread evenly over all: they may be sorted by classes."""
        return self if len(self) <= count else self.subset(spread(len(self), count))

    def subset(self, indices: np.ndarray) -> "Split":
        """The images at `indices`, in that order."""
        images, targets = (
            values[indices] if isinstance(values, np.ndarray) else None if values is None else _Chosen(values, indices)
            for values in (self.images, self.targets)
        )
        assert images is not None
        return Split(images, targets)

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(height, width, channels) of all images, or None where they differ in size or it is not known."""
        if are_prepared(self.images):
            channels, height, width = self.images[0].shape
            return height, width, channels
        if isinstance(self.images, np.ndarray):
            return tuple(self.images.shape[1:])
        return getattr(self.images, "image_shape", None)

    def sha256(self) -> str:
        """Digest of shapes, pixels and targets: what a calibration set is known by."""
        digest = hashlib.sha256(self.labels.astype("<i8").tobytes() if self.kind == "classes" else b"")
        for index in range(len(self)):
            if self.targets is not None and self.kind != "classes":
                target = np.ascontiguousarray(self.targets[index])
                digest.update(f"{target.dtype.str}{target.shape}".encode() + target.tobytes())
            image = np.ascontiguousarray(self.images[index])
            digest.update(repr(image.shape).encode() + image.tobytes())
        return digest.hexdigest()

    def digest(self) -> str:
        """What a split is known by without reading all of it: that of so many of its images, spread evenly."""
        return self.spread(LOOKED_AT).sha256()


class _Chosen(Sequence[np.ndarray]):
    """Some images or masks of a lazily decoded sequence."""

    def __init__(self, images: Sequence[np.ndarray], indices: np.ndarray):
        self._images, self._indices = images, indices
        self.image_shape = getattr(images, "image_shape", None)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]  # slices are not needed
        return self._images[int(self._indices[index])]


@dataclass(frozen=True)
class Dataset:
    """A data set: its name, the classes by label, and the splits that it has.

    class_map: by which its classes were made those of a model, where names do not say it.
    """

    name: str
    class_names: tuple[str, ...]
    source: Path
    train: Split | None = None
    val: Split | None = None
    test: Split | None = None
    class_map: Any = None  # a ClassMap: loaders give the splits as keywords

    def __post_init__(self) -> None:
        if all(split is None for split in self.splits.values()):
            raise BadInput(f"{self.source}: holds no images")
        for name, split in self.splits.items():
            if split is None:
                continue
            many = "none" if split.targets is None else len(split.targets)
            if len(split) == 0 or many not in ("none", len(split)):
                raise BadInput(f"{self.source}: {name} has {len(split)} images and {many} labels or other targets")
            if split.kind == "classes" and (split.labels.min() < 0 or split.labels.max() >= len(self.class_names)):
                raise BadInput(
                    f"{self.source}: {name} has labels {split.labels.min()} to {split.labels.max()}, "
                    f"but there are {len(self.class_names)} classes"
                )
        kinds = {split.kind for split in self.splits.values() if split is not None}
        if len(kinds) > 1:
            said = " and ".join(sorted(str(kind or "no targets") for kind in kinds))
            raise BadInput(f"{self.source}: its splits have {said}; they must be alike")

    @property
    def splits(self) -> dict[str, Split | None]:
        """The splits by name."""
        return {"train": self.train, "val": self.val, "test": self.test}

    @property
    def kind(self) -> Kind | None:
        """What its targets are."""
        return self._any().kind

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(height, width, channels), or None where the images differ in size."""
        shapes = {split.image_shape for split in self.splits.values() if split is not None}
        return shapes.pop() if len(shapes) == 1 else None

    @property
    def channels(self) -> int:
        """Channels of the images: 1 or 3, or of inputs that are prepared any number."""
        images = self._any().images
        return int(images[0].shape[0 if are_prepared(images) else 2])

    def first(self, *names: str) -> tuple[str, Split]:
        """The first of these splits that there is, by name: the test split comes last where choices are made."""
        return next((name, split) for name in names if (split := self.splits[name]) is not None)

    def require(self, name: str) -> Split:
        """A split by name. Raises BadInput if the data set lacks it."""
        split = self.splits[name]
        if split is None:
            raise BadInput(
                f"{self.source}: has no {name} split; an image folder needs {name}/, an .npz x_{name} and y_{name}"
            )
        return split

    def require_classes(self, what: str) -> None:
        """Raise BadInput, saying `what` they are for, unless there is a class for each image."""
        if self.kind != "classes":
            has = "no targets" if self.kind is None else f"{self.kind} for targets"
            raise BadInput(f"{self.source}: has {has}; {what} needs a class for each image")

    def held_out(self, fraction: float = HELD_OUT) -> np.ndarray:
        """Which training images are held out where there is no validation split: bool (N,), none where N is too small.

        A random share of every class, or of all images where there are no classes or none with enough of them. It is
        the same share whenever it is cut off, so that no network is judged on images that it, or its teacher, was
        trained on.
        """
        train = self.require("train")
        share = min(fraction, MOST_HELD_OUT / len(train))
        random = np.random.default_rng(0)
        chosen = np.zeros(len(train), bool)
        labels = train.labels if train.kind == "classes" else np.zeros(len(train), int)
        for label in np.unique(labels):
            members = random.permutation(np.flatnonzero(labels == label))
            chosen[members[: int(len(members) * share)]] = True
        if not chosen.any():
            chosen[random.permutation(len(train))[: int(len(train) * share)]] = True
        return chosen

    def train_and_val(self, fraction: float = HELD_OUT) -> tuple[Split, Split]:
        """Training and validation images; where there is no validation split, what is `held_out`.

        The test split is never touched. Raises BadInput where there are too few images.
        """
        train = self.require("train")
        if self.val is not None:
            return train, self.val
        held_out = self.held_out(fraction)
        if not held_out.any():
            raise BadInput(f"{self.source}: too few training images to hold some out for validation")
        return train.subset(np.flatnonzero(~held_out)), train.subset(np.flatnonzero(held_out))

    def cut(self) -> "Dataset":
        """Images alone, all in one split that is not for training, as two: a seeded share for the test, which is said.

        Anything else stays as it is. Raises BadInput for a single image.
        """
        names = [name for name, split in self.splits.items() if split is not None]
        if self.kind is not None or len(names) > 1 or names == ["train"]:
            return self
        split = self._any()
        order, count = np.random.default_rng(SEED).permutation(len(split)), max(1, round(TEST_SHARE * len(split)))
        if count == len(split):
            raise BadInput(f"{self.source}: holds a single image; to learn from images takes more of them")
        test, train = (split.subset(np.sort(places)) for places in (order[:count], order[count:]))
        notice(
            f"{self.source}: has no train/, so its images were split by seed {SEED}: {len(train)} for training, "
            f"{count} for the test"
        )
        return replace(self, train=train, val=None, test=test)

    def of_classes(self, names: Sequence[str], model: str, class_map: ClassMap | None = None) -> "Dataset":
        """The same with the classes of a model: their names, their order (see `classes.match`).

        Images of classes that `class_map` leaves out are gone, and pixels of masks IGNORED. What is not certain is
        said. Data without classes, or for a model without any, stays as it is. Raises BadInput, naming `model`, for
        classes that cannot be matched.
        """
        if not self.class_names or self.kind not in ("classes", "masks") or not names:
            if class_map is not None:
                raise BadInput(f"{self.source}: a class map is for data and models with classes; leave it out")
            return self
        try:
            matching = match(self.class_names, names, class_map)
        except NoMatch as error:
            what = "the classes of the data do not match"
            if len(names) != len(self.class_names):
                what = f"has {len(names)} classes, but the data has {len(self.class_names)}"
            raise BadInput(f"{model}: {what}: {error}; `class_map` says which is which") from error
        if matching.in_order:
            nameless = "its classes" if numbered(names) else "the classes of the data"
            pairs = ", ".join(f"{one!r} is {other!r}" for one, other in zip(names[:2], self.class_names, strict=False))
            notice(f"{model}: {nameless} have no names, so that they are taken in their order: {pairs}, ...")
        lacking = [name for number, name in enumerate(names) if number not in matching.numbers]
        if lacking:
            notice(f"{self.source}: lacks {len(lacking)} of the {len(names)} classes of {model}: {listed(lacking)}")
        numbers = np.array([-1 if number is None else number for number in matching.numbers], np.int64)
        train, val, test = (_renumbered(split, numbers) for split in (self.train, self.val, self.test))
        return replace(self, class_names=tuple(names), train=train, val=val, test=test, class_map=class_map)

    def _any(self) -> Split:
        return next(split for split in self.splits.values() if split is not None)


def from_pairs(
    pairs: Iterable[tuple[np.ndarray, Any] | np.ndarray],
    name: str,
    *,
    class_names: Sequence[str] = (),
    split: Literal["train", "val", "test"] = "test",
) -> Dataset:
    """A data set of what any loader gives: images (H, W, C) or (H, W), uint8, alone or each with its target.

    A target is a class (with `class_names`), a mask (H, W) or any array of numbers. Raises BadInput for images that are
    no such arrays, or targets that differ in shape.
    """
    images, targets = [], []
    for number, pair in enumerate(pairs):
        image, *rest = pair if isinstance(pair, tuple | list) else (pair,)
        image = np.asarray(image)
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
            raise BadInput(
                f"{name}: image {number} is {image.dtype} {image.shape}; it must be uint8 (H, W) or (H, W, 1 or 3)"
            )
        images.append(image if image.ndim == 3 else image[:, :, None])
        targets += [np.asarray(target) for target in rest[:1]]
    if targets and (len(targets) < len(images) or len({target.shape for target in targets}) > 1):
        raise BadInput(f"{name}: targets are of several shapes, or not there for all images")
    stacked = np.stack(targets) if targets else None
    if stacked is not None and stacked.ndim == 1 and stacked.dtype.kind in "iu":
        stacked = stacked.astype(np.int64)
    if not images:
        raise BadInput(f"{name}: holds no images")
    alike = len({image.shape for image in images}) == 1
    made = Split(np.stack(images) if alike else images, stacked)
    return Dataset(name, tuple(class_names), Path(name), **{split: made})


def from_batches(
    batches: Iterable[Any],
    name: str = "batches",
    *,
    class_names: Sequence[str] = (),
    split: Literal["train", "val", "test"] = "test",
    limit: int | None = None,
) -> Dataset:
    """A data set of what a loader gives for a network to eat: tensors (B, C, H, W), alone or each with its targets.

    Prepared as the network wants them, so that no pixels are known. Targets are classes (B,), masks (B, H, W), or any
    numbers (B, ...); where `class_names` are not given, classes are numbers. Tensors may be on any device. Reads as
    many batches as `limit` inputs need. Raises BadInput for a loader that gives nothing, or something else.
    """
    inputs: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    count = 0
    for x, beside in each(batches, name):
        found = _array(x)
        if inputs and found.shape[1:] != inputs[0].shape[1:]:
            raise BadInput(f"{name}: batch {len(inputs)} is {found.shape}, earlier ones {inputs[0].shape}")
        inputs.append(found.astype(np.float32))
        targets += [] if beside is None else [_array(beside)]
        count += len(found)
        if limit is not None and count >= limit:
            break
    if not count:
        raise BadInput(f"{name}: the loader gives empty batches")
    if targets and [len(target) for target in targets] != [len(found) for found in inputs]:
        raise BadInput(f"{name}: there are not as many targets as inputs in each batch")
    images = np.concatenate(inputs)[:limit]
    if not targets:
        return Dataset(name, (), Path(name), **{split: Split(images)})
    stacked = np.concatenate(targets)[:limit]
    if stacked.ndim == 1 and stacked.dtype.kind in "iu":
        stacked = stacked.astype(np.int64)
        class_names = class_names or tuple(map(str, range(int(stacked.max()) + 1)))
    return Dataset(name, tuple(class_names), Path(name), **{split: Split(images, stacked)})


def _array(value: Any) -> np.ndarray:
    """Of a tensor of torch, wherever it is, or of anything that NumPy takes."""
    if not hasattr(value, "detach"):
        return np.asarray(value)
    tensor = value.detach().cpu()
    return np.asarray(tensor.float() if tensor.is_floating_point() else tensor)  # NumPy knows no bfloat16


def _renumbered(split: Split | None, numbers: np.ndarray) -> Split | None:
    """A split with numbers[label] for each label; without the images for which that is -1."""
    if split is None or np.array_equal(numbers, np.arange(len(numbers))):
        return split
    if split.kind == "masks":
        table = np.full(IGNORED + 1, IGNORED, np.uint8)
        table[: len(numbers)] = np.where(numbers < 0, IGNORED, numbers)
        return Split(split.images, table[split.all_targets().astype(np.uint8)])
    made = Split(split.images, numbers[split.labels])
    kept = np.flatnonzero(made.labels >= 0)
    return made if len(kept) == len(made) else made.subset(kept) if len(kept) else None


def channel_statistics(split: Split) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel in 0..1, over at most STATISTICS_IMAGES images spread over the split.

    Raises BadInput for inputs that are prepared already: of their pixels nothing is known.
    """
    if are_prepared(split.images):
        raise BadInput("inputs that are prepared tell no normalisation: say `mean` and `std`")
    indices = np.unique(spread(len(split), STATISTICS_IMAGES))
    count, total, squares = 0, np.zeros(1), np.zeros(1)
    for index in indices:
        pixels = np.asarray(split.images[int(index)], np.float64).reshape(-1, split.images[int(index)].shape[2]) / 255
        count, total, squares = count + len(pixels), total + pixels.sum(0), squares + np.square(pixels).sum(0)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    # A constant channel carries nothing; 1/255 keeps the division defined.
    return tuple(np.round(mean, 6).tolist()), tuple(np.round(np.maximum(std, 1 / 255), 6).tolist())
