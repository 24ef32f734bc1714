"""Image folders: train/CLASS/*, and test/ or val/ alike; or CLASS/* alone, which is split here."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from falcon_edge.data.classes import NoMatch, composed, match
from falcon_edge.data.dataset import Dataset, Split
from falcon_edge.data.decoding import ENDINGS, UNREAD, decode, read_header
from falcon_edge.errors import BadInput
from falcon_edge.notices import notice

SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
# What systems leave behind beside hidden files, whose names start with a dot.
SYSTEMS = frozenset(("__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"))
TEST_SHARE, SPLIT_SEED = 0.2, 0


class ImageFiles(Sequence[np.ndarray]):
    """Images decoded when they are asked for: uint8 (height, width, channels), upright by their EXIF orientation.

    `image_shape` is that of all of them, or None where they differ in size.
    """

    def __init__(self, paths: Sequence[Path], channels: int, size: tuple[int, int] | None = None):
        self.paths, self.channels = paths, channels
        self.image_shape = None if size is None else (*size, channels)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]  # slices are not needed
        path = self.paths[index]
        pixels = decode(path)
        changed = pixels.shape[2] > self.channels or self.image_shape not in (None, (*pixels.shape[:2], self.channels))
        if changed:
            raise BadInput(f"{path}: has another size or colour than when the folder was looked through; start again")
        return pixels if pixels.shape[2] == self.channels else np.repeat(pixels, self.channels, axis=2)


def visible_folders(folder: Path) -> list[Path]:
    """The folders in it that hold data, sorted: neither hidden ones nor what systems leave behind."""
    return sorted(child for child in folder.iterdir() if child.is_dir() and visible(child.name))


def recognise(folder: Path) -> bool:
    """Whether the folder holds train/, val/ or test/ with class folders, or class folders with images."""
    return bool(_split_folders(folder)) or _flat(folder)


def load(folder: Path) -> Dataset:
    """Every split that is there, or those made of class folders alone.

    Classes are the sorted names of the sub-folders of train/ (val/, test/ where there is none); the others may lack
    some of them. Raises BadInput for a class without images, one that only another split has, or two of one name.
    """
    named = _split_folders(folder)
    found = {split: _classes(path, may_lack=number > 0) for number, (split, path) in enumerate(named.items())}
    found = {split: members for split, members in found.items() if members}
    if not found:
        found = _cut(folder)
    first = next(iter(found))
    classes = tuple(found[first])
    splits = {}
    for split, members in found.items():
        try:
            numbers = match(tuple(members), classes).numbers
        except NoMatch as error:
            raise BadInput(f"{named[split]}: has other classes than {named[first].name}/: {error}") from error
        paths = list(chain(*members.values()))
        labels = np.repeat(np.array(numbers, np.int64), [len(files) for files in members.values()])
        splits[split] = paths, labels
    channels, size = look_through(chain(*(paths for paths, _ in splits.values())))
    made = {split: Split(ImageFiles(paths, channels, size), labels) for split, (paths, labels) in splits.items()}
    return Dataset(folder.name, classes, folder, **made)


def _split_folders(folder: Path) -> dict[str, Path]:
    """The folders named as splits that hold class folders, training first."""
    found: dict[str, Path] = {}
    children = visible_folders(folder)
    for split, names in SPLITS.items():
        for child in children:
            if child.name.lower() in names and visible_folders(child):
                if split in found:
                    raise BadInput(f"{folder}: has {found[split].name}/ and {child.name}/, both for {split}; keep one")
                found[split] = child
    return found


def _flat(folder: Path) -> bool:
    """Whether folders with images lie in it, none of which is named as a split."""
    children = visible_folders(folder)
    taken = {name for names in SPLITS.values() for name in names}
    return not any(child.name.lower() in taken for child in children) and any(
        path.suffix.lower() in ENDINGS and visible(path.name) for child in children for path in child.iterdir()
    )


def _classes(folder: Path, *, may_lack: bool = False) -> dict[str, list[Path]]:
    """The image files of every class folder, by the name of the class."""
    found = {child.name: sorted(images_in(child)) for child in visible_folders(folder)}
    if may_lack:
        found = {name: paths for name, paths in found.items() if paths}
    names = Counter(map(composed, found))
    for name, paths in found.items():
        if names[composed(name)] > 1:
            raise BadInput(f"{folder / name}: another folder has this name in other Unicode signs; make them one")
        if not paths:
            raise BadInput(
                f"{folder / name}: no images in it ({', '.join(sorted(ENDINGS))}), so that it is no class; remove it"
            )
    return found


def images_in(folder: Path) -> Iterator[Path]:
    """The image files in a folder and in those within it, as torchvision's ImageFolder finds them."""
    seen = set()
    for place, inner, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        inner[:] = [] if real in seen else filter(visible, inner)
        if real in seen:  # a link to a folder around it
            continue
        seen.add(real)
        for name in filter(visible, files):
            path = Path(place, name)
            if path.suffix.lower() in UNREAD:
                raise BadInput(f"{path}: images of this kind are not read; convert it to PNG or JPEG")
            if path.suffix.lower() in ENDINGS:
                yield path


def visible(name: str) -> bool:
    """Whether a file or folder is the user's: neither hidden nor what systems leave behind."""
    return not name.startswith(".") and name not in SYSTEMS


def _cut(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """Class folders alone, split into training and test images, and said.

    Of every class those files are for the test whose hashed names come first: the same ones for every verb and on
    every machine, and a file that is added later moves hardly any other.
    """
    found = _classes(folder)
    if len(found) < 2:
        raise BadInput(f"{folder}: images of one folder alone tell no classes apart; give one folder per class")

    def place(path: Path) -> str:
        return hashlib.sha256(f"{SPLIT_SEED}/{path.relative_to(folder).as_posix()}".encode()).hexdigest()

    train, test = {}, {}
    for name, paths in found.items():
        chosen = set(sorted(paths, key=place)[: max(1, round(TEST_SHARE * len(paths))) if len(paths) > 1 else 0])
        train[name] = [path for path in paths if path not in chosen]
        test[name] = [path for path in paths if path in chosen]
    counts = (sum(map(len, split.values())) for split in (train, test))
    notice(
        f"{folder}: has no train/ and test/, so its images were split by seed {SPLIT_SEED}: {next(counts)} for "
        f"training, {next(counts)} for the test (a fifth of every class)"
    )
    return {"train": train, "test": {name: paths for name, paths in test.items() if paths}}


def look_through(paths: Iterator[Path]) -> tuple[int, tuple[int, int] | None]:
    """Channels of the images (1: all are grey) and the size that they share, if they do; ends when both are known."""
    channels, size, differ = 1, None, False
    for path in paths:
        header = read_header(path)
        channels = max(channels, header.channels)
        differ = differ or size not in (None, header.size)
        size = header.size
        if differ and channels == 3:
            break
    return channels, None if differ else size
