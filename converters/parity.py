"""Whether an exported file computes what the .onnx does that it was made from, output by output."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from converters import onnx_graph
from converters.errors import ParityError
from converters.formats import Format, Layout, format_for
from converters.runtimes import run_onnx, stacked

MAX_RELATIVE, MIN_SNR_DB = 1e-4, 90.0  # docs/formats.md: far above what float32 rounds, below what a wrong sum does
EQUAL_SHARE = 0.99  # of the whole numbers that two runtimes decide on: of two that are nearly equal, each may take one


@dataclass(frozen=True)
class Parity:
    """Differences of an output over all samples: max_relative is max |difference| / max |output|.

    snr_db is inf if there is none. unequal: of whole numbers, the share that are others.
    """

    samples: int
    max_abs: float
    max_relative: float
    snr_db: float
    unequal: float | None = None

    @property
    def same(self) -> bool:
        """Whether no more is off than float32 rounds; of whole numbers that decide, whether nearly all are equal."""
        if self.unequal is not None:
            return self.unequal <= 1 - EQUAL_SHARE
        return self.max_relative <= MAX_RELATIVE and self.snr_db >= MIN_SNR_DB


def measure_all(reference: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> tuple[Parity, ...]:
    """Compare all outputs of two networks. Those that only one of them has are infinitely bad."""
    nothing = np.zeros((0,), np.float32)
    return tuple(measure(one, other[place] if place < len(other) else nothing) for place, one in enumerate(reference))


def measure(reference: np.ndarray, other: np.ndarray) -> Parity:
    """Compare two outputs (N, ...). Values that are not finite make every figure infinitely bad."""
    if reference.dtype.kind in "biu" and other.dtype.kind in "biu" and reference.shape == other.shape:
        unequal = float((reference != other).mean()) if reference.size else 0.0
        parity = measure(reference.astype(np.float64), other.astype(np.float64))
        return replace(parity, unequal=unequal)
    if reference.shape != other.shape or not (np.isfinite(reference).all() and np.isfinite(other).all()):
        return Parity(len(reference), np.inf, np.inf, -np.inf)
    difference = np.abs(reference.astype(np.float64) - other).max(initial=0)
    largest = np.abs(reference).max(initial=0)
    relative = 0.0 if difference == 0 else float(difference / largest) if largest > 0 else np.inf
    return Parity(len(reference), float(difference), relative, snr_db(reference, other))


def snr_db(reference: np.ndarray, other: np.ndarray) -> float:
    """10 log10 (sum reference^2 / sum (reference - other)^2)."""
    signal = np.square(reference, dtype=np.float64).sum()
    noise = np.square(reference.astype(np.float64) - other).sum()
    if noise == 0:
        return np.inf
    return float(10 * np.log10(signal / noise)) if signal > 0 else -np.inf


def usual(outputs: Sequence[np.ndarray], layout: Layout) -> list[np.ndarray]:
    """Outputs (N, ...) with maps as (N, C, H, W), whatever the layout of the format is."""
    turns = layout == "NHWC"
    return [values.transpose(0, 3, 1, 2) if turns and values.ndim == 4 else values for values in outputs]


def channels_first(outputs: Sequence[np.ndarray], last: Sequence[bool]) -> list[np.ndarray]:
    """Outputs, as (N, C, H, W) those of which `last` says that they are (N, H, W, C)."""
    turned = (*last, *[False] * (len(outputs) - len(last)))
    return [values.transpose(0, 3, 1, 2) if turns else values for values, turns in zip(outputs, turned, strict=True)]


def run(
    made: Format, path: Path, samples: Sequence[np.ndarray] | np.ndarray, *, exact: bool = True
) -> list[np.ndarray]:
    """Outputs of a file for samples (N, C, H, W), each stacked, as the file has them."""
    return stacked(made.each(path, samples, exact=exact))


def check_same(
    reference: Path,
    samples: np.ndarray,
    path: Path,
    *,
    own: np.ndarray | None = None,
    last: Sequence[bool] = (),
) -> tuple[Parity, ...]:
    """A file against ONNX Runtime on the .onnx that it was made from; of every output. Raises ParityError.

    own, last: of an .onnx that does not take (N, C, H, W): the same samples as it takes them, and whether each of its
    outputs is a map (N, H, W, C), too.
    One with the same kernels is held against what this host makes of the .onnx itself, right or not.
    """
    made = format_for(path.suffix)
    outputs = usual(run(made, path, samples, exact=False), made.layout)
    expected = run_onnx(reference, samples if own is None else own, exact=not made.unsigned)
    found = measure_all(channels_first(expected, last), outputs)
    if not all(parity.same for parity in found):
        raise ParityError(f"{path.name} differs from {reference.name} by {worst(found, reference)}")
    return found


def check_cut(whole: Path, values: Sequence[str], samples: np.ndarray, path: Path) -> tuple[Parity, ...]:
    """A file that ends with `values` of a whole network against what these are there; of each. Raises ParityError."""
    model = onnx_graph.load(whole)
    known = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in values if name not in known)
    found = measure_all(run_onnx(model, samples, outputs=list(values)), run_onnx(path, samples))
    if not all(parity.same for parity in found):
        raise ParityError(f"{path.name} differs from the whole network by {worst(found, path)}")
    return found


def worst(found: Sequence[Parity], path: Path) -> str:
    """The output that is furthest off, in words; the file has the names."""
    place = min(range(len(found)), key=lambda each: (found[each].unequal is not None, found[each].snr_db))
    name = onnx_graph.load(path).graph.output[place].name
    which = "" if len(found) == 1 else f" in its output {name}"
    parity = found[place]
    if parity.unequal is not None:
        return f"{parity.unequal:.1%} of its whole numbers{which}"
    return f"{parity.max_relative:.1e} of its largest output (SNR {parity.snr_db:.0f} dB){which}"
