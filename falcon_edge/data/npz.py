"""A NumPy archive: x_train, y_train[, x_val, y_val][, x_test, y_test][, labels]; x and y alone are a test set.

y has a class for each image, a mask of classes (N, H, W), or numbers of any other shape for a metric of the user's; it
may be left out. `labels` (or `class_names`) are the names of the classes 0, 1, 2, ...
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from falcon_edge.data.dataset import IGNORED, Dataset, Split
from falcon_edge.errors import BadInput
from falcon_edge.notices import notice

MAXIMUM_BYTES = 8 * 1024**3
MAXIMUM_CLASSES = 2**20
SPLITS = (("train", "_train"), ("val", "_val"), ("test", "_test"), ("test", ""))
NAMES = ("labels", "class_names")


def load(path: Path) -> Dataset:
    """Open an archive. x: uint8 (N, H, W) or (N, H, W, C) with 1 or 3 channels; y: numbers (N, ...)."""
    arrays = _read(path)
    splits = {}
    for name, suffix in SPLITS:
        if f"x{suffix}" in arrays or f"y{suffix}" in arrays:
            if name in splits:
                raise BadInput(f"{path}: has x and x_test; keep one")
            splits[name] = _split(path, arrays, suffix)
    if not splits:
        raise BadInput(f"{path}: has none of x_train, x_val, x_test and x")
    shapes = {split.images.shape[1:] for split in splits.values() if isinstance(split.images, np.ndarray)}
    if len(shapes) != 1:
        raise BadInput(f"{path}: its splits have images of different shapes: {sorted(shapes)}")
    strange = arrays.keys() - {f"{axis}{suffix}" for axis in "xy" for _, suffix in SPLITS} - {*NAMES}
    if strange:
        notice(f"{path}: {', '.join(sorted(strange))}: not known in a data set, and not read")
    return Dataset(path.stem, _names(path, arrays, splits), path, **splits)


def _names(path: Path, arrays: dict[str, np.ndarray], splits: dict[str, Split]) -> tuple[str, ...]:
    """The names of the classes; their numbers where there are none."""
    given = [name for name in NAMES if name in arrays]
    if not given:
        if any(split.kind != "classes" for split in splits.values()):
            return ()  # a network says how many there are
        count = max(int(split.labels.max()) for split in splits.values()) + 1
        if count > MAXIMUM_CLASSES:
            raise BadInput(f"{path}: has labels up to {count - 1}; classes are numbered from 0")
        return tuple(map(str, range(count)))
    if len(given) > 1:
        raise BadInput(f"{path}: has {' and '.join(given)}; keep one")
    labels = arrays[given[0]]
    if labels.ndim != 1 or labels.dtype.kind not in "USiu":
        raise BadInput(f"{path}: {given[0]} is {labels.dtype} {labels.shape}; it must be a list of class names")
    try:
        return tuple(label.decode() if isinstance(label, bytes) else str(label) for label in labels.tolist())
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: {given[0]} are not texts in UTF-8") from error


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAXIMUM_BYTES:
                raise BadInput(f"{path}: unpacks to more than {MAXIMUM_BYTES // 1024**3} GiB")
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        zlib.error,
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        SyntaxError,
    ) as error:
        raise BadInput(f"{path}: not a readable .npz archive ({' '.join(str(error).split())})") from error


def _split(path: Path, arrays: dict[str, np.ndarray], suffix: str) -> Split:
    x, y = f"x{suffix}", f"y{suffix}"
    if x not in arrays:
        raise BadInput(f"{path}: {x} is missing beside {y}")
    images, targets = arrays[x], arrays.get(y)
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise BadInput(f"{path}: {x} is {images.dtype} {images.shape}; it must be uint8 (N, H, W[, C])")
    if images.ndim == 3:
        images = images[:, :, :, None]
    if images.shape[3] not in (1, 3) or 0 in images.shape:
        raise BadInput(f"{path}: {x} has shape {images.shape}; images have 1 or 3 channels, the last axis")
    if images.max() == 1:
        notice(f"{path}: {x} goes from 0 to 1, which is nearly black; white is 255")
    if targets is None:
        return Split(images)
    if targets.dtype.kind not in "iufb" or targets.shape[:1] != (len(images),):
        raise BadInput(
            f"{path}: {y} is {targets.dtype} {targets.shape}; it must be {len(images)} numbers, or arrays of numbers"
        )
    if targets.dtype.kind == "f" and not np.isfinite(targets).all():
        raise BadInput(f"{path}: {y} has values that are not finite")
    made = Split(images, targets.astype(np.int64) if targets.ndim == 1 and targets.dtype.kind in "iu" else targets)
    if made.kind == "masks":
        return Split(images, _masks(path, y, targets))
    return made


def _masks(path: Path, name: str, masks: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W). Raises BadInput for classes that are none."""
    low, high = (int(masks.min()), int(masks.max())) if masks.size else (-1, -1)
    if low < 0 or high > IGNORED:
        raise BadInput(
            f"{path}: {name} has masks of {low} to {high}; classes are 0 to {IGNORED - 1}, and {IGNORED} where none is "
            "asked for"
        )
    return masks.astype(np.uint8)
