"""Image folders: train/CLASS/*, and test/ or val/ (or valid/) alike."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from falcon_edge.data.dataset import Dataset, Split
from falcon_edge.errors import BadInput

SPLITS = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}
ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


class ImageFiles(Sequence[np.ndarray]):
    """Images decoded when they are asked for: uint8 (height, width, channels), upright by their EXIF orientation."""

    def __init__(self, paths: Sequence[Path], channels: int):
        self.paths, self.channels = paths, channels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]  # slices are not needed
        path = self.paths[index]
        try:
            with Image.open(path) as image:
                upright = ImageOps.exif_transpose(image).convert("L" if self.channels == 1 else "RGB")
                pixels = np.asarray(upright)
        except Exception as error:  # Pillow raises nearly anything for a damaged file
            raise BadInput(f"{path}: a broken image ({' '.join(str(error).split())}); repair or remove it") from error
        return pixels[:, :, None] if self.channels == 1 else pixels


def recognise(folder: Path) -> bool:
    """Whether the folder holds train/, val/ or test/ with class folders."""
    return any(
        child.is_dir()
        for names in SPLITS.values()
        for name in names
        if (folder / name).is_dir()
        for child in (folder / name).iterdir()
    )


def load(folder: Path) -> Dataset:
    """Every split that is there. Classes are the sorted names of the sub-folders, the same in every split."""
    found: dict[str, tuple[list[Path], list[str]]] = {}
    for split, names in SPLITS.items():
        for name in names:
            if (folder / name).is_dir() and split not in found:
                found[split] = _list(folder / name)
    first = next(iter(found))
    classes = tuple(sorted(set(found[first][1])))
    for _, (paths, labels) in found.items():
        strange = next((path for path, label in zip(paths, labels, strict=True) if label not in classes), None)
        if strange is not None:
            raise BadInput(f"{strange.parent}: this class is not in {first}/")
    channels = 1 if all(_is_grey(path) for paths, _ in found.values() for path in paths[:64]) else 3
    splits = {
        split: Split(ImageFiles(paths, channels), np.array([classes.index(label) for label in labels], np.int64))
        for split, (paths, labels) in found.items()
    }
    return Dataset(folder.name, classes, folder, **splits)


def _list(folder: Path) -> tuple[list[Path], list[str]]:
    """Image files of all class folders and the names of their classes."""
    paths = sorted(
        path
        for child in folder.iterdir()
        if child.is_dir()
        for path in child.iterdir()
        if path.suffix.lower() in ENDINGS
    )
    if not paths:
        raise BadInput(f"{folder}: no images in it; put them in one folder per class ({', '.join(sorted(ENDINGS))})")
    return paths, [path.parent.name for path in paths]


def _is_grey(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return image.mode in ("1", "L")
    except Exception as error:  # Pillow raises nearly anything for a damaged file
        raise BadInput(f"{path}: a broken image ({' '.join(str(error).split())}); repair or remove it") from error
