"""The IDX format of the MNIST family (yann.lecun.com's description: magic, sizes, big-endian, then the bytes)."""

import gzip
import re
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np

from falcon_edge.data.dataset import Dataset, Split
from falcon_edge.errors import BadInput

FILES = {
    "train": ("train-images[-.]idx3-ubyte", "train-labels[-.]idx1-ubyte"),
    "test": ("t10k-images[-.]idx3-ubyte", "t10k-labels[-.]idx1-ubyte"),
}
FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
UNSIGNED_BYTE = 0x08
MAXIMUM_BYTES = 4 * 1024**3


def recognise(folder: Path) -> bool:
    """Whether the folder holds images of the MNIST family."""
    return any(_find(folder, images) is not None for images, _ in FILES.values())


def load(folder: Path) -> Dataset:
    """The splits that are there; classes are named for Fashion-MNIST, and by their number elsewhere."""
    splits = {}
    for name, (images, labels) in FILES.items():
        image_file, label_file = _find(folder, images), _find(folder, labels)
        if image_file is None and label_file is None:
            continue
        if image_file is None or label_file is None:
            there, missing = (label_file, images) if image_file is None else (image_file, labels)
            raise BadInput(f"{there}: its partner {missing.replace('[-.]', '-')} is missing beside it")
        pixels, numbers = read(image_file, dimensions=3), read(label_file, dimensions=1)
        if len(pixels) != len(numbers):
            raise BadInput(f"{label_file}: {len(numbers)} labels for {len(pixels)} images")
        splits[name] = Split(pixels[:, :, :, None], numbers.astype(np.int64))
    classes: tuple[str, ...]
    if "fashion" in folder.name.lower():
        classes = FASHION
    else:
        classes = tuple(str(number) for number in range(max(int(split.labels.max()) for split in splits.values()) + 1))
    return Dataset(folder.name, classes, folder, **splits)


def read(path: Path, *, dimensions: int) -> np.ndarray:
    """The unsigned bytes of an IDX file with that many dimensions, .gz or not."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{path}: cannot be read ({error}); get the file again") from error
    header = 4 + 4 * dimensions
    if len(data) < header or data[:4] != bytes((0, 0, UNSIGNED_BYTE, dimensions)):
        raise BadInput(f"{path}: not an IDX file of unsigned bytes with {dimensions} dimensions")
    sizes = struct.unpack_from(f">{dimensions}I", data, 4)
    if prod(sizes) > MAXIMUM_BYTES or len(data) - header != prod(sizes):
        shown = "x".join(map(str, sizes))
        raise BadInput(f"{path}: {len(data) - header} bytes where its header says {shown}; get the file again")
    if 0 in sizes:
        raise BadInput(f"{path}: is empty")
    return np.frombuffer(data, np.uint8, offset=header).reshape(sizes)


def _find(folder: Path, pattern: str) -> Path | None:
    matches = [path for path in sorted(folder.iterdir()) if re.fullmatch(rf"{pattern}(\.gz)?", path.name)]
    return matches[0] if matches else None
