"""Whether an exported file computes what its source computes, and the first layer that does not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from converters import onnx_graph
from converters.errors import ParityError
from converters.formats import format_for
from converters.runtimes import run_onnx

SAME_VALUE_DB = 60.0


@dataclass(frozen=True)
class Parity:
    """Differences over all samples: max_relative is max |difference| / max |output|; snr_db is inf if there is none."""

    samples: int
    max_abs: float
    max_relative: float
    snr_db: float


def measure(reference: np.ndarray, other: np.ndarray) -> Parity:
    """Compare two outputs (N, ...). Values that are not finite make every figure infinitely bad."""
    if reference.shape != other.shape or not (np.isfinite(reference).all() and np.isfinite(other).all()):
        return Parity(len(reference), np.inf, np.inf, -np.inf)
    difference = np.abs(reference.astype(np.float64) - other).max()
    largest = np.abs(reference).max()
    relative = 0.0 if difference == 0 else float(difference / largest) if largest > 0 else np.inf
    return Parity(len(reference), float(difference), relative, snr_db(reference, other))


def snr_db(reference: np.ndarray, other: np.ndarray) -> float:
    """10 log10 (sum reference^2 / sum (reference - other)^2)."""
    signal = np.square(reference, dtype=np.float64).sum()
    noise = np.square(reference.astype(np.float64) - other).sum()
    if noise == 0:
        return np.inf
    return float(10 * np.log10(signal / noise)) if signal > 0 else -np.inf


def check_onnx(
    model: nn.Module, samples: np.ndarray, path: Path, *, max_relative: float = 1e-4, min_snr_db: float = 90.0
) -> Parity:
    """ONNX Runtime on an exported file against torch, for samples (N, C, H, W) float32.

    Raises ParityError, naming the first layer that differs, if the difference is larger than asked.
    """
    with torch.no_grad():
        reference = np.concatenate([model(torch.from_numpy(sample[None])).numpy() for sample in samples])
    parity = measure(reference, run_onnx(path, samples)[0])
    if parity.max_relative > max_relative or parity.snr_db < min_snr_db:
        layer = first_difference(model, samples[:1], path)
        raise ParityError(
            f"{path.name} differs from torch by {parity.max_relative:.1e} of its largest output "
            f"(SNR {parity.snr_db:.0f} dB); the first layer that differs is {layer}"
        )
    return parity


def check_same(
    reference: Path, samples: np.ndarray, path: Path, *, max_relative: float = 1e-4, min_snr_db: float = 90.0
) -> Parity:
    """A file against ONNX Runtime on the .onnx that it was made from. Raises ParityError.

    One with the same kernels is held against what this host makes of the .onnx itself, right or not.
    """
    made = format_for(path.suffix)
    outputs = made.run(path, samples, exact=False)
    parity = measure(run_onnx(reference, samples, exact=not made.unsigned)[0], outputs)
    if parity.max_relative > max_relative or parity.snr_db < min_snr_db:
        raise ParityError(
            f"{path.name} differs from {reference.name} by {parity.max_relative:.1e} of its largest output "
            f"(SNR {parity.snr_db:.0f} dB)"
        )
    return parity


class _Recorder(TorchDispatchMode):
    """Every tensor that torch computes."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[np.ndarray] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.is_floating_point():
            self.values.append(result.detach().clone().numpy())
        return result


def first_difference(model: nn.Module, sample: np.ndarray, path: Path) -> str:
    """The first node of an ONNX file whose output torch never computes, although it computed the ones before.

    Folded layers have intermediate values of their own, so the search starts behind the last value that both have.
    """
    recorder = _Recorder()
    with torch.no_grad(), recorder:
        model(torch.from_numpy(sample))
    exported = onnx_graph.load(path)
    nodes = [node for node in exported.graph.node if node.op_type != "Constant"]
    known = {value.name for value in exported.graph.output}
    for node in nodes:
        if node.output[0] not in known:
            exported.graph.output.append(onnx.helper.make_empty_tensor_value_info(node.output[0]))
    values = run_onnx(exported, sample, outputs=[node.output[0] for node in nodes])
    suspect = nodes[0]
    for following, value in zip([*nodes[1:], nodes[-1]], values, strict=True):
        same_shape = (known for known in recorder.values if known.shape == value.shape)
        if any(snr_db(known, value) > SAME_VALUE_DB for known in same_shape):
            suspect = following
    return f"{suspect.name or suspect.output[0]} ({suspect.op_type})"
