"""Which format a data set is in, found from its files."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

from falcon_edge.data import cifar, folders, idx, masks, npz, svhn
from falcon_edge.data.classes import listed
from falcon_edge.data.dataset import Dataset
from falcon_edge.errors import BadInput
from falcon_edge.notices import notice

# Each format: is this folder one? and its loader. The first that recognises the folder is taken.
FOLDER_FORMATS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Dataset]], ...] = (
    (idx.recognise, idx.load),
    (cifar.recognise, cifar.load),
    (svhn.recognise, svhn.load),
    (masks.recognise, masks.load),
    (folders.recognise, folders.load),
)
SAMPLE = "sample"


def open_dataset(data: str | Path | Dataset) -> Dataset:
    """Open DATA: a folder of a known format (or one such folder in it), an .npz file, or 'sample'.

    One that is a Dataset already stays as it is. Raises BadInput, naming the file, for anything that is missing,
    truncated or wrong.
    """
    if isinstance(data, Dataset):
        return data
    if not isinstance(data, str | Path):
        raise BadInput(f"a {type(data).__name__} is no data set: from_batches makes one of what a loader gives")
    dataset = _open(data)
    for name, split in dataset.splits.items():
        if split is not None and split.kind == "classes":
            lacking = sorted(set(range(len(dataset.class_names))) - set(split.labels.tolist()))
            if lacking:
                names = listed([dataset.class_names[number] for number in lacking])
                total = len(dataset.class_names)
                notice(f"{data}: {name} has no images of {len(lacking)} of its {total} classes: {names}")
    return replace(dataset, name=data_name(data))


def _open(data: str | Path) -> Dataset:
    if str(data) == SAMPLE:
        shipped = resources.files("falcon_edge.data") / "sample" / "fashion-mnist.npz"
        with resources.as_file(shipped) as path:
            return npz.load(path)
    path = Path(data)
    if path.name in ("", ".."):
        path = Path(os.path.realpath(path))  # a data set is known by the name of its folder
    if path.is_file():
        if path.suffix.lower() != ".npz":
            raise BadInput(f"{path}: a data set is a folder, an .npz file or 'sample'")
        return npz.load(path)
    if not path.is_dir():
        raise BadInput(f"{path}: no such data set; give a folder, an .npz file or 'sample'")
    found = _recognised([path]) or _recognised(folders.visible_folders(path))
    if len(found) > 1:
        names = ", ".join(folder.name for folder, _ in found)
        raise BadInput(f"{path}: holds several data sets ({names}); name one of them")
    for folder, load in found:
        return load(folder)
    raise BadInput(
        f"{path}: no data set found; known are IDX (train-images-idx3-ubyte...), CIFAR-10/100, SVHN (train_32x32.mat), "
        "image folders (train/CLASS/*.jpg, with test/ or val/, or CLASS/*.jpg alone), images/ with masks/, images "
        "alone, and .npz"
    )


def _recognised(places: Sequence[Path]) -> list[tuple[Path, Callable[[Path], Dataset]]]:
    """Those of some folders that are data sets, each with the loader of the first format that recognises it."""
    firsts = ((place, next((load for recognise, load in FOLDER_FORMATS if recognise(place)), None)) for place in places)
    return [(place, load) for place, load in firsts if load is not None]


def data_name(data: str | Path) -> str:
    """What a bundle says about DATA: its last folder or file, not where it lay."""
    return Path(data).name or Path(os.path.realpath(data)).name
