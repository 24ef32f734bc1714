"""Whether a device computes what the export computed: golden inputs replayed, outputs compared on the host."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime_bench.results import Agreement


@dataclass(frozen=True)
class GoldenVector:
    """An input file (float32 little-endian, NCHW) and the file of the output that must come (its own dtype)."""

    input: Path
    output: Path


@dataclass(frozen=True)
class Tolerance:
    """How far outputs may be off: a share of the largest output, or integer steps; and whether the class may change."""

    rtol: float | None = None
    max_lsb: int | None = None
    top1: bool = True


def agreement(vectors: Sequence[GoldenVector], found: Sequence[np.ndarray], tolerance: Tolerance) -> Agreement:
    """Compare the outputs found for each vector (flat arrays, at least one) with the golden ones."""
    expected = [np.fromfile(vector.output, output.dtype) for vector, output in zip(vectors, found, strict=True)]
    return agreement_of(expected, found, tolerance)


def agreement_of(expected: Sequence[np.ndarray], found: Sequence[np.ndarray], tolerance: Tolerance) -> Agreement:
    """Compare outputs with those that must come (flat arrays, at least one of each)."""
    if not all(
        one.shape == other.shape and np.isfinite(one).all() and np.isfinite(other).all()
        for one, other in zip(expected, found, strict=True)
    ):
        return Agreement(
            vectors=len(found), max_abs=None, max_relative=None, snr_db=None, top1_equal=0, within_tolerance=False
        )
    reference, outputs = np.stack(expected).astype(np.float64), np.stack(list(found)).astype(np.float64)
    signal, noise = np.square(reference).sum(), np.square(outputs - reference).sum()
    max_abs, largest = float(np.abs(outputs - reference).max()), float(np.abs(reference).max())
    relative = 0.0 if max_abs == 0 else max_abs / largest if largest > 0 else None
    equal = int((outputs.argmax(1) == reference.argmax(1)).sum())
    return Agreement(
        vectors=len(found),
        max_abs=max_abs,
        max_relative=relative,
        snr_db=None if noise == 0 or signal == 0 else float(10 * np.log10(signal / noise)),
        top1_equal=equal,
        within_tolerance=(tolerance.rtol is None or (relative is not None and relative <= tolerance.rtol))
        and (tolerance.max_lsb is None or max_abs <= tolerance.max_lsb)
        and (not tolerance.top1 or equal == len(found)),
    )
