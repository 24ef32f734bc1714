"""What inferences give: the outputs of one after the other in a file, as they come; and as the network means them.

worker.py writes these files, docs/phones.md has them as a part of the app's contract.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from runtime_bench.replies import Loaded, Output

Reduction = Literal["none", "half", "classes"]
LOWEST = -128  # what integers count from where a file has signed ones; unsigned ones count from 0, at the same scale


@dataclass(frozen=True)
class Meaning:
    """The name of an output, and what its integers mean, if it has any: real = scale (q - zero_point), q from -128."""

    name: str
    scale: float | None = None
    zero_point: int = 0


def split(data: bytes, outputs: Sequence[Output]) -> list[np.ndarray]:
    """The outputs (flat) of one inference, as a worker writes them; its bytes where it wrote more or fewer."""
    sizes = [math.prod(output.shape) * np.dtype(output.dtype).itemsize for output in outputs]
    if sum(sizes) != len(data):
        return [np.frombuffer(data, np.uint8)]
    found, start = [], 0
    for output, size in zip(outputs, sizes, strict=True):
        found.append(np.frombuffer(data[start : start + size], output.dtype))
        start += size
    return found


def reduced(loaded: Loaded, reduction: Reduction) -> list[Output]:
    """What a worker makes of the outputs when it evaluates (see `reduced` in worker.py)."""
    if reduction == "none":
        return loaded.outputs
    if reduction == "half":
        return [_halved(output) for output in loaded.outputs]
    first = loaded.outputs[0]
    axis = class_axis(len(first.shape), loaded.input.layout)
    shape = [*first.shape[:axis], *first.shape[axis + 1 :]]
    count = first.shape[axis] if first.shape else 1
    return [Output(shape=shape, dtype="uint8" if count <= 1 << 8 else "uint16" if count <= 1 << 16 else "int32")]


def class_axis(rank: int, layout: str) -> int:
    """Where an output has its classes: the channels of a map, else what comes behind the images."""
    return rank - 1 if rank == 4 and layout == "NHWC" else min(1, max(rank - 1, 0))


def stacked(data: bytes, outputs: Sequence[Output], count: int) -> list[np.ndarray] | None:
    """Outputs of `count` inferences, (count, ...) each; None for more or fewer bytes than they have."""
    record = np.dtype([(f"{index}", output.dtype, tuple(output.shape)) for index, output in enumerate(outputs)])
    if len(data) != count * record.itemsize:
        return None
    rows = np.frombuffer(data, record)
    found = [np.ascontiguousarray(rows[name]) for name in record.names or ()]
    return [value[:, 0] if value.ndim > 1 and value.shape[1] == 1 else value for value in found]


def as_meant(values: np.ndarray, meaning: Meaning | None, layout: str, reduction: Reduction) -> np.ndarray:
    """Outputs (N, ...) of a file as the network has them: float32 or float16, maps (N, C, H, W); or their classes."""
    if reduction == "classes":
        return values
    if values.ndim == 4 and layout == "NHWC":
        values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
    if values.dtype.kind == "f" or meaning is None or meaning.scale is None:
        return values
    shift = LOWEST if values.dtype.kind == "u" else 0
    return (values.astype(np.float32) + np.float32(shift - meaning.zero_point)) * np.float32(meaning.scale)


def _halved(output: Output) -> Output:
    return output.model_copy(update={"dtype": "float16"}) if np.dtype(output.dtype).kind == "f" else output
