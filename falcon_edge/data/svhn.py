"""SVHN, cropped digits (Netzer et al., 2011): train_32x32.mat and test_32x32.mat of MATLAB 5."""

from pathlib import Path

import numpy as np

from falcon_edge.data.dataset import Dataset, Split
from falcon_edge.errors import BadInput

FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}


def recognise(folder: Path) -> bool:
    """Whether the folder holds one of the two files."""
    return any((folder / name).is_file() for name in FILES.values())


def load(folder: Path) -> Dataset:
    """The splits that are there; the digit 0 has the label 10 in the files, 0 here."""
    splits = {name: _read(folder / file) for name, file in FILES.items() if (folder / file).is_file()}
    return Dataset(folder.name, tuple(map(str, range(10))), folder, **splits)


def _read(path: Path) -> Split:
    from scipy.io import loadmat

    try:
        content = loadmat(path, variable_names=["X", "y"])
        images, labels = content["X"], content["y"]
    except Exception as error:  # scipy raises nearly anything for a damaged file
        raise BadInput(f"{path}: not a readable SVHN file ({' '.join(str(error).split())})") from error
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[2] != 3 or images.shape[3] != labels.size:
        raise BadInput(f"{path}: X is {images.dtype} {images.shape} for {labels.size} labels; get the file again")
    numbers = labels.ravel().astype(np.int64)
    if numbers.min() < 1 or numbers.max() > 10:
        raise BadInput(f"{path}: has labels outside 1..10; get the file again")
    return Split(np.ascontiguousarray(images.transpose(3, 0, 1, 2)), numbers % 10)
