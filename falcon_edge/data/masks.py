"""Folders of images with a mask of classes for each, and of images alone.

images/* and masks/*.png of the same names lie in the folder, or in train/, val/ and test/ within it; without masks/
these have no targets, nor have images that lie in such folders themselves. `labels.txt` names the classes, one a line.
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from falcon_edge.data.dataset import Dataset, Split
from falcon_edge.data.decoding import ENDINGS, decode_mask
from falcon_edge.data.folders import SPLITS, ImageFiles, images_in, look_through, visible, visible_folders
from falcon_edge.errors import BadInput

IMAGES, MASKS, NAMES = "images", "masks", "labels.txt"
LONGEST_LIST = 1 << 20  # bytes of names


class MaskFiles(Sequence[np.ndarray]):
    """Masks decoded when they are asked for: uint8 (height, width)."""

    def __init__(self, paths: Sequence[Path]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]  # slices are not needed
        return decode_mask(self.paths[index])


def recognise(folder: Path) -> bool:
    """Whether images lie in it, or in its splits, without folders of classes."""
    return bool(_places(folder))


def load(folder: Path) -> Dataset:
    """Every split that is there; what lies in no split is for the test.

    Raises BadInput for an image without its mask, or a mask without its image.
    """
    found = {split: _files(place) for split, place in _places(folder).items()}
    channels, size = look_through(chain(*(paths for paths, _ in found.values())))
    splits = {
        split: Split(ImageFiles(paths, channels, size), None if masks is None else MaskFiles(masks))
        for split, (paths, masks) in found.items()
    }
    return Dataset(folder.name, _names(folder), folder, **splits)


def _places(folder: Path) -> dict[str, Path]:
    """Where the images of each split lie, those of the test where there are no splits."""
    children = {child.name.lower(): child for child in visible_folders(folder)}
    named = {split: children[name] for split, names in SPLITS.items() for name in names if name in children}
    if named:  # of folders of classes beside images without one the classes are the data
        return named if all(map(_holds_images, named.values())) else {}
    return {"test": folder} if _holds_images(folder) else {}


def _holds_images(folder: Path) -> bool:
    names = {child.name.lower() for child in visible_folders(folder)}
    if IMAGES in names:
        return names <= {IMAGES, MASKS}
    return not names and any(path.suffix.lower() in ENDINGS and visible(path.name) for path in folder.iterdir())


def _files(place: Path) -> tuple[list[Path], list[Path] | None]:
    """The images of a place, sorted, and their masks in the same order."""
    children = {child.name.lower(): child for child in visible_folders(place)}
    images = children.get(IMAGES, place)
    paths = sorted(images_in(images))
    if not paths:
        raise BadInput(f"{images}: no images in it ({', '.join(sorted(ENDINGS))})")
    if MASKS not in children:
        return paths, None
    masks = {path.relative_to(children[MASKS]).with_suffix(""): path for path in images_in(children[MASKS])}
    wanted = [path.relative_to(images).with_suffix("") for path in paths]
    for path, name in zip(paths, wanted, strict=True):
        if name not in masks:
            raise BadInput(f"{path}: has no mask; {children[MASKS] / name}.png would be it")
    if len(set(wanted)) < len(wanted):
        twice = next(name for name in wanted if wanted.count(name) > 1)
        raise BadInput(f"{images / twice}: several images of this name share one mask; rename one")
    strange = [masks[name] for name in masks.keys() - set(wanted)]
    if strange:
        raise BadInput(f"{min(strange)}: is the mask of no image in {images}")
    return paths, [masks[name] for name in wanted]


def _names(folder: Path) -> tuple[str, ...]:
    path = folder / NAMES
    if not path.is_file():
        return ()
    try:
        with path.open("rb") as file:
            lines = file.read(LONGEST_LIST + 1).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not a readable list of names in UTF-8") from error
    return tuple(line.strip() for line in lines if line.strip())
