"""Whether a device computes what the export computed: golden inputs replayed, outputs compared on the host."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime_bench.results import Agreement


@dataclass(frozen=True)
class GoldenVector:
    """An input file (float32 little-endian, NCHW), and that of the outputs that must come (runtime_bench.outputs)."""

    input: Path
    output: Path


@dataclass(frozen=True)
class Tolerance:
    """How far an output may be off: a share of the largest value, or integer steps.

    output: its name. differing: the share of its values that may be others at all, of whole numbers that a network
    decides on. classes: the highest of a row of classes has to be the same one.
    """

    output: str | None = None
    rtol: float | None = None
    max_lsb: int | None = None
    differing: float | None = None
    classes: bool = False


def agreements(
    expected: Sequence[Sequence[np.ndarray]], found: Sequence[Sequence[np.ndarray]], tolerances: Sequence[Tolerance]
) -> tuple[Agreement, ...]:
    """Compare what was found for each vector (at least one) with what must come: outputs, flat arrays, of each.

    There is an agreement for every tolerance.
    """
    return tuple(
        _agreement([_at(row, place) for row in expected], [_at(row, place) for row in found], tolerance)
        for place, tolerance in enumerate(tolerances)
    )


def _at(outputs: Sequence[np.ndarray], place: int) -> np.ndarray | None:
    return outputs[place] if place < len(outputs) else None


def _agreement(
    expected: Sequence[np.ndarray | None], found: Sequence[np.ndarray | None], tolerance: Tolerance
) -> Agreement:
    pairs = [
        (one, other)
        for one, other in zip(expected, found, strict=True)
        if one is not None and other is not None and one.shape == other.shape
        if np.isfinite(one).all() and np.isfinite(other).all()
    ]
    if len(pairs) < len(found):
        return Agreement(
            output=tolerance.output,
            vectors=len(found),
            max_abs=None,
            max_relative=None,
            snr_db=None,
            classes_equal=0 if tolerance.classes else None,
            within_tolerance=False,
        )
    reference, outputs = (np.stack(side).astype(np.float64) for side in zip(*pairs, strict=True))
    signal, noise = np.square(reference).sum(), np.square(outputs - reference).sum()
    max_abs, largest = float(np.abs(outputs - reference).max()), float(np.abs(reference).max())
    relative = 0.0 if max_abs == 0 else max_abs / largest if largest > 0 else None
    equal = int((outputs.argmax(1) == reference.argmax(1)).sum()) if tolerance.classes else None
    return Agreement(
        output=tolerance.output,
        vectors=len(found),
        max_abs=max_abs,
        max_relative=relative,
        snr_db=None if noise == 0 or signal == 0 else float(10 * np.log10(signal / noise)),
        classes_equal=equal,
        within_tolerance=(tolerance.rtol is None or (relative is not None and relative <= tolerance.rtol))
        and (tolerance.max_lsb is None or max_abs <= tolerance.max_lsb)
        and (tolerance.differing is None or float((outputs != reference).mean()) <= tolerance.differing)
        and (equal is None or equal == len(found)),
    )
