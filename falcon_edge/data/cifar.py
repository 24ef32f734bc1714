"""CIFAR-10 and CIFAR-100 (A. Krizhevsky, 2009), the binary and the python version."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from falcon_edge.data.dataset import Dataset, Split
from falcon_edge.errors import BadInput

PIXELS = 3 * 32 * 32
MAXIMUM_BYTES = 1024**3
# (what shows the version, training files, test files, class names, label bytes before an image, its label key)
BINARY = {
    "data_batch_1.bin": (
        [f"data_batch_{n}.bin" for n in range(1, 6)],
        ["test_batch.bin"],
        "batches.meta.txt",
        1,
    ),
    "train.bin": (["train.bin"], ["test.bin"], "fine_label_names.txt", 2),
}
PYTHON = {
    "data_batch_1": (
        [f"data_batch_{n}" for n in range(1, 6)],
        ["test_batch"],
        "batches.meta",
        b"labels",
        b"label_names",
    ),
    "train": (["train"], ["test"], "meta", b"fine_labels", b"fine_label_names"),
}


def recognise(folder: Path) -> bool:
    """Whether the folder holds one of the four versions."""
    return any((folder / name).is_file() for name in (*BINARY, *PYTHON))


def load(folder: Path) -> Dataset:
    """The training and test images of a folder."""
    for name, (train, test, classes, label_bytes) in BINARY.items():
        if (folder / name).is_file():
            return Dataset(
                folder.name,
                _binary_classes(folder / classes),
                folder,
                train=_join([_read_binary(folder / file, label_bytes) for file in train]),
                test=_join([_read_binary(folder / file, label_bytes) for file in test]),
            )
    for name, (train, test, meta, label_key, names_key) in PYTHON.items():
        if (folder / name).is_file():
            names = _get(folder / meta, _unpickle(folder / meta), names_key)
            if not isinstance(names, list) or not all(isinstance(label, bytes | str) for label in names):
                raise BadInput(f"{folder / meta}: its class names are not a list of texts")
            try:
                labels = tuple(label.decode() if isinstance(label, bytes) else label for label in names)
            except UnicodeDecodeError as error:
                raise BadInput(f"{folder / meta}: its class names are not texts in UTF-8") from error
            return Dataset(
                folder.name,
                labels,
                folder,
                train=_join([_read_python(folder / file, label_key) for file in train]),
                test=_join([_read_python(folder / file, label_key) for file in test]),
            )
    raise BadInput(f"{folder}: not CIFAR")


def _join(splits: list[Split]) -> Split:
    return Split(
        np.concatenate([np.asarray(split.images) for split in splits]),
        np.concatenate([split.labels for split in splits]),
    )


def _images(planes: np.ndarray) -> np.ndarray:
    """(N, 3072) red, green and blue planes to (N, 32, 32, 3)."""
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise BadInput(f"{path}: too large for CIFAR")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); get the data set again") from error


def _read_binary(path: Path, label_bytes: int) -> Split:
    """Records of `label_bytes` labels (the last is the finest) and 3,072 bytes of planes."""
    data, record = _bytes(path), label_bytes + PIXELS
    if not data or len(data) % record:
        raise BadInput(f"{path}: {len(data)} bytes are no whole number of records of {record}; get the file again")
    table = np.frombuffer(data, np.uint8).reshape(-1, record)
    return Split(_images(table[:, label_bytes:]), table[:, label_bytes - 1].astype(np.int64))


def _binary_classes(path: Path) -> tuple[str, ...]:
    try:
        return tuple(line.strip() for line in _bytes(path).decode().splitlines() if line.strip())
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is not text") from error


def _read_python(path: Path, label_key: bytes) -> Split:
    content = _unpickle(path)
    planes, labels = _get(path, content, b"data"), _get(path, content, label_key)
    if not isinstance(planes, np.ndarray) or planes.dtype != np.uint8 or planes.ndim != 2 or planes.shape[1] != PIXELS:
        raise BadInput(f"{path}: its data are not uint8 rows of {PIXELS}")
    if (
        not isinstance(labels, list)
        or not all(isinstance(label, int) for label in labels)
        or len(labels) != len(planes)
    ):
        raise BadInput(f"{path}: its labels are not one integer per image")
    return Split(_images(planes), np.array(labels, np.int64))


def _get(path: Path, content: Any, key: bytes) -> Any:
    for name in (key, key.decode()):
        if isinstance(content, dict) and name in content:
            return content[name]
    raise BadInput(f"{path}: has no {key.decode()}; it is not a CIFAR batch")


def _latin1_bytes(text: str, encoding: str) -> bytes:
    """What `_codecs.encode` does in these files (bytes as Python 2's pickle protocol writes them), and no more."""
    if encoding != "latin1":
        raise pickle.UnpicklingError("only latin1")
    return text.encode("latin1")


class _Restricted(pickle.Unpickler):
    """Admits what an array of bytes needs, and nothing that could do anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np._core.multiarray._reconstruct  # type: ignore[attr-defined]  # what the files name
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        if (module, name) == ("_codecs", "encode"):
            return _latin1_bytes
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a CIFAR file")


def _unpickle(path: Path) -> Any:
    data = _bytes(path)
    try:
        return _Restricted(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise BadInput(f"{path}: not a CIFAR batch ({' '.join(str(error).split())})") from error
